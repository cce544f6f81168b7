package wal

import (
	"fmt"
	"hash/crc32"
	"io"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// cursor reads a file in aligned pieces and shows any part of it. Only one task may use it. A piece is short after a
// jump and longer the further the reading goes on from there.
type cursor struct {
	handle host.File
	name   string
	size   int64
	window *host.Buffer
	start  int64 // of the window in the file
	filled int64 // bytes in the window
	ahead  int64 // bytes of the next piece
	eager  bool  // pieces are never short
	joined []byte
}

// windowBytes is how much a cursor reads at most at once: 1 MiB of files of the usual size.
func (o *Options) windowBytes() int { return int(min(1<<20, max(host.Align, roundUp(o.FileSize/64)))) }

// jumpBytes is how much a cursor reads after a jump.
const jumpBytes = 16 << 10

// reset points the cursor to another file.
func (c *cursor) reset(handle host.File, name string, size int64) {
	c.handle, c.name, c.size, c.filled = handle, name, size, 0
}

// at returns what the file holds from an offset below its size on: at least one byte.
func (c *cursor) at(offset int64) ([]byte, error) {
	if offset < c.start || offset >= c.start+c.filled {
		start := offset &^ (host.Align - 1)
		if c.filled > 0 && start == c.start+c.filled {
			c.ahead *= 4
		} else if !c.eager {
			c.ahead = jumpBytes
		} else {
			c.ahead = int64(len(c.window.Bytes()))
		}
		c.ahead = min(c.ahead, int64(len(c.window.Bytes())))
		n := min(c.ahead, c.size-start)
		c.filled = 0
		got, err := c.handle.ReadAt(c.window.Bytes()[:n], start)
		if err != nil && !(err == io.EOF && int64(got) == n) {
			return nil, fmt.Errorf("wal: reading %s at offset %d: %w", c.name, start, err)
		}
		c.start, c.filled = start, n
	}
	return c.window.Bytes()[offset-c.start : c.filled], nil
}

// part returns n bytes from an offset on, which must lie in the file. They are good until the next call.
func (c *cursor) part(offset, n int64) ([]byte, error) {
	b, err := c.at(offset)
	if err != nil || int64(len(b)) >= n {
		return b[:min(n, int64(len(b)))], err
	}
	c.joined = append(c.joined[:0], b...)
	for int64(len(c.joined)) < n {
		b, err := c.at(offset + int64(len(c.joined)))
		if err != nil {
			return nil, err
		}
		c.joined = append(c.joined, b[:min(int64(len(b)), n-int64(len(c.joined)))]...)
	}
	return c.joined, nil
}

// sum continues a checksum over n bytes from an offset on.
func (c *cursor) sum(sum uint32, offset, n int64) (uint32, error) {
	for n > 0 {
		b, err := c.at(offset)
		if err != nil {
			return 0, err
		}
		b = b[:min(int64(len(b)), n)]
		sum = crc32.Update(sum, castagnoli, b)
		offset += int64(len(b))
		n -= int64(len(b))
	}
	return sum, nil
}

// scanned is a record of a group that has been read.
type scanned struct {
	recordHeader
	body  []byte // its data
	value []byte // the payload of a keyed record
	at    Location
}

// scanner reads the groups of a file.
type scanner struct {
	cursor
	header  fileHeader
	records []scanned // of the group last read
	arena   []byte    // where bodies are kept
}

// keep returns a copy of b that lives as long as what was recovered.
func (s *scanner) keep(b []byte) []byte {
	const arenaBytes = 64 << 10
	if len(b) >= arenaBytes/8 {
		return append([]byte(nil), b...)
	}
	if cap(s.arena)-len(s.arena) < len(b) {
		s.arena = make([]byte, 0, arenaBytes)
	}
	at := len(s.arena)
	s.arena = append(s.arena, b...)
	return s.arena[at:len(s.arena):len(s.arena)]
}

// groupAt returns the header of a group of this use of the file, if there is one at the offset.
func (s *scanner) groupAt(offset int64) (groupHeader, bool, error) {
	if offset+groupBytes > s.header.size {
		return groupHeader{}, false, nil
	}
	b, err := s.part(offset, groupBytes)
	if err != nil {
		return groupHeader{}, false, err
	}
	h, ok := parseGroupHeader(b, s.header, offset)
	return h, ok, nil
}

// read checks the records of a group and keeps them in s.records. It returns false when the group is not whole. The
// payloads of entries are read and checked only if asked for.
func (s *scanner) read(g groupHeader, payloads bool) (bool, error) {
	s.records = s.records[:0]
	seed := g.seed()
	at, end := g.offset+groupBytes, g.offset+g.length
	for range g.records {
		if end-at < recordBytes {
			return false, nil
		}
		r, ok, err := s.record(seed, at, end, payloads)
		if err != nil || !ok {
			return false, err
		}
		s.records = append(s.records, r)
		at += r.size()
	}
	return at == end, nil
}

// record checks the record at an offset.
func (s *scanner) record(seed uint32, at, end int64, payloads bool) (scanned, bool, error) {
	b, err := s.part(at, recordBytes)
	if err != nil {
		return scanned{}, false, err
	}
	h, want := parseRecordHeader(b)
	if h.data > MaxRecord || h.payload > MaxRecord || h.size() > end-at {
		return scanned{}, false, nil
	}
	r := scanned{recordHeader: h, at: Location{
		file: s.header.number, offset: at, data: h.data, payload: h.payload, pad: h.pad, seed: seed,
	}}
	if b, err = s.part(at, recordBytes+int64(h.data)); err != nil {
		return scanned{}, false, err
	}
	sum := crc32.Update(seed, castagnoli, b[4:])
	if sum != want && !mutant.On("wal-torn-tail-accepted") {
		return scanned{}, false, nil
	}
	r.body = s.keep(b[recordBytes:])
	payload := at + recordBytes + int64(h.data) + int64(h.pad)
	switch {
	case h.kind == kindState && h.payload > 0:
		if b, err = s.part(payload, int64(h.payload)); err != nil {
			return scanned{}, false, err
		}
		sum = crc32.Update(seed, castagnoli, b)
		r.value = s.keep(b)
	case payloads:
		if sum, err = s.sum(seed, payload, int64(h.payload)); err != nil {
			return scanned{}, false, err
		}
	default:
		sum = h.payloadSum
	}
	return r, sum == h.payloadSum || mutant.On("wal-torn-tail-accepted"), nil
}

// laterGroup looks from an offset on for a group of this use of the file.
func (s *scanner) laterGroup(offset int64) (int64, bool, error) {
	for ; offset < s.header.size; offset += host.Align {
		if _, ok, err := s.groupAt(offset); err != nil || ok {
			return offset, ok, err
		}
	}
	return 0, false, nil
}
