//go:build mutants

package node_test

import (
	"testing"

	"millrace/node/host/mutant"
)

// TestOffsetsTopicMutants plants what would be wrong in the compaction of committed offsets; a few seeds must show it.
func TestOffsetsTopicMutants(t *testing.T) {
	mutant.Enable("compaction-keeps-older")
	defer mutant.Enable("")
	for seed := range uint64(8) {
		if _, err := runOffsetsWorld(seed, 3); err != nil {
			t.Logf("seed %d: %v", seed, err)
			return
		}
	}
	t.Error("not found")
}
