package batch

import (
	"encoding/binary"
	"errors"
)

// Validate checks what a producer sent for one partition by Kafka's rules, and returns its one batch ready to be
// appended: only base offset and leader epoch are missing (StampOffset). The timestamp fields are corrected in place.
// Errors are *Error. It is pure CPU work: up to MaxDecompressed bytes of it for a compressed batch, so callers run it
// under Tasks.Compute when NeedsCompute says so.
func Validate(b []byte, o Options) (Info, error) {
	h, b, refused := o.one(b)
	if refused == nil {
		refused = o.checkHeader(&h, b)
	}
	if refused != nil {
		return Info{}, refused
	}
	i := Info{Header: h, Bytes: b}
	rewrite := o.target(&h) != h.Codec()
	if o.HeaderOnly && !rewrite {
		o.stamp(&i, h.MaxTimestamp)
		return i, nil
	}
	body, refused := o.open(&h, b)
	if refused != nil {
		return Info{}, refused
	}
	i.Decompressed = len(body)
	w := walk{options: &o, header: &h, greatest: NoTimestamp}
	if refused := w.records(body); refused != nil {
		return Info{}, refused
	}
	if rewrite || w.gaps {
		if refused := o.rewrite(&i, body, w.gaps); refused != nil {
			return Info{}, refused
		}
	}
	o.stamp(&i, w.greatest)
	return i, nil
}

// NeedsCompute says whether Validate of b will decompress or recompress.
func NeedsCompute(b []byte, o Options) bool {
	h, err := Parse(b)
	return err == nil && (h.Codec() != None && !o.HeaderOnly || o.target(&h) != h.Codec())
}

// one finds the single batch in b. What follows it is cut off when it is less than a batch, as Kafka does.
func (o *Options) one(b []byte) (Header, []byte, *Error) {
	size, refused := frame(b)
	if refused != nil {
		return Header{}, nil, refused
	}
	if size == 0 {
		return Header{}, nil, refuseEarly(InvalidRecord, "a partition in a produce request needs a whole record batch")
	}
	if m := b[magicAt]; m != Magic {
		return Header{}, nil, refuseEarly(InvalidRecord, "a record batch has format version %d, only %d is accepted", m, Magic)
	}
	if size < HeaderSize {
		return Header{}, nil, refuse(CorruptMessage, "a batch of %d bytes is shorter than its header", size)
	}
	more, refused := frame(b[size:])
	if refused != nil {
		return Header{}, nil, refused
	}
	if more != 0 {
		return Header{}, nil, refuseEarly(InvalidRecord, "a partition in a produce request may hold only one record batch")
	}
	b = b[:size:size]
	h, err := Parse(b)
	if err != nil {
		return Header{}, nil, asError(err)
	}
	return h, b, nil
}

// frame returns the size of the batch at the start of b, 0 when it is not whole.
func frame(b []byte) (int, *Error) {
	if len(b) < Overhead {
		return 0, nil
	}
	length := int32(binary.BigEndian.Uint32(b[lengthAt:]))
	if length < smallestLegacySize {
		return 0, refuse(CorruptMessage, "Record size %d is less than the minimum record overhead (%d)", length, smallestLegacySize)
	}
	if len(b) <= magicAt {
		return 0, nil
	}
	if m := int8(b[magicAt]); m < 0 || m > Magic {
		return 0, refuse(CorruptMessage, "Invalid magic found in record: %d", m)
	}
	size := int64(length) + Overhead
	if size > int64(len(b)) {
		return 0, nil
	}
	return int(size), nil
}

// checkHeader holds the rules that need no records, in Kafka's order.
func (o *Options) checkHeader(h *Header, b []byte) *Error {
	codec := h.Codec()
	if codec > Zstd {
		return refuse(UnsupportedCompressionType, "a record batch has the unknown compression %d", codec)
	}
	if codec == Zstd && o.Version < 7 && !o.Internal {
		return refuseEarly(UnsupportedCompressionType, "produce requests of version %d may not use zstd", o.Version)
	}
	if h.BaseOffset != 0 && !o.Internal {
		return refuse(InvalidRecord, "the base offset of a produced record batch must be 0, it is %d", h.BaseOffset)
	}
	if refused := o.checkSize(len(b)); refused != nil {
		return refused
	}
	if err := CheckCRC(b); err != nil {
		return asError(err)
	}
	if h.LastOffsetDelta < 0 {
		return refuse(InvalidRecord, "a record batch has the last offset delta %d", h.LastOffsetDelta)
	}
	if h.Count <= 0 {
		return refuse(InvalidRecord, "a record batch says that it has %d records", h.Count)
	}
	if int64(h.LastOffsetDelta)+1 != int64(h.Count) {
		return refuse(InvalidRecord, "a record batch of %d records has the last offset delta %d", h.Count, h.LastOffsetDelta)
	}
	if h.Control() && !o.Internal {
		return refuse(InvalidRecord, "clients may not write control records")
	}
	if h.Idempotent() && h.BaseSequence < 0 && !o.Internal {
		return refuse(InvalidRecord, "a record batch of producer %d has the sequence number %d", h.ProducerID, h.BaseSequence)
	}
	return nil
}

func (o *Options) checkSize(size int) *Error {
	if o.MaxBytes > 0 && size > o.MaxBytes {
		return refuse(MessageTooLarge, "a record batch of %d bytes is larger than max.message.bytes, %d", size, o.MaxBytes)
	}
	if o.SegmentBytes > 0 && size > o.SegmentBytes {
		return refuse(RecordListTooLarge, "a record batch of %d bytes is larger than segment.bytes, %d", size, o.SegmentBytes)
	}
	return nil
}

// target is the compression in which the batch is stored. Control records are not compressed unless they come so.
func (o *Options) target(h *Header) Codec {
	if o.Compression == Producer || h.Control() && h.Codec() == None {
		return h.Codec()
	}
	return o.Compression
}

// open returns the records without compression, a slice of b when there is none.
func (o *Options) open(h *Header, b []byte) ([]byte, *Error) {
	body := b[HeaderSize:]
	if h.Codec() == None {
		return body, nil
	}
	if o.Coders == nil {
		o.Coders = NewCoders()
	}
	o.Coders.partial = o.room() < o.limit()
	plain, err := o.Coders.decompress(h.Codec(), body, o.room())
	if errors.Is(err, errTooLarge) {
		if o.Coders.partial {
			return nil, errRoom
		}
		return nil, refuse(MessageTooLarge, "the records of a batch are larger than %d bytes when decompressed", o.limit())
	}
	if err != nil {
		return nil, refuse(InvalidRecord, "the records of a batch cannot be decompressed by %s: %v", h.Codec(), err)
	}
	return plain, nil
}

// rewrite makes a new batch of the records: in another compression, or with consecutive offsets when theirs had gaps.
func (o *Options) rewrite(i *Info, body []byte, renumber bool) *Error {
	h := i.Header
	if o.target(&h) == None { // refused before so much memory is taken
		least := HeaderSize + len(body)
		if renumber {
			least -= 5 * int(h.Count) // an offset of one byte instead of five, and a size that is shorter for it
		}
		if refused := o.checkSize(least); refused != nil {
			return refused
		}
	}
	if renumber {
		out := make([]byte, 0, len(body))
		var f raw
		var r Record
		for at, n := 0, int64(0); at < len(body); n++ {
			at = f.parse(body, at)
			f.fill(body, &h, &r)
			out = appendRecord(out, &r, f.timestampDelta, n)
		}
		body = out
	}
	h.Attributes = h.Attributes&^codecMask | int16(o.target(&h))
	b, err := seal(nil, h, body, o.Coders)
	if err != nil {
		return refuse(InvalidRecord, "the records of a batch cannot be compressed: %v", err)
	}
	if refused := o.checkSize(len(b)); refused != nil {
		return refused
	}
	h, err = Parse(b)
	if err != nil {
		return asError(err)
	}
	i.Header, i.Bytes, i.Rewritten = h, b, true
	return nil
}

// stamp gives the batch the topic's kind of timestamp and a greatest timestamp that is true.
func (o *Options) stamp(i *Info, greatest int64) {
	if o.LogAppendTime {
		greatest = o.Now
	}
	if i.LogAppendTime() == o.LogAppendTime && i.MaxTimestamp == greatest {
		return
	}
	StampTime(i.Bytes, o.LogAppendTime, greatest)
	h, err := Parse(i.Bytes)
	if err == nil {
		i.Header = h
	}
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return refuse(CorruptMessage, "%v", err)
}
