package partition

import (
	"fmt"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

type writeKind uint8

const (
	// writeChunk writes the blocks [from, to) of a chunk, and last, a copy of the block after them, when there is one.
	writeChunk writeKind = iota
	// finishSegment ends a rolled segment: its padding is cut off.
	finishSegment
	// writeIndex writes index blocks.
	writeIndex
	// barrier only completes done.
	barrier
	// endSegment closes the segment's file, and has it deleted when the segment is doomed.
	endSegment
	// trimCache makes room in the cache for another writer.
	trimCache
	// truncateSegment is only for a mutant: it takes a segment away from its readers.
	truncateSegment
)

// writeOp is an order to a writer. Orders of one log are carried out in their order.
type writeOp struct {
	kind     writeKind
	seg      *segment
	chunk    *chunk
	from, to int
	last     *host.Buffer
	// complete says that this is the last write of the chunk: the writer takes over the log's hold for its cache.
	complete bool
	// size is the length of a finished segment; of an index write, the length that its entries describe.
	size  int64
	index indexWrite
	done  *host.Future[error]
}

// writer writes segments, index files and deletions. It is one task; a node has a few of them, and each log keeps to one.
type writer struct {
	shared *Shared
	queue  *host.Queue[writeOp]
	// open are the segments open for writing, the one used last at the end.
	open []openWrite
	// cached are the chunks that are in their files and stay in memory for readers, oldest first.
	cached      []*chunk
	cachedBytes int64
	err         error
}

type openWrite struct {
	seg  *segment
	file host.File
}

func (w *writer) post(op writeOp) {
	if !w.queue.Post(op) && op.done != nil {
		op.done.Set(ErrDropped)
	}
}

func (w *writer) run() {
	var ops []writeOp
	for {
		more := true
		ops, more = w.queue.Take(ops[:0])
		if !more {
			break
		}
		for i := range ops {
			w.carryOut(&ops[i])
		}
		clear(ops)
	}
	for _, o := range w.open {
		o.file.Close()
	}
	for _, c := range w.cached {
		c.ref.Release()
	}
}

// carryOut does one order. After the first failure of a write nothing is written any more: the node must stop, and what
// it has not acknowledged as checkpointed is in the write-ahead log.
func (w *writer) carryOut(op *writeOp) {
	var err error
	if w.err == nil || op.kind == endSegment {
		err = w.try(op)
	}
	if err != nil && w.err == nil {
		w.err = err
		w.shared.failed.Set(err)
		w.shared.host.Log.Error("segments can no longer be written", "error", err)
	}
	if op.kind == writeChunk {
		w.wrote(op)
	}
	if op.done != nil {
		op.done.Set(w.err)
	}
}

func (w *writer) try(op *writeOp) error {
	switch op.kind {
	case writeChunk:
		return w.writeChunk(op)
	case finishSegment:
		return w.finish(op)
	case writeIndex:
		return w.shared.writeIndex(op.seg, op.index, op.size)
	case endSegment:
		return w.end(op.seg)
	case trimCache:
		w.trim()
	case truncateSegment:
		if file, err := w.file(op.seg); err == nil {
			return file.Truncate(0)
		}
	}
	return nil
}

func (w *writer) writeChunk(op *writeOp) error {
	file, err := w.file(op.seg)
	if err != nil {
		return fmt.Errorf("write segment %s: %w", op.seg.name, err)
	}
	c := op.chunk
	if mutant.On("tail-released-early") && op.complete {
		c.ref.Release()
	}
	at, slices := c.at+int64(op.from), [][]byte{c.mem[op.from:op.to]}
	if op.last != nil {
		slices = append(slices, op.last.Bytes())
	}
	if op.from == op.to {
		slices = slices[1:]
	}
	if err := file.WriteAt(at, slices...); err != nil {
		return fmt.Errorf("write segment %s at %d: %w", op.seg.name, at, err)
	}
	return nil
}

// wrote lets go of what a write needed, and keeps a complete chunk for readers.
func (w *writer) wrote(op *writeOp) {
	w.shared.queued.Add(-int64(op.to - op.from))
	if op.last != nil {
		op.last.Release()
	}
	if !op.complete {
		op.chunk.ref.Release()
		return
	}
	if mutant.On("tail-released-early") {
		return
	}
	if w.err != nil {
		return // not in the file, so it must stay in memory
	}
	w.cached = append(w.cached, op.chunk)
	w.cachedBytes += int64(len(op.chunk.mem))
	w.shared.cached.Add(int64(len(op.chunk.mem)))
	if !w.trim() {
		for _, other := range w.shared.writers {
			if other != w {
				other.post(writeOp{kind: trimCache})
			}
		}
	}
}

// trim gives up the oldest chunks while the cache of the node is too large, down to this writer's share. It returns false
// when the others must give up something.
func (w *writer) trim() bool {
	budget, n := w.shared.o.CacheBytes, 0
	over := w.shared.cached.Load() > budget
	for ; over && n < len(w.cached) && w.cachedBytes > budget/int64(len(w.shared.writers)); n++ {
		c := w.cached[n]
		w.cachedBytes -= int64(len(c.mem))
		over = w.shared.cached.Add(-int64(len(c.mem))) > budget
		w.cached[n] = nil
		c.ref.Release()
	}
	w.cached = w.cached[n:]
	return !over
}

// file returns the segment's file, open for direct writes; it makes the file when the segment is new. The name becomes
// durable with the SyncAll of the checkpoint that first speaks of the segment.
func (w *writer) file(g *segment) (host.File, error) {
	for i := len(w.open) - 1; i >= 0; i-- {
		if o := w.open[i]; o.seg == g {
			if i < len(w.open)-1 {
				copy(w.open[i:], w.open[i+1:])
				w.open[len(w.open)-1] = o
			}
			return o.file, nil
		}
	}
	if len(w.open) >= w.shared.o.OpenWriters {
		if err := w.open[0].file.Close(); err != nil {
			return nil, err
		}
		w.open = append(w.open[:0], w.open[1:]...)
	}
	var file host.File
	var err error
	if g.exists {
		file, err = w.shared.host.Disk.Open(g.name+logSuffix, host.Mode{Direct: true})
	} else {
		file, err = w.shared.host.Disk.Create(g.name+logSuffix, 0, host.Mode{Direct: true})
	}
	if err != nil {
		return nil, err
	}
	g.exists = true
	w.open = append(w.open, openWrite{g, file})
	return file, nil
}

func (w *writer) closeFile(g *segment) error {
	for i, o := range w.open {
		if o.seg == g {
			w.open = append(w.open[:i], w.open[i+1:]...)
			return o.file.Close()
		}
	}
	return nil
}

func (w *writer) finish(op *writeOp) error {
	file, err := w.file(op.seg)
	if err == nil {
		err = file.Truncate(op.size)
	}
	if err == nil {
		err = w.closeFile(op.seg)
	}
	if err != nil {
		return fmt.Errorf("finish segment %s: %w", op.seg.name, err)
	}
	return nil
}

func (w *writer) end(g *segment) error {
	err := w.closeFile(g)
	if g.doomed {
		w.shared.removals.Post(removal{seg: g})
	} else {
		g.dir.Release()
	}
	if err != nil {
		return fmt.Errorf("end segment %s: %w", g.name, err)
	}
	return nil
}
