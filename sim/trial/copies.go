package trial

import (
	"time"

	"millrace/net/wire"
)

// awaitCopies waits until every replica has applied what the partitions hold. In sync means not far behind, and a node that
// is stopped behind a slow link rightly stops with less.
func (t *trial) awaitCopies() bool {
	deadline := t.host.Clock.Now().Add(convergence)
	for _, b := range t.whole() {
		for _, l := range t.partitions() {
			for b.running != nil {
				end := b.running.HeldTo(wire.UUID(l.topic.id), l.index)
				if end < 0 || end >= l.high {
					break
				}
				if t.host.Clock.Now() > deadline {
					t.failf("liveness: %v: %s has applied up to %d of %d %v after everything was healed", l, b.node.Name(), end, l.high, convergence)
					return false
				}
				t.host.Clock.Sleep(10 * time.Millisecond)
			}
		}
	}
	return true
}
