package group

import (
	"container/heap"

	"millrace/node/host"
)

type timerKind uint8

const (
	timerMember      timerKind = iota // a member's session, or the first join of a pending member
	timerInitialJoin                  // the delay of an empty group's first rebalance
	timerJoin                         // the end of a rebalance's join phase
	timerSync                         // the end of its sync phase
	timerCleanup                      // expiry of offsets, of the whole coordinator
	// Of members of consumer groups:
	timerConsumer     // the session
	timerRebalance    // the time to give partitions back
	timerConsumerJoin // the time in which a member of the classic protocol must join again
	timerConsumerSync // the time in which it must ask for its assignment
)

type timerKey struct {
	kind   timerKind
	group  string
	member string
}

// timers holds at most one deadline per key. Timers of one deadline fire in the order in which they were set.
type timers struct {
	heap  timerHeap
	byKey map[timerKey]*timer
	set   uint64
}

type timer struct {
	key      timerKey
	deadline host.Instant
	order    uint64
	index    int
}

func newTimers() timers { return timers{byKey: map[timerKey]*timer{}} }

func (t *timers) schedule(key timerKey, deadline host.Instant) {
	t.set++
	if old := t.byKey[key]; old != nil {
		old.deadline, old.order = deadline, t.set
		heap.Fix(&t.heap, old.index)
		return
	}
	n := &timer{key: key, deadline: deadline, order: t.set}
	t.byKey[key] = n
	heap.Push(&t.heap, n)
}

func (t *timers) cancel(key timerKey) {
	if old := t.byKey[key]; old != nil {
		heap.Remove(&t.heap, old.index)
		delete(t.byKey, key)
	}
}

func (t *timers) next() host.Instant {
	if len(t.heap) == 0 {
		return host.Never
	}
	return t.heap[0].deadline
}

// pop takes out the first timer that is due.
func (t *timers) pop(now host.Instant) (timerKey, bool) {
	if len(t.heap) == 0 || t.heap[0].deadline > now {
		return timerKey{}, false
	}
	n := heap.Pop(&t.heap).(*timer)
	delete(t.byKey, n.key)
	return n.key, true
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if h[i].deadline != h[j].deadline {
		return h[i].deadline < h[j].deadline
	}
	return h[i].order < h[j].order
}
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timerHeap) Push(x any) {
	n := x.(*timer)
	n.index = len(*h)
	*h = append(*h, n)
}
func (h *timerHeap) Pop() any {
	old := *h
	n := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return n
}
