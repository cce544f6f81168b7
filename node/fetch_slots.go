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
// Kafka lets a session be continued from another connection. No client does: one that has lost its connection begins a
// new session. Here it is answered FETCH_SESSION_ID_NOT_FOUND, which clients take as the request to do so.
type sessionSlots struct {
	host      host.Host
	limit     int
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
}

// slotRequest asks for a slot, or gives one back.
type slotRequest struct {
	size   int
	answer *host.Future[*sessionSlot] // nil in the answer: there is no room
	end    int32
}

// sessionStale is how long a session must have been idle, or have existed, before it can be made to go.
const sessionStale = 2 * time.Minute

func startSessionSlots(h host.Host, limit int) *sessionSlots {
	s := &sessionSlots{
		host: h, limit: limit, requests: host.NewQueue[slotRequest](h.Tasks, 256, nil),
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
	slot, _ := await(c, f, host.Never)
	return slot
}

// end gives the slot of that session back. Unknown ids are ignored.
func (s *sessionSlots) end(id int32) { s.requests.Put(slotRequest{end: id}) }

// touch notes a use of the session.
func (s *sessionSlot) touch(now host.Instant, size int) {
	s.used.Add(int64(now) - s.used.Load())
	s.size.Add(int64(size) - s.size.Load())
}

// alive reports that the session has not been evicted or closed.
func (s *sessionSlot) alive() bool { return s.ended.Load() == 0 }

func (s *sessionSlots) run() {
	slots := make(map[int32]*sessionSlot)
	drop := func(slot *sessionSlot) {
		slot.ended.Add(1)
		delete(slots, slot.id)
		s.count.Add(-1)
	}
	var requests []slotRequest
	for more := true; more; {
		requests, more = s.requests.Take(requests[:0])
		for _, r := range requests {
			if r.answer == nil {
				if slot := slots[r.end]; slot != nil {
					drop(slot)
				}
				continue
			}
			now := s.host.Clock.Now()
			if len(slots) >= s.limit {
				if victim := evictable(slots, r.size, now); victim != nil {
					drop(victim)
					s.evictions.Add(1)
				}
			}
			if len(slots) >= s.limit {
				r.answer.Set(nil)
				continue
			}
			slot := s.newSlot(slots, r.size, now)
			slots[slot.id] = slot
			s.count.Add(1)
			r.answer.Set(slot)
		}
		clear(requests)
	}
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
