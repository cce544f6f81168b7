package partition

import (
	"errors"
	"fmt"

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
	buf := x.shared.host.Buffers.Get(scrubStep)
	defer func() { buf.Release() }()
	next := info.Base
	for pos := int64(0); pos < x.size; {
		n := int(min(x.size-pos, int64(scrubStep)))
		h, err := x.header(pos)
		if err != nil {
			return err
		}
		if n = max(n, h.Size()); n > len(buf.Bytes()) {
			buf.Release()
			buf = x.shared.host.Buffers.Get(n)
		}
		if !pace(n) {
			return nil
		}
		b := buf.Bytes()[:n]
		if err := x.read(b, pos); err != nil {
			return err
		}
		var done int
		x.shared.host.Tasks.Compute("scrub", n, func() { done, next, err = v.sound(b, next) })
		if err != nil {
			return x.corrupt(pos+int64(done), err)
		}
		pos += int64(done)
	}
	if x.size == info.Bytes && next != info.End {
		return fmt.Errorf("it ends at offset %d instead of %d: %w", next, info.End, ErrCorrupt)
	}
	return nil
}

// checkedPiece is how much of a file is checked together before it is read the first time.
const checkedPiece = 1 << 20

// checkOnce checks the pieces of a file that hold the positions from pos to end, as far as they are from an earlier life
// of the node and were not checked since the file was opened.
func (x *source) checkOnce(v *View, h *handle, pos, end int64) error {
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

// checkPiece checks all batches that have bytes between two positions.
func (x *source) checkPiece(v *View, from, to int64) error {
	size := min(x.size, x.seg.doubtful)
	x.seg.ref.Acquire() // it is pinned, so this cannot fail; the source lets go of it
	y := &source{shared: x.shared, seg: x.seg, entries: x.entries, from: x.from, size: size, whole: size, rolled: x.rolled}
	defer y.close()
	e, err := y.lookup(func(e indexEntry) bool { return int64(e.pos) <= from })
	if err != nil {
		return err
	}
	pos, next := int64(e.pos), x.seg.base+int64(e.rel)
	buf := x.shared.host.Buffers.Get(checkedPiece)
	defer func() { buf.Release() }()
	for pos < to {
		b, err := y.header(pos)
		if err != nil {
			return err
		}
		if behind := pos + int64(b.Size()); behind <= from && b.BaseOffset == next {
			pos, next = behind, b.LastOffset()+1
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
		done, after, err := v.sound(buf.Bytes()[:n], next)
		if err != nil {
			return x.corrupt(pos+int64(done), err)
		}
		pos, next = pos+int64(done), after
	}
	return nil
}

var errEpoch = errors.New("its leader epoch is not that of its offsets")

// sound checks the whole batches at the start of b, the first of which begins at offset next, and returns how many bytes
// are sound and what comes next. A batch that is cut off at the end of b is no error, unless it is the first.
func (v *View) sound(b []byte, next int64) (int, int64, error) {
	at := 0
	for len(b)-at >= batch.HeaderSize {
		h, err := batch.Parse(b[at:])
		if err == nil && (h.BaseOffset != next || h.LastOffsetDelta < 0) {
			err = fmt.Errorf("it has offset %d instead of %d", h.BaseOffset, next)
		}
		if err != nil {
			return at, next, err
		}
		if h.Size() > len(b)-at {
			break
		}
		if err := batch.CheckCRC(b[at : at+h.Size()]); err != nil {
			return at, next, err
		}
		if !v.mayBe(&h) {
			return at, next, errEpoch
		}
		at, next = at+h.Size(), h.LastOffset()+1
	}
	if at == 0 {
		return 0, next, errors.New("it is cut off")
	}
	return at, next, nil
}
