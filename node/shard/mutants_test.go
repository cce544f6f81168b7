//go:build mutants

package shard

import (
	"strings"
	"testing"

	"millrace/node/host/mutant"
)

// TestMutantsAreFound plants this room's bugs one by one; each must be found by what a client sees.
func TestMutantsAreFound(t *testing.T) {
	const seeds = 300
	for _, m := range mutant.All() {
		run := runLife
		switch {
		case m.Name == "replica-vote-before-synced": // TestVoteMutants
			continue
		case strings.HasPrefix(m.Name, "replica-"):
			run = func(seed uint64) error { return runGroup(seed, nil) }
		case m.Name == "shard-takes-after-refused":
			run = func(uint64) error { return followRefused(t) }
		case !strings.HasPrefix(m.Name, "shard-"):
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			mutant.Enable(m.Name)
			defer mutant.Enable("")
			for seed := range uint64(seeds) {
				if err := run(seed); err != nil {
					t.Logf("found by seed %d: %.300v", seed, err)
					return
				}
			}
			t.Errorf("not found in %d seeds", seeds)
		})
	}
}
