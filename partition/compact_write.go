package partition

import (
	"fmt"

	"millrace/partition/batch"
)

// compactGroup makes one file of a run of segments. Nothing is written as long as nothing changes in the only one.
func (c *Compaction) compactGroup(g group) error {
	out := &output{builder: builder{log: c.log}, replaces: g}
	first, last := &g[0].info, &g[len(g)-1].info
	out.info.FirstWall, out.info.LastWall, out.info.Sparse = first.FirstWall, last.LastWall, true
	w := groupWriter{Compaction: c, out: out, lazy: len(g) == 1}
	if err := out.name(first.Base); err != nil {
		return err
	}
	for _, r := range g {
		if err := c.each(r, r.info.Base, w.batch, w.after); err != nil {
			out.abandon()
			return err
		}
	}
	if w.lazy {
		out.abandon()
		return nil // nothing has changed
	}
	if err := w.flush(); err != nil {
		out.abandon()
		return err
	}
	out.info.End = last.End
	if err := out.finish(); err != nil {
		return err
	}
	c.outputs = append(c.outputs, out)
	c.stats.Files += len(g)
	return nil
}

// groupWriter writes what is left of a group.
type groupWriter struct {
	*Compaction
	out *output
	// pending is what waits to be written.
	pending []byte
	// lazy says that nothing has changed and nothing was written so far; pieces are the sizes of what was read until then.
	lazy, changed bool
	pieces        []int
}

// batch adds what is left of a batch. It is part of a computation.
func (w *groupWriter) batch(h *batch.Header, one []byte, coders *batch.Coders) error {
	pending, result, err := w.filterBatch(w.pending, h, one, coders)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	w.pending = pending
	w.changed = w.changed || !result.Same
	w.stats.Records += int64(result.Records)
	w.stats.Kept += int64(result.Kept)
	w.stats.Tombstones += int64(result.Tombstones)
	return nil
}

// after follows each piece that was read.
func (w *groupWriter) after(x *source, pos int64, n int) error {
	w.stats.Read += int64(n)
	if w.lazy && !w.changed {
		w.pieces = append(w.pieces, n)
		w.pending = w.pending[:0]
		return nil
	}
	if w.lazy {
		w.lazy = false
		if err := w.catchUp(x); err != nil {
			return err
		}
	}
	if len(w.pending) < compactStep {
		return nil
	}
	return w.flush()
}

// catchUp writes what comes before the first change.
func (w *groupWriter) catchUp(x *source) error {
	pending := w.pending
	at := course{next: x.info.Base, sparse: x.info.Sparse}
	var pos int64
	for _, n := range w.pieces {
		w.pending = make([]byte, n)
		if err := x.read(w.pending, pos); err != nil {
			return err
		}
		// It was checked; but what comes from a disk twice may differ.
		if done, err := w.view.sound(w.pending, &at); err != nil || done < n {
			return x.corrupt(pos+int64(done), err)
		}
		if err := w.flush(); err != nil {
			return err
		}
		pos += int64(n)
	}
	w.pending, w.pieces = pending, nil
	return nil
}

func (w *groupWriter) flush() error {
	if len(w.pending) == 0 {
		return nil
	}
	if !w.options.Pace(len(w.pending)) {
		return ErrEnded
	}
	if w.out.info.Bytes+int64(len(w.pending)) > maxSegmentBytes {
		return fmt.Errorf("segment %s becomes too large", w.out.seg.name)
	}
	if err := w.out.write(w.pending); err != nil {
		return err
	}
	w.stats.Written += int64(len(w.pending))
	w.pending = w.pending[:0]
	return nil
}
