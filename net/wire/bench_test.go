package wire

import (
	"bytes"
	"testing"

	"millrace/node/host"
)

// produceFrame is a Produce request, version 13, without its header.
func produceFrame(tb testing.TB, partitions, size int) []byte {
	m := NewProduceRequest()
	topic := NewProduceRequestTopicProduceData()
	for i := range partitions {
		topic.PartitionData = append(topic.PartitionData, ProduceRequestPartitionProduceData{
			Index: int32(i), Records: make([]byte, size)})
	}
	m.TopicData = append(m.TopicData, topic)
	b, err := AppendRecord(nil, m, 13)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func decodeProduce(tb testing.TB, r *Reader, m *ProduceRequest, frame []byte) {
	r.Reset(frame)
	m.Decode(r, 13)
	if r.Err() != nil {
		tb.Fatal(r.Err())
	}
}

func BenchmarkDecodeProduce1x1MiB(b *testing.B)   { benchmarkDecodeProduce(b, 1, 1<<20) }
func BenchmarkDecodeProduce64x16KiB(b *testing.B) { benchmarkDecodeProduce(b, 64, 16<<10) }

func benchmarkDecodeProduce(b *testing.B, partitions, size int) {
	frame := produceFrame(b, partitions, size)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	var r Reader
	for b.Loop() {
		decodeProduce(b, &r, NewProduceRequest(), frame)
	}
}

// A produce request costs a few objects however large its records are, and
// the records are those of the frame.
func TestDecodeProduceCopiesNothing(t *testing.T) {
	frame := produceFrame(t, 1, 1<<20)
	var r Reader
	m := new(ProduceRequest)
	if n := testing.AllocsPerRun(100, func() { decodeProduce(t, &r, m, frame) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
	records := m.TopicData[0].PartitionData[0].Records
	frame[len(frame)/2] = 'x'
	if len(records) != 1<<20 || bytes.IndexByte(records, 'x') < 0 {
		t.Error("the records are not those of the frame")
	}
}

func fetchResponse(partitions int) *FetchResponse {
	m := NewFetchResponse()
	topic := NewFetchResponseFetchableTopicResponse()
	file := struct{ host.File }{}
	for i := range partitions {
		p := NewFetchResponsePartitionData()
		p.PartitionIndex = int32(i)
		p.Records = Records{Parts: []host.Part{{File: file, Off: 4096, Len: 1 << 20}}}
		topic.Partitions = append(topic.Partitions, p)
	}
	m.Responses = append(m.Responses, topic)
	return m
}

func BenchmarkEncodeFetch1(b *testing.B)  { benchmarkEncodeFetch(b, 1) }
func BenchmarkEncodeFetch64(b *testing.B) { benchmarkEncodeFetch(b, 64) }

func benchmarkEncodeFetch(b *testing.B, partitions int) {
	m := fetchResponse(partitions)
	buf := make([]byte, 0, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EncodeResponse(buf, 18, 1, m); err != nil {
			b.Fatal(err)
		}
	}
}
