package partition

import (
	"fmt"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// pressedChunk is the largest chunk while the memory for tails is used up.
const pressedChunk = 64 << 10

// tail is the end of a log in memory. It belongs to the log's owner.
type tail struct {
	// pos is the length of the active segment, with what is only in memory.
	pos int64
	// chunk is what the log appends to, with used bytes; nil when the end of the log is only in the file. The blocks
	// below written were handed to the writer; of the block there a padded copy may have been.
	chunk         *chunk
	used, written int
	// chunks are those that readers may find in memory, oldest first. Only appended to or replaced: views share it.
	chunks []*chunk
	// next is the size of the next chunk.
	next int
	// since counts the bytes appended since the last checkpoint began; flushed is pos at that time.
	since, flushed int64
	// last is set when the last complete chunk is written.
	last *host.Future[error]
}

// write copies b to the end of the active segment.
func (l *Log) write(b []byte) error {
	t := &l.tail
	t.since += int64(len(b))
	for len(b) > 0 {
		if t.chunk == nil {
			if err := l.startChunk(len(b)); err != nil {
				return err
			}
		}
		n := copy(t.chunk.mem[t.used:], b)
		t.used += n
		t.pos += int64(n)
		b = b[n:]
		if t.used == len(t.chunk.mem) {
			if err := l.completeChunk(); err != nil {
				return err
			}
		}
	}
	return nil
}

// startChunk makes the chunk for the end of the segment. When the segment ends inside a block that is only in the file,
// its bytes are read back, since blocks are written whole.
func (l *Log) startChunk(incoming int) error {
	t := &l.tail
	at := blockFloor(t.pos)
	within := int(t.pos - at)
	chunk := l.makeChunk(at, incoming+within)
	t.used, t.written = within, 0
	if within > 0 {
		err := l.shared.readBack(l.active, chunk.mem[:within], at)
		if err == nil {
			err = l.checkLast(chunk.upTo(within))
		}
		if err != nil {
			l.shared.tails.Add(-int64(len(chunk.mem)))
			chunk.ref.Release()
			return fmt.Errorf("read the last block of segment %s: %w", l.active.name, err)
		}
	}
	t.addChunk(chunk)
	return nil
}

// checkLast checks the batches in the last block of the segment being written, as it was read back after a start or a rest:
// from now on they are served from memory, and their block is written again. What counts are the bytes that are kept: a disk
// may give others when it is asked once more.
func (l *Log) checkLast(block *chunk) error {
	x := &source{shared: l.shared, seg: l.active, entries: l.entries, from: l.entriesFrom, size: l.info.Bytes, info: l.info}
	return x.checkPiece(l.view.Load(), block.at, min(block.at+int64(len(block.mem)), l.info.Bytes), block)
}

// resume makes sure that the segment being written can be appended to. One whose last block cannot be read any more, or
// does not check, is damaged: its range becomes a hole, and a new segment begins at the end.
func (l *Log) resume(incoming int) {
	t := &l.tail
	if t.chunk != nil || t.pos == blockFloor(t.pos) {
		return
	}
	err := l.startChunk(incoming)
	if err == nil {
		return
	}
	t.pos, t.flushed = 0, 0
	t.forget(l.active)
	l.lose(&rolledSegment{seg: l.active, info: l.info, entries: l.entries, from: l.entriesFrom}, err.Error())
	l.newActive()
}

// makeChunk takes memory: twice as much each time while the log fills its chunks, little for a log that grows slowly.
func (l *Log) makeChunk(at int64, incoming int) *chunk {
	t, o := &l.tail, &l.shared.o
	size := min(max(t.next, powerCeil(incoming), o.SmallestChunk), o.LargestChunk)
	if l.shared.tails.Load()+int64(size) > o.TailBytes {
		size = min(size, max(pressedChunk, o.SmallestChunk))
	}
	t.next = min(2*size, o.LargestChunk)
	c := newChunk(l.shared.host, l.active, at, size)
	l.shared.tails.Add(int64(len(c.mem)))
	return c
}

func (t *tail) addChunk(c *chunk) {
	for len(t.chunks) > 0 && !t.chunks[0].alive() {
		t.chunks = t.chunks[1:]
	}
	t.chunks = append(t.chunks, c)
	t.chunk = c
}

// completeChunk hands a full chunk to the writer, which keeps it for readers. Here an append waits when too much is
// waiting to be written: for the chunk before, so that one log does not pay for another's.
func (l *Log) completeChunk() error {
	t, s := &l.tail, l.shared
	if err, failed := s.failed.Try(); failed {
		return err
	}
	if s.queued.Load() > s.o.QueueBytes && t.last != nil {
		if err := t.last.Get(); err != nil {
			return err
		}
	}
	t.last = host.NewFuture[error](s.host.Tasks)
	l.handOver(true, t.last)
	return nil
}

// handOver gives the writer what the chunk holds. With complete, nothing will be added to it: the log's hold goes to the
// writer. Otherwise the last block goes as a padded copy, and is written again when it has more bytes: it only gains.
func (l *Log) handOver(complete bool, done *host.Future[error]) {
	t, s := &l.tail, l.shared
	op := writeOp{kind: writeChunk, seg: l.active, chunk: t.chunk, from: t.written, to: blockFloor(t.used), complete: complete, done: done}
	if rest := t.chunk.mem[op.to:t.used]; len(rest) > 0 {
		op.last = s.host.Buffers.Get(host.Align)
		n := copy(op.last.Bytes(), rest)
		clear(op.last.Bytes()[n:])
	}
	if complete {
		s.tails.Add(-int64(len(t.chunk.mem)))
		t.chunk = nil
	} else {
		t.chunk.ref.Acquire() // the log holds it, so this cannot fail
		t.written = op.to
		if mutant.On("partial-block-lost") {
			t.written = blockCeil(t.used)
		}
	}
	s.queued.Add(int64(op.to - op.from))
	l.writer.post(op)
}

// finishTail hands over everything of a segment that is rolled.
func (l *Log) finishTail() {
	t := &l.tail
	if t.chunk != nil {
		l.handOver(true, nil)
	}
	t.pos, t.flushed = 0, 0
}

// flushTail hands over what was appended since the last time, and adapts the memory to the pace of the log.
func (l *Log) flushTail() {
	t, o := &l.tail, &l.shared.o
	since := t.since
	t.since = 0
	t.next = min(max(powerCeil(int(since/4)), o.SmallestChunk), o.LargestChunk)
	if t.chunk == nil || t.flushed == t.pos {
		return
	}
	t.flushed = t.pos
	if len(t.chunk.mem) <= o.SmallestChunk || since >= int64(len(t.chunk.mem)/8) {
		l.handOver(false, nil)
		return
	}
	// Much memory for a log that became slow: let it go to the cache, and go on with less.
	old, floor := t.chunk, blockFloor(t.used)
	rest := old.mem[floor:t.used]
	c := l.makeChunk(old.at+int64(floor), len(rest)+1)
	copy(c.mem, rest)
	l.handOver(true, nil)
	t.chunks = t.chunks[: len(t.chunks)-1 : len(t.chunks)-1]
	if floor > 0 {
		// The old chunk has nothing behind its whole blocks: the new one may be given up before it.
		t.chunks = append(t.chunks, old.upTo(floor))
	}
	t.used, t.written = len(rest), 0
	t.addChunk(c)
}

// Idle gives back the memory of the tail of a log that is not Dirty and whose checkpoint is durable; the next append
// reads the last block back. For logs that have not grown for some time.
func (l *Log) Idle() {
	if t := &l.tail; !l.dirty && t.chunk != nil && t.flushed == t.pos {
		t.release(l.shared)
		l.Publish()
	}
}

// release lets go of the chunk that the log appends to.
func (t *tail) release(s *Shared) {
	if t.chunk == nil {
		return
	}
	s.tails.Add(-int64(len(t.chunk.mem)))
	t.chunk.ref.Release()
	t.chunk, t.used, t.written = nil, 0, 0
	t.chunks = t.chunks[: len(t.chunks)-1 : len(t.chunks)-1]
}

// forgetBelow forgets the chunks of segments below the one at base.
func (t *tail) forgetBelow(base int64) {
	n := 0
	for n < len(t.chunks) && t.chunks[n].seg.base < base {
		n++
	}
	t.chunks = append([]*chunk(nil), t.chunks[n:]...)
}

// readBack reads what must be in a segment's file.
func (s *Shared) readBack(g *segment, p []byte, at int64) error {
	h, err := s.acquireHandle(g, false)
	if err != nil {
		return err
	}
	defer h.ref.Release()
	return h.readFull(g, p, at)
}

// readFull fills p from the file; too few bytes are a corrupt segment.
func (h *handle) readFull(g *segment, p []byte, at int64) error {
	n, err := h.file.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	return fmt.Errorf("segment %s ends at %d of the %d bytes at %d (%v): %w", g.name, n, len(p), at, err, ErrCorrupt)
}
