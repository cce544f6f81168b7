//go:build mutants

package node

import (
	"testing"

	"millrace/node/host/mutant"
)

// TestConfigMutants plants the bugs of configs that change at runtime.
func TestConfigMutants(t *testing.T) {
	for _, name := range []string{"config-broker-below-cluster", "config-of-all-brokers-not-seen", "config-increment-replaces"} {
		t.Run(name, func(t *testing.T) {
			mutant.Enable(name)
			defer mutant.Enable("")
			err := changeConfigs(t)
			if err == nil {
				t.Fatal("nobody noticed")
			}
			t.Logf("found: %v", err)
		})
	}
}
