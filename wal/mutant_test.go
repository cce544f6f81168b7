//go:build mutants

package wal_test

import (
	"strings"
	"testing"

	"millrace/node/host/mutant"
)

// TestMutants demands that the random crashes find every bug that is planted here.
func TestMutants(t *testing.T) {
	// Those that do not show while there is one replica are not in the list.
	all := append(mutant.All(), mutant.Mutant{Name: "wal-superseded-entries-resurrected"}, mutant.Mutant{Name: "wal-old-hard-state"})
	for _, m := range all {
		if !strings.HasPrefix(m.Name, "wal-") {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			mutant.Enable(m.Name)
			defer mutant.Enable("")
			for seed := range uint64(500) {
				if err := crashes(seed); err != nil {
					first, _, _ := strings.Cut(err.Error(), "\n")
					t.Logf("seed %d: %v", seed, first)
					return
				}
			}
			t.Fatal("not found")
		})
	}
}
