//go:build mutants

package shard

import (
	"testing"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// TestClusterMutantsAreFound plants the bugs of the cluster one by one; each must be found by what the nodes do.
func TestClusterMutantsAreFound(t *testing.T) {
	scripted := func(script func(*clusterWorld, host.Host) error) func(uint64) error {
		return func(seed uint64) error {
			c := newClusterWorld(seed, 3, clusterLimit)
			c.options = soon
			return c.drive(func(h host.Host) error { return script(c, h) })
		}
	}
	for _, m := range []struct {
		name  string
		run   func(seed uint64) error
		first uint64 // of what one seed in a hundred finds, the first one that did
	}{
		{"formation-without-all", runFormation, 0},
		{"fill-damage-kept-when-whole", runPassed, 0},
		{"wiped-node-votes", scripted((*clusterWorld).refusals), 0},
		{"fence-at-takeover", scripted((*clusterWorld).failover), 0},
		{"older-announcement-wins", runStorm, 0},
		{"woken-clock-stands", scripted((*clusterWorld).restAgain), 0},
		{"stranger-dropped-unproven", runStorm, 0},
		{"adopted-unproven", runStorm, 152},
	} {
		t.Run(m.name, func(t *testing.T) {
			mutant.Enable(m.name)
			defer mutant.Enable("")
			const seeds = 400
			for seed := m.first; seed < m.first+seeds; seed++ {
				if err := m.run(seed); err != nil {
					t.Logf("found by seed %d: %.300v", seed, err)
					return
				}
			}
			t.Errorf("not found in %d seeds", seeds)
		})
	}
}
