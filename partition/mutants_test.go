//go:build mutants

package partition_test

import (
	"testing"

	"millrace/node/host/mutant"
	"millrace/partition"
)

// TestFillMutants does the same for what the test of two replicas finds.
func TestFillMutants(t *testing.T) {
	defer mutant.Enable("")
	for _, name := range []string{"fill-held-before-checkpoint", "fill-settled-unsynced", "fill-overlap-accepted",
		"fill-generation-not-checked", "fill-hole-served"} {
		mutant.Enable(name)
		found := false
		for seed := uint64(0); seed < 600 && !found; seed++ {
			if _, err := runPair(seed, 250); err != nil {
				t.Logf("%s: seed %d: %.150v", name, seed, err)
				found = true
			}
		}
		if !found {
			t.Errorf("%s was not found", name)
		}
	}
}

// TestSalvageMutants plants what one damaged file shows.
func TestSalvageMutants(t *testing.T) {
	mutant.Enable("salvage-offset-believed")
	defer mutant.Enable("")
	l, from := loneOffset(t, 1<<20)
	if got := l.View().Holes(); len(got) == 1 && got[0] == (partition.OffsetRange{Start: 6, End: 9}) {
		t.Error("salvage-offset-believed was not found")
	}
	l.Close()
	from.Close()
}

// TestCompactionMutants does the same for what the test of compaction finds.
func TestCompactionMutants(t *testing.T) {
	defer mutant.Enable("")
	for _, name := range []string{"compaction-keeps-older", "compaction-drops-tombstones-early",
		"compaction-replaces-before-checkpoint", "compaction-forgets-full-map"} {
		mutant.Enable(name)
		found := false
		for seed := uint64(0); seed < 600 && !found; seed++ {
			if _, err := compactRun(seed, 400); err != nil {
				t.Logf("%s: seed %d: %.150v", name, seed, err)
				found = true
			}
		}
		if !found {
			t.Errorf("%s was not found", name)
		}
	}
}

// TestMutants says after how many seeds the model test finds each planted bug of this room.
func TestMutants(t *testing.T) {
	defer mutant.Enable("")
	for _, name := range []string{"index-off-by-one-batch", "checkpoint-before-write", "recovery-does-not-truncate",
		"log-start-moved-back", "epochs-not-restored", "producers-not-restored", "producers-window-of-four",
		"tail-released-early", "segment-deleted-while-pinned", "partial-block-lost"} {
		mutant.Enable(name)
		found := false
		for seed := uint64(0); seed < 300 && !found; seed++ {
			if err := run(seed, 150); err != nil {
				t.Logf("%s: seed %d: %.150v", name, seed, err)
				found = true
			}
		}
		if !found {
			t.Errorf("%s was not found", name)
		}
	}
}
