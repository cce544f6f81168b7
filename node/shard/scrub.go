package shard

import (
	"errors"
	"time"

	"millrace/node/host"
	"millrace/partition"
)

// doubt is a segment that a reader, or another node, found to be damaged.
type doubt struct {
	id               partition.ID
	base, generation int64
}

// prepareScrub makes the queue of what is to be looked at at once.
func (s *Set) prepareScrub() {
	s.scrubWaiter = s.host.Tasks.NewWaiter()
	s.doubts = host.NewQueue[doubt](s.host.Tasks, 256, s.scrubWaiter)
}

func (s *Set) startScrub() { s.taskOf("scrub", s.scrubWaiter, s.scrub) }

// suspected has a segment checked soon. Any task may call it; it does not block, and forgets what is too much.
func (s *Set) suspected(id partition.ID, base, generation int64) {
	s.doubts.TryPut(doubt{id, base, generation})
}

// scrub is the task that reads all that is held and checks it, slowly, again and again; and at once what somebody found
// to be damaged.
func (s *Set) scrub(w host.Waiter) {
	next := host.Never
	if s.o.ScrubEvery > 0 {
		next = s.host.Clock.Now().Add(s.o.ScrubEvery)
	}
	for !s.stopped() {
		w.WaitUntil(next)
		s.lookAtDoubts()
		if now := s.host.Clock.Now(); now >= next && !s.stopped() {
			next = now.Add(s.o.ScrubEvery)
			s.scrubAll()
		}
	}
}

func (s *Set) lookAtDoubts() {
	doubts, _ := s.doubts.Drain(nil)
	for i, d := range doubts {
		if containsDoubt(doubts[:i], d) || s.stopped() {
			continue
		}
		if shard, ok := s.shardOf(d.id); ok {
			if log, _, ok := shard.Held(d.id); ok {
				s.verify(shard, log, d.base, d.generation, 0)
			}
		}
	}
}

func containsDoubt(doubts []doubt, d doubt) bool {
	for _, have := range doubts {
		if have == d {
			return true
		}
	}
	return false
}

// scrubAll checks every segment once.
func (s *Set) scrubAll() {
	began, found := s.host.Clock.Now(), 0
	for _, shard := range s.shards.Load().All {
		for _, place := range shard.places.Load().All {
			files, err := place.log.Files()
			if err != nil {
				continue
			}
			for _, file := range files {
				if s.stopped() {
					return
				}
				s.lookAtDoubts()
				if !s.verify(shard, place.log, file.Base, file.Generation, s.o.ScrubRate) {
					found++
				}
			}
		}
	}
	s.host.Log.Info("everything that is held was checked", "damaged segments", found, "took", s.host.Clock.Now().Sub(began).Round(time.Second))
}

// verify checks a segment and takes it away from readers when it is damaged, which returns false.
func (s *Set) verify(shard *Shard, log *partition.Log, base, generation, rate int64) bool {
	err := log.Verify(base, generation, func(bytes int) bool {
		s.numbers.Scrubbed.Add(int64(bytes))
		return s.pace(bytes, rate)
	})
	if err == nil {
		return true
	}
	if !errors.Is(err, partition.ErrCorrupt) {
		s.host.Log.Warn("a segment cannot be checked", "error", err)
		return true
	}
	s.numbers.Damaged.Add(1)
	s.host.Log.Error("a segment is damaged: it is not served any more, and is filled from what is sound in it and from the other replicas", "error", err)
	shard.inbox.Post(foundDamage{log.ID(), base, generation})
	return false
}
