package partition

import (
	"fmt"
	"hash/crc32"

	"millrace/node/host"
	"millrace/partition/batch"
)

// builder writes a segment file beside those that apply writes, under a generation of its own. It belongs to one task.
type builder struct {
	log     *Log
	info    SegmentInfo
	seg     *segment
	file    host.File
	entries []indexEntry
}

// name gives the segment its base offset and a generation, and keeps what is known of it otherwise.
func (w *builder) name(base int64) error {
	l := w.log
	if !l.hold.Acquire() {
		return ErrDropped
	}
	was := w.info
	w.info = emptySegment(base)
	w.info.FirstWall, w.info.LastWall, w.info.Sparse = was.FirstWall, was.LastWall, was.Sparse
	w.info.Generation = l.generations.Add(1) - 1
	w.seg = newSegment(l.shared, l.writer, l.dir, l.hold, w.info.Base, w.info.Generation, false)
	return nil
}

// write writes whole batches that were checked, and notes them in the index. The segment has a name.
func (w *builder) write(b []byte) error {
	if w.file == nil && len(b) > 0 {
		var err error
		w.seg.exists = true
		if w.file, err = w.log.shared.host.Disk.Create(w.seg.name+logSuffix, 0, host.Mode{}); err != nil {
			w.abandon()
			return fmt.Errorf("make segment %s: %w", w.seg.name, err)
		}
	}
	if err := w.file.WriteAt(w.info.Bytes, b); err != nil {
		return fmt.Errorf("write segment %s: %w", w.seg.name, err)
	}
	for n := 0; n < len(b); {
		h, _ := batch.Parse(b[n:]) // it was checked
		w.note(&h, b[n:])
		n += h.Size()
	}
	return nil
}

// note counts a batch that is written at the end.
func (w *builder) note(h *batch.Header, one []byte) {
	i := &w.info
	if i.Bytes == 0 {
		i.FirstTimestamp = h.MaxTimestamp
	}
	if due(i.Bytes, i.Indexed, w.log.shared.o.IndexInterval) {
		w.entries = append(w.entries, indexEntry{uint32(h.BaseOffset - i.Base), uint32(i.Bytes), i.MaxTimestamp})
		i.Indexed = i.Bytes
		i.Entries++
	}
	i.MaxTimestamp = max(i.MaxTimestamp, latestOf(h))
	i.Bytes += int64(h.Size())
	i.Transactional = i.Transactional || h.Transactional() || h.Control()
	if horizon, ok := h.Horizon(); ok && horizon > 0 && (i.Horizon == 0 || horizon < i.Horizon) {
		i.Horizon = horizon
	}
	if i.Sparse {
		i.Sum = crc32.Update(i.Sum, crc32.MakeTable(crc32.Castagnoli), one[:prefix])
	}
}

// finish writes the index and closes the file. Its bytes become durable with the checkpoint that has it.
func (w *builder) finish() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	if err == nil && len(w.entries) > 0 {
		err = w.log.shared.writeIndex(w.seg, indexWrite{entries: w.entries}, w.info.Bytes)
	}
	w.entries = nil
	if err != nil {
		w.abandon()
		return fmt.Errorf("finish segment: %w", err)
	}
	return nil
}

// abandon deletes the file, unless somebody has taken the segment.
func (w *builder) abandon() {
	if w.file != nil {
		// What cannot be closed is deleted all the same.
		_ = w.file.Close()
		w.file = nil
	}
	if w.seg != nil {
		w.seg.doomed = true
		w.seg.ref.Release()
		w.seg = nil
	}
}
