package shard

import (
	"time"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// retain makes a shard propose what retention asks for, in the partitions that it leads.
type retain struct {
	// expiration is how long an idle producer is remembered, in milliseconds.
	expiration int64
}

func (e retain) happen(r *replica) {
	if r.dead || !r.serving {
		return
	}
	wall := r.host.Clock.Wall().UnixMilli()
	producers := false
	for _, p := range r.order {
		if p == nil {
			continue
		}
		producers = producers || p.log.Producers().Len() > 0
		if _, known := r.settings[p.id]; !known {
			continue // since the start the catalog has not told them: no limits would be limits of zero
		}
		if start, ok := p.log.RetentionStart(p.lead.settings.Retention, wall); ok {
			e.ask(r, &request{kind: kindLogStart, partition: p.id, value: start})
		}
	}
	if producers {
		e.ask(r, &request{kind: kindExpire, value: e.expiration})
	}
}

// ask has the shard propose something.
func (retain) ask(r *replica, q *request) {
	if mutant.On("shard-retention-at-rest") {
		r.backlog = append(r.backlog, q)
		return
	}
	r.enqueue(q)
}

// retainAll asks every shard.
func (s *Set) retainAll() {
	expiration := s.o.ProducerExpiration(s.Catalog()).Milliseconds()
	for _, shard := range s.shards.Load().All {
		shard.inbox.Post(retain{expiration})
	}
}

// every starts a task that does something at intervals, first after the first interval, until the set stops.
func (s *Set) every(name string, interval time.Duration, do func()) {
	s.task(name, func(w host.Waiter) {
		for next := s.host.Clock.Now().Add(interval); ; next = s.host.Clock.Now().Add(interval) {
			for w.WaitUntil(next) {
				if s.stopped() {
					return
				}
			}
			do()
		}
	})
}
