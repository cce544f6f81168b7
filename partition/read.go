package partition

import (
	"fmt"

	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

// Range is a piece of a log, ready to be sent: whole batches, the first of which holds the offset that was asked for (or
// is the first one above it, when compaction left a gap). What it refers to stays in place until Release.
type Range struct {
	Parts []host.Part
	// Bytes is the size of all parts.
	Bytes int
	// Next is the offset after the last batch of the range.
	Next int64
	// View is the state in which the range was found: its End and LogStart go into the answer of a fetch.
	View *View

	source *source
}

// Release lets go of segments and buffers. The parts must not be used afterwards.
func (r *Range) Release() {
	if r.source != nil {
		r.source.close()
		r.source, r.Parts = nil, nil
	}
}

// Read finds whole batches from the one that holds offset on, below the end, up to maxBytes; with atLeastOne the first
// batch is given even when it is larger. A range does not cross segments, and is empty at the end of the log.
// ErrOffsetOutOfRange below the log start and above the end; ErrMissing in a hole; ErrDropped; ErrCorrupt.
func (l *Log) Read(offset int64, maxBytes int, atLeastOne bool) (*Range, error) {
	return l.read(offset, maxBytes, atLeastOne, false)
}

// ReadCommitted is Read below the last stable offset.
func (l *Log) ReadCommitted(offset int64, maxBytes int, atLeastOne bool) (*Range, error) {
	return l.read(offset, maxBytes, atLeastOne, true)
}

func (l *Log) read(offset int64, maxBytes int, atLeastOne, committed bool) (*Range, error) {
	for {
		v := l.view.Load()
		stop := v.End
		if committed {
			stop = v.LastStable
		}
		switch {
		case v.Dropped:
			return nil, ErrDropped
		case offset < v.LogStart || offset > v.End:
			return nil, fmt.Errorf("read offset %d of %v, which holds %d to %d: %w", offset, l.id, v.LogStart, v.End, ErrOffsetOutOfRange)
		}
		r, again, err := l.readView(v, offset, stop, maxBytes, atLeastOne)
		if l.left() {
			r.Release()
			return nil, ErrDropped
		}
		if err != nil {
			return nil, fmt.Errorf("read offset %d of %v: %w", offset, l.id, err)
		}
		if !again {
			return r, nil
		}
	}
}

// readView reads from one view. Segments in which compaction has left nothing from offset on are passed over. again says
// that a segment was deleted since the view was loaded: there is a newer one.
func (l *Log) readView(v *View, offset, stop int64, maxBytes int, atLeastOne bool) (r *Range, again bool, err error) {
	r = &Range{View: v, Next: offset}
	for at := offset; at < stop; at = r.Next {
		i := v.segmentAt(at)
		info := &v.segment(i).info
		if info.Base > at && !mutant.On("fill-hole-served") {
			return r, false, ErrMissing
		}
		if info.vacant() {
			r.Next = info.End
			continue
		}
		if r.source = l.shared.pin(v, i); r.source == nil {
			return r, true, nil
		}
		past, err := r.find(at, min(stop, info.End), stop >= info.End, maxBytes, atLeastOne)
		if err != nil {
			if r.Release(); !l.left() {
				l.suspect(v, i, err)
			}
			return r, false, err
		}
		if !past {
			break
		}
	}
	return r, false, nil
}

// left says that the log was dropped or closed. A reader asks after it has read: the end of the log may have been in memory
// only, and then the file ends before it, or holds the zeros there that pad a block.
func (l *Log) left() bool { return l.view.Load().Dropped }

// find fills the range with batches from offset up to stop, which is the end of the segment (all) or the base offset of
// a batch in it. past says that there is nothing in between, and the search goes on at Next.
func (r *Range) find(offset, stop int64, all bool, maxBytes int, atLeastOne bool) (past bool, err error) {
	x := r.source
	start, first, err := x.locate(offset)
	if err != nil {
		return false, err
	}
	limit := x.size
	if !all {
		if limit, _, err = x.locate(stop); err != nil {
			return false, err
		}
	}
	if start == limit {
		r.Next = stop
		r.Release()
		return true, nil
	}
	end, next := limit, stop
	if limit-start > int64(maxBytes) {
		if end, next, err = x.cut(start, &first, start+int64(maxBytes)); err != nil {
			return false, err
		}
		if end == start && atLeastOne {
			end, next = start+int64(first.Size()), first.LastOffset()+1
		}
	}
	x.closeWindow()
	if end == start {
		r.Next = first.BaseOffset
		r.Release()
		return false, nil
	}
	r.Bytes, r.Next = int(end-start), next
	return false, r.fill(start, end)
}

// cut finds the last batch boundary that is not above target, from the batch at start on, and the offset there.
func (x *source) cut(start int64, first *batch.Header, target int64) (int64, int64, error) {
	pos, next := start, first.BaseOffset
	e, err := x.lookup(func(e indexEntry) bool { return int64(e.pos) <= target })
	if err != nil {
		return 0, 0, err
	}
	if int64(e.pos) > start {
		pos, next = int64(e.pos), x.seg.base+int64(e.rel)
	}
	for pos < target {
		h, err := x.header(pos)
		if err != nil {
			return 0, 0, err
		}
		if pos+int64(h.Size()) > target {
			break
		}
		pos, next = pos+int64(h.Size()), h.LastOffset()+1
	}
	return pos, next, nil
}

// fill makes the parts for the positions from start to end.
func (r *Range) fill(start, end int64) error {
	x := r.source
	r.Parts = make([]host.Part, 0, 2)
	for pos := start; pos < end; {
		i, until := x.chunkAt(pos)
		until = min(until, end)
		if i >= 0 {
			at := x.chunks[i].at
			r.Parts = append(r.Parts, host.Part{Bytes: x.chunks[i].mem[pos-at : until-at : until-at]})
			pos = until
			continue
		}
		if pos >= x.whole {
			if err := r.copyLast(pos, until); err != nil {
				return err
			}
			pos = until
			continue
		}
		until = min(until, x.whole)
		if err := r.fromFile(pos, until); err != nil {
			return err
		}
		pos = until
	}
	return nil
}

// copyLast copies what is in the last block of a growing segment, when it is not in memory.
func (r *Range) copyLast(pos, end int64) error {
	x := r.source
	if x.copied == nil {
		x.copied = x.shared.host.Buffers.Get(int(end - pos))
	}
	if pos < x.seg.doubtful {
		h, err := x.file(false)
		if err == nil {
			err = x.checkOnce(r.View, h, pos, end)
		}
		if err != nil {
			return err
		}
	}
	b := x.copied.Bytes()[:end-pos]
	r.Parts = append(r.Parts, host.Part{Bytes: b})
	return x.read(b, pos)
}

func (r *Range) fromFile(pos, end int64) error {
	h, err := r.source.file(false)
	if err != nil {
		return err
	}
	if n := len(r.Parts); n > 0 && r.Parts[n-1].File != nil && r.Parts[n-1].Off+r.Parts[n-1].Len == pos {
		r.Parts[n-1].Len += end - pos
	} else {
		r.Parts = append(r.Parts, host.Part{File: h.file, Off: pos, Len: end - pos})
	}
	// A file that is too short would end the connection in the middle of an answer.
	size, err := h.file.Size()
	if err != nil {
		return err
	}
	if size < end {
		return fmt.Errorf("segment %s has %d bytes, it should have %d: %w", r.source.seg.name, size, end, ErrCorrupt)
	}
	return r.source.checkOnce(r.View, h, pos, end)
}
