package server

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"millrace/node/host"
)

// Budget bounds the bytes that all connections together hold in memory for one purpose. Its methods may be called from any
// task.
type Budget struct {
	clock host.Clock
	used  *host.Counter
	limit int64
	// small is what small frames have taken of it.
	small *host.Counter
	// held is the time that was spent waiting for it, in nanoseconds.
	held *host.Counter
	// tight is told that somebody waits: it must not block. asked is not zero from then until it has looked.
	tight func()
	asked *host.Counter
}

// patience is how long who waits sleeps before it looks at a full budget again.
const patience = 5 * time.Millisecond

func newBudget(h host.Host, limit int64, tight func()) *Budget {
	return &Budget{
		clock: h.Clock, used: host.NewCounter(h.Tasks), limit: limit, small: host.NewCounter(h.Tasks), held: host.NewCounter(h.Tasks), tight: tight, asked: host.NewCounter(h.Tasks),
	}
}

// Used is what is taken.
func (b *Budget) Used() int64 { return b.used.Load() }

// Limit is the bound.
func (b *Budget) Limit() int64 { return b.limit }

// Held is for how long altogether somebody has waited.
func (b *Budget) Held() time.Duration { return time.Duration(b.held.Load()) }

// take waits until the budget has room, then takes n bytes of it. What is admitted may go over the limit once, so
// that a frame larger than the limit passes, and a large one does not starve beside small ones. It returns false when
// giveUp says so while it waits.
func (b *Budget) take(n int64, giveUp func() bool) bool {
	if b.used.Add(n) < b.limit+n {
		return true
	}
	began := b.clock.Now()
	defer func() { b.held.Add(int64(b.clock.Now().Sub(began))) }()
	for {
		b.used.Add(-n)
		if giveUp() {
			return false
		}
		b.complain()
		b.clock.Sleep(patience)
		if b.used.Add(n) < b.limit+n {
			return true
		}
	}
}

// takeFrame is take for a frame. An eighth more is there for small ones alone: heartbeats, metadata and the like go on when
// large frames, which may never be finished, have used everything up.
func (b *Budget) takeFrame(n int64, giveUp func() bool) bool {
	if !b.isSmall(n) {
		return b.take(n, giveUp)
	}
	if b.small.Add(n) <= b.limit/smallShare {
		b.used.Add(n)
		return true
	}
	if b.take(n, giveUp) {
		return true
	}
	b.small.Add(-n)
	return false
}

// giveFrame gives back what takeFrame took.
func (b *Budget) giveFrame(n int64) {
	if b.isSmall(n) {
		b.small.Add(-n)
	}
	b.Give(n)
}

func (b *Budget) isSmall(n int64) bool { return n <= b.limit/smallFrame }

const (
	smallFrame = 256 // the part of a budget that a frame may take to be a small one: 1 MiB of 256
	smallShare = 8   // the part that there is more for those
)

// Reserve takes up to n bytes without waiting, and returns how many: what is left. Whoever gets none asks again later.
func (b *Budget) Reserve(n int64) int64 {
	over := b.used.Add(n) - b.limit
	if over <= 0 {
		return n
	}
	back := min(over, n)
	b.used.Add(-back)
	if back == n {
		b.complain()
	}
	return n - back
}

// Give gives back what was taken, or takes what there is no way to wait for, when n is negative.
func (b *Budget) Give(n int64) { b.used.Add(-n) }

// complain says that the budget is used up, unless that was said and not looked at yet.
func (b *Budget) complain() {
	if b.asked.Load() == 0 {
		b.asked.Add(1)
		b.tight()
	}
}

// looked makes further complaints heard.
func (b *Budget) looked() { b.asked.Add(-b.asked.Load()) }

// inOrder returns a map's values in the order of its keys.
func inOrder[K cmp.Ordered, V any](m map[K]V) []V {
	values := make([]V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[k])
	}
	return values
}
