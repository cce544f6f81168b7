//go:build mutants

package trial

import (
	"strings"
	"testing"

	"millrace/node/host/mutant"
)

// TestMutantsLeaveTooLittle plants bugs on the way to an acknowledgement. What would be left of the disks shows each at
// once, with nothing else going wrong.
func TestMutantsLeaveTooLittle(t *testing.T) {
	for _, name := range []string{"replica-answered-before-majority", "replica-ack-before-synced", "wal-ack-before-sync",
		"shard-ack-before-durable", "shard-checkpoint-before-sync"} {
		t.Run(name, func(t *testing.T) {
			mutant.Enable(name)
			defer mutant.Enable("")
			for seed := range uint64(5) {
				r := Run(seed, Options{Plan: DrawNodes(seed, 3)})
				if r.Err != nil && strings.Contains(r.Err.Error(), "if all nodes lost their power now") {
					t.Logf("%.300v", r.Err)
					return
				}
			}
			t.Error("what was acknowledged and would be lost was not seen")
		})
	}
}
