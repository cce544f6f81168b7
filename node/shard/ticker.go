package shard

import "millrace/node/host"

// tickShards is the task that turns the clocks of all shards that are not quiet. While all are, it sleeps until one says
// something.
func (s *Set) tickShards(w host.Waiter) {
	s.changes.Add(w)
	next := s.host.Clock.Now().Add(TickEvery)
	for !s.stopped() {
		if s.quiet() {
			w.Wait()
			next = max(next, s.host.Clock.Now())
			continue
		}
		if w.WaitUntil(next) && s.host.Clock.Now() < next {
			continue
		}
		for _, shard := range s.shards.Load().All {
			if !shard.Status().Quiet {
				shard.Tick()
			}
		}
		next = s.host.Clock.Now().Add(TickEvery) // after a pause no tick is made up for
	}
}

// quiet says that no shard needs ticks.
func (s *Set) quiet() bool {
	for _, shard := range s.shards.Load().All {
		if !shard.Status().Quiet {
			return false
		}
	}
	return true
}
