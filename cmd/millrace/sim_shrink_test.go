package main

import (
	"testing"

	"millrace/sim/trial"
)

// TestReducersMakePlansSmaller: every reduction is another plan that can be read, and each piece is left out alone once.
func TestReducersMakePlansSmaller(t *testing.T) {
	for seed := range uint64(20) {
		p := trial.DrawNodes(seed, 3)
		was := p.String()
		alone := 0
		for _, reduce := range reducers {
			for _, smaller := range reduce(p) {
				q, err := trial.ReadPlan([]byte(smaller.String()))
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if q.String() == was {
					t.Errorf("seed %d: a reduction leaves the plan as it is", seed)
				}
				if len(q.Crashes) == len(p.Crashes)-1 {
					alone++
				}
			}
		}
		if p.String() != was {
			t.Fatalf("seed %d: the plan itself was changed", seed)
		}
		if alone < len(p.Crashes) {
			t.Errorf("seed %d: %d of %d crashes were left out alone", seed, alone, len(p.Crashes))
		}
	}
}

func TestFailureKindIgnoresNumbers(t *testing.T) {
	a := failureKind("t0-1: offset 26 holds record 2:13, and now 1:64\nmore")
	b := failureKind("t0-0: offset 7 holds record 1:1, and now 2:4\nother")
	if a != b || a == failureKind("t0-0: offset 7 is gone") {
		t.Errorf("%q and %q", a, b)
	}
}
