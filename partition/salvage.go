package partition

import (
	"errors"
	"fmt"

	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

// Damage is a damaged file of a log, pinned. What is sound in it can be salvaged. It belongs to one task.
type Damage struct {
	log *Log
	r   *rolledSegment
}

// Damaged are the damaged files of the log, each to be released. Only the owner calls it.
func (l *Log) Damaged() []*Damage {
	var out []*Damage
	for _, r := range l.damaged {
		r.seg.ref.Acquire() // the log holds it, so this cannot fail
		out = append(out, &Damage{log: l, r: r})
	}
	return out
}

// Release lets go of the file.
func (d *Damage) Release() { d.r.seg.ref.Release() }

// Info describes the file as it should be.
func (d *Damage) Info() SegmentInfo { return d.r.info }

// Name is the name of the file.
func (d *Damage) Name() string { return d.r.seg.name + logSuffix }

// salvage is the work on one damaged file.
type salvage struct {
	*Damage
	v      *View
	x      *source
	wanted []OffsetRange
	fill   *Fill
	done   func(*Fill) error
	pace   func(bytes int) bool
	index  []indexEntry
	read   bool // the index
	// told is where the batches of a sparse file end that were kept or found to be bad.
	told int64
	// sure is the offset that the next batch of a file without gaps must have, -1 when what was before it was bad and does
	// not tell.
	sure int64
}

// Salvage copies what is sound in the file and lies in the wanted holes into fills, each of which is finished and given
// to done. pace is called before each piece with its size; false ends the work. It may be called from any task.
func (d *Damage) Salvage(wanted []OffsetRange, pace func(bytes int) bool, done func(*Fill) error) error {
	l := d.log
	d.r.seg.ref.Acquire() // it is pinned, so this cannot fail; the source lets go of it
	s := &salvage{Damage: d, v: l.view.Load(), wanted: wanted, done: done, pace: pace}
	s.x = &source{shared: l.shared, seg: d.r.seg, size: d.r.info.Bytes, whole: d.r.info.Bytes, info: d.r.info, rolled: true}
	s.told, s.sure = d.r.info.Base, d.r.info.Base
	defer s.x.close()
	err := s.run()
	if s.fill != nil {
		s.fill.Abandon()
	}
	if err != nil {
		return fmt.Errorf("salvage %s: %w", d.Name(), err)
	}
	return nil
}

func (s *salvage) run() error {
	h, err := s.x.file(true)
	if errors.Is(err, host.ErrNotExist) {
		return nil // the whole file is lost
	}
	if err != nil {
		return err
	}
	size, err := h.file.Size()
	if err != nil {
		return err
	}
	if s.x.size = min(s.x.size, size); s.r.info.Sparse && !s.offsetsCheck() {
		return nil // any of its offsets may be wrong
	}
	buf := s.x.shared.host.Buffers.Get(scrubStep)
	defer func() { buf.Release() }()
	for pos := int64(0); pos >= 0 && pos < s.x.size; {
		header, err := s.x.header(pos)
		if err != nil && s.r.info.Sparse {
			return s.finish()
		}
		if err != nil {
			pos = s.resume(pos)
			continue
		}
		n := int(min(s.x.size-pos, scrubStep))
		if n = max(n, header.Size()); n > len(buf.Bytes()) {
			buf.Release()
			buf = s.x.shared.host.Buffers.Get(n)
		}
		if !s.pace(n) {
			return s.finish()
		}
		b := buf.Bytes()[:n]
		err = s.x.read(b, pos)
		if err != nil && s.r.info.Sparse {
			return s.finish() // what cannot be read must not pass for a gap
		}
		if err != nil {
			pos = s.resume(pos)
			continue
		}
		good, bad := s.v.sound(b, &course{next: header.BaseOffset, sparse: s.r.info.Sparse})
		if good > 0 && (s.r.info.Sparse || s.certain(b[:good], pos)) {
			if err := s.keep(b[:good]); err != nil {
				return err
			}
		}
		if bad != nil && good < len(b) {
			s.miss(b[good:])
		}
		pos += int64(good)
		switch {
		case bad != nil && s.r.info.Sparse:
			if pos, err = s.passOver(pos); err != nil {
				return err
			}
		case bad != nil:
			pos = s.skip(pos)
		}
	}
	return s.end()
}

// certain says whether sound batches in a row, at a position of a file without gaps, are where their offsets say: a batch's
// offset is not in its checksum. They are when they go on where what is certain ends, or when something else says the same:
// another batch in the row, the index, or the end of the file.
func (s *salvage) certain(b []byte, pos int64) bool {
	first, _ := batch.Parse(b) // it is sound
	next := s.next(b)
	if s.sure == first.BaseOffset || first.Size() < len(b) || s.indexed(pos) == first.BaseOffset ||
		pos+int64(len(b)) == s.r.info.Bytes && next == s.r.info.End || mutant.On("salvage-offset-believed") {
		s.sure = next
		return true
	}
	s.miss(b)
	return false
}

// miss passes over a bad batch. When only what the checksum does not cover is wrong, it tells where the next one begins.
func (s *salvage) miss(b []byte) {
	h, err := batch.Parse(b)
	if s.sure < 0 || err != nil || h.Size() > len(b) || batch.CheckCRC(b[:h.Size()]) != nil || h.LastOffsetDelta < 0 {
		s.sure = -1
		return
	}
	s.sure += int64(h.LastOffsetDelta) + 1
}

// indexed is the offset that the index has for a position, -1 when it has none.
func (s *salvage) indexed(pos int64) int64 {
	s.readIndex()
	for _, e := range s.index {
		if int64(e.pos) == pos {
			return s.x.seg.base + int64(e.rel)
		}
	}
	return -1
}

// offsetsCheck says whether all headers of a sparse file are as they were written, as far as offsets go.
func (s *salvage) offsetsCheck() bool {
	at := course{sparse: true}
	for pos := int64(0); pos < s.x.size; {
		h, err := s.x.header(pos)
		if err != nil {
			return false
		}
		var scratch [batch.HeaderSize]byte
		b, err := s.x.peek(pos, batch.HeaderSize, scratch[:])
		if err != nil {
			return false
		}
		at.pass(&h, b)
		pos += int64(h.Size())
	}
	return at.sum == s.r.info.Sum
}

// passOver goes on behind the bad batch at a position of a sparse file. The gap in front of it is none of its offsets.
func (s *salvage) passOver(pos int64) (int64, error) {
	h, err := s.x.header(pos)
	if err == nil {
		err = s.reach(h.BaseOffset)
	}
	if err == nil {
		err = s.finish()
	}
	s.told = h.LastOffset() + 1
	return pos + int64(h.Size()), err
}

// end is what comes behind the last batch.
func (s *salvage) end() error {
	if s.r.info.Sparse {
		if err := s.reach(s.r.info.End); err != nil {
			return err
		}
	}
	return s.finish()
}

// reach brings the gaps of a sparse file up to offset, which are part of what it holds.
func (s *salvage) reach(offset int64) error {
	for _, hole := range s.wanted {
		start, end := max(hole.Start, s.told), min(hole.End, offset)
		if start >= end {
			continue
		}
		if err := s.begin(start, hole); err != nil {
			return err
		}
		if err := s.fill.Reach(end); err != nil {
			return err
		}
	}
	s.told = max(s.told, offset)
	return nil
}

// begin makes sure that there is a fill that goes on at an offset of a hole.
func (s *salvage) begin(offset int64, hole OffsetRange) error {
	if s.fill != nil && !s.fill.Full() && s.fill.Next() == offset {
		return nil
	}
	if err := s.finish(); err != nil {
		return err
	}
	s.fill = s.log.StartFill(OffsetRange{max(offset, hole.Start), hole.End})
	s.fill.Source(s.r.info)
	return nil
}

// skip is where to go on after a bad batch: behind it, when its length makes sense.
func (s *salvage) skip(pos int64) int64 {
	h, err := s.x.header(pos)
	if err != nil {
		return s.resume(pos)
	}
	behind := pos + int64(h.Size())
	if behind == s.x.size {
		return behind
	}
	if _, err := s.x.header(behind); err != nil {
		return s.resume(pos)
	}
	return behind
}

// resume finds in the index where the next batch behind pos begins; -1 when it does not say.
func (s *salvage) resume(pos int64) int64 {
	s.sure = -1
	s.readIndex()
	for _, e := range s.index {
		if int64(e.pos) > pos {
			return int64(e.pos)
		}
	}
	return -1
}

func (s *salvage) readIndex() {
	if !s.read {
		s.read = true
		s.index = s.x.indexOf(s.r)
	}
}

// indexOf reads as much of a segment's index as checks.
func (x *source) indexOf(r *rolledSegment) []indexEntry {
	var out []indexEntry
	h, err := x.file(true)
	for block := int64(0); err == nil && h.index != nil && block*indexPerBlock < r.from; block++ {
		var more []indexEntry
		if more, err = readIndexBlock(h.index, x.seg.base, block); err == nil {
			out = append(out, more...)
		}
	}
	return append(out, r.entries...)
}

// keep copies the batches of a sound piece that lie in wanted holes.
func (s *salvage) keep(b []byte) error {
	for at := 0; at < len(b); {
		hole, end := s.stretch(b, at)
		h, _ := batch.Parse(b[at:]) // it is sound
		if s.r.info.Sparse {
			if err := s.reach(h.BaseOffset); err != nil {
				return err
			}
		}
		if hole.End == 0 {
			s.told = s.next(b[at:end])
			at = end
			continue
		}
		if err := s.begin(h.BaseOffset, hole); err != nil {
			return err
		}
		if _, err := s.fill.Write(b[at:end]); err != nil {
			return err
		}
		s.told = s.next(b[at:end])
		at = end
	}
	return nil
}

// next is the offset behind the batches of a sound piece.
func (s *salvage) next(b []byte) (next int64) {
	_ = batch.Batches(b, func(h *batch.Header, _ []byte) error { // it is sound
		next = h.LastOffset() + 1
		return nil
	})
	return next
}

// stretch is the hole that the batch at a position lies in, none when it is not wanted, and where the batches end that
// have the same answer and follow without a gap.
func (s *salvage) stretch(b []byte, at int) (hole OffsetRange, end int) {
	for end = at; end < len(b); {
		h, _ := batch.Parse(b[end:])
		var in OffsetRange
		for _, w := range s.wanted {
			if h.BaseOffset < w.End && h.LastOffset() >= w.Start && h.LastOffset() < w.End {
				in = w
			}
		}
		if end == at {
			hole = in
		} else if in != hole {
			break
		}
		end += h.Size()
	}
	return hole, end
}

// finish gives the fill to its owner.
func (s *salvage) finish() error {
	f := s.fill
	s.fill = nil
	if f == nil {
		return nil
	}
	if ok, err := f.Finish(); !ok || err != nil {
		return err
	}
	return s.done(f)
}
