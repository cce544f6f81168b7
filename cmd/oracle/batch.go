package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"reflect"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/partition/batch"
)

// spec describes a record batch in a script; what is not named is as an ordinary producer would have it.
type spec struct {
	records       int    // their values are 0, 1, 2, ...
	size          int    // of each value, if not one byte
	key           string // of all; null when empty
	step          int64  // milliseconds from one record to the next
	time          int64  // of the first one
	codec         string
	pid           int64
	epoch         int16
	seq           int32
	base          int64
	magic         int8
	attributes    int16 // beside the codec's
	count         int32 // instead of the true number
	delta         int32 // last offset delta instead of the true one
	firstDelta    int64 // offset delta of the first record
	transactional bool
	control       bool
	appendTime    bool
	maxTime       int64
	badCRC        bool
	cut           int // bytes that are missing at the end
	extra         int // zeros behind the last record, counted by the length
	length        int32
}

// unset is the value of a number that a script does not name.
const unset = -1 << 31

// batch makes a record batch from its description in a script, whose fields are those of spec.
func (v variables) batch(o object) ([]byte, error) {
	s := spec{records: 1, pid: -1, epoch: -1, seq: -1, magic: 2, count: unset, delta: unset, length: unset, maxTime: unset, time: unset}
	fields := map[string]any{
		"records": &s.records, "size": &s.size, "key": &s.key, "step": &s.step, "time": &s.time, "codec": &s.codec, "pid": &s.pid,
		"epoch": &s.epoch, "seq": &s.seq, "base": &s.base, "magic": &s.magic, "attributes": &s.attributes, "count": &s.count,
		"delta": &s.delta, "firstDelta": &s.firstDelta, "transactional": &s.transactional, "control": &s.control,
		"appendTime": &s.appendTime, "maxTime": &s.maxTime, "badCRC": &s.badCRC, "cut": &s.cut, "extra": &s.extra, "length": &s.length,
	}
	for _, p := range o {
		dst, ok := fields[p.name]
		if !ok {
			return nil, fmt.Errorf("a batch has no %s", p.name)
		}
		if err := v.fill(reflect.ValueOf(dst).Elem(), p.value); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if s.time == unset {
		if err := v.fill(reflect.ValueOf(&s.time).Elem(), word{text: "$now"}); err != nil {
			return nil, err
		}
	}
	return s.bytes()
}

var codecs = map[string]struct {
	number int16
	codec  kgo.CompressionCodec
}{
	"gzip": {1, kgo.GzipCompression()}, "snappy": {2, kgo.SnappyCompression()}, "lz4": {3, kgo.Lz4Compression()}, "zstd": {4, kgo.ZstdCompression()},
}

func (s *spec) bytes() ([]byte, error) {
	var records []byte
	for i := range s.records {
		records = s.appendRecord(records, i)
	}
	attributes := s.attributes
	if c, ok := codecs[s.codec]; ok {
		compressor, err := kgo.DefaultCompressor(c.codec)
		if err != nil {
			return nil, err
		}
		records, _ = compressor.Compress(new(bytes.Buffer), records)
		attributes |= c.number
	} else if s.codec != "" {
		return nil, fmt.Errorf("there is no codec %s", s.codec)
	}
	for _, bit := range []struct {
		set   bool
		value int16
	}{{s.transactional, batch.TransactionalBit}, {s.control, batch.ControlBit}, {s.appendTime, batch.LogAppendTimeBit}} {
		if bit.set {
			attributes |= bit.value
		}
	}
	n := int32(s.records)
	b := binary.BigEndian.AppendUint64(nil, uint64(s.base))
	b = binary.BigEndian.AppendUint32(b, 0) // the length, below
	b = binary.BigEndian.AppendUint32(b, ^uint32(0))
	b = append(b, byte(s.magic), 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(attributes))
	b = binary.BigEndian.AppendUint32(b, uint32(instead(s.delta, n-1)))
	b = binary.BigEndian.AppendUint64(b, uint64(s.time))
	b = binary.BigEndian.AppendUint64(b, uint64(instead(s.maxTime, s.time+s.step*int64(n-1))))
	b = binary.BigEndian.AppendUint64(b, uint64(s.pid))
	b = binary.BigEndian.AppendUint16(b, uint16(s.epoch))
	b = binary.BigEndian.AppendUint32(b, uint32(s.seq))
	b = binary.BigEndian.AppendUint32(b, uint32(instead(s.count, n)))
	b = append(append(b, records...), make([]byte, s.extra)...)
	binary.BigEndian.PutUint32(b[8:], uint32(instead(s.length, int32(len(b)-batch.Overhead))))
	sum := crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli))
	if s.badCRC {
		sum++
	}
	binary.BigEndian.PutUint32(b[17:], sum)
	return b[:len(b)-s.cut], nil
}

// instead is what a script says, or else the true value.
func instead[T int32 | int64](said, or T) T {
	if said == unset {
		return or
	}
	return said
}

func (s *spec) appendRecord(b []byte, i int) []byte {
	body := []byte{0}
	body = binary.AppendVarint(body, s.step*int64(i))
	body = binary.AppendVarint(body, s.firstDelta+int64(i))
	if s.key == "" {
		body = binary.AppendVarint(body, -1)
	} else {
		body = append(binary.AppendVarint(body, int64(len(s.key))), s.key...)
	}
	value := []byte{byte('0' + i%10)}
	if s.size > 0 {
		value = []byte(strings.Repeat(string(value), s.size))
	}
	body = append(binary.AppendVarint(body, int64(len(value))), value...)
	body = append(body, 0) // no headers
	return append(binary.AppendVarint(b, int64(len(body))), body...)
}

// describeRecords says what batches are in the records of an answer, one line each.
func describeRecords(b []byte, named func(int64) string) []string {
	var lines []string
	for len(b) > 0 {
		h, err := batch.Parse(b)
		if err != nil {
			return append(lines, fmt.Sprintf("%d bytes that are no batch", len(b)))
		}
		size := int(h.Length) + batch.Overhead
		if size > len(b) {
			return append(lines, fmt.Sprintf("the first %d bytes of a batch", len(b)))
		}
		records := b[batch.HeaderSize:size]
		codec := h.Attributes & 7
		if codec != 0 {
			plain, err := kgo.DefaultDecompressor().Decompress(records, kgo.CompressionCodecType(codec))
			if err != nil {
				plain = []byte(err.Error())
			}
			records = plain
		}
		epoch := "no epoch"
		if h.LeaderEpoch >= 0 {
			epoch = "an epoch"
		}
		lines = append(lines, fmt.Sprintf("offset %d, %d records up to +%d, attributes %#x, %s, times %s to %s, producer %s epoch %d sequence %d, %x",
			h.BaseOffset, h.Count, h.LastOffsetDelta, h.Attributes, epoch, named(h.BaseTimestamp), named(h.MaxTimestamp),
			named(h.ProducerID), h.ProducerEpoch, h.BaseSequence, records[:min(len(records), 64)]))
		b = b[size:]
	}
	return lines
}
