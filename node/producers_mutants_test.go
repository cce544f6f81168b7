//go:build mutants

package node_test

import (
	"testing"

	"millrace/node/host/mutant"
)

// TestProducerMutantsAreFound plants the ways in which a replica may forget what it knows of idempotent producers.
func TestProducerMutantsAreFound(t *testing.T) {
	for _, name := range []string{"producers-not-restored", "producers-time-not-kept", "snapshot-without-producers",
		"shard-checkpoint-without-producers", "producers-window-of-four"} {
		t.Run(name, func(t *testing.T) {
			mutant.Enable(name)
			defer mutant.Enable("")
			for seed := range uint64(8) {
				if _, err := runProducersWorld(seed); err != nil {
					t.Logf("found by seed %d: %v", seed, err)
					return
				}
			}
			t.Error("not found")
		})
	}
}
