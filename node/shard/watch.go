package shard

import "millrace/node/host"

// Watch wakes w whenever a shard's status or partitions, who leads, or who is alive changes, until Unwatch. First watch,
// then look, then wait.
func (s *Set) Watch(w host.Waiter) { s.changes.Add(w) }

// Unwatch ends Watch.
func (s *Set) Unwatch(w host.Waiter) { s.changes.Remove(w) }
