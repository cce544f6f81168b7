//go:build mutants

package node

import (
	"testing"

	"millrace/node/host/mutant"
)

// TestLagMutantsAreFound plants the bugs of the measuring of lag.
func TestLagMutantsAreFound(t *testing.T) {
	for _, name := range []string{"group-lag-keeps-time", "group-lag-of-deleted-records"} {
		t.Run(name, func(t *testing.T) {
			mutant.Enable(name)
			defer mutant.Enable("")
			if err := runLag(t); err == nil {
				t.Error("nobody noticed")
			} else {
				t.Log(err)
			}
		})
	}
}
