//go:build mutants

package shard

import (
	"testing"

	"millrace/node/host/mutant"
)

// TestVoteMutants plants a vote that does not wait.
func TestVoteMutants(t *testing.T) {
	const name = "replica-vote-before-synced"
	t.Run(name, func(t *testing.T) {
		mutant.Enable(name)
		defer mutant.Enable("")
		err := runVote(0)
		if err == nil {
			t.Fatal("not found")
		}
		t.Logf("found: %v", err)
	})
}
