package shard

import "millrace/node/host"

// Times are the moments at which a request passed the stages on its way; one that it did not come to, or that nobody
// looked at, is zero.
type Times struct {
	// Proposed is when it became part of an entry, Durable when that was durable here, Committed when it was known to be
	// durable on a majority, and Applied when readers could see it.
	Proposed, Durable, Committed, Applied host.Instant
}

// Traffic counts what clients write to a partition and read from it, here, since the node started.
type Traffic struct {
	BytesIn, RecordsIn, BytesOut, RecordsOut *host.Counter
}

func newTraffic(tasks host.Tasks) *Traffic {
	return &Traffic{
		BytesIn: host.NewCounter(tasks), RecordsIn: host.NewCounter(tasks),
		BytesOut: host.NewCounter(tasks), RecordsOut: host.NewCounter(tasks),
	}
}

// Numbers are what the shards of a node count together.
type Numbers struct {
	// Won and Lost count the leaderships that began and ended here, Campaigns the elections that replicas here asked for.
	Won, Lost, Campaigns *host.Counter
	// Retired counts the replicas that found out that they had lost their log.
	Retired *host.Counter
	// HeldFull counts how often requests had to wait because the write-ahead log was full.
	HeldFull *host.Counter
	// Flying are the bytes of entries that are not applied yet, of all shards.
	Flying *host.Counter
	// Checkpoints is the time of whole checkpoints, Syncs that of the sync of the disk in them, in nanoseconds.
	Checkpoints, Syncs *host.Histogram
	// Snapshots counts those that were installed here, Filled the bytes that came from other nodes to close holes.
	Snapshots, Filled *host.Counter
	// Scrubbed counts the bytes that were read to be checked, Damaged the segments found damaged.
	Scrubbed, Damaged *host.Counter
}

// NewNumbers returns numbers at zero.
func NewNumbers(tasks host.Tasks) *Numbers {
	counter := func() *host.Counter { return host.NewCounter(tasks) }
	return &Numbers{
		Won: counter(), Lost: counter(), Campaigns: counter(), Retired: counter(), HeldFull: counter(), Flying: counter(),
		Checkpoints: host.NewHistogram(tasks), Syncs: host.NewHistogram(tasks),
		Snapshots: counter(), Filled: counter(), Scrubbed: counter(), Damaged: counter(),
	}
}
