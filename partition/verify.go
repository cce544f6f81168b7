package partition

import (
	"errors"
	"fmt"
	"hash/crc32"

	"millrace/partition/batch"
)

// scrubStep is about how much is checked at once.
const scrubStep = 256 << 10

// Verify reads one segment file, as far as a durable checkpoint has it, and checks every batch in it: CRC, offsets without
// a gap, leader epoch. It does not look at what is in memory: what is on the disk counts. Nil when all is sound or the
// segment is not part of the log any more; ErrCorrupt when it is damaged; another error when that cannot be told. pace is
// called before each piece with its size; false ends the check. Any task may call it.
func (l *Log) Verify(base, generation int64, pace func(bytes int) bool) error {
	v := l.view.Load()
	i := v.segmentAt(base)
	if info := v.segment(i).info; v.Dropped || info.Base != base || info.Generation != generation {
		return nil
	}
	x := l.shared.pin(v, i)
	if x == nil {
		return nil
	}
	defer x.close()
	info := v.segment(i).info
	x.chunks = nil
	switch {
	case info.Generation > 0 || info.Base < v.onDisk.base:
	case info.Base == v.onDisk.base:
		x.size = min(x.size, v.onDisk.bytes)
	default:
		return nil
	}
	err := x.verify(v, info, pace)
	if l.left() {
		return nil // the end may have been in memory only
	}
	if err != nil {
		return fmt.Errorf("verify segment %s: %w", x.seg.name, err)
	}
	return nil
}

func (x *source) verify(v *View, info SegmentInfo, pace func(bytes int) bool) error {
	buf := x.shared.host.Buffers.Get(int(min(x.size, scrubStep)))
	defer func() { buf.Release() }()
	at := course{next: info.Base, sparse: info.Sparse}
	for pos := int64(0); pos < x.size; {
		n := int(min(x.size-pos, int64(len(buf.Bytes()))))
		if !pace(n) {
			return nil
		}
		b := buf.Bytes()[:n]
		if err := x.read(b, pos); err != nil {
			return err
		}
		h, err := x.parse(b, pos)
		if err != nil {
			return err
		}
		if h.Size() > n { // a batch that is larger than a piece
			buf.Release()
			buf = x.shared.host.Buffers.Get(h.Size())
			continue
		}
		var done int
		x.shared.host.Tasks.Compute("scrub", n, func() { done, err = v.sound(b, &at) })
		if err != nil {
			return x.corrupt(pos+int64(done), err)
		}
		pos += int64(done)
	}
	if x.size == info.Bytes {
		return at.finished(&info)
	}
	return nil
}

// course is where a walk over the batches of a segment has come to.
type course struct {
	// next is the offset that comes next, the least one in a sparse segment.
	next   int64
	sparse bool
	sum    uint32
}

// prefix is the part of a batch that its CRC does not cover: base offset, length and leader epoch. Where offsets have no
// gaps they check each other; in a sparse segment a checksum over all of them does.
const prefix = 16

// pass goes on behind a batch.
func (c *course) pass(h *batch.Header, one []byte) {
	c.next = h.LastOffset() + 1
	if c.sparse {
		c.sum = crc32.Update(c.sum, crc32.MakeTable(crc32.Castagnoli), one[:prefix])
	}
}

// finished checks that a walk over a whole segment ends as it should.
func (c *course) finished(info *SegmentInfo) error {
	switch {
	case !c.sparse && c.next != info.End || c.next > info.End:
		return fmt.Errorf("it ends at offset %d instead of %d: %w", c.next, info.End, ErrCorrupt)
	case c.sparse && c.sum != info.Sum:
		return fmt.Errorf("the offsets of its batches do not check: %w", ErrCorrupt)
	}
	return nil
}

// checkedPiece is how much of a file is checked together before it is read the first time.
const checkedPiece = 1 << 20

// checkOnce checks the pieces of a file that hold the positions from pos to end, as far as they are from an earlier life
// of the node and were not checked since the file was opened. A sparse segment is checked as a whole.
func (x *source) checkOnce(v *View, h *handle, pos, end int64) error {
	if x.info.Sparse && x.seg.doubtful > 0 && h.checked[0].Load() == 0 {
		if err := x.checkAll(v); err != nil {
			return err
		}
		for _, c := range h.checked {
			c.Add(1)
		}
	}
	for k := pos / checkedPiece; k*checkedPiece < min(end, x.seg.doubtful); k++ {
		if h.checked[k].Load() > 0 {
			continue
		}
		if err := x.checkPiece(v, k*checkedPiece, min((k+1)*checkedPiece, x.seg.doubtful, x.size)); err != nil {
			return err
		}
		h.checked[k].Add(1)
	}
	return nil
}

// checkAll checks a whole segment.
func (x *source) checkAll(v *View) error {
	x.seg.ref.Acquire() // it is pinned, so this cannot fail; the source lets go of it
	y := &source{shared: x.shared, seg: x.seg, entries: x.entries, from: x.from, size: x.size, whole: x.size, info: x.info, rolled: true}
	defer y.close()
	return y.verify(v, x.info, func(int) bool { return true })
}

// checkPiece checks all batches that have bytes between two positions, as they are in the file, or in memory where that is
// what was read of it.
func (x *source) checkPiece(v *View, from, to int64, memory ...*chunk) error {
	size := x.size
	if len(memory) == 0 {
		size = min(size, x.seg.doubtful) // what is behind it may be only in memory
	}
	x.seg.ref.Acquire() // it is pinned, so this cannot fail; the source lets go of it
	y := &source{shared: x.shared, seg: x.seg, entries: x.entries, from: x.from, size: size, whole: size, info: x.info, rolled: x.rolled,
		chunks: memory, states: make([]chunkState, len(memory))}
	defer y.close()
	e, err := y.lookup(func(e indexEntry) bool { return int64(e.pos) <= from })
	if err != nil {
		return err
	}
	pos, at := int64(e.pos), course{next: x.seg.base + int64(e.rel)}
	buf := x.shared.host.Buffers.Get(int(min(to-pos, checkedPiece)))
	defer func() { buf.Release() }()
	for pos < to {
		b, err := y.header(pos)
		if err != nil {
			return err
		}
		if behind := pos + int64(b.Size()); behind <= from && b.BaseOffset == at.next {
			pos, at.next = behind, b.LastOffset()+1
			continue
		}
		n := max(b.Size(), int(min(to-pos, checkedPiece)))
		if n > len(buf.Bytes()) {
			buf.Release()
			buf = x.shared.host.Buffers.Get(n)
		}
		if err := y.read(buf.Bytes()[:n], pos); err != nil {
			return err
		}
		done, err := v.sound(buf.Bytes()[:n], &at)
		if err != nil {
			return x.corrupt(pos+int64(done), err)
		}
		pos += int64(done)
	}
	return nil
}

var errEpoch = errors.New("its leader epoch is not that of its offsets")

// sound checks the whole batches at the start of b, the first of which is the next one of a walk, and returns how many
// bytes are sound. A batch that is cut off at the end of b is no error, unless it is the first.
func (v *View) sound(b []byte, c *course) (int, error) {
	at := 0
	for len(b)-at >= batch.HeaderSize {
		h, err := batch.Parse(b[at:])
		if err == nil && (h.BaseOffset != c.next && !c.sparse || h.BaseOffset < c.next || h.LastOffsetDelta < 0) {
			err = fmt.Errorf("it has offset %d instead of %d", h.BaseOffset, c.next)
		}
		if err != nil {
			return at, err
		}
		if h.Size() > len(b)-at {
			break
		}
		if err := batch.CheckCRC(b[at : at+h.Size()]); err != nil {
			return at, err
		}
		if !v.mayBe(&h) {
			return at, errEpoch
		}
		c.pass(&h, b[at:])
		at += h.Size()
	}
	if at == 0 {
		return 0, errors.New("it is cut off")
	}
	return at, nil
}
