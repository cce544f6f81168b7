package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/sim/story"
	"millrace/sim/trial"
)

// whyCommand is `millrace sim why`.
func (s *session) whyCommand() *cobra.Command {
	f := &simFlags{}
	var html string
	c := &cobra.Command{
		Use:   "why PLAN",
		Short: "Tell why a plan fails",
		Long: "Takes out of a failing plan (a file, or a seed) whatever it does not need to fail, finds the moment at which it is\n" +
			"decided by drawing everything after it anew, and tells the story on one page: what is wrong, the faults that matter,\n" +
			"the first bad event, and what each replica held then. --html writes it as a page with lanes for nodes, clients, disks\n" +
			"and links, too.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if f.mutant != "" {
				if err := enableMutant(f.mutant); err != nil {
					return usageError{err, c.CommandPath()}
				}
			}
			return s.why(c.Context(), f, args[0], html)
		},
	}
	fl := c.Flags()
	fl.StringVar(&html, "html", "", "write the story as a page that a browser shows without a server")
	fl.DurationVar(&f.boxed, "time", 3*time.Minute, "how long to look for the cause")
	fl.IntVar(&f.jobs, "jobs", 2, "processes at work")
	fl.IntVar(&f.nodes, "nodes", 0, "brokers of the cluster, if PLAN is a seed; 0 lets the seed say")
	fl.StringVar(&f.plans, "plans", filepath.Join("build", "plans"), "where the smaller plan is written")
	fl.StringVar(&f.mutant, "mutant", "", "plant a bug (needs a build with the tag mutants)")
	return c
}

// whyPlan is the plan that an argument names: a file, or a seed.
func whyPlan(arg string, nodes int) (*trial.Plan, error) {
	text, err := os.ReadFile(arg)
	if err == nil {
		return trial.ReadPlan(text)
	}
	if seed, number := strconv.ParseUint(arg, 10, 64); number == nil {
		return trial.DrawNodes(seed, nodes), nil
	}
	return nil, err
}

// why finds out and tells.
func (s *session) why(ctx context.Context, f *simFlags, arg, html string) error {
	p, err := whyPlan(arg, f.nodes)
	if err != nil {
		return err
	}
	began := time.Now()
	shrinking, stop := context.WithTimeout(ctx, f.boxed*2/3)
	defer stop()
	x := newShrinker(shrinking, workerKind{mutant: f.mutant}, f.jobs, s.note)
	defer x.close()
	v := &story.Verdict{Before: sizeOf(p)}
	if p, err = x.begin(p); err != nil {
		return err
	}
	p = x.shrink(p)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	v.After = sizeOf(p)
	tale, err := tell(ctx, f.mutant, p, nil)
	if err != nil {
		return err
	}
	bisecting, stop2 := context.WithDeadline(ctx, began.Add(f.boxed))
	defer stop2()
	v.Odds = x.odds(bisecting, p, tale.Times())
	looks := tale.Moments(80)
	for i := range time.Duration(40) {
		looks = append(looks, tale.End/40*i)
	}
	if from, to, ok := v.Decided(); ok {
		looks = append(looks, from, to)
	}
	slices.Sort(looks)
	if tale, err = tell(ctx, f.mutant, p, looks); err != nil {
		return err
	}
	name := s.keepPlan(f, p, "-small")
	v.Runs, v.Took = x.runs, time.Since(began)
	v.Command = "millrace sim --plan " + name
	if f.mutant != "" {
		v.Command += " --mutant " + f.mutant
	}
	if html != "" {
		var b bytes.Buffer
		if err := story.HTML(&b, tale, v); err != nil {
			return err
		}
		if err := os.WriteFile(html, b.Bytes(), 0o666); err != nil {
			return err
		}
		s.note("the page is in %s", html)
	}
	if s.json {
		return s.printJSON(map[string]any{"verdict": v, "tale": tale})
	}
	return story.Page(s.out, tale, v)
}

func sizeOf(p *trial.Plan) story.Size {
	return story.Size{Faults: p.Strikes(), Clients: len(p.Actors), Topics: len(p.Topics), Nodes: p.Nodes}
}

// The curve of how often a failure comes again: so many runs for each point, and so many points.
const (
	oddsTries  = 8
	oddsPoints = 14
)

// odds draws everything after a time anew, for times between events, and counts how often it fails again. It goes on where
// the curve rises most.
func (x *shrinker) odds(ctx context.Context, p *trial.Plan, times []time.Duration) []story.Odds {
	index := func(at time.Duration) int {
		i, _ := slices.BinarySearch(times, at)
		return i
	}
	curve := []story.Odds{x.oddsAt(ctx, p, 0), {At: times[len(times)-1], Tries: 1, Failed: 1}}
	for len(curve) < oddsPoints && ctx.Err() == nil {
		best, rise := 0, -1.0
		for i := 1; i < len(curve); i++ {
			a, b := curve[i-1], curve[i]
			r := float64(b.Failed)/float64(b.Tries) - float64(a.Failed)/float64(a.Tries)
			wide := index(b.At) - index(a.At)
			if wide < 2 {
				continue
			}
			if r > rise || r == rise && wide > index(curve[best].At)-index(curve[best-1].At) {
				best, rise = i, r
			}
		}
		if best == 0 || rise < 0.2 && len(curve) > 5 {
			break
		}
		// Just before an event: it is drawn anew, too.
		o := x.oddsAt(ctx, p, times[(index(curve[best-1].At)+index(curve[best].At))/2])
		if o.Tries == 0 {
			break
		}
		curve = append(curve[:best], append([]story.Odds{o}, curve[best:]...)...)
	}
	if curve[0].Tries == 0 {
		return nil
	}
	return curve
}

// oddsAt is one point of the curve; without tries when the time is over.
func (x *shrinker) oddsAt(ctx context.Context, p *trial.Plan, at time.Duration) story.Odds {
	o := story.Odds{At: at}
	results := make(chan bool)
	for i := range uint64(oddsTries) {
		go func() { results <- x.same(x.run(ctx, p.Reseeded(trial.ReseedPlan{At: at, Number: i + 1}))) }()
	}
	for range oddsTries {
		if o.Tries++; <-results {
			o.Failed++
		}
	}
	if ctx.Err() != nil {
		return story.Odds{At: at}
	}
	x.note("drawn anew from %v on, %d of %d fail", at.Round(time.Microsecond), o.Failed, o.Tries)
	return o
}

// telling is what a telling process reads.
type telling struct {
	Plan  *trial.Plan
	Looks []time.Duration
}

// tell lets a process run a plan once more and take down what happens.
func tell(ctx context.Context, mutant string, p *trial.Plan, looks []time.Duration) (*story.Tale, error) {
	in, err := json.Marshal(telling{p, looks})
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, seedTime)
	defer stop()
	args := []string{"sim", "--tell"}
	if mutant != "" {
		args = append(args, "--mutant", mutant)
	}
	c := exec.CommandContext(ctx, self, args...)
	var errors bytes.Buffer
	c.Stdin, c.Stderr = bytes.NewReader(in), &errors
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("telling the run: %w: %.2000s", err, errors.String())
	}
	t := new(story.Tale)
	if err := json.Unmarshal(out, t); err != nil {
		return nil, fmt.Errorf("telling the run: %w", err)
	}
	return t, nil
}

// simTell is the telling process.
func simTell(in io.Reader, out io.Writer) error {
	var q telling
	if err := json.NewDecoder(in).Decode(&q); err != nil {
		return err
	}
	if q.Plan == nil {
		return errors.New("there is no plan to tell of")
	}
	x := &trial.Teller{Looks: q.Looks}
	r := trial.Run(q.Plan.Seed, trial.Options{Plan: q.Plan, Tale: x})
	if r.Err != nil {
		x.Tale.Failure, _, _ = strings.Cut(r.Err.Error(), "\n")
		x.Tale.Detail = r.Err.Error()
	}
	return json.NewEncoder(out).Encode(x.Tale)
}
