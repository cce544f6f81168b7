package partition

import (
	"fmt"
	"sort"

	"millrace/node/host"
	"millrace/partition/batch"
)

// readAhead is how much of a file a scan over batch headers reads at once.
const readAhead = 16 << 10

// source reads one segment as a view shows it: from the chunks that are still in memory, else from the file. What it
// acquires it holds until close; a Range takes it over. It belongs to one task.
type source struct {
	shared *Shared
	seg    *segment
	// index of the segment, as in the view.
	entries []indexEntry
	from    int64
	// size is the length of the segment, whole its part that can be sent from the file: blocks that are never written
	// again. The block at the end of a segment that still grows is copied, since a page that is being sent cannot be
	// thrown out of the page cache when the block is rewritten directly, and would stay there with its old bytes.
	size, whole int64
	info        SegmentInfo
	rolled      bool
	chunks      []*chunk
	states      []chunkState
	handle      *handle
	// window is a piece of the file at windowAt.
	window   *host.Buffer
	windowAt int64
	copied   *host.Buffer
}

type chunkState uint8

const (
	notTried chunkState = iota
	holding
	gone
)

// pin opens segment number i of the view; nil when it was deleted meanwhile, and there is a newer view.
func (s *Shared) pin(v *View, i int) *source {
	r := v.segment(i)
	if !r.seg.ref.Acquire() {
		return nil
	}
	x := &source{shared: s, seg: r.seg, entries: r.entries, from: r.from, size: r.info.Bytes, whole: r.info.Bytes, info: r.info,
		rolled: i < len(v.rolled), chunks: v.chunksOf(r.seg)}
	if !x.rolled {
		x.whole = blockFloor(x.size)
	}
	x.states = make([]chunkState, len(x.chunks))
	return x
}

// close lets go of everything.
func (x *source) close() {
	for i, s := range x.states {
		if s == holding {
			x.chunks[i].ref.Release()
		}
	}
	if x.handle != nil {
		x.handle.ref.Release()
	}
	if x.copied != nil {
		x.copied.Release()
	}
	x.closeWindow()
	x.seg.ref.Release()
}

func (x *source) closeWindow() {
	if x.window != nil {
		x.window.Release()
		x.window = nil
	}
}

// chunkAt returns the number of the chunk that holds pos, -1 when there is none, and where the bytes that it has or does
// not have end.
func (x *source) chunkAt(pos int64) (i int, end int64) {
	i = sort.Search(len(x.chunks), func(i int) bool { return x.chunks[i].at > pos }) - 1
	end = x.size
	if i+1 < len(x.chunks) {
		end = min(end, x.chunks[i+1].at)
	}
	if i < 0 {
		return -1, end
	}
	if last := x.chunks[i].at + int64(len(x.chunks[i].mem)); pos >= last {
		return -1, end
	} else if last < end {
		end = last
	}
	if x.states[i] == notTried {
		x.states[i] = gone
		if x.chunks[i].ref.Acquire() {
			x.states[i] = holding
		}
	}
	if x.states[i] == gone {
		return -1, end
	}
	return i, end
}

// file returns the open file.
func (x *source) file(withIndex bool) (*handle, error) {
	if x.handle != nil && (!withIndex || x.handle.index != nil) {
		return x.handle, nil
	}
	h, err := x.shared.acquireHandle(x.seg, withIndex)
	if err != nil {
		return nil, err
	}
	if x.handle != nil {
		x.handle.ref.Release()
	}
	x.handle = h
	return h, nil
}

// read fills p with the bytes at pos, all of which are below size.
func (x *source) read(p []byte, pos int64) error {
	for len(p) > 0 {
		i, end := x.chunkAt(pos)
		n := int(min(int64(len(p)), end-pos))
		if i >= 0 {
			copy(p[:n], x.chunks[i].mem[pos-x.chunks[i].at:])
		} else {
			h, err := x.file(false)
			if err != nil {
				return err
			}
			if err := h.readFull(x.seg, p[:n], pos); err != nil {
				return err
			}
		}
		p, pos = p[n:], pos+int64(n)
	}
	return nil
}

// peek returns n bytes at pos, which stay valid until the next call. It reads ahead in the file.
func (x *source) peek(pos int64, n int, scratch []byte) ([]byte, error) {
	i, end := x.chunkAt(pos)
	if i >= 0 && end-pos >= int64(n) {
		return x.chunks[i].mem[pos-x.chunks[i].at:][:n], nil
	}
	if i >= 0 || end-pos < int64(n) { // across the end of a chunk
		return scratch[:n], x.read(scratch[:n], pos)
	}
	if x.window == nil || pos < x.windowAt || pos+int64(n) > x.windowAt+int64(len(x.window.Bytes())) {
		if x.window == nil {
			x.window = x.shared.host.Buffers.Get(readAhead)
		}
		x.window.Resize(int(min(end-pos, readAhead)))
		if err := x.read(x.window.Bytes(), pos); err != nil {
			x.closeWindow()
			return nil, err
		}
		x.windowAt = pos
	}
	return x.window.Bytes()[pos-x.windowAt:][:n], nil
}

// header reads the header of the batch at pos and checks that a batch can be there.
func (x *source) header(pos int64) (batch.Header, error) {
	if x.size-pos < batch.HeaderSize {
		return batch.Header{}, x.corrupt(pos, nil)
	}
	var scratch [batch.HeaderSize]byte
	b, err := x.peek(pos, batch.HeaderSize, scratch[:])
	if err != nil {
		return batch.Header{}, err
	}
	return x.parse(b, pos)
}

// parse is the header at the start of b, which was read at pos, when a batch can be there.
func (x *source) parse(b []byte, pos int64) (batch.Header, error) {
	if len(b) < batch.HeaderSize {
		return batch.Header{}, x.corrupt(pos, nil)
	}
	h, err := batch.Parse(b)
	if err != nil || pos+int64(h.Size()) > x.size || h.BaseOffset < x.seg.base || h.LastOffsetDelta < 0 {
		return h, x.corrupt(pos, err)
	}
	return h, nil
}

func (x *source) corrupt(pos int64, err error) error {
	if err != nil {
		return fmt.Errorf("segment %s holds no batch at %d (%v): %w", x.seg.name, pos, err, ErrCorrupt)
	}
	return fmt.Errorf("segment %s holds no batch at %d: %w", x.seg.name, pos, ErrCorrupt)
}

// batch reads the whole batch at pos into memory of its own and checks its CRC.
func (x *source) batch(pos int64, h *batch.Header) ([]byte, error) {
	b := make([]byte, h.Size())
	if err := x.read(b, pos); err != nil {
		return nil, err
	}
	if err := batch.CheckCRC(b); err != nil {
		return nil, x.corrupt(pos, err)
	}
	return b, nil
}

// lookup is the last index entry for which yes holds; the start of the segment when there is none.
func (x *source) lookup(yes before) (indexEntry, error) {
	start := indexEntry{before: -1}
	if len(x.entries) > 0 && yes(x.entries[0]) {
		e, _ := lastBefore(x.entries, yes)
		return e, nil
	}
	if x.from == 0 {
		return start, nil
	}
	e, found, err := x.findInFile(yes)
	if err != nil {
		// The index is only a help: without it, the scan begins at the start.
		x.shared.host.Log.Warn("an index cannot be used", "segment", x.seg.name, "error", err)
		if x.rolled {
			x.shared.repairIndex(x.seg, x.size)
		}
		return start, nil
	}
	if !found {
		return start, nil
	}
	return e, nil
}

func (x *source) findInFile(yes before) (indexEntry, bool, error) {
	h, err := x.file(true)
	if err != nil {
		return indexEntry{}, false, err
	}
	return h.find(x.seg.base, x.from, yes)
}

// locate finds the batch that holds offset, or the first one above it, and its header. Where compaction has left none it is
// the end of the segment.
func (x *source) locate(offset int64) (int64, batch.Header, error) {
	rel := uint32(max(0, min(offset-x.seg.base, 1<<32-1)))
	e, err := x.lookup(func(e indexEntry) bool { return e.rel <= rel })
	if err != nil {
		return 0, batch.Header{}, err
	}
	for pos := int64(e.pos); ; {
		if x.info.Sparse && pos == x.size {
			return pos, batch.Header{}, nil
		}
		h, err := x.header(pos)
		if err != nil || h.LastOffset() >= offset {
			return pos, h, err
		}
		pos += int64(h.Size())
	}
}

// scanIndex makes the index entries of a segment's first size bytes anew, and checks every batch on the way.
func (s *Shared) scanIndex(g *segment, size int64) ([]indexEntry, error) {
	x := &source{shared: s, seg: g, size: size, whole: size}
	if !g.ref.Acquire() {
		return nil, ErrDropped
	}
	defer x.close()
	var out []indexEntry
	indexed, greatest := int64(0), int64(-1)
	for pos := int64(0); pos < size; {
		h, err := x.header(pos)
		if err != nil {
			return nil, err
		}
		if _, err := x.batch(pos, &h); err != nil {
			return nil, err
		}
		if due(pos, indexed, s.o.IndexInterval) {
			out = append(out, indexEntry{uint32(h.BaseOffset - g.base), uint32(pos), greatest})
			indexed = pos
		}
		greatest = max(greatest, latestOf(&h))
		pos += int64(h.Size())
	}
	return out, nil
}

// latestOf is the greatest timestamp of the records of a batch, -1 when it has none.
func latestOf(h *batch.Header) int64 {
	if h.Count == 0 {
		return -1
	}
	return h.MaxTimestamp
}

// repairIndex makes the index of a rolled segment again. It is best effort: a reader does without.
func (s *Shared) repairIndex(g *segment, size int64) {
	entries, err := s.scanIndex(g, size)
	if err != nil {
		s.host.Log.Warn("an index cannot be made again", "segment", g.name, "error", err)
		return
	}
	done := host.NewFuture[error](s.host.Tasks)
	g.writer.post(writeOp{kind: writeIndex, seg: g, index: indexWrite{entries: entries}, size: size, done: done})
	done.Get()
}
