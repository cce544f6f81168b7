package server

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"millrace/node/host"
)

// budget bounds the bytes of all frames in flight.
type budget struct {
	clock host.Clock
	used  *host.Counter
	limit int64
}

// patience is how long a reader sleeps before it looks at a full budget again.
const patience = 5 * time.Millisecond

// take waits until the budget has room, then takes n bytes of it. What is admitted may go over the limit once, so
// that a frame larger than the limit passes, and a large one does not starve beside small ones. It returns false when
// giveUp says so while it waits.
func (b *budget) take(n int64, giveUp func() bool) bool {
	for {
		if b.used.Add(n) < b.limit+n {
			return true
		}
		b.used.Add(-n)
		if giveUp() {
			return false
		}
		b.clock.Sleep(patience)
	}
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// inOrder returns a map's values in the order of its keys.
func inOrder[K cmp.Ordered, V any](m map[K]V) []V {
	values := make([]V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[k])
	}
	return values
}
