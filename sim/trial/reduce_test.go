package trial

import "testing"

// TestReductionsMakePlansSmaller: every reduction is another plan that can be read, and each fault is left out alone once.
func TestReductionsMakePlansSmaller(t *testing.T) {
	for seed := range uint64(40) {
		p := DrawNodes(seed, []int{1, 3, 5}[seed%3])
		was := p.String()
		alone := 0
		for _, reduce := range Reductions() {
			for _, smaller := range reduce(p) {
				q, err := ReadPlan([]byte(smaller.String()))
				if err != nil {
					t.Fatalf("seed %d: %v\n%s", seed, err, smaller)
				}
				if q.String() == was {
					t.Errorf("seed %d: a reduction leaves the plan as it is", seed)
				}
				if len(q.Crashes) == len(p.Crashes)-1 && q.Nodes == p.Nodes || len(q.Faults) == len(p.Faults)-1 && q.Nodes == p.Nodes {
					alone++
				}
			}
		}
		if p.String() != was {
			t.Fatalf("seed %d: the plan itself was changed", seed)
		}
		if alone < len(p.Crashes)+len(p.Faults) {
			t.Errorf("seed %d: %d of %d faults were left out alone", seed, alone, len(p.Crashes)+len(p.Faults))
		}
	}
}
