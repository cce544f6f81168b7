//go:build mutants

package shard

import (
	"strings"
	"testing"

	"millrace/node/host/mutant"
)

// TestMutantsAreFound plants those of this room's bugs that whole runs do not show; each must be found by what a client sees.
func TestMutantsAreFound(t *testing.T) {
	const seeds = 300
	for _, m := range mutant.All() {
		run := runLife
		switch {
		case !m.Room, m.Name == "replica-vote-before-synced": // TestVoteMutants
			continue
		case m.Name == "replica-lost-snapshot-not-sent-again":
			run = func(uint64) error { return inGroups(smallLog, loseSnapshot) }
		case m.Name == "shard-cut-off-leader-rests":
			run = func(uint64) error { return inGroups(restful, cutOffAtRest) }
		case m.Name == "shard-retention-at-rest":
			run = func(uint64) error { return inGroups(restful, retainAtRest) }
		case strings.HasPrefix(m.Name, "replica-"):
			run = func(seed uint64) error { return runGroup(seed, nil) }
		case m.Name == "shard-takes-after-refused":
			run = func(uint64) error { return followRefused(t) }
		case m.Name == "shard-topic-id-comes-back":
			run = func(uint64) error { return createAgain() }
		case m.Name == "shard-takes-after-superseded":
			run = func(uint64) error { return inGroups(nil, followSuperseded) }
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
