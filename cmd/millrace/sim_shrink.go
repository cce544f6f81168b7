package main

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"time"

	"millrace/sim/story"
	"millrace/sim/trial"
)

// simShrink takes out of a failing plan what it does not need to fail in the same way, and writes what is left.
func (s *session) simShrink(ctx context.Context, f *simFlags, p *trial.Plan) error {
	ctx, stop := context.WithTimeout(ctx, f.boxed)
	defer stop()
	x := newShrinker(ctx, workerKind{mutant: f.mutant}, f.jobs, s.note)
	defer x.close()
	p, err := x.begin(p)
	if err != nil {
		return err
	}
	p = x.shrink(p)
	s.keepPlan(f, p, "-small")
	_, err = fmt.Fprintln(s.out, p)
	return err
}

// shrinker runs plans in processes of their own, since a plan may end or hang one.
type shrinker struct {
	ctx     context.Context
	kind    workerKind
	note    func(format string, args ...any)
	idle    chan *worker // nil for one that is to be started
	mu      sync.Mutex
	runs    int
	failure string // the first line of the first one
	class   string
}

func newShrinker(ctx context.Context, kind workerKind, jobs int, note func(string, ...any)) *shrinker {
	x := &shrinker{ctx: ctx, kind: kind, note: note, idle: make(chan *worker, max(1, jobs))}
	for range cap(x.idle) {
		x.idle <- nil
	}
	return x
}

func (x *shrinker) close() {
	for range cap(x.idle) {
		if w := <-x.idle; w != nil {
			w.stop()
		}
	}
}

// livelocked is after how many yields a run that is looked at for a livelock counts as one. Runs that end take less
// than half.
const livelocked = 4e6

// begin runs the plan that is to be shrunk, which must fail, and returns it as it is gone on with.
func (x *shrinker) begin(p *trial.Plan) (*trial.Plan, error) {
	r := x.run(x.ctx, p)
	if r.Error == "" || r.Empty {
		return nil, fmt.Errorf("the plan does not fail: %s", r.Error)
	}
	x.failure, x.class = firstLine(r.Error), story.Explain(r.Error).Class
	x.note("fails: %s", x.failure)
	if r.Yields > 2*livelocked {
		p = p.With(p.Seed)
		p.World.Steps = livelocked
	}
	return p, nil
}

// run runs one plan in whatever process is free, until the context ends.
func (x *shrinker) run(ctx context.Context, p *trial.Plan) simReport {
	w := <-x.idle
	defer func() { x.idle <- w }()
	if w == nil {
		var err error
		// Not the bound of shrinking: a story may be told after it.
		if w, err = startWorker(context.WithoutCancel(x.ctx), x.kind); err != nil {
			w = nil
			return simReport{Seed: p.Seed, Empty: true, Error: err.Error()}
		}
	}
	process := w.cmd.Process
	late := context.AfterFunc(ctx, func() { process.Kill() })
	r, ok := w.runPlan(p)
	if !late() && ctx.Err() != nil {
		r, ok = simReport{Seed: p.Seed, Empty: true, Error: "there was no time for it"}, false
	}
	if !ok {
		w = nil
	}
	x.mu.Lock()
	x.runs++
	x.mu.Unlock()
	return r
}

// same says whether a run failed as the first one did: not in the same words, but because the same kind of thing is wrong.
func (x *shrinker) same(r simReport) bool {
	return r.Error != "" && !r.Empty && (story.Explain(r.Error).Class == x.class && x.class != story.Explain("").Class ||
		failureKind(r.Error) == failureKind(x.failure))
}

// first runs plans side by side and returns the first one of the list that fails as it should; nil when none does.
func (x *shrinker) first(plans []*trial.Plan) *trial.Plan {
	var all sync.WaitGroup
	var mu sync.Mutex
	next, found := 0, len(plans)
	for range cap(x.idle) {
		all.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= found || x.ctx.Err() != nil
				mu.Unlock()
				if stop {
					return
				}
				if x.same(x.run(x.ctx, plans[i])) {
					mu.Lock()
					found = min(found, i)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if found == len(plans) {
		return nil
	}
	return plans[found]
}

// shrink makes the plan as small as it can in its time.
func (x *shrinker) shrink(p *trial.Plan) *trial.Plan {
	began := time.Now()
	took := func(smaller *trial.Plan) {
		p = smaller
		x.note("%d runs, %v: %d faults, %d clients, %d topics on %d nodes left", x.runs, time.Since(began).Round(time.Second), p.Strikes(), len(p.Actors),
			len(p.Topics), p.Nodes)
	}
	x.passes(trial.Reductions(), &p, took, nil)
	// What only seems to be needed because another plan goes another way: other seeds may take the old one.
	for again := true; again && p.Strikes() > 1 && x.ctx.Err() == nil; {
		again = x.passes(trial.Removals(), &p, took, func(c *trial.Plan) []*trial.Plan {
			var others []*trial.Plan
			for i := range uint64(otherSeeds) {
				others = append(others, c.With(c.Seed+1+i*7919))
			}
			return others
		})
		if again {
			x.passes(trial.Reductions(), &p, took, nil)
		}
	}
	return p
}

// otherSeeds are tried of a plan that does not fail any more without one of its faults.
const otherSeeds = 6

// passes takes every reduction that fails until none does. variants, if not nil, gives what is tried in its place.
func (x *shrinker) passes(reductions []func(*trial.Plan) []*trial.Plan, p **trial.Plan, took func(*trial.Plan),
	variants func(*trial.Plan) []*trial.Plan) bool {
	any := false
	for again := true; again && x.ctx.Err() == nil; {
		again = false
		for _, reduce := range reductions {
			for x.ctx.Err() == nil {
				plans := reduce(*p)
				if variants != nil {
					var more []*trial.Plan
					for _, c := range plans {
						more = append(more, variants(c)...)
					}
					plans = more
				}
				smaller := x.first(plans)
				if smaller == nil {
					break
				}
				again, any = true, true
				took(smaller)
				if variants != nil {
					return true
				}
			}
		}
	}
	return any
}

var numbers = regexp.MustCompile(`[0-9a-f]*[0-9][0-9a-f]*`)

// failureKind is the first line of a failure without its numbers.
func failureKind(text string) string { return numbers.ReplaceAllString(firstLine(text), "#") }
