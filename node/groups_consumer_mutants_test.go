//go:build mutants

package node_test

import (
	"testing"

	"millrace/node/host/mutant"
)

// TestConsumerMutantsAreFound plants the bugs of consumer groups that their members notice.
func TestConsumerMutantsAreFound(t *testing.T) {
	for _, name := range []string{"group-assigned-before-released", "group-static-member-not-fenced"} {
		t.Run(name, func(t *testing.T) {
			mutant.Enable(name)
			defer mutant.Enable("")
			for seed := range uint64(60) {
				if _, err := runConsumerWorld(seed, 1); err != nil {
					t.Logf("found by seed %d: %.300v", seed, err)
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}
