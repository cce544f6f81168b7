package partition

import (
	"fmt"

	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

// Fill is a segment file that is being filled with batches from elsewhere, for a hole of a log. It belongs to one task,
// which is not the log's owner: files of fills lie beside those that apply writes, under generations of their own. Nobody
// reads it, and nothing counts it as held, before it was handed to the owner (Log.Take) and the checkpoint that has it is
// durable.
type Fill struct {
	builder
	hole OffsetRange
	// next is the offset behind what is known, -1 before the first batch.
	next   int64
	epochs *View
}

// filled is a fill that belongs to the log.
type filled struct {
	seg  *segment
	info SegmentInfo
	// replaces are the segments whose place it takes: it is what compaction made of them.
	replaces []*rolledSegment
	// begun says that the checkpoint begun last has it.
	begun bool
}

// StartFill begins to fill a hole, or the front of one. Any task may call it. The caller ends the fill with Log.Take, by
// the owner, or with Abandon.
func (l *Log) StartFill(hole OffsetRange) *Fill {
	return &Fill{builder: builder{log: l}, hole: hole, next: -1, epochs: l.view.Load()}
}

// Next is the offset that is wanted next.
func (f *Fill) Next() int64 { return max(f.next, f.hole.Start) }

// Bytes is how much was written.
func (f *Fill) Bytes() int64 { return f.info.Bytes }

// Full says that the hole is filled up to its end.
func (f *Fill) Full() bool { return f.next >= f.hole.End }

// Source says what is known of the segment that the batches come from: when it was written, for retention, and whether
// compaction may have left gaps in it.
func (f *Fill) Source(s SegmentInfo) {
	f.info.FirstWall, f.info.LastWall, f.info.Sparse = s.FirstWall, s.LastWall, s.Sparse
}

// Reach says that the source holds all of its records up to offset, and gave them: what else lies before it was removed
// by compaction. Only for sparse sources.
func (f *Fill) Reach(offset int64) error {
	if offset = min(offset, f.hole.End); !f.info.Sparse || offset <= f.Next() {
		return nil
	}
	if f.seg == nil {
		if err := f.name(f.hole.Start); err != nil {
			return err
		}
	}
	f.next, f.info.End = offset, offset
	return nil
}

// Agrees says whether what came can be what the source has: when all of a sparse file came, the offsets in it check.
func (f *Fill) Agrees(s SegmentInfo) bool {
	return !s.Sparse || f.info.Bytes != s.Bytes || f.info.Sum == s.Sum
}

// Write adds the whole batches in b, which come from a file of another replica: each is checked (CRC, offsets without a
// gap, leader epoch) before the first byte is written. Batches behind the hole are left out; more says that the hole goes
// on behind b. After ErrCorrupt the fill is as it was before. A write that fails may leave anything in the file: it is deleted,
// and the fill has nothing.
func (f *Fill) Write(b []byte) (more bool, err error) {
	n, next, err := f.check(b)
	if err != nil {
		return false, fmt.Errorf("fill %v at offset %d: %w", f.log.id, f.Next(), err)
	}
	if n == 0 {
		err := f.Reach(next)
		return !f.Full(), err
	}
	if err := f.put(b[:n]); err != nil {
		f.abandon()
		f.next = -1
		return false, fmt.Errorf("fill %v: %w", f.log.id, err)
	}
	f.next, f.info.End = next, next
	return !f.Full(), nil
}

// misplaced says that a batch cannot come next.
func (f *Fill) misplaced(h *batch.Header, next int64) bool {
	switch {
	case h.BaseOffset < 0 || h.LastOffsetDelta < 0:
		return true
	case f.info.Sparse:
		return h.BaseOffset < next || h.LastOffset() < f.hole.Start
	case next < 0:
		return h.BaseOffset > f.hole.Start || h.LastOffset() < f.hole.Start
	}
	return h.BaseOffset != next
}

// check returns how many bytes of b belong into the hole, and the offset behind them.
func (f *Fill) check(b []byte) (n int, next int64, err error) {
	next = f.next
	for n < len(b) {
		h, err := batch.Parse(b[n:])
		if err == nil && f.info.Sparse && h.BaseOffset >= f.hole.End {
			return n, f.hole.End, nil // the hole ends in a gap
		}
		switch {
		case err != nil:
			return 0, 0, fmt.Errorf("%w: %w", ErrCorrupt, err)
		case h.Size() > len(b)-n:
			return 0, 0, fmt.Errorf("a batch of %d bytes was cut off: %w", h.Size(), ErrCorrupt)
		case f.misplaced(&h, next):
			return 0, 0, fmt.Errorf("a batch has offsets %d to %d: %w", h.BaseOffset, h.LastOffset(), ErrCorrupt)
		case h.LastOffset() >= f.hole.End:
			return 0, 0, fmt.Errorf("a batch has offsets %d to %d, the hole ends at %d: %w", h.BaseOffset, h.LastOffset(), f.hole.End, ErrCorrupt)
		case !f.epochs.mayBe(&h):
			return 0, 0, fmt.Errorf("a batch at offset %d has leader epoch %d: %w", h.BaseOffset, h.LeaderEpoch, ErrCorrupt)
		case f.info.Bytes+int64(n+h.Size()) > maxSegmentBytes:
			return 0, 0, fmt.Errorf("a segment becomes too large")
		}
		if err := batch.CheckCRC(b[n : n+h.Size()]); err != nil {
			return 0, 0, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		n += h.Size()
		if next = h.LastOffset() + 1; next >= f.hole.End {
			break
		}
	}
	return n, next, nil
}

// mayBe says whether a batch can be part of the log, by its leader epoch, which its CRC does not cover.
func (v *View) mayBe(h *batch.Header) bool {
	if len(v.Epochs) == 0 || h.BaseOffset < v.Epochs[0].Start || h.BaseOffset >= v.End {
		return true
	}
	return v.EpochOf(h.BaseOffset) == h.LeaderEpoch
}

// put writes checked batches.
func (f *Fill) put(b []byte) error {
	if f.seg == nil {
		h, err := batch.Parse(b)
		if err == nil && f.info.Sparse {
			h.BaseOffset = min(h.BaseOffset, f.hole.Start)
		}
		if err == nil {
			err = f.name(h.BaseOffset)
		}
		if err != nil {
			return err
		}
	}
	return f.write(b)
}

// Finish writes the index and closes the file; then the owner may Take the fill. Its bytes become durable with the
// checkpoint that has it. false when nothing was brought.
func (f *Fill) Finish() (bool, error) {
	if f.seg == nil {
		return false, nil
	}
	if err := f.finish(); err != nil {
		return false, err
	}
	return true, nil
}

// Abandon deletes the file. Nothing happens when the owner has taken the fill, or there is none.
func (f *Fill) Abandon() { f.abandon() }

// Take makes a finished fill part of the log: it is held when a checkpoint that begins from now on is durable. false when
// it is not wanted (any more), since the log start has passed it or something of its range is here; then it is abandoned.
// A fill never takes the place of what apply wrote. Only the owner calls it.
func (l *Log) Take(f *Fill) bool {
	if f.seg == nil || f.file != nil {
		return false
	}
	if l.closed || l.dropped || f.info.End <= l.logStart || l.overlaps(f.info) {
		f.Abandon()
		return false
	}
	t := &filled{seg: f.seg, info: f.info}
	f.seg = nil
	l.fills = append(l.fills[:len(l.fills):len(l.fills)], t)
	l.unclean(t.info.Base)
	l.dirty = true
	if mutant.On("fill-held-before-checkpoint") {
		t.begun = true
		l.settleFills()
	}
	return true
}

// overlaps says whether something of a range is held, or about to be.
func (l *Log) overlaps(s SegmentInfo) bool {
	if mutant.On("fill-overlap-accepted") {
		return false
	}
	for _, have := range l.segments() {
		if s.Base < have.End && have.Base < s.End || s.End > l.info.Base {
			return true
		}
	}
	for _, f := range l.fills {
		if s.Base < f.info.End && f.info.Base < s.End {
			return true
		}
	}
	return false
}

// Wanted are the holes that no fill waits to close. Only the owner calls it.
func (l *Log) Wanted() []OffsetRange {
	return holesIn(l.logStart, l.end, heldBy(l.planned(false)))
}
