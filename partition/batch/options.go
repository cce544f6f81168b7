package batch

import "math"

// MaxRecordErrors is how many records a refusal names at most.
const MaxRecordErrors = 100

// Producer as Options.Compression keeps the codec that the producer chose.
const Producer Codec = 0xff

// Options are the rules of a topic for what is produced to it.
type Options struct {
	// Topic and Partition are what refusals of records name.
	Topic     string
	Partition int32
	// Version is the version of the Produce request: zstd needs 7.
	Version int16
	// Now is the broker's wall clock in milliseconds since 1970.
	Now int64
	// MaxBytes is max.message.bytes, SegmentBytes is segment.bytes; 0 means no bound.
	MaxBytes, SegmentBytes int
	// Compacted says that cleanup.policy has "compact": every record needs a key.
	Compacted bool
	// LogAppendTime is message.timestamp.type=LogAppendTime.
	LogAppendTime bool
	// BeforeMax and AfterMax are message.timestamp.before.max.ms and after.max.ms; 0 means no bound.
	BeforeMax, AfterMax int64
	// Compression is compression.type: Producer, or the codec into which other batches are recompressed.
	Compression Codec
	// MaxDecompressed bounds the records of one batch after decompression, in bytes; 0 means DefaultMaxDecompressed.
	MaxDecompressed int
	// Room is how many bytes decompressed records may take this time; 0 means as many as MaxDecompressed allows. A batch
	// that needs more is not changed, and the error is ErrRoom: whoever shares memory out calls again with more room.
	Room int
	// HeaderOnly leaves the records unread (millrace.validate=header): counts, offsets, keys and timestamps are believed.
	// It does not hold where the records must be rewritten.
	HeaderOnly bool
	// Internal accepts what only coordinators write: control batches and any base offset.
	Internal bool
	// Coders may be nil; then codecs are made for this one call.
	Coders *Coders
}

// DefaultMaxDecompressed bounds a batch's records after decompression where Options do not.
const DefaultMaxDecompressed = 128 << 20

func (o *Options) limit() int {
	if o.MaxDecompressed > 0 {
		return o.MaxDecompressed
	}
	return DefaultMaxDecompressed
}

// room is the size to which this call decompresses.
func (o *Options) room() int {
	if o.Room > 0 {
		return min(o.Room, o.limit())
	}
	return o.limit()
}

// window is the range of timestamps that are accepted.
func (o *Options) window() (earliest, latest int64) {
	earliest, latest = math.MinInt64, math.MaxInt64
	if o.BeforeMax > 0 {
		earliest = o.Now - o.BeforeMax
	}
	if o.AfterMax > 0 && o.AfterMax < math.MaxInt64-o.Now {
		latest = o.Now + o.AfterMax
	}
	return earliest, latest
}

// Info describes a valid batch.
type Info struct {
	Header
	// Bytes is the one whole batch: the bytes that were validated without what followed, or new ones when the batch had
	// to be rewritten (Rewritten).
	Bytes     []byte
	Rewritten bool
	// Decompressed is the size of the records without compression; 0 when they were not read.
	Decompressed int
}
