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
		name string
		run  func(seed uint64) error
	}{
		{"formation-without-all", runFormation},
		{"wiped-node-votes", scripted((*clusterWorld).refusals)},
		{"fence-at-takeover", scripted((*clusterWorld).failover)},
		{"older-announcement-wins", runStorm},
		{"stranger-dropped-unproven", runStorm},
	} {
		t.Run(m.name, func(t *testing.T) {
			mutant.Enable(m.name)
			defer mutant.Enable("")
			const seeds = 200
			for seed := range uint64(seeds) {
				if err := m.run(seed); err != nil {
					t.Logf("found by seed %d: %.300v", seed, err)
					return
				}
			}
			t.Errorf("not found in %d seeds", seeds)
		})
	}
}
