package partition

import (
	"encoding/binary"
	"hash/fnv"

	"millrace/node/host"
	"millrace/partition/batch"
)

const defaultIndexInterval = 4096

// Options of a node's partitions. The zero value is good.
type Options struct {
	// CacheBytes bounds the memory of recently written chunks that serve reads; the default is 64 MiB.
	CacheBytes int64
	// QueueBytes bounds what waits to be written to segments; Append waits above it. The default is 32 MiB.
	QueueBytes int64
	// TailBytes bounds the memory in which partitions collect what is not written yet: when it is used up, they do with
	// small chunks. The default is 64 MiB.
	TailBytes int64
	// SmallestChunk and LargestChunk bound the memory in which a partition collects its tail; powers of two from 4096
	// to 4 MiB. The defaults are 4 KiB and 1 MiB.
	SmallestChunk, LargestChunk int
	// IndexInterval is the least distance in bytes between index entries; the default is 4096.
	IndexInterval int
	// OpenFiles bounds the segments kept open for reading; the default is 1000. OpenWriters is the same for each writer:
	// 250.
	OpenFiles, OpenWriters int
	// Writers is the number of tasks that write segments; the default is 4.
	Writers int
	// Damaged is told when a reader found a segment damaged, from the reader's task: it must not block. Nil tells nobody.
	Damaged func(id ID, base, generation int64)
}

func (o *Options) fill() {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set64 := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	set64(&o.CacheBytes, 64<<20)
	set64(&o.QueueBytes, 32<<20)
	set64(&o.TailBytes, 64<<20)
	set(&o.SmallestChunk, host.Align)
	set(&o.LargestChunk, 1<<20)
	set(&o.IndexInterval, defaultIndexInterval)
	set(&o.OpenFiles, 1000)
	set(&o.OpenWriters, 250)
	set(&o.Writers, 4)
}

// Shared is what all partitions of a node have in common: the segment writers with the cache of tails, the open files.
// Its methods may be called from any task.
type Shared struct {
	host    host.Host
	o       Options
	coders  *host.Spares[*batch.Coders]
	writers []*writer
	files   *files
	// removals waits for the task that deletes files.
	removals *host.Queue[removal]
	// leaving is not 0 once Close was called.
	leaving *host.Counter
	// queued is the number of bytes that wait to be written; tails is the memory of chunks that logs append to, cached
	// that of the chunks behind them.
	queued, tails, cached *host.Counter
	failed                *host.Future[error]
	ended                 []*host.Future[struct{}] // of the tasks
}

// NewShared starts the tasks that partitions share.
func NewShared(h host.Host, o Options) *Shared {
	o.fill()
	s := &Shared{host: h, o: o, coders: batch.NewSpareCoders(h.Tasks, 4), queued: host.NewCounter(h.Tasks),
		tails: host.NewCounter(h.Tasks), cached: host.NewCounter(h.Tasks), failed: host.NewFuture[error](h.Tasks)}
	s.files = &files{shared: s, queue: host.NewQueue[filesOp](h.Tasks, 1024, nil)}
	s.start("segment files", s.files.run)
	s.removals, s.leaving = host.NewQueue[removal](h.Tasks, 1024, nil), host.NewCounter(h.Tasks)
	s.start("segment removal", s.removeAll)
	for range o.Writers {
		w := &writer{shared: s, queue: host.NewQueue[writeOp](h.Tasks, 1024, nil)}
		s.writers = append(s.writers, w)
		s.start("segment writer", w.run)
	}
	return s
}

func (s *Shared) start(name string, run func()) {
	ended := host.NewFuture[struct{}](s.host.Tasks)
	s.ended = append(s.ended, ended)
	s.host.Tasks.Go(name, func() {
		run()
		ended.Set(struct{}{})
	})
}

// Failed is set when a segment cannot be written: the node must stop.
func (s *Shared) Failed() *host.Future[error] { return s.failed }

// Close ends the tasks and closes the files, after the logs were closed. What waits to be written is written before.
// When it returns nothing touches the disk any more, so the data directory may be unlocked.
func (s *Shared) Close() {
	s.leaving.Add(1)
	for _, w := range s.writers {
		w.queue.Close()
	}
	for _, writer := range s.ended[2:] {
		writer.Get()
	}
	s.files.queue.Close() // writers post to these two
	s.removals.Close()
	s.ended[0].Get()
	s.ended[1].Get()
}

func (s *Shared) writerOf(id ID) *writer {
	h := fnv.New32a()
	h.Write(id.Topic[:])
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(id.Index)))
	return s.writers[h.Sum32()%uint32(len(s.writers))]
}
