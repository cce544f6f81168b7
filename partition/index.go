package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sort"

	"millrace/node/host"
)

// indexEntry points to a batch of a segment.
type indexEntry struct {
	// rel is the batch's base offset less the segment's.
	rel uint32
	// pos is where the batch begins.
	pos uint32
	// before is the greatest timestamp of all batches of the segment in front of it.
	before int64
}

const (
	indexBlock       = 4096
	indexBlockHeader = 16
	indexEntryBytes  = 16
	indexPerBlock    = (indexBlock - indexBlockHeader) / indexEntryBytes
	indexVersion     = 0
	indexMagic       = 'M'<<24 | 'I'<<16 | 'X'<<8 | indexVersion
	// indexSpread lets entries become rarer as a segment grows, so that an index has at most some 40,000.
	indexSpread = 8192
	// indexKept is how many entries of the segment being written stay in memory when they are in the file.
	indexKept = 4096
)

// due says whether the batch at position pos gets an entry, when the last one points to indexed.
func due(pos, indexed int64, interval int) bool {
	return pos > 0 && pos-indexed >= max(int64(interval), pos/indexSpread)
}

// indexWrite is a piece of an index: entries from number first on.
type indexWrite struct {
	first   int64
	entries []indexEntry
}

// putIndexBlock writes block number n with up to indexPerBlock entries to b, which is indexBlock long.
func putIndexBlock(b []byte, base int64, n int64, entries []indexEntry) {
	clear(b)
	binary.BigEndian.PutUint32(b, indexMagic)
	binary.BigEndian.PutUint32(b[4:], uint32(n))
	binary.BigEndian.PutUint16(b[8:], uint16(len(entries)))
	for i, e := range entries {
		at := b[indexBlockHeader+i*indexEntryBytes:]
		binary.BigEndian.PutUint32(at, e.rel)
		binary.BigEndian.PutUint32(at[4:], e.pos)
		binary.BigEndian.PutUint64(at[8:], uint64(e.before))
	}
	binary.BigEndian.PutUint32(b[12:], indexChecksum(b, base))
}

// indexChecksum covers the block and the base offset of its segment, without the checksum itself.
func indexChecksum(b []byte, base int64) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := crc32.Checksum(binary.BigEndian.AppendUint64(nil, uint64(base)), table)
	crc = crc32.Update(crc, table, b[:12])
	return crc32.Update(crc, table, b[indexBlockHeader:])
}

// indexEntries reads a block; false when it is not block n of this segment, whole.
func indexEntries(b []byte, base int64, n int64, into []indexEntry) ([]indexEntry, bool) {
	if binary.BigEndian.Uint32(b) != indexMagic || binary.BigEndian.Uint32(b[4:]) != uint32(n) ||
		binary.BigEndian.Uint32(b[12:]) != indexChecksum(b, base) {
		return nil, false
	}
	count := int(binary.BigEndian.Uint16(b[8:]))
	if count > indexPerBlock {
		return nil, false
	}
	for i := range count {
		at := b[indexBlockHeader+i*indexEntryBytes:]
		into = append(into, indexEntry{binary.BigEndian.Uint32(at), binary.BigEndian.Uint32(at[4:]), int64(binary.BigEndian.Uint64(at[8:]))})
	}
	return into, true
}

// writeIndex writes entries to a segment's index file. The first of them may lie inside a block: then the entries before
// it in that block are read from the file. An index that turns out to be missing or bad is made again from the segment's
// first size bytes, which are written before.
func (s *Shared) writeIndex(g *segment, w indexWrite, size int64) error {
	file, err := s.host.Disk.Open(g.name+indexSuffix, host.Mode{})
	if errors.Is(err, host.ErrNotExist) {
		file, err = s.host.Disk.Create(g.name+indexSuffix, 0, host.Mode{})
	}
	if err != nil {
		return fmt.Errorf("write index of segment %s: %w", g.name, err)
	}
	block := w.first / indexPerBlock
	entries := w.entries
	if within := int(w.first % indexPerBlock); within > 0 {
		have, err := readIndexBlock(file, g.base, block)
		if err == nil && len(have) >= within {
			entries = append(have[:within:within], w.entries...)
		} else {
			s.host.Log.Warn("an index is bad and is made again", "segment", g.name)
			if block, entries, err = 0, nil, nil; err == nil {
				entries, err = s.scanIndex(g, size)
			}
			if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrDropped) {
				s.host.Log.Warn("an index cannot be made again", "segment", g.name, "error", err)
				return file.Close() // the segment is damaged: a reader or the scrub finds out
			}
			if err != nil {
				file.Close()
				return fmt.Errorf("make index of segment %s again: %w", g.name, err)
			}
		}
	}
	err = putIndex(file, g.base, block, entries)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write index of segment %s: %w", g.name, err)
	}
	return nil
}

// putIndex writes entries as blocks from number block on.
func putIndex(file host.File, base, block int64, entries []indexEntry) error {
	blocks := (len(entries) + indexPerBlock - 1) / indexPerBlock
	b := make([]byte, blocks*indexBlock)
	for i := range blocks {
		part := entries[i*indexPerBlock : min((i+1)*indexPerBlock, len(entries))]
		putIndexBlock(b[i*indexBlock:(i+1)*indexBlock], base, block+int64(i), part)
	}
	if blocks == 0 {
		return nil
	}
	return file.WriteAt(block*indexBlock, b)
}

var errBadIndex = errors.New("bad index")

func readIndexBlock(file host.File, base, block int64) ([]indexEntry, error) {
	var b [indexBlock]byte
	if n, err := file.ReadAt(b[:], block*indexBlock); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = errBadIndex
		}
		return nil, err
	}
	entries, ok := indexEntries(b[:], base, block, nil)
	if !ok {
		return nil, errBadIndex
	}
	return entries, nil
}

// before is a question to an index: whether an entry lies at or in front of what is looked for. Its answers along an
// index are first yes, then no.
type before func(e indexEntry) bool

// lastBefore returns the last entry of a sorted list for which yes holds.
func lastBefore(entries []indexEntry, yes before) (indexEntry, bool) {
	i := sort.Search(len(entries), func(i int) bool { return !yes(entries[i]) })
	if i == 0 {
		return indexEntry{before: -1}, false
	}
	return entries[i-1], true
}

// find is lastBefore over the first count entries of an index file; errBadIndex when a block that it needs is not sound.
func (h *handle) find(base, count int64, yes before) (indexEntry, bool, error) {
	none := indexEntry{before: -1}
	if h.index == nil {
		return none, false, errBadIndex
	}
	blocks := (count + indexPerBlock - 1) / indexPerBlock
	var failed error
	var found []indexEntry
	n := sort.Search(int(blocks), func(i int) bool {
		if failed != nil {
			return true
		}
		entries, err := readIndexBlock(h.index, base, int64(i))
		if err == nil && len(entries) == 0 {
			err = errBadIndex
		}
		if err != nil {
			failed = err
			return true
		}
		if yes(entries[0]) {
			found = entries
			return false
		}
		return true
	})
	if failed != nil {
		return none, false, failed
	}
	if n == 0 {
		return none, false, nil
	}
	last := count - int64(n-1)*indexPerBlock
	if int64(len(found)) > last {
		found = found[:last]
	}
	e, ok := lastBefore(found, yes)
	return e, ok, nil
}
