package client

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"millrace/partition/batch"
)

// Record is one record of the load.
type Record struct {
	Key, Value []byte
	Timestamp  int64
}

// encode makes a batch.
func encode(records []Record, codec batch.Codec, producer int64, epoch int16, sequence int32, coders *batch.Coders) []byte {
	list := make([]batch.Record, len(records))
	for i, r := range records {
		list[i] = batch.Record{Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
	}
	h := batch.Header{LeaderEpoch: -1, Attributes: int16(codec), ProducerID: producer, ProducerEpoch: epoch, BaseSequence: sequence}
	b, err := batch.Encode(nil, h, list, coders)
	if err != nil {
		panic(fmt.Sprintf("sim/client: cannot encode a batch: %v", err))
	}
	return b
}

// CRC is the checksum of the batch as it was sent last, and whether it was sent.
func (b *Batch) CRC() (uint32, bool) {
	if len(b.bytes) < 21 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b.bytes[17:]), true
}

// Fetched is a record that a broker served.
type Fetched struct {
	Offset    int64
	Epoch     int32
	Timestamp int64
	Key       []byte
	Value     []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// decode reads every whole batch of b, in which offsets must rise, without gaps unless they are allowed, and returns the
// records from an offset on, and the offset after the last whole batch. A cut batch at the end is left out, as clients do.
func decode(b []byte, from int64, gaps bool, coders *batch.Coders) (records []Fetched, next int64, err error) {
	next = from
	first := true
	for len(b) >= batch.HeaderSize {
		size := int(int32(binary.BigEndian.Uint32(b[8:]))) + batch.Overhead
		if size < batch.HeaderSize {
			return records, next, fmt.Errorf("a batch of %d bytes", size)
		}
		if size > len(b) {
			break
		}
		one := b[:size]
		b = b[size:]
		if got, want := crc32.Checksum(one[21:], castagnoli), binary.BigEndian.Uint32(one[17:]); got != want {
			return records, next, fmt.Errorf("batch at %d: CRC %08x, its bytes have %08x", binary.BigEndian.Uint64(one), want, got)
		}
		r, err := batch.Read(one, coders, 64<<20)
		if err != nil {
			return records, next, fmt.Errorf("batch at %d: %w", binary.BigEndian.Uint64(one), err)
		}
		h := r.Header()
		if h.LastOffset() < from {
			return records, next, fmt.Errorf("batch %d-%d, asked for from %d", h.BaseOffset, h.LastOffset(), from)
		}
		if first && h.BaseOffset > from && !gaps {
			return records, next, fmt.Errorf("batch at %d, asked for from %d", h.BaseOffset, from)
		}
		if !first && h.BaseOffset != next && !(gaps && h.BaseOffset > next) {
			return records, next, fmt.Errorf("batch at %d follows one that ends before %d", h.BaseOffset, next)
		}
		first = false
		var record batch.Record
		for r.Next(&record) {
			if record.Offset >= from && !h.Control() {
				records = append(records, Fetched{Offset: record.Offset, Epoch: h.LeaderEpoch, Timestamp: record.Timestamp,
					Key: append([]byte(nil), record.Key...), Value: append([]byte(nil), record.Value...)})
			}
		}
		if err := r.Err(); err != nil {
			return records, next, fmt.Errorf("batch at %d: %w", h.BaseOffset, err)
		}
		next = h.LastOffset() + 1
	}
	return records, next, nil
}
