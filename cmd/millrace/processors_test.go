package main

import (
	"runtime/metrics"
	"testing"
	"time"
)

func TestProcessors(t *testing.T) {
	quiet, busy := look{used: 0.1, woken: 1000, slow: 3}, look{used: 0.9, woken: 1000}
	stuck := look{used: 0.1, woken: 1000, slow: 100}
	var p processors
	looks := func(n int, l look, want bool) {
		t.Helper()
		for i := range n {
			if got := p.next(l); got != want {
				t.Fatalf("look %d: one processor %v", i, got)
			}
		}
	}
	looks(calmLooks-1, quiet, false)
	looks(100, quiet, true)
	looks(1, busy, false)
	looks(calmLooks-1, quiet, false)
	looks(1, busy, false) // the calm begins anew
	looks(calmLooks-1, stuck, false)
	looks(1, stuck, true) // with all processors a long wait has other reasons
	for held := heldLooks; held <= 400; held *= 2 {
		looks(1, stuck, false)
		looks(held-1, quiet, false)
		looks(20, quiet, true)
	}
	looks(2*mostHeld, quiet, true)
	looks(1, busy, false) // one processor was enough for long: what was held against it is forgotten
	looks(calmLooks-1, quiet, false)
	looks(1, quiet, true)
	for range 20 {
		p.next(stuck)
		for range mostHeld {
			p.next(quiet)
		}
		if !p.one {
			t.Fatal("never tried again")
		}
	}
}

// The runtime's histogram is there, and has what happens in it.
func TestCountWaits(t *testing.T) {
	s := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	before, _ := countWaits(s)
	for end := time.Now().Add(30 * time.Second); ; {
		woken := make(chan struct{})
		go close(woken)
		<-woken
		if after, slow := countWaits(s); after > before && slow < after {
			return
		}
		if time.Now().After(end) {
			t.Fatal("no task was ever counted")
		}
	}
}
