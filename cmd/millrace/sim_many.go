package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"millrace/sim/trial"
)

// onceEnvironment is for workers that run each seed once. A world is one thread, and there are as many jobs as cores: threads
// that collect garbage beside it would only be in the way. And a world ends soon: its garbage is collected then, when there is
// next to nothing to mark, and before that only if it is unusually much. What is given back to the system can be taken again at
// no cost as long as nobody else needs it (madvdontneed=0).
var onceEnvironment = []string{"GOGC=off", "GOMEMLIMIT=1000MiB", "GOMAXPROCS=1", "GODEBUG=madvdontneed=0"}

// twiceEnvironments are those of the two kinds of workers for --twice: the second one collects garbage as often as it can, on
// other threads.
var twiceEnvironments = [][]string{onceEnvironment, {"GOGC=20", "GOMAXPROCS=3"}}

// pool runs seeds in several processes.
type pool struct {
	ctx  context.Context
	jobs int
}

// errand is a seed and the kind of process that is to run it.
type errand struct {
	seed uint64
	kind int
}

// each runs every errand that next gives in a process of its kind, and hands the results to took, one at a time. It ends
// when next gives no more.
func (p pool) each(kinds []workerKind, next func() (errand, bool), took func(simReport)) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range max(1, p.jobs) {
		all.Go(func() {
			crew := make([]*worker, len(kinds))
			defer func() {
				for _, w := range crew {
					if w != nil {
						w.stop()
					}
				}
			}()
			for {
				mu.Lock()
				x, more := next()
				more = more && failed == nil && p.ctx.Err() == nil
				mu.Unlock()
				if !more {
					return
				}
				if crew[x.kind] == nil {
					var err error
					if crew[x.kind], err = startWorker(p.ctx, kinds[x.kind]); err != nil {
						mu.Lock()
						failed = err
						mu.Unlock()
						return
					}
				}
				r, ok := crew[x.kind].run(x.seed)
				if !ok {
					crew[x.kind] = nil
				}
				mu.Lock()
				if p.ctx.Err() == nil {
					took(r)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if failed == nil {
		failed = p.ctx.Err()
	}
	return failed
}

// counter gives the seeds from a first to a last one, each for every kind.
func counter(from, to uint64, kinds int) func() (errand, bool) {
	next, done := errand{seed: from}, false
	return func() (errand, bool) {
		if done || next.seed > to {
			return errand{}, false
		}
		x := next
		if next.kind++; next.kind == kinds {
			done = next.seed == to
			next = errand{seed: next.seed + 1}
		}
		return x, true
	}
}

// simMany runs seeds in several processes, each once or twice, and ends with how many passed.
func (s *session) simMany(ctx context.Context, f *simFlags, from, to uint64) error {
	began := time.Now()
	first := make(map[uint64]simReport)
	failed := make(map[uint64]string)
	var partings []parting
	total := newSummary()
	total.beyond = f.beyond
	fail := func(r simReport, what string) {
		if failed[r.Seed] == "" {
			failed[r.Seed] = what
			s.note("seed %d FAILED: %s", r.Seed, what)
			s.keepPlan(f, f.draw(r.Seed), "")
		}
	}
	var done atomic.Int64
	took := func(r simReport) {
		done.Add(1)
		total.add(r)
		if r.Error != "" {
			fail(r, r.Error)
		}
		before, again := first[r.Seed]
		if !again {
			first[r.Seed] = r
			return
		}
		if before.Hash != r.Hash || before.Events != r.Events {
			where := partingOf(before, r)
			partings = append(partings, where)
			fail(r, where.String())
		}
		first[r.Seed] = simReport{Hash: r.Hash}
	}
	kinds := f.kinds()
	far := work{what: "run", done: &done}
	far.upTo(int64(to-from+1)*int64(len(kinds)), 0)
	stop := s.progress(far)
	err := (pool{ctx, f.jobs}).each(kinds, counter(from, to, len(kinds)), took)
	if stop(); err != nil {
		return err
	}
	s.notePartings(ctx, f, partings)
	took2 := time.Since(began)
	if !s.json {
		total.print(s.out, took2)
	}
	seeds := int(to - from + 1)
	for _, seed := range slices.Sorted(maps.Keys(failed)) {
		s.note("failed: millrace sim --seed %d%s", seed, f.worldFlags())
	}
	if s.json {
		if err := s.printJSON(map[string]any{"passed": seeds - len(failed), "failed": len(failed), "failures": failed, "fired": times(total.fired),
			"reached": times(total.reached), "never_fired": total.unfired(), "virtual_ns": total.virtual, "cpu_ns": total.cpu, "acked": total.acked, "answered": total.answered}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.out, "%d passed, %d failed\n", seeds-len(failed), len(failed))
	}
	if len(failed) > 0 {
		return &failure{exit: exitFailed, message: fmt.Sprintf("%d seeds failed", len(failed))}
	}
	return nil
}

// kinds are the workers that run each seed.
func (f *simFlags) kinds() (kinds []workerKind) {
	environments := [][]string{onceEnvironment}
	if f.twice {
		environments = twiceEnvironments
	}
	for _, env := range environments {
		kinds = append(kinds, workerKind{f.mutant, f.nodes, env, f.beyond})
	}
	return kinds
}

// worldFlags are the flags that choose what a seed's plan is.
func (f *simFlags) worldFlags() string {
	flags := ""
	if f.nodes != 0 {
		flags = fmt.Sprintf(" --nodes %d", f.nodes)
	}
	if f.beyond {
		flags += " --beyond"
	}
	return flags
}

// draw makes the plan of a seed.
func (f *simFlags) draw(seed uint64) *trial.Plan {
	if f.beyond {
		return trial.DrawBeyond(seed, f.nodes)
	}
	return trial.DrawNodes(seed, f.nodes)
}
