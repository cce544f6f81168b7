package shard

import (
	"encoding/binary"
	"errors"
	"fmt"

	"millrace/partition"
)

// The kinds of records in an entry. Numbers are never given twice.
const (
	kindBatch    = 1
	kindAdopt    = 2
	kindDrop     = 3
	kindLogStart = 4
	kindRoll     = 5
	kindExpire   = 6
	kindCommand  = 7

	askReadIndex = 255 // a request that becomes no record
)

const (
	entryVersion    = 0
	entryHeaderSize = 16
	batchSize       = 64
	adoptSize       = 32
	dropSize        = 24
	logStartSize    = 32
	rollSize        = 24
	expireSize      = 12
	commandHeader   = 8

	flagRoll = 1
)

var errMalformed = errors.New("malformed entry")

// record is one descriptor of an entry. Which fields count depends on the kind.
type record struct {
	kind      uint8
	partition partition.ID

	// Of a batch.
	roll          bool
	baseOffset    int64
	count         int32
	bytes         int
	crc           uint32
	producerID    int64
	producerEpoch int16
	baseSequence  int32
	maxTimestamp  int64

	// epoch is the first leader epoch of an adopted partition.
	epoch int32
	// value is the offset of a log start, or the milliseconds of an expiry.
	value int64
	// command is the bytes for the Machine; they lie in the entry.
	command []byte
}

// beginEntry starts the data of an entry in b, which is empty; endEntry fills in the number of records.
func beginEntry(b []byte, wall int64) []byte {
	b = append(b, entryVersion, 0, 0, 0, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint64(b, uint64(wall))
}

func endEntry(b []byte, records int) { binary.LittleEndian.PutUint32(b[4:], uint32(records)) }

// put appends the record to the data of an entry.
func (r *record) put(b []byte) []byte {
	le := binary.LittleEndian
	flags, epoch := byte(0), uint16(0)
	if r.kind == kindBatch {
		epoch = uint16(r.producerEpoch)
		if r.roll {
			flags = flagRoll
		}
	}
	b = append(b, r.kind, flags)
	b = le.AppendUint16(b, epoch)
	switch r.kind {
	case kindCommand:
		b = le.AppendUint32(b, uint32(len(r.command)))
		return append(b, r.command...)
	case kindExpire:
		return le.AppendUint64(b, uint64(r.value))
	}
	b = le.AppendUint32(b, uint32(r.partition.Index))
	b = append(b, r.partition.Topic[:]...)
	switch r.kind {
	case kindBatch:
		b = le.AppendUint64(b, uint64(r.baseOffset))
		b = le.AppendUint32(b, uint32(r.count))
		b = le.AppendUint32(b, uint32(r.bytes))
		b = le.AppendUint32(b, r.crc)
		b = le.AppendUint32(b, uint32(r.baseSequence))
		b = le.AppendUint64(b, uint64(r.producerID))
		b = le.AppendUint64(b, uint64(r.maxTimestamp))
	case kindAdopt:
		b = le.AppendUint32(b, uint32(r.epoch))
		b = le.AppendUint32(b, 0)
	case kindLogStart:
		b = le.AppendUint64(b, uint64(r.value))
	}
	return b
}

// entryReader reads the records of an entry one after the other.
type entryReader struct {
	wall  int64
	left  int
	bytes []byte
}

// readEntry begins to read the data of an entry. Committed data is malformed only when it is corrupt or of a newer
// release.
func readEntry(data []byte) (entryReader, error) {
	switch {
	case len(data) < entryHeaderSize:
		return entryReader{}, fmt.Errorf("%w: %d bytes are less than a header", errMalformed, len(data))
	case data[0] != entryVersion:
		return entryReader{}, fmt.Errorf("entry of version %d, newer than this release knows (%d)", data[0], entryVersion)
	}
	return entryReader{
		wall:  int64(binary.LittleEndian.Uint64(data[8:])),
		left:  int(binary.LittleEndian.Uint32(data[4:])),
		bytes: data[entryHeaderSize:],
	}, nil
}

// next reads a record into r; it returns false when there is none left.
func (e *entryReader) next(r *record) (bool, error) {
	if e.left == 0 {
		if len(e.bytes) > 0 {
			return false, fmt.Errorf("%w: %d bytes after the last record", errMalformed, len(e.bytes))
		}
		return false, nil
	}
	b := e.bytes
	size := recordSize(b)
	if size == 0 || size > len(b) {
		return false, fmt.Errorf("%w: %d records are missing", errMalformed, e.left)
	}
	e.left--
	e.bytes = b[size:]
	r.get(b[:size])
	return true, nil
}

// recordSize is the length of the record that b begins with, 0 when that cannot be told.
func recordSize(b []byte) int {
	if len(b) < commandHeader {
		return 0
	}
	switch b[0] {
	case kindBatch:
		return batchSize
	case kindAdopt:
		return adoptSize
	case kindDrop:
		return dropSize
	case kindLogStart:
		return logStartSize
	case kindRoll:
		return rollSize
	case kindExpire:
		return expireSize
	case kindCommand:
		return commandHeader + int(binary.LittleEndian.Uint32(b[4:]))
	}
	return 0
}

// get reads the record that b is.
func (r *record) get(b []byte) {
	le := binary.LittleEndian
	*r = record{kind: b[0]}
	switch r.kind {
	case kindCommand:
		r.command = b[commandHeader:]
		return
	case kindExpire:
		r.value = int64(le.Uint64(b[4:]))
		return
	}
	r.partition.Index = int32(le.Uint32(b[4:]))
	copy(r.partition.Topic[:], b[8:])
	switch r.kind {
	case kindBatch:
		r.roll = b[1]&flagRoll != 0
		r.producerEpoch = int16(le.Uint16(b[2:]))
		r.baseOffset = int64(le.Uint64(b[24:]))
		r.count = int32(le.Uint32(b[32:]))
		r.bytes = int(le.Uint32(b[36:]))
		r.crc = le.Uint32(b[40:])
		r.baseSequence = int32(le.Uint32(b[44:]))
		r.producerID = int64(le.Uint64(b[48:]))
		r.maxTimestamp = int64(le.Uint64(b[56:]))
	case kindAdopt:
		r.epoch = int32(le.Uint32(b[24:]))
	case kindLogStart:
		r.value = int64(le.Uint64(b[24:]))
	}
}
