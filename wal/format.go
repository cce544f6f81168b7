package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// The format on disk; doc.go draws it.
const (
	formatVersion = 1

	fileMagic   = "MRWALOG\x00"
	fileBytes   = 64         // of the file header that mean something
	headerBlock = host.Align // the file header has a block of its own; groups begin after it

	groupMagic = 0x4757524d // "MRWG"
	groupBytes = 64

	recordBytes = 48
	recordAlign = 8
)

// Kinds of records.
const (
	kindShard  = 1 // hard state and compaction point of a shard
	kindEntry  = 2 // a raft entry; supersedes its shard's entries from its index on
	kindCopy   = 3 // a raft entry written again, because its first file is to be freed; supersedes nothing
	kindState  = 4 // a keyed record
	kindDelete = 5 // the end of a keyed record
	kindForget = 6 // the end of a shard
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fileHeader is the first block of a file, durable before the file gets its name.
type fileHeader struct {
	directory  [16]byte
	generation uint64 // drawn anew, from a source that nobody can guess, each time that the file is used
	number     uint64 // of the file; the log's order
	size       int64
}

// put writes the header into block, headerBlock bytes of zeros.
func (h fileHeader) put(block []byte) {
	copy(block, fileMagic)
	le := binary.LittleEndian
	le.PutUint32(block[8:], formatVersion)
	copy(block[16:32], h.directory[:])
	le.PutUint64(block[32:], h.generation)
	le.PutUint64(block[40:], h.number)
	le.PutUint64(block[48:], uint64(h.size))
	le.PutUint32(block[60:], crc32.Checksum(block[:60], castagnoli))
}

// parseFileHeader reads the header of the named file, which must be the one with this number in this directory.
func parseFileHeader(block []byte, name string, directory [16]byte, number uint64) (fileHeader, error) {
	var h fileHeader
	le := binary.LittleEndian
	if len(block) < fileBytes || string(block[:8]) != fileMagic {
		return h, fmt.Errorf("%w: %s does not begin with the header of a log file", ErrCorrupt, name)
	}
	// The version comes first: a newer one may keep its checksum elsewhere.
	if v := le.Uint32(block[8:]); v > formatVersion {
		return h, fmt.Errorf("%w: %s has format %d, and this version of Millrace knows formats up to %d: start the version that wrote it, or a newer one", ErrForeign, name, v, formatVersion)
	}
	if crc32.Checksum(block[:60], castagnoli) != le.Uint32(block[60:]) || le.Uint32(block[8:]) == 0 {
		return h, fmt.Errorf("%w: the header of %s has a bad checksum", ErrCorrupt, name)
	}
	copy(h.directory[:], block[16:32])
	h.generation = le.Uint64(block[32:])
	h.number = le.Uint64(block[40:])
	h.size = int64(le.Uint64(block[48:]))
	if h.directory != directory {
		return h, fmt.Errorf("%w: %s belongs to data directory %x, and this one is %x: put the right directory back", ErrForeign, name, h.directory, directory)
	}
	if h.number != number || h.size < smallestFile || h.size%host.Align != 0 {
		return h, fmt.Errorf("%w: the header of %s says that it is file %d of %d bytes", ErrCorrupt, name, h.number, h.size)
	}
	return h, nil
}

// groupHeader begins a group at a multiple of host.Align.
type groupHeader struct {
	generation uint64
	number     uint64 // of the file
	offset     int64  // in the file
	sequence   uint64 // of the group in the log, from 1, without gaps over all files
	first      uint64 // the oldest file that is needed to recover the log at this group
	length     int64  // from the group header to the end of the last record
	records    uint32
}

func (h groupHeader) put(b []byte) {
	le := binary.LittleEndian
	le.PutUint32(b, groupMagic)
	le.PutUint32(b[4:], h.records)
	le.PutUint64(b[8:], h.generation)
	le.PutUint64(b[16:], h.number)
	le.PutUint64(b[24:], uint64(h.offset))
	le.PutUint64(b[32:], h.sequence)
	le.PutUint64(b[40:], h.first)
	le.PutUint64(b[48:], uint64(h.length))
	le.PutUint32(b[56:], 0)
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

// parseGroupHeader returns the header at the offset of a file, or false when what is there was not written there in
// this use of the file: zeros, records of an earlier use, the inside of a group, a write cut short, damage.
func parseGroupHeader(b []byte, f fileHeader, offset int64) (groupHeader, bool) {
	le := binary.LittleEndian
	if le.Uint32(b) != groupMagic || crc32.Checksum(b[:60], castagnoli) != le.Uint32(b[60:]) {
		return groupHeader{}, false
	}
	h := groupHeader{
		records:    le.Uint32(b[4:]),
		generation: le.Uint64(b[8:]),
		number:     le.Uint64(b[16:]),
		offset:     int64(le.Uint64(b[24:])),
		sequence:   le.Uint64(b[32:]),
		first:      le.Uint64(b[40:]),
		length:     int64(le.Uint64(b[48:])),
	}
	ours := h.generation == f.generation && h.number == f.number && h.offset == offset
	if mutant.On("wal-recycled-group-accepted") {
		ours = h.offset == offset
	}
	whole := h.length >= groupBytes && h.length <= f.size-offset && int64(h.records) <= (h.length-groupBytes)/recordBytes
	return h, ours && whole
}

// seed is what the checksums of a group's records start from: bytes of an earlier use of the file, or of an earlier
// group, never check.
func (h groupHeader) seed() uint32 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], h.generation)
	binary.LittleEndian.PutUint64(b[8:], h.sequence)
	return crc32.Checksum(b[:], castagnoli)
}

// recordHeader begins a record, at a multiple of recordAlign in the file. Data, padding and payload follow.
type recordHeader struct {
	kind      uint8
	entryType uint8
	pad       uint16 // bytes between data and payload
	data      uint32 // bytes
	payload   uint32 // bytes
	shard     uint64
	index     uint64
	term      uint64
	// payloadSum is the checksum of the payload, from the group's seed on. It is apart from the record's own, so that
	// recovery can check a record without reading its payload.
	payloadSum uint32
}

// size is how far it is to the next record.
func (h recordHeader) size() int64 {
	n := int64(recordBytes) + int64(h.data) + int64(h.pad) + int64(h.payload)
	return (n + recordAlign - 1) &^ (recordAlign - 1)
}

// put writes the header with its checksum, which covers everything from byte 4 to the end of data.
func (h recordHeader) put(b []byte, seed uint32, data []byte) {
	le := binary.LittleEndian
	le.PutUint32(b[4:], h.payloadSum)
	le.PutUint32(b[8:], h.data)
	le.PutUint32(b[12:], h.payload)
	b[16], b[17] = h.kind, h.entryType
	le.PutUint16(b[18:], h.pad)
	le.PutUint32(b[20:], 0)
	le.PutUint64(b[24:], h.shard)
	le.PutUint64(b[32:], h.index)
	le.PutUint64(b[40:], h.term)
	sum := crc32.Update(seed, castagnoli, b[4:recordBytes])
	le.PutUint32(b, crc32.Update(sum, castagnoli, data))
}

// parseRecordHeader is the inverse of put; it returns the checksum beside the header.
func parseRecordHeader(b []byte) (recordHeader, uint32) {
	le := binary.LittleEndian
	return recordHeader{
		payloadSum: le.Uint32(b[4:]),
		data:       le.Uint32(b[8:]),
		payload:    le.Uint32(b[12:]),
		kind:       b[16],
		entryType:  b[17],
		pad:        le.Uint16(b[18:]),
		shard:      le.Uint64(b[24:]),
		index:      le.Uint64(b[32:]),
		term:       le.Uint64(b[40:]),
	}, le.Uint32(b)
}

// shardRecord is the data of a kindShard record.
type shardRecord struct {
	hard    HardState
	compact uint64
}

const shardRecordBytes = 32

func (s shardRecord) put(b []byte) {
	le := binary.LittleEndian
	le.PutUint64(b, s.hard.Term)
	le.PutUint64(b[8:], s.hard.Vote)
	le.PutUint64(b[16:], s.hard.Commit)
	le.PutUint64(b[24:], s.compact)
}

func parseShardRecord(b []byte) (shardRecord, bool) {
	if len(b) != shardRecordBytes {
		return shardRecord{}, false
	}
	le := binary.LittleEndian
	return shardRecord{HardState{le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:])}, le.Uint64(b[24:])}, true
}

func roundUp(n int64) int64 { return (n + host.Align - 1) &^ (host.Align - 1) }
