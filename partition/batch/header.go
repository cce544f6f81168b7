package batch

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	// HeaderSize is the size of a batch without records.
	HeaderSize = 61
	// Overhead is the part of the header that Length does not count: base offset and length.
	Overhead = 12
	// Magic is the only format version that is stored.
	Magic = 2

	// NoProducer is the producer id of a batch that is not idempotent.
	NoProducer int64 = -1
	// NoSequence is the base sequence of a batch that is not idempotent.
	NoSequence int32 = -1
	// NoTimestamp stands for a record without a time.
	NoTimestamp int64 = -1
)

const (
	lengthAt          = 8
	leaderEpochAt     = 12
	magicAt           = 16
	crcAt             = 17
	attributesAt      = 21
	lastOffsetDeltaAt = 23
	baseTimestampAt   = 27
	maxTimestampAt    = 35
	producerIDAt      = 43
	producerEpochAt   = 51
	baseSequenceAt    = 53
	countAt           = 57
)

const (
	codecMask          = 0x07
	maxTimestampWidth  = 8
	smallestLegacySize = 14 // the smallest record of format 0, after Overhead
)

// Attribute bits.
const (
	LogAppendTimeBit int16 = 0x08
	TransactionalBit int16 = 0x10
	ControlBit       int16 = 0x20
	DeleteHorizonBit int16 = 0x40
)

// Codec is the compression of a batch's records, as in its attributes.
type Codec uint8

// The codecs, by their numbers in the attributes.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return "unknown"
}

// Header is the fixed part of a batch. See the package comment for its layout.
type Header struct {
	BaseOffset int64
	// Length counts the bytes after itself: Size() - Overhead.
	Length      int32
	LeaderEpoch int32
	Magic       int8
	// CRC is the CRC32C of everything from the attributes on.
	CRC             uint32
	Attributes      int16
	LastOffsetDelta int32
	BaseTimestamp   int64
	MaxTimestamp    int64
	ProducerID      int64
	ProducerEpoch   int16
	BaseSequence    int32
	Count           int32
}

// Parse reads the header at the start of b, which may be shorter or longer than the batch. It checks only that a header
// of format 2 is there and that its length is possible; see CheckCRC and Validate for the rest.
func Parse(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, refuse(CorruptMessage, "a batch header needs %d bytes, there are %d", HeaderSize, len(b))
	}
	_ = b[HeaderSize-1]
	h := Header{
		BaseOffset:      int64(binary.BigEndian.Uint64(b)),
		Length:          int32(binary.BigEndian.Uint32(b[lengthAt:])),
		LeaderEpoch:     int32(binary.BigEndian.Uint32(b[leaderEpochAt:])),
		Magic:           int8(b[magicAt]),
		CRC:             binary.BigEndian.Uint32(b[crcAt:]),
		Attributes:      int16(binary.BigEndian.Uint16(b[attributesAt:])),
		LastOffsetDelta: int32(binary.BigEndian.Uint32(b[lastOffsetDeltaAt:])),
		BaseTimestamp:   int64(binary.BigEndian.Uint64(b[baseTimestampAt:])),
		MaxTimestamp:    int64(binary.BigEndian.Uint64(b[maxTimestampAt:])),
		ProducerID:      int64(binary.BigEndian.Uint64(b[producerIDAt:])),
		ProducerEpoch:   int16(binary.BigEndian.Uint16(b[producerEpochAt:])),
		BaseSequence:    int32(binary.BigEndian.Uint32(b[baseSequenceAt:])),
		Count:           int32(binary.BigEndian.Uint32(b[countAt:])),
	}
	if h.Magic != Magic {
		return h, refuse(CorruptMessage, "a batch has format version %d, expected %d", h.Magic, Magic)
	}
	if h.Length < HeaderSize-Overhead {
		return h, refuse(CorruptMessage, "a batch says that it has %d bytes, less than its header", int64(h.Length)+Overhead)
	}
	return h, nil
}

// Size is the number of bytes of the whole batch.
func (h *Header) Size() int { return int(h.Length) + Overhead }

// LastOffset is the offset of the last record that the batch was made with.
func (h *Header) LastOffset() int64 { return h.BaseOffset + int64(h.LastOffsetDelta) }

// LastSequence is the sequence number of the last record, wrapped as producers wrap it: 0 follows 2^31-1.
func (h *Header) LastSequence() int32 { return AddSequence(h.BaseSequence, h.LastOffsetDelta) }

// Codec is the compression of the records. Values above Zstd are not valid.
func (h *Header) Codec() Codec { return Codec(h.Attributes & codecMask) }

// LogAppendTime says that all records have the time MaxTimestamp, set by the broker.
func (h *Header) LogAppendTime() bool { return h.Attributes&LogAppendTimeBit != 0 }

// Transactional says that the batch belongs to a transaction.
func (h *Header) Transactional() bool { return h.Attributes&TransactionalBit != 0 }

// Control says that the batch holds a control record (a transaction marker), not for users.
func (h *Header) Control() bool { return h.Attributes&ControlBit != 0 }

// Idempotent says that the batch has a producer id, and so a sequence number.
func (h *Header) Idempotent() bool { return h.ProducerID > NoProducer }

// AddSequence is the sequence number n records after s.
func AddSequence(s, n int32) int32 { return int32((uint32(s) + uint32(n)) & 0x7fffffff) }

// put writes the header to b, which is at least HeaderSize long.
func (h *Header) put(b []byte) {
	_ = b[HeaderSize-1]
	binary.BigEndian.PutUint64(b, uint64(h.BaseOffset))
	binary.BigEndian.PutUint32(b[lengthAt:], uint32(h.Length))
	binary.BigEndian.PutUint32(b[leaderEpochAt:], uint32(h.LeaderEpoch))
	b[magicAt] = byte(h.Magic)
	binary.BigEndian.PutUint32(b[crcAt:], h.CRC)
	binary.BigEndian.PutUint16(b[attributesAt:], uint16(h.Attributes))
	binary.BigEndian.PutUint32(b[lastOffsetDeltaAt:], uint32(h.LastOffsetDelta))
	binary.BigEndian.PutUint64(b[baseTimestampAt:], uint64(h.BaseTimestamp))
	binary.BigEndian.PutUint64(b[maxTimestampAt:], uint64(h.MaxTimestamp))
	binary.BigEndian.PutUint64(b[producerIDAt:], uint64(h.ProducerID))
	binary.BigEndian.PutUint16(b[producerEpochAt:], uint16(h.ProducerEpoch))
	binary.BigEndian.PutUint32(b[baseSequenceAt:], uint32(h.BaseSequence))
	binary.BigEndian.PutUint32(b[countAt:], uint32(h.Count))
}

// Checksum computes the CRC32C of a whole batch, as its header should hold it.
func Checksum(b []byte) uint32 { return crc32.Checksum(b[attributesAt:], castagnoli()) }

// CheckCRC compares the checksum of the one whole batch in b with its header.
func CheckCRC(b []byte) error {
	if len(b) < HeaderSize {
		return refuse(CorruptMessage, "a batch of %d bytes is shorter than its header", len(b))
	}
	stored, computed := binary.BigEndian.Uint32(b[crcAt:]), Checksum(b)
	if stored != computed {
		return refuse(CorruptMessage, "a batch is corrupt: stored CRC %d, computed CRC %d", stored, computed)
	}
	return nil
}

// castagnoli is the table that hash/crc32 keeps; asking for it costs one atomic load.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }
