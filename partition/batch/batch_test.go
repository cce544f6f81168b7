package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

var codecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

// foreign builds a batch with the public Go client's codec, independently of this package.
func foreign(t testing.TB, codec Codec, records []Record) []byte {
	t.Helper()
	rb := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: int16(codec), LastOffsetDelta: int32(len(records) - 1),
		FirstTimestamp: records[0].Timestamp, MaxTimestamp: records[0].Timestamp,
		ProducerID: 7, ProducerEpoch: 1, FirstSequence: 3, NumRecords: int32(len(records)),
	}
	var body []byte
	for i, r := range records {
		rb.MaxTimestamp = max(rb.MaxTimestamp, r.Timestamp)
		kr := kmsg.Record{TimestampDelta64: r.Timestamp - rb.FirstTimestamp, OffsetDelta: int32(i), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			kr.Headers = append(kr.Headers, kmsg.Header{Key: string(h.Key), Value: h.Value})
		}
		kr.Length = int32(len(kr.AppendTo(nil)) - 1) // the length itself counts one byte as long as it is 0
		body = kr.AppendTo(body)
	}
	rb.Records = body
	if codec != None {
		c, err := kgo.DefaultCompressor([]kgo.CompressionCodec{{}, kgo.GzipCompression(), kgo.SnappyCompression(),
			kgo.Lz4Compression(), kgo.ZstdCompression()}[codec])
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		compressed, _ := c.Compress(&out, body)
		rb.Records = bytes.Clone(compressed)
	}
	b := rb.AppendTo(nil)
	binary.BigEndian.PutUint32(b[lengthAt:], uint32(len(b)-Overhead))
	binary.BigEndian.PutUint32(b[crcAt:], Checksum(b))
	return b
}

func some(n, size int) []Record {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	out := make([]Record, n)
	for i := range out {
		out[i] = Record{Offset: int64(i), Timestamp: 1_700_000_000_000 + int64(r.IntN(1000)), Key: fmt.Appendf(nil, "k%d", i), Value: bytes.Repeat([]byte{byte(i)}, size)}
		if i%3 == 1 {
			out[i].Headers = []RecordHeader{{Key: []byte("h"), Value: []byte("v")}, {Key: []byte(""), Value: nil}}
		}
	}
	return out
}

func open() Options { return Options{Version: 13, Now: 1_700_000_000_000, Compression: Producer} }

func code(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func list(t testing.TB, b []byte) []Record {
	t.Helper()
	it, err := Read(b, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []Record
	var r Record
	for it.Next(&r) {
		r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
		hs := r.Headers
		r.Headers = nil
		for _, h := range hs {
			r.Headers = append(r.Headers, RecordHeader{bytes.Clone(h.Key), bytes.Clone(h.Value)})
		}
		out = append(out, r)
		r = Record{}
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	return out
}

func equal(t *testing.T, got, want []Record) {
	t.Helper()
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Fatalf("records differ:\n got %+v\nwant %+v", got, want)
	}
}

func TestForeignBatchesOfEveryCodec(t *testing.T) {
	for _, c := range codecs {
		want := some(20, 100)
		b := foreign(t, c, want)
		i, err := Validate(b, open())
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		if i.Count != 20 || i.LastOffset() != 19 || i.ProducerID != 7 || i.LastSequence() != 22 || i.Codec() != c || i.Rewritten {
			t.Fatalf("%s: %+v", c, i)
		}
		equal(t, list(t, i.Bytes), want)
	}
}

func TestEncodeIsReadByTheClient(t *testing.T) {
	for _, c := range codecs {
		want := some(9, 50)
		b, err := Encode(nil, Header{Attributes: int16(c), ProducerID: NoProducer, ProducerEpoch: -1, BaseSequence: -1}, want, nil)
		if err != nil {
			t.Fatal(err)
		}
		var rb kmsg.RecordBatch
		if err := rb.ReadFrom(b); err != nil {
			t.Fatal(err)
		}
		body := rb.Records
		if c != None {
			body, err = kgo.DefaultDecompressor().Decompress(body, kgo.CompressionCodecType(c))
			if err != nil {
				t.Fatalf("%s: %v", c, err)
			}
		}
		plain, _ := Encode(nil, Header{}, want, nil)
		if !bytes.Equal(body, plain[HeaderSize:]) {
			t.Fatalf("%s: the client decompresses something else", c)
		}
		if c == None && !bytes.Equal(foreign(t, None, want)[HeaderSize:], body) {
			t.Fatal("the client encodes these records in other bytes")
		}
		equal(t, list(t, b), want)
	}
}

func TestRecompression(t *testing.T) {
	for _, from := range codecs {
		for _, to := range codecs {
			want := some(5, 300)
			o := open()
			o.Compression = to
			i, err := Validate(foreign(t, from, want), o)
			if err != nil {
				t.Fatal(err)
			}
			if i.Codec() != to || i.Rewritten != (from != to) || CheckCRC(i.Bytes) != nil || i.Size() != len(i.Bytes) {
				t.Fatalf("%s to %s: %+v", from, to, i.Header)
			}
			equal(t, list(t, i.Bytes), want)
		}
	}
}

func TestStampTimeCombinesTheCRC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5000).Draw(t, "body")
		b := make([]byte, HeaderSize+n)
		for i := range b {
			b[i] = byte(i*7 + n)
		}
		binary.BigEndian.PutUint32(b[crcAt:], Checksum(b))
		StampTime(b, rapid.Bool().Draw(t, "append"), rapid.Int64().Draw(t, "time"))
		StampOffset(b, 99, 3)
		if CheckCRC(b) != nil {
			t.Fatal("the combined CRC is wrong")
		}
	})
}

func TestLogAppendTime(t *testing.T) {
	o := open()
	o.LogAppendTime, o.Now = true, 123456
	i, err := Validate(foreign(t, Zstd, some(4, 10)), o)
	if err != nil {
		t.Fatal(err)
	}
	if CheckCRC(i.Bytes) != nil || !i.LogAppendTime() || i.MaxTimestamp != 123456 {
		t.Fatalf("%+v", i.Header)
	}
	for _, r := range list(t, i.Bytes) {
		if r.Timestamp != 123456 {
			t.Fatalf("record has time %d", r.Timestamp)
		}
	}
}

func TestGreatestTimestampIsCorrected(t *testing.T) {
	b := foreign(t, None, some(4, 10))
	StampTime(b, false, 42)
	i, err := Validate(b, open())
	if err != nil || i.MaxTimestamp < 1_700_000_000_000 || CheckCRC(i.Bytes) != nil {
		t.Fatal(i.MaxTimestamp, err)
	}
}

func TestBombsAreRefused(t *testing.T) {
	huge := []Record{{Value: make([]byte, 8<<20)}}
	for _, c := range codecs[1:] {
		o := open()
		o.MaxDecompressed = 1 << 20
		if _, err := Validate(foreign(t, c, huge), o); code(err) != MessageTooLarge {
			t.Errorf("%s: %v", c, err)
		}
		o.MaxDecompressed = 9 << 20
		if _, err := Validate(foreign(t, c, huge), o); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
}

// TestRoomIsAskedFor validates batches that need more room than there is at first: nothing happens to them until there is enough,
// and large coders take memory once.
func TestRoomIsAskedFor(t *testing.T) {
	for _, c := range codecs[1:] {
		b := foreign(t, c, []Record{{Value: make([]byte, 300_000)}})
		o := open()
		o.LogAppendTime, o.Now, o.Room = true, 77, 100_000
		was := bytes.Clone(b)
		if _, err := Validate(b, o); !errors.Is(err, ErrRoom) || !bytes.Equal(b, was) {
			t.Errorf("%s: %v, changed: %t", c, err, !bytes.Equal(b, was))
		}
		o.MaxDecompressed = 200_000
		if _, err := Validate(b, o); !errors.Is(err, ErrRoom) {
			t.Errorf("%s: %v", c, err)
		}
		o.Room = 200_000 // all that there can be
		if _, err := Validate(b, o); code(err) != MessageTooLarge || errors.Is(err, ErrRoom) {
			t.Errorf("%s: %v", c, err)
		}
		o.Room, o.MaxDecompressed, o.Coders = 400_000, 0, NewLargeCoders(400_000)
		for range 3 {
			if i, err := Validate(bytes.Clone(was), o); err != nil || i.MaxTimestamp != 77 {
				t.Errorf("%s: %v", c, err)
			}
			if n := cap(o.Coders.scratch); n != 400_000+overshoot {
				t.Errorf("%s: large coders keep %d bytes", c, n)
			}
		}
	}
}

// TestTooLargeUncompressedIsRefusedEarly has a topic keep what comes compressed without compression.
func TestTooLargeUncompressedIsRefusedEarly(t *testing.T) {
	for _, gaps := range []bool{false, true} {
		records := some(3, 50_000)
		h := Header{Attributes: int16(Zstd), LastOffsetDelta: 2, Count: 3, ProducerID: -1}
		var body []byte
		for i := range records {
			delta := int64(i)
			if gaps {
				delta = int64(1000 * i)
			}
			body = appendRecord(body, &records[i], 0, delta)
		}
		b, err := seal(nil, h, body, nil)
		if err != nil {
			t.Fatal(err)
		}
		o := open()
		o.Compression = None
		if _, err := Validate(bytes.Clone(b), o); err != nil {
			t.Error(err)
		}
		if o.MaxBytes = len(body) - 100; len(b) > o.MaxBytes {
			t.Fatal("the batch is not compressed")
		}
		if _, err := Validate(bytes.Clone(b), o); code(err) != MessageTooLarge {
			t.Error(err)
		}
	}
}

func TestGapsInOffsetsAreClosed(t *testing.T) {
	for _, c := range codecs {
		want := some(3, 10)
		h := Header{Attributes: int16(c), LastOffsetDelta: 2, Count: 3, BaseTimestamp: want[0].Timestamp, MaxTimestamp: want[0].Timestamp, ProducerID: -1}
		var body []byte
		for i := range want {
			body = appendRecord(body, &want[i], want[i].Timestamp-want[0].Timestamp, int64(5-i))
		}
		b, err := seal(nil, h, body, nil)
		if err != nil {
			t.Fatal(err)
		}
		i, err := Validate(b, open())
		if err != nil || !i.Rewritten || CheckCRC(i.Bytes) != nil {
			t.Fatal(c, err)
		}
		equal(t, list(t, i.Bytes), want)
	}
}

func TestSequenceWraps(t *testing.T) {
	h := Header{BaseSequence: 1<<31 - 2, LastOffsetDelta: 3}
	if h.LastSequence() != 1 {
		t.Fatal(h.LastSequence())
	}
}

func FuzzBatch(f *testing.F) {
	for _, c := range codecs {
		f.Add(foreign(f, c, some(5, 20)), byte(c))
	}
	coders := NewCoders()
	f.Fuzz(func(t *testing.T, b []byte, how byte) {
		o := open()
		o.Coders, o.MaxDecompressed = coders, 1<<20
		o.Compacted, o.LogAppendTime, o.HeaderOnly = how&8 != 0, how&16 != 0, how&32 != 0
		if how&64 != 0 {
			o.Compression = Codec(how & 7 % 5)
		}
		if how&128 != 0 && len(b) > HeaderSize { // get past the CRC
			b[magicAt] = Magic
			binary.BigEndian.PutUint32(b[lengthAt:], uint32(len(b)-Overhead))
			binary.BigEndian.PutUint32(b[crcAt:], Checksum(b))
		}
		i, err := Validate(b, o)
		if err != nil {
			if code(err) == 0 {
				t.Fatalf("not in Kafka's terms: %v", err)
			}
			return
		}
		if CheckCRC(i.Bytes) != nil || i.Size() != len(i.Bytes) {
			t.Fatal("accepted a batch that is not sound")
		}
		if o.HeaderOnly {
			return
		}
		it, err := Read(i.Bytes, coders, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var r Record
		n := int64(0)
		for ; it.Next(&r); n++ {
			if r.Offset != n {
				t.Fatalf("record %d has offset %d", n, r.Offset)
			}
		}
		if it.Err() != nil || n != int64(i.Count) {
			t.Fatal(n, i.Count, it.Err())
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	for _, c := range codecs {
		for _, shape := range []struct{ n, size int }{{16, 1024}, {1000, 1024}, {1000, 100}} {
			data := foreign(b, c, some(shape.n, shape.size))
			o := open()
			o.Coders = NewCoders()
			b.Run(fmt.Sprintf("%s/%dx%d", c, shape.n, shape.size), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Validate(data, o); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*shape.n), "ns/record")
			})
		}
	}
	data := foreign(b, None, some(1000, 1024))
	b.Run("walk", func(b *testing.B) {
		h, _ := Parse(data)
		o := open()
		for b.Loop() {
			w := walk{options: &o, header: &h}
			if e := w.records(data[HeaderSize:]); e != nil {
				b.Fatal(e)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/record")
	})
	b.Run("stamp", func(b *testing.B) {
		t := int64(0)
		for b.Loop() {
			t++
			StampTime(data, true, t)
		}
	})
}
