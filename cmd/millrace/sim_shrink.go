package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"millrace/sim"
	"millrace/sim/trial"
)

// simShrink takes out of a failing plan what it does not need to fail in the same way, and writes what is left.
func (s *session) simShrink(ctx context.Context, f *simFlags, p *trial.Plan) error {
	ctx, stop := context.WithTimeout(ctx, f.boxed)
	defer stop()
	x := &shrinker{ctx: ctx, kind: workerKind{mutant: f.mutant}}
	defer x.close()
	first, err := x.run(p)
	if err != nil {
		return err
	}
	if first.Error == "" || first.Empty {
		return fmt.Errorf("the plan does not fail: %s", first.Error)
	}
	x.failure = failureKind(first.Error)
	s.note("fails: %s", firstLine(first.Error))
	for again := true; again && ctx.Err() == nil; {
		again = false
		for _, reduce := range reducers {
			for _, smaller := range reduce(p) {
				if x.fails(smaller) {
					p, again = smaller, true
					s.note("%d runs: %d faults, %d crashes, %d actors, %d topics left", x.runs, len(p.Faults), len(p.Crashes), len(p.Actors), len(p.Topics))
					break
				}
			}
		}
	}
	s.keepPlan(f, p, "-small")
	_, err = fmt.Fprintln(s.out, p)
	return err
}

// shrinker runs plans in a process of its own, since a plan may end or hang it.
type shrinker struct {
	ctx     context.Context
	kind    workerKind
	w       *worker
	runs    int
	failure string
}

func (x *shrinker) close() {
	if x.w != nil {
		x.w.stop()
	}
}

func (x *shrinker) run(p *trial.Plan) (simReport, error) {
	if x.w == nil {
		var err error
		if x.w, err = startWorker(x.ctx, x.kind); err != nil {
			return simReport{}, err
		}
	}
	x.runs++
	r, ok := x.w.runPlan(p)
	if !ok {
		x.w = nil
	}
	return r, nil
}

// fails says whether a plan fails as the first one did.
func (x *shrinker) fails(p *trial.Plan) bool {
	if x.ctx.Err() != nil {
		return false
	}
	r, err := x.run(p)
	return err == nil && x.ctx.Err() == nil && r.Error != "" && !r.Empty && failureKind(r.Error) == x.failure
}

var numbers = regexp.MustCompile(`[0-9a-f]*[0-9][0-9a-f]*`)

// failureKind is the first line of a failure without its numbers.
func failureKind(text string) string { return numbers.ReplaceAllString(firstLine(text), "#") }

// clone copies a plan.
func clone(p *trial.Plan, change func(*trial.Plan)) *trial.Plan {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	c := new(trial.Plan)
	if err := json.Unmarshal(text, c); err != nil {
		panic(err)
	}
	change(c)
	return c
}

// reducers give smaller plans, the smallest first.
var reducers = []func(p *trial.Plan) []*trial.Plan{
	func(p *trial.Plan) []*trial.Plan {
		return without(p, func(p *trial.Plan) *[]trial.FaultPlan { return &p.Faults }, 0)
	},
	func(p *trial.Plan) []*trial.Plan {
		return without(p, func(p *trial.Plan) *[]trial.CrashPlan { return &p.Crashes }, 0)
	},
	func(p *trial.Plan) []*trial.Plan {
		return without(p, func(p *trial.Plan) *[]trial.ActorPlan { return &p.Actors }, 1)
	},
	func(p *trial.Plan) []*trial.Plan {
		return without(p, func(p *trial.Plan) *[]trial.TopicPlan { return &p.Topics }, 1)
	},
	quieter,
}

// without leaves out pieces of one of the plan's lists: halves, quarters, single ones.
func without[T any](p *trial.Plan, list func(*trial.Plan) *[]T, least int) []*trial.Plan {
	var plans []*trial.Plan
	n := len(*list(p))
	for size := n; size >= 1; size /= 2 {
		for from := 0; from < n; from += size {
			to := min(n, from+size)
			if n-(to-from) < least {
				continue
			}
			plans = append(plans, clone(p, func(c *trial.Plan) { *list(c) = slices.Delete(*list(c), from, to) }))
		}
	}
	return plans
}

// quieter switches off what the world, the actors and the crashes do beyond the usual.
func quieter(p *trial.Plan) []*trial.Plan {
	changes := []func(*trial.Plan){
		func(p *trial.Plan) { p.World.Spurious = 0 },
		func(p *trial.Plan) { p.World.SlowDisks = 0 },
		func(p *trial.Plan) { p.World.DiskTimes = 1 },
		func(p *trial.Plan) { p.World.FailSyncs = 0 },
		func(p *trial.Plan) { p.World.Net = sim.NetProfile{} },
		func(p *trial.Plan) { p.World.Clogs, p.World.WallJumps, p.World.FullDisks = 0, 0, 0 },
		func(p *trial.Plan) { p.World.Drift, p.World.Drifts = 0, nil },
		func(p *trial.Plan) { p.World.Priorities = false },
	}
	for i := range p.Actors {
		changes = append(changes, func(p *trial.Plan) {
			a := &p.Actors[i]
			a.OldVersion, a.Lazy, a.Codec, a.Sessions, a.Epochs = false, 0, 0, false, false
		})
	}
	for i := range p.Crashes {
		changes = append(changes, func(p *trial.Plan) { p.Crashes[i].AtStart = false }, func(p *trial.Plan) { p.Crashes[i].All = false })
	}
	var plans []*trial.Plan
	was, _ := json.Marshal(p)
	for _, change := range changes {
		c := clone(p, change)
		if now, _ := json.Marshal(c); string(now) != string(was) {
			plans = append(plans, c)
		}
	}
	return plans
}
