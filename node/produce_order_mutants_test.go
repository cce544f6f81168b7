//go:build mutants

package node

import (
	"testing"

	"millrace/node/host/mutant"
)

// TestProduceOrderMutants plants the bug of turnedAway.
func TestProduceOrderMutants(t *testing.T) {
	t.Run("produce-after-refused", func(t *testing.T) {
		mutant.Enable("produce-after-refused")
		defer mutant.Enable("")
		wrong := followRefused(t)
		if wrong == nil {
			t.Fatal("nobody noticed")
		}
		t.Logf("found: %s", wrong[0])
	})
}
