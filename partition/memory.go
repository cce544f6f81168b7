package partition

// Memory is what the partitions of a node hold in memory, in bytes, with its bounds. It is as of about one moment.
type Memory struct {
	// Queued waits to be written to segments; Tails is what partitions collect their tails in; Cached are recently written
	// chunks that serve reads.
	Queued, QueuedLimit int64
	Tails, TailsLimit   int64
	Cached, CachedLimit int64
}

// Memory says what is held now.
func (s *Shared) Memory() Memory {
	return Memory{
		Queued: s.queued.Load(), QueuedLimit: s.o.QueueBytes,
		Tails: s.tails.Load(), TailsLimit: s.o.TailBytes,
		Cached: s.cached.Load(), CachedLimit: s.o.CacheBytes,
	}
}
