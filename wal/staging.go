package wal

import (
	"hash/crc32"

	"millrace/node/host"
	"millrace/partition/batch"
)

// staging is the memory in which a group is put together: aligned chunks that are used again for the next group, since
// memory that is warm costs a fraction of memory that is not.
type staging struct {
	pool   *host.Pool
	chunk  int // bytes
	chunks []*host.Buffer
	slices [][]byte // the chunks as they are written, kept to save the allocation
	size   int64    // bytes put so far
	head   [recordBytes]byte
}

// chunkBytes is the size of a chunk, 256 KiB for groups of the usual size. Small groups touch only the beginning of the
// first one.
func (o *Options) chunkBytes() int {
	return min(256<<10, max(host.Align, int(roundUp(int64(o.GroupBytes/16)))))
}

// next returns the memory that follows, at least one byte.
func (s *staging) next() []byte {
	i := int(s.size / int64(s.chunk))
	if i == len(s.chunks) {
		s.chunks = append(s.chunks, s.pool.Get(s.chunk))
	}
	return s.chunks[i].Bytes()[s.size%int64(s.chunk):]
}

// put copies p behind what is there.
func (s *staging) put(p []byte) {
	for len(p) > 0 {
		n := copy(s.next(), p)
		s.size += int64(n)
		p = p[n:]
	}
}

// zero puts n zeros.
func (s *staging) zero(n int64) {
	for n > 0 {
		room := s.next()
		if int64(len(room)) > n {
			room = room[:n]
		}
		clear(room)
		s.size += int64(len(room))
		n -= int64(len(room))
	}
}

// begin starts a group, leaving room for its header.
func (s *staging) begin() {
	s.size = 0
	s.next()
	s.size = groupBytes
}

// finish puts the group's header in its place, pads the group to whole blocks and returns it, until the next begin.
func (s *staging) finish(h groupHeader) [][]byte {
	h.put(s.chunks[0].Bytes()[:groupBytes])
	s.zero(roundUp(s.size) - s.size)
	s.slices = s.slices[:0]
	for left := s.size; left > 0; left -= int64(s.chunk) {
		b := s.chunks[len(s.slices)].Bytes()
		s.slices = append(s.slices, b[:min(left, int64(s.chunk))])
	}
	return s.slices
}

// record puts a record and returns where in the group it begins. The parts are its payload; sums are as in Payload.
func (s *staging) record(seed uint32, h recordHeader, data []byte, parts [][]byte, sums []uint32) int64 {
	h.payloadSum = seed
	for i, p := range parts {
		if len(p) >= SumFrom && len(sums) > i {
			h.payloadSum = batch.JoinSums(h.payloadSum, sums[i], len(p))
			continue
		}
		h.payloadSum = crc32.Update(h.payloadSum, castagnoli, p)
	}
	h.put(s.head[:], seed, data)
	at := s.size
	s.put(s.head[:])
	s.put(data)
	s.zero(int64(h.pad))
	for _, p := range parts {
		s.put(p)
	}
	s.zero(at + h.size() - s.size)
	return at
}

// shrink gives back what a small group does not need.
func (s *staging) shrink(chunks int) {
	for len(s.chunks) > chunks {
		last := len(s.chunks) - 1
		s.chunks[last].Release()
		s.chunks[last] = nil
		s.chunks = s.chunks[:last]
	}
	s.slices = s.slices[:0]
}
