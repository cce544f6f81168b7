package partition

import (
	"fmt"

	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

// Files describes the segment files from which another replica may be filled: all that is held here. Bytes and End of the
// last one are as of now; it goes on growing. Any task may call it.
func (l *Log) Files() ([]SegmentInfo, error) {
	v := l.view.Load()
	if v.Dropped {
		return nil, ErrDropped
	}
	var out []SegmentInfo
	for _, info := range v.infos() {
		if info.End > info.Base {
			out = append(out, info)
		}
	}
	return out, nil
}

// FileRange is a piece of a segment file: whole batches.
type FileRange struct {
	*Range
	// Position is where the piece begins in the file, Generation which file it is.
	Position, Generation int64
}

// ReadFile finds whole batches of one file, about maxBytes, at least one: from a position, which must be where a batch
// begins, or, when position is negative, from the batch that holds offset, or comes next where compaction has left gaps; nothing when
// it has left nothing more. The batches are not checked: whoever pulls
// them checks. ErrChanged when the file is not part of the log any more, or has no such range; ErrDropped. Any task may
// call it.
func (l *Log) ReadFile(base, generation, position, offset int64, maxBytes int) (*FileRange, error) {
	v := l.view.Load()
	if v.Dropped {
		return nil, ErrDropped
	}
	i := v.segmentAt(base)
	info := v.segment(i).info
	if info.Base != base || info.Generation != generation && !mutant.On("fill-generation-not-checked") {
		return nil, fmt.Errorf("segment %d, generation %d, of %v: %w", base, generation, l.id, ErrChanged)
	}
	r := &Range{View: v}
	if r.source = l.shared.pin(v, i); r.source == nil {
		return nil, fmt.Errorf("segment %d, generation %d, of %v was deleted: %w", base, generation, l.id, ErrChanged)
	}
	out := &FileRange{Range: r, Generation: info.Generation}
	err := out.find(position, offset, maxBytes)
	if l.left() {
		err = ErrDropped
	}
	if err != nil {
		r.Release()
		return nil, fmt.Errorf("read segment %d of %v: %w", base, l.id, err)
	}
	return out, nil
}

// find makes the parts.
func (r *FileRange) find(position, offset int64, maxBytes int) error {
	x := r.source
	var first batch.Header
	var err error
	switch {
	case position < 0 && offset >= x.seg.base && offset < r.View.segment(r.View.segmentAt(x.seg.base)).info.End:
		position, first, err = x.locate(offset)
	case position == x.size && x.info.Sparse:
		// It has come to the end: nothing more.
	case position < 0 || position >= x.size:
		return fmt.Errorf("position %d, offset %d of %d bytes: %w", position, offset, x.size, ErrChanged)
	default:
		first, err = x.header(position)
	}
	if err != nil {
		return err
	}
	r.Position = position
	end := x.size
	if position == end { // compaction has left nothing behind it
		return nil
	}
	if end-position > int64(maxBytes) {
		if end, _, err = x.cut(position, &first, position+int64(maxBytes)); err != nil {
			return err
		}
		if end <= position {
			end = position + int64(first.Size())
		}
	}
	x.closeWindow()
	r.Bytes = int(end - position)
	return r.fill(position, end)
}
