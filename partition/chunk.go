package partition

import (
	"math/bits"

	"millrace/node/host"
)

// chunk is a piece of a segment in memory: whole aligned blocks from position at on. The log appends to the last chunk of
// its active segment; full chunks are written by the writer and then serve recent reads from the cache. A byte, once
// published, never changes, so readers and the appending owner share a chunk without meeting.
//
// Whoever holds ref may read. It is held by the log while it appends, then by the writer and its cache, and by readers.
// The cache lets go only after the chunk is in the file: a reader that cannot acquire a chunk finds its bytes there.
type chunk struct {
	seg *segment
	at  int64
	mem []byte
	buf *host.Buffer
	ref *host.Ref
}

func newChunk(h host.Host, seg *segment, at int64, size int) *chunk {
	buf := h.Buffers.Get(size)
	buf.Resize(buf.Cap())
	c := &chunk{seg: seg, at: at, buf: buf, mem: buf.Bytes()}
	c.ref = host.NewRef(h.Tasks, buf.Release)
	return c
}

// upTo is the chunk as readers see it when only its first n bytes are of use.
func (c *chunk) upTo(n int) *chunk {
	return &chunk{seg: c.seg, at: c.at, mem: c.mem[:n], buf: c.buf, ref: c.ref}
}

// alive says whether the chunk was still in memory a moment ago.
func (c *chunk) alive() bool {
	if !c.ref.Acquire() {
		return false
	}
	c.ref.Release()
	return true
}

// blockFloor rounds down to whole blocks, blockCeil up.
func blockFloor[T int | int64](n T) T { return n &^ (host.Align - 1) }
func blockCeil[T int | int64](n T) T  { return (n + host.Align - 1) &^ (host.Align - 1) }

// powerCeil is the smallest power of two that is at least n.
func powerCeil(n int) int { return 1 << bits.Len(uint(max(n, 1)-1)) }
