package main

import (
	"os"
	"runtime"
	"runtime/metrics"
	"time"
)

// A broker with little to do runs on one processor, in Go's sense. A request wakes half a dozen tasks one after the other,
// each for some microseconds. With more processors the runtime wakes another thread for each of them, which finds the task
// already run: that costs more than the tasks themselves (docs/decisions/0007). Who sets GOMAXPROCS has what he set.

const (
	// lookEvery is how often it is looked at what was used.
	lookEvery = 100 * time.Millisecond
	// lookIdle is how often when next to nothing was, nearlyIdle of a core: looking costs something, too.
	lookIdle   = time.Second
	nearlyIdle = 0.01
	// littleUsed is how much of a core a quiet broker uses at most.
	littleUsed = 0.35
	// calmLooks is how many looks in a row must be quiet.
	calmLooks = 10
	// A task that was woken has waited long when it ran only slowWait later. When one of manySlow did, something holds the
	// one processor: a slow disk's write does until the runtime takes it back.
	slowWait = time.Millisecond
	manySlow = 50
	// After that it takes heldLooks of quiet, twice as many each time up to mostHeld, until it is tried again.
	heldLooks = 50
	mostHeld  = 3000
)

// look is what happened between two looks.
type look struct {
	used        float64 // cores
	woken, slow uint64  // tasks that were woken, and those that had to wait long for a processor
}

// processors decides whether one is enough.
type processors struct {
	one  bool
	calm int // quiet looks in a row
	held int // how many there must be, when one processor was too few
}

// next takes what has happened since the last look, and returns whether one processor is to be used until the next one.
func (p *processors) next(l look) bool {
	quiet := l.used < littleUsed
	slow := l.slow*manySlow > l.woken
	switch {
	case quiet && !(p.one && slow):
		p.calm++
	case quiet:
		p.calm, p.held = 0, min(max(heldLooks, 2*p.held), mostHeld)
	default:
		p.calm = 0
	}
	if p.calm > 2*mostHeld {
		p.held = 0
	}
	p.one = p.calm > 0 && (p.one || p.calm >= max(calmLooks, p.held))
	return p.one
}

// adaptProcessors looks until stop is closed.
func adaptProcessors(stop <-chan struct{}) {
	all := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") != "" || all == 1 || cpuTime() == 0 {
		return
	}
	var p processors
	waits := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	began, used := time.Now(), cpuTime()
	woken, slow := countWaits(waits)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for one := false; ; {
		select {
		case <-stop:
			if one {
				runtime.SetDefaultGOMAXPROCS()
			}
			return
		case <-tick.C:
		}
		now, usedNow := time.Now(), cpuTime()
		wokenNow, slowNow := countWaits(waits)
		was := one
		l := look{(usedNow - used).Seconds() / now.Sub(began).Seconds(), wokenNow - woken, slowNow - slow}
		one = p.next(l)
		if one && l.used < nearlyIdle {
			tick.Reset(lookIdle)
		} else {
			tick.Reset(lookEvery)
		}
		began, used, woken, slow = now, usedNow, wokenNow, slowNow
		switch {
		case one && !was:
			runtime.GOMAXPROCS(1)
		case was && !one:
			runtime.SetDefaultGOMAXPROCS() // what the machine or the container has by now
		}
	}
}

// countWaits returns how often a task has been woken since the process began, and how often it then waited long.
func countWaits(s []metrics.Sample) (woken, slow uint64) {
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0, 0
	}
	h := s[0].Value.Float64Histogram()
	for i, n := range h.Counts {
		woken += n
		if h.Buckets[i] >= slowWait.Seconds() {
			slow += n
		}
	}
	return woken, slow
}
