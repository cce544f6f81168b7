package node

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"millrace/node/host"
)

// sessionSlots bounds the incremental fetch sessions of all connections (KIP-227). A session itself belongs to the
// connection that made it; a slot is what its task and the others share: whether the session still lives, how large it
// is, when it was last used. One task decides who gets a slot.
//
// What sessions remember is bounded, too, by their partitions, all together: a session that would need more is not made,
// or given up, and the client fetches without one. What was evicted counts until its connection has noticed.
//
// Kafka lets a session be continued from another connection. No client does: one that has lost its connection begins a
// new session. Here it is answered FETCH_SESSION_ID_NOT_FOUND, which clients take as the request to do so.
type sessionSlots struct {
	host      host.Host
	limit     int
	most      int // partitions of all sessions together
	requests  *host.Queue[slotRequest]
	count     *host.Counter
	evictions *host.Counter
}

// sessionSlot is the place of one session.
type sessionSlot struct {
	id      int32
	created host.Instant
	used    *host.Counter // the instant of the last use
	size    *host.Counter // partitions
	ended   *host.Counter // not zero: evicted or closed
	// charged is what it counts of all partitions; it belongs to the task that decides.
	charged int
}

// slotRequest asks for a slot, or for more partitions of one, or gives one back.
type slotRequest struct {
	size   int
	answer *host.Future[*sessionSlot] // nil in the answer: there is no room
	grow   *sessionSlot
	gone   *sessionSlot // nothing of it is remembered any more
	end    int32
}

// mostSessionPartitions bounds the partitions of all sessions together: about 200 bytes each.
const mostSessionPartitions = 1_000_000

// sessionStale is how long a session must have been idle, or have existed, before it can be made to go.
const sessionStale = 2 * time.Minute

func startSessionSlots(h host.Host, limit int) *sessionSlots {
	s := &sessionSlots{
		host: h, limit: limit, most: mostSessionPartitions, requests: host.NewQueue[slotRequest](h.Tasks, 256, nil),
		count: host.NewCounter(h.Tasks), evictions: host.NewCounter(h.Tasks),
	}
	h.Tasks.Go("node.fetch-sessions", s.run)
	return s
}

func (s *sessionSlots) stop() { s.requests.Close() }

// take asks for a slot for a session of that many partitions; nil when all are taken by sessions with more right to it.
func (s *sessionSlots) take(c *call, size int) *sessionSlot {
	f := host.NewFuture[*sessionSlot](s.host.Tasks)
	if !s.requests.Put(slotRequest{size: size, answer: f}) {
		return nil
	}
	slot, _ := outlast(c, f, host.Never) // else nobody would give it back
	return slot
}

// grow asks whether a session may have that many partitions.
func (s *sessionSlots) grow(c *call, slot *sessionSlot, size int) bool {
	f := host.NewFuture[*sessionSlot](s.host.Tasks)
	if !s.requests.Put(slotRequest{grow: slot, size: size, answer: f}) {
		return false
	}
	granted, _ := outlast(c, f, host.Never)
	return granted != nil
}

// release ends a session that its connection has forgotten.
func (s *sessionSlots) release(slot *sessionSlot) { s.requests.Put(slotRequest{gone: slot}) }

// end ends the session of that id, which may be another connection's. Unknown ids are ignored.
func (s *sessionSlots) end(id int32) { s.requests.Put(slotRequest{end: id}) }

// touch notes a use of the session.
func (s *sessionSlot) touch(now host.Instant, size int) {
	s.used.Add(int64(now) - s.used.Load())
	s.size.Add(int64(size) - s.size.Load())
}

// alive reports that the session has not been evicted or closed.
func (s *sessionSlot) alive() bool { return s.ended.Load() == 0 }

// slotTable is what the task knows that decides.
type slotTable struct {
	*sessionSlots
	slots      map[int32]*sessionSlot
	partitions int // of all sessions that somebody still remembers
}

func (s *sessionSlots) run() {
	t := &slotTable{sessionSlots: s, slots: make(map[int32]*sessionSlot)}
	var requests []slotRequest
	for more := true; more; {
		requests, more = s.requests.Take(requests[:0])
		for _, r := range requests {
			switch {
			case r.gone != nil:
				t.drop(r.gone)
				t.partitions -= r.gone.charged
				r.gone.charged = 0
			case r.grow != nil:
				r.answer.Set(t.enlarge(r.grow, r.size))
			case r.answer != nil:
				r.answer.Set(t.admit(r.size))
			default:
				t.drop(t.slots[r.end])
			}
		}
		clear(requests)
	}
}

// drop ends a session, if it has not ended.
func (t *slotTable) drop(slot *sessionSlot) {
	if slot == nil || t.slots[slot.id] != slot {
		return
	}
	slot.ended.Add(1)
	delete(t.slots, slot.id)
	t.count.Add(-1)
}

// enlarge lets a session have that many partitions, if there is room for them.
func (t *slotTable) enlarge(slot *sessionSlot, size int) *sessionSlot {
	if !slot.alive() || t.partitions+size-slot.charged > t.most {
		return nil
	}
	t.partitions += size - slot.charged
	slot.charged = size
	return slot
}

// admit makes a slot for a session of that many partitions, nil if there is no room.
func (t *slotTable) admit(size int) *sessionSlot {
	now := t.host.Clock.Now()
	if t.partitions+size > t.most {
		return nil
	}
	if len(t.slots) >= t.limit {
		if victim := evictable(t.slots, size, now); victim != nil {
			t.drop(victim)
			t.evictions.Add(1)
		}
	}
	if len(t.slots) >= t.limit {
		return nil
	}
	slot := t.newSlot(t.slots, size, now)
	t.slots[slot.id] = slot
	t.count.Add(1)
	t.partitions += size
	slot.charged = size
	return slot
}

func (s *sessionSlots) newSlot(slots map[int32]*sessionSlot, size int, now host.Instant) *sessionSlot {
	slot := &sessionSlot{
		created: now,
		used:    host.NewCounter(s.host.Tasks), size: host.NewCounter(s.host.Tasks), ended: host.NewCounter(s.host.Tasks),
	}
	for slot.id == 0 || slots[slot.id] != nil {
		slot.id = int32(s.host.Random.Uint64("node.fetch-session") >> 33) // 31 bits
	}
	slot.touch(now, size)
	return slot
}

// evictable chooses the session that makes room for a new one of that size: the one idle for longest if it is stale,
// else the smallest that has fewer partitions than the new one and is not recent; nil if there is none.
func evictable(slots map[int32]*sessionSlot, size int, now host.Instant) *sessionSlot {
	type candidate struct {
		slot       *sessionSlot
		used, size int64
	}
	all := make([]candidate, 0, len(slots))
	for _, id := range slices.Sorted(maps.Keys(slots)) {
		all = append(all, candidate{slots[id], slots[id].used.Load(), slots[id].size.Load()})
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.used, b.used) })
	if now.Sub(host.Instant(all[0].used)) > sessionStale {
		return all[0].slot
	}
	all = slices.DeleteFunc(all, func(c candidate) bool {
		return c.size >= int64(size) || now.Sub(c.slot.created) <= sessionStale
	})
	if len(all) == 0 {
		return nil
	}
	return slices.MinFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.slot.id, b.slot.id))
	}).slot
}
