//go:build mutants

package node_test

import (
	"testing"

	"millrace/node/host/mutant"
)

// TestMutantsAreFound plants those of this room's bugs that members of a group notice; the trial finds the others.
func TestMutantsAreFound(t *testing.T) {
	for _, name := range []string{"group-read-unconfirmed"} {
		t.Run(name, func(t *testing.T) {
			mutant.Enable(name)
			defer mutant.Enable("")
			for seed := range uint64(200) {
				if _, err := runGroupWorld(seed, 3); err != nil {
					t.Logf("found by seed %d: %.300v", seed, err)
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}
