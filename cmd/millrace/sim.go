package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/node/host/mutant"
	"millrace/sim/trial"
)

// simFlags are the flags of the sim command.
type simFlags struct {
	seed      uint64
	seeds     string
	jobs      int
	twice     bool
	mutant    string
	mutants   bool
	starts    int
	limit     int
	markdown  string
	nodes     int
	beyond    bool
	printPlan bool
	plan      string
	plans     string
	shrink    bool
	boxed     time.Duration
	trace     string
	traceFrom uint64
	log       string
	history   string
	worker    bool
	tell      bool
}

func (s *session) simCommand() *cobra.Command {
	f := &simFlags{}
	c := &cobra.Command{
		Use:   "sim",
		Short: "Run brokers with their clients in a simulated world that breaks them",
		Long: "Runs one, three or five brokers, their disks, their network and their clients in one thread under a seeded\nscheduler, breaks them, and " +
			"checks everything that the clients saw. The same seed always does the same: the hash covers every scheduling\n" +
			"choice and every byte and time of I/O.\n\n" +
			"  millrace sim --seed 7                 one run, with what happened in it\n" +
			"  millrace sim --seeds 1-1000 --jobs 4  many, in several processes\n" +
			"  millrace sim --seeds 1-1000 --twice   each in two processes, whose hashes must agree\n" +
			"  millrace sim --plan FILE              what a failure wrote down, once more\n" +
			"  millrace sim --plan FILE --shrink     the same failure with as little as possible\n" +
			"  millrace sim why FILE                 the story of the failure",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return s.sim(c, f) },
	}
	fl := c.Flags()
	fl.Uint64Var(&f.seed, "seed", 1, "the seed of a single run")
	fl.StringVar(&f.seeds, "seeds", "", "run many seeds, as FIRST-LAST")
	fl.IntVar(&f.jobs, "jobs", 2, "processes at work for --seeds and --mutants")
	fl.BoolVar(&f.twice, "twice", false, "run each seed in two processes that differ in GOGC and GOMAXPROCS, and compare the hashes")
	fl.IntVar(&f.nodes, "nodes", 0, "brokers of a cluster, 1, 3 or 5; 0 lets the seed say")
	fl.BoolVar(&f.beyond, "beyond", false, "lose more in the end than can be repaired: nothing may be said then that is wrong")
	fl.BoolVar(&f.printPlan, "print-plan", false, "print the plan of --seed instead of running it")
	fl.StringVar(&f.plan, "plan", "", "run the plan in a file instead of one that is drawn from a seed")
	fl.StringVar(&f.plans, "plans", filepath.Join("build", "plans"), "where the plans of failures are written")
	fl.BoolVar(&f.shrink, "shrink", false, "take faults, crashes and actors out of a failing plan as long as it fails in the same way")
	fl.DurationVar(&f.boxed, "shrink-time", 2*time.Minute, "how long to shrink")
	fl.StringVar(&f.trace, "trace", "", "write every event of --seed to a file")
	fl.Uint64Var(&f.traceFrom, "trace-from", 0, "begin the trace at this event")
	fl.StringVar(&f.log, "log", "", "write what the broker logs in --seed to a file")
	fl.StringVar(&f.history, "history", "", "write the operations that are checked for linearizability to a file, as JSON lines")
	fl.StringVar(&f.mutant, "mutant", "", "plant a bug (needs a build with the tag mutants)")
	fl.BoolVar(&f.mutants, "mutants", false, "plant each known bug in turn and count the seeds until it is found")
	fl.IntVar(&f.starts, "starts", 1, "with --mutants: how often to begin, at other seeds; the median counts")
	fl.IntVar(&f.limit, "limit", 2000, "with --mutants: seeds within which a bug must be found")
	fl.StringVar(&f.markdown, "markdown", "", "with --mutants: write what was found as a Markdown table to a file, too")
	fl.BoolVar(&f.worker, "worker", false, "read seeds from standard input, write results to standard output")
	fl.BoolVar(&f.tell, "tell", false, "read a plan from standard input, write what happens in it")
	for _, name := range []string{"worker", "tell"} {
		if err := fl.MarkHidden(name); err != nil {
			panic(err)
		}
	}
	c.AddCommand(s.whyCommand())
	return c
}

// sim does what the flags say.
func (s *session) sim(c *cobra.Command, f *simFlags) error {
	if f.mutant != "" {
		if err := enableMutant(f.mutant); err != nil {
			return usageError{err, c.CommandPath()}
		}
	}
	if !slices.Contains([]int{0, 1, 3, 5}, f.nodes) {
		return usageError{fmt.Errorf("--nodes %d: a cluster has 1, 3 or 5", f.nodes), c.CommandPath()}
	}
	switch {
	case f.worker:
		return simWorker(s.in, s.out, f.nodes, f.beyond)
	case f.tell:
		return simTell(s.in, s.out)
	case f.mutants:
		return s.simMutants(c.Context(), f)
	case f.seeds != "":
		from, to, err := parseSeeds(f.seeds)
		if err != nil {
			return usageError{err, c.CommandPath()}
		}
		return s.simMany(c.Context(), f, from, to)
	}
	p, err := f.choose()
	switch {
	case err != nil:
		return err
	case f.printPlan:
		_, err := fmt.Fprintln(s.out, p)
		return err
	case f.shrink:
		return s.simShrink(c.Context(), f, p)
	default:
		return s.simOne(f, p)
	}
}

func parseSeeds(text string) (from, to uint64, err error) {
	a, b, ok := strings.Cut(text, "-")
	if !ok {
		b = a
	}
	from, err1 := strconv.ParseUint(a, 10, 64)
	to, err2 := strconv.ParseUint(b, 10, 64)
	if err1 != nil || err2 != nil || to < from {
		return 0, 0, fmt.Errorf("--seeds %q: expected FIRST-LAST, such as 1-1000", text)
	}
	return from, to, nil
}

// enableMutant plants a bug, if this build has it.
func enableMutant(name string) error {
	known := slices.ContainsFunc(mutant.All(), func(m mutant.Mutant) bool { return m.Name == name })
	switch {
	case !mutant.Built:
		return errors.New("this binary holds no planted bugs: build it with -tags mutants")
	case !known:
		return fmt.Errorf("there is no planted bug %q", name)
	}
	plant(name)
	return nil
}

// choose is the plan in the file, or that of the seed.
func (f *simFlags) choose() (*trial.Plan, error) {
	if f.plan == "" {
		return f.draw(f.seed), nil
	}
	text, err := os.ReadFile(f.plan)
	if err != nil {
		return nil, err
	}
	return trial.ReadPlan(text)
}

// keepPlan writes the plan of a failure to a file, so that it can be run again when other code draws other plans.
// It returns the name of the file.
func (s *session) keepPlan(f *simFlags, p *trial.Plan, suffix string) string {
	name := filepath.Join(f.plans, fmt.Sprintf("%d-nodes-seed-%d%s.plan", p.Nodes, p.Seed, suffix))
	err := os.MkdirAll(f.plans, 0o777)
	if err == nil {
		err = os.WriteFile(name, []byte(p.String()+"\n"), 0o666)
	}
	if err != nil {
		s.note("the plan cannot be written: %v", err)
		return name
	}
	s.note("the plan is in %s", name)
	return name
}

// simOne runs one plan and says what happened.
func (s *session) simOne(f *simFlags, p *trial.Plan) error {
	o := trial.Options{Plan: p}
	o.TraceFrom = f.traceFrom
	for _, x := range []struct {
		name string
		to   *io.Writer
	}{{f.trace, &o.Trace}, {f.log, &o.Log}, {f.history, &o.History}} {
		if x.name == "" {
			continue
		}
		file, err := os.Create(x.name)
		if err != nil {
			return err
		}
		defer file.Close()
		*x.to = file
	}
	r := trial.Run(p.Seed, o)
	if r.Err != nil && f.plan == "" {
		s.keepPlan(f, p, "")
	}
	if s.json {
		if err := s.printJSON(report(r)); err != nil {
			return err
		}
	} else {
		s.printTrial(r)
	}
	if r.Err != nil {
		return fmt.Errorf("seed %d failed: %w", p.Seed, r.Err)
	}
	return nil
}

// printTrial describes a run to a person.
func (s *session) printTrial(r trial.Result) {
	out := s.out
	if r.Err != nil {
		fmt.Fprintf(out, "plan %s\n", r.Plan)
	}
	fmt.Fprintf(out, "seed %d, %d nodes: %d records acknowledged, %d read, %d crashes, %d segment rolls, %d checkpoints, %d operations checked\n",
		r.Seed, r.Plan.Nodes, r.Acked, r.Read, r.Crashes, r.Rolls, r.Checkpoints, r.Operations)
	fmt.Fprintf(out, "%v simulated in %v (%.0f times real time), %d yields, %d events\n", r.Virtual.Round(time.Millisecond),
		r.Real.Round(time.Millisecond), r.Virtual.Seconds()/max(1e-9, r.Real.Seconds()), r.Steps, r.Events)
	fmt.Fprintf(out, "faults: %s\n", faults(r.Fired))
	fmt.Fprintf(out, "trace hash %016x\n", r.Hash)
}

func faults(fired map[string]int) string {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(fired)) {
		if fired[kind] > 0 {
			list = append(list, fmt.Sprintf("%s %d", kind, fired[kind]))
		}
	}
	return strings.Join(list, ", ")
}
