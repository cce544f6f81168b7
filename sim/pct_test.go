package sim

import (
	"testing"
	"time"

	"millrace/node/host"
)

// windowHit runs a task that is wrong when another one runs from its beginning to its end between two certain yields of it,
// and says whether that happened.
func windowHit(seed uint64, o Options) bool {
	const yields, window, work = 200, 120, 60
	w := New(seed, o)
	defer w.Close()
	began, ended, at := false, false, 0
	hit := false
	w.AddNode("n").Boot(func(h host.Host) {
		h.Tasks.Go("wrong", func() {
			for at = range yields {
				before := began
				h.Tasks.Yield()
				hit = hit || at == window && !before && ended
			}
		})
		h.Tasks.Go("other", func() {
			began = true
			for range work {
				h.Tasks.Yield()
			}
			ended = true
		})
	})
	w.After(time.Second, w.Stop)
	if err := w.Run(); err != nil {
		panic(err)
	}
	return hit
}

// TestPriorityChangesFindDepthTwo: a bug that needs one task to stop at one place until another one has run to its end is found
// with the probability that the method promises, and hardly ever by choosing anew at every yield.
func TestPriorityChangesFindDepthTwo(t *testing.T) {
	const seeds = 4000
	found := map[string]int{}
	for seed := range uint64(seeds) {
		if windowHit(seed, Options{Priorities: true, Changes: 1, Over: 250}) {
			found["priorities"]++
		}
		if windowHit(seed, Options{Keep: 0.9}) {
			found["choices"]++
		}
	}
	t.Log(found)
	// One change point in 250 yields must be the right one, and the other task must have been the one that waited.
	if least := seeds / 250 / 4; found["priorities"] < least || found["choices"] >= found["priorities"] {
		t.Errorf("found in %v of %d seeds; by priorities at least %d were to be expected", found, seeds, least)
	}
}
