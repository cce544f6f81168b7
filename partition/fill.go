package partition

import (
	"fmt"

	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

// Fill is a segment file that is being filled with batches from elsewhere, for a hole of a log. It belongs to one task,
// which is not the log's owner: files of fills lie beside those that apply writes, under generations of their own. Nobody
// reads it, and nothing counts it as held, before it was handed to the owner (Log.Take) and the checkpoint that has it is
// durable.
type Fill struct {
	log  *Log
	hole OffsetRange
	// next is the offset after the last batch, -1 before the first one.
	next    int64
	info    SegmentInfo
	seg     *segment
	file    host.File
	entries []indexEntry
	epochs  *View
}

// filled is a fill that belongs to the log.
type filled struct {
	seg  *segment
	info SegmentInfo
	// begun says that the checkpoint begun last has it.
	begun bool
}

// StartFill begins to fill a hole, or the front of one. Any task may call it. The caller ends the fill with Log.Take, by
// the owner, or with Abandon.
func (l *Log) StartFill(hole OffsetRange) *Fill {
	return &Fill{log: l, hole: hole, next: -1, epochs: l.view.Load()}
}

// Next is the offset that is wanted next.
func (f *Fill) Next() int64 { return max(f.next, f.hole.Start) }

// Bytes is how much was written.
func (f *Fill) Bytes() int64 { return f.info.Bytes }

// Full says that the hole is filled up to its end.
func (f *Fill) Full() bool { return f.next >= f.hole.End }

// Source says what is known of the segment that the batches come from: when it was written, for retention.
func (f *Fill) Source(s SegmentInfo) { f.info.FirstWall, f.info.LastWall = s.FirstWall, s.LastWall }

// Write adds the whole batches in b, which come from a file of another replica: each is checked (CRC, offsets without a
// gap, leader epoch) before the first byte is written. Batches behind the hole are left out; more says that the hole goes
// on behind b. After an error the fill is as it was before.
func (f *Fill) Write(b []byte) (more bool, err error) {
	n, next, err := f.check(b)
	if err != nil {
		return false, fmt.Errorf("fill %v at offset %d: %w", f.log.id, f.Next(), err)
	}
	if n == 0 {
		return !f.Full(), nil
	}
	if err := f.write(b[:n]); err != nil {
		return false, fmt.Errorf("fill %v: %w", f.log.id, err)
	}
	f.next, f.info.End = next, next
	return !f.Full(), nil
}

// check returns how many bytes of b belong into the hole, and the offset behind them.
func (f *Fill) check(b []byte) (n int, next int64, err error) {
	next = f.next
	for n < len(b) {
		h, err := batch.Parse(b[n:])
		switch {
		case err != nil:
			return 0, 0, fmt.Errorf("%w: %w", ErrCorrupt, err)
		case h.Size() > len(b)-n:
			return 0, 0, fmt.Errorf("a batch of %d bytes was cut off: %w", h.Size(), ErrCorrupt)
		case next < 0 && (h.BaseOffset > f.hole.Start || h.LastOffset() < f.hole.Start), next >= 0 && h.BaseOffset != next:
			return 0, 0, fmt.Errorf("a batch has offsets %d to %d: %w", h.BaseOffset, h.LastOffset(), ErrCorrupt)
		case h.BaseOffset < 0 || h.LastOffsetDelta < 0 || h.LastOffset() >= f.hole.End:
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

// write writes checked batches and notes them in the index.
func (f *Fill) write(b []byte) error {
	if f.file == nil {
		if err := f.create(b); err != nil {
			return err
		}
	}
	if err := f.file.WriteAt(f.info.Bytes, b); err != nil {
		return fmt.Errorf("write segment %s: %w", f.seg.name, err)
	}
	for n := 0; n < len(b); {
		h, _ := batch.Parse(b[n:]) // it was checked
		if f.info.Bytes == 0 {
			f.info.FirstTimestamp = h.MaxTimestamp
		}
		if due(f.info.Bytes, f.info.Indexed, f.log.shared.o.IndexInterval) {
			f.entries = append(f.entries, indexEntry{uint32(h.BaseOffset - f.info.Base), uint32(f.info.Bytes), f.info.MaxTimestamp})
			f.info.Indexed = f.info.Bytes
			f.info.Entries++
		}
		f.info.MaxTimestamp = max(f.info.MaxTimestamp, h.MaxTimestamp)
		f.info.Bytes += int64(h.Size())
		n += h.Size()
	}
	return nil
}

// create makes the file, under the offset of the first batch.
func (f *Fill) create(b []byte) error {
	h, err := batch.Parse(b)
	if err != nil {
		return err
	}
	l := f.log
	if !l.hold.Acquire() {
		return ErrDropped
	}
	first, last := f.info.FirstWall, f.info.LastWall
	f.info = emptySegment(h.BaseOffset)
	f.info.FirstWall, f.info.LastWall = first, last
	f.info.Generation = l.generations.Add(1) - 1
	f.seg = newSegment(l.shared, l.writer, l.dir, l.hold, f.info.Base, f.info.Generation, true)
	if f.file, err = l.shared.host.Disk.Create(f.seg.name+logSuffix, 0, host.Mode{}); err != nil {
		f.Abandon()
		return fmt.Errorf("make segment %s: %w", f.seg.name, err)
	}
	return nil
}

// Finish writes the index and closes the file; then the owner may Take the fill. Its bytes become durable with the
// checkpoint that has it. false when nothing was written.
func (f *Fill) Finish() (bool, error) {
	if f.file == nil {
		return false, nil
	}
	err := f.file.Close()
	f.file = nil
	if err == nil && len(f.entries) > 0 {
		err = f.log.shared.writeIndex(f.seg, indexWrite{entries: f.entries}, f.info.Bytes)
	}
	f.entries = nil
	if err != nil {
		f.Abandon()
		return false, fmt.Errorf("finish segment %s: %w", f.seg.name, err)
	}
	return true, nil
}

// Abandon deletes the file. Nothing happens when the owner has taken the fill, or there is none.
func (f *Fill) Abandon() {
	if f.file != nil {
		// What cannot be closed is deleted all the same.
		_ = f.file.Close()
		f.file = nil
	}
	if f.seg != nil {
		f.seg.doomed = true
		f.seg.ref.Release()
		f.seg = nil
	}
}

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
	segments := l.segments()
	for _, f := range l.fills {
		segments = insertSegment(segments, f.info)
	}
	return holesIn(l.logStart, l.end, heldBy(segments))
}
