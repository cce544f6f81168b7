package node

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"millrace/net/wire"
)

// TestHostileFrames sends what no client would. The broker must close the connection, or answer an error, and go on.
func TestHostileFrames(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 1)
	frame := func(size uint32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, size), rest...)
	}
	header := func(key, version int16) []byte {
		h := binary.BigEndian.AppendUint16(nil, uint16(key))
		h = binary.BigEndian.AppendUint16(h, uint16(version))
		return append(h, 0, 0, 0, 1, 0xff, 0xff) // correlation 1, no client id
	}
	whole := func(b []byte) []byte { return frame(uint32(len(b)), b...) }
	huge := []byte{0x7f, 0xff, 0xff, 0xff}
	for name, bytes := range map[string][]byte{
		"negative size":            frame(0xffffffff),
		"zero size":                frame(0),
		"size below a header":      frame(7, 1, 2, 3, 4, 5, 6, 7),
		"oversized":                frame(104857601),
		"text":                     []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"unknown API":              whole(header(1234, 0)),
		"negative API":             whole(header(-1, 0)),
		"removed API":              whole(header(4, 0)),
		"API of later":             whole(header(wire.KeyEndTxn, 0)),
		"unknown version":          whole(header(wire.KeyMetadata, 99)),
		"negative version":         whole(header(wire.KeyMetadata, -1)),
		"produce v0":               whole(header(wire.KeyProduce, 0)),
		"no body":                  whole(header(wire.KeyProduce, 9)),
		"client id beyond the end": whole([]byte{0, 3, 0, 9, 0, 0, 0, 1, 0x7f, 0xff, 1}),
		"metadata with huge count": whole(append(header(wire.KeyMetadata, 1), huge...)),
		"fetch with huge count":    whole(append(append(header(wire.KeyFetch, 4), make([]byte, 17)...), huge...)),
		"produce with huge count":  whole(append(append(header(wire.KeyProduce, 3), 0xff, 0xff, 0, 1, 0, 0, 0, 0), huge...)),
		"endless tagged fields":    whole(append(header(wire.KeyApiVersions, 3), 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 1)),
		"endless varint":           whole(append(header(wire.KeyMetadata, 9), 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)),
	} {
		r := dialRaw(t, b)
		r.conn.Write(bytes)
		if !r.closed() {
			t.Errorf("%s: the connection goes on", name)
		}
	}
	// Frames that end early: the broker waits, and the connection ends with the client.
	for cut := 1; cut < 20; cut += 3 {
		r := dialRaw(t, b)
		r.conn.Write(whole(header(wire.KeyMetadata, 1))[:min(cut, 13)])
		r.conn.Close()
	}
	r := dialRaw(t, b)
	r.conn.Write(whole(append(header(wire.KeyApiVersions, 99), 0, 0xad)))
	if _, m := r.receive(wire.KeyApiVersions, 0); m.(*wire.ApiVersionsResponse).ErrorCode != wire.ErrUnsupportedVersion {
		t.Errorf("ApiVersions from the future: %+v", m)
	}
	if a := ask[*wire.ApiVersionsResponse](r, &wire.ApiVersionsRequest{ClientSoftwareName: "x", ClientSoftwareVersion: "1"}, 3); a.ErrorCode != 0 {
		t.Errorf("and then a known version: %+v", a)
	}
}

func TestRandomBytes(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		r := dialRaw(t, b)
		body := make([]byte, 8+random.IntN(200))
		for i := range body {
			body[i] = byte(random.Uint32())
		}
		apis := wire.APIs()
		api := apis[random.IntN(len(apis))]
		binary.BigEndian.PutUint16(body, uint16(api.Key))
		binary.BigEndian.PutUint16(body[2:], uint16(api.Min+int16(random.IntN(int(api.Max-api.Min)+1))))
		binary.BigEndian.PutUint16(body[8-2:], 0)
		r.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
		r.conn.Close()
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 200<<20 {
		t.Errorf("300 small frames made the broker allocate %d MiB", grown>>20)
	}
	if a := ask[*wire.MetadataResponse](dialRaw(t, b), wire.NewMetadataRequest(), 9); len(a.Brokers) != 1 {
		t.Errorf("afterwards: %+v", a)
	}
}

func TestLyingBatches(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 1)
	r := dialRaw(t, b)
	put32 := func(at int, v uint32) func([]byte) { return func(b []byte) { binary.BigEndian.PutUint32(b[at:], v) } }
	badCRC := rawBatch(2, nil)
	badCRC[18] ^= 1
	for _, c := range []struct {
		name  string
		bytes []byte
		want  wire.ErrorCode
	}{
		{"no bytes", []byte{}, wire.ErrInvalidRecord},
		{"null", nil, wire.ErrInvalidRecord},
		{"half a batch", rawBatch(2, nil)[:50], wire.ErrInvalidRecord},
		{"two batches", append(rawBatch(1, nil), rawBatch(1, nil)...), wire.ErrInvalidRecord},
		{"bad CRC", badCRC, wire.ErrCorruptMessage},
		{"magic 1", rawBatch(1, func(b []byte) { b[16] = 1 }), wire.ErrInvalidRecord},
		{"magic 9", rawBatch(1, func(b []byte) { b[16] = 9 }), wire.ErrCorruptMessage},
		{"negative length", rawBatch(1, put32(8, 0xffffff00)), wire.ErrCorruptMessage},
		{"count above", rawBatch(2, put32(57, 3)), wire.ErrInvalidRecord},
		{"huge count", rawBatch(2, put32(57, 0x7fffffff)), wire.ErrInvalidRecord},
		{"negative count", rawBatch(2, put32(57, 0x80000000)), wire.ErrInvalidRecord},
		{"huge last offset", rawBatch(2, put32(23, 0x7ffffffe)), wire.ErrInvalidRecord},
		{"count and last offset agree on a lie", rawBatch(2, func(b []byte) { put32(57, 9)(b); put32(23, 8)(b) }), wire.ErrInvalidRecord},
		{"unknown codec", rawBatch(1, func(b []byte) { b[22] = 7 }), wire.ErrUnsupportedCompressionType},
		{"not gzip", rawBatch(1, func(b []byte) { b[22] = 1 }), wire.ErrInvalidRecord},
		{"control", rawBatch(1, func(b []byte) { b[22] = 0x20 }), wire.ErrInvalidRecord},
		{"base offset", rawBatch(1, func(b []byte) { b[7] = 5 }), wire.ErrInvalidRecord},
		{"record longer than the batch", rawBatch(1, func(b []byte) { b[61] = 0x7e }), wire.ErrInvalidRecord},
		{"future", rawBatch(1, func(b []byte) { b[27], b[35] = 0x10, 0x10 }), wire.ErrInvalidTimestamp},
	} {
		a := ask[*wire.ProduceResponse](r, produceRequest("t", -1, c.bytes), 9)
		if p := a.Responses[0].PartitionResponses[0]; p.ErrorCode != c.want || p.BaseOffset != -1 {
			t.Errorf("%s: %v at offset %d, want %v", c.name, p.ErrorCode, p.BaseOffset, c.want)
		}
	}
	if a := ask[*wire.ProduceResponse](r, produceRequest("t", -1, rawBatch(1, nil)), 9); a.Responses[0].PartitionResponses[0].BaseOffset != 0 {
		t.Errorf("nothing of it may be in the log: %+v", a.Responses[0].PartitionResponses[0])
	}
	q := produceRequest("t", 0, badCRC)
	r.send(q, 9)
	if !r.closed() {
		t.Error("a refused batch with acks=0 must close the connection")
	}
}

func TestRequestsThatAskTooMuch(t *testing.T) {
	b := newBroker(t)
	r := dialRaw(t, b)
	create := wire.NewCreateTopicsRequest()
	create.TimeoutMs = 5000
	for _, name := range []string{"../../etc/passwd", "a/b", "", strings.Repeat("x", 30000), "a\x00b"} {
		topic := wire.NewCreateTopicsRequestCreatableTopic()
		topic.Name, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
		create.Topics = append(create.Topics, topic)
	}
	for _, topic := range ask[*wire.CreateTopicsResponse](r, create, 7).Topics {
		if topic.ErrorCode != wire.ErrInvalidTopicException {
			t.Errorf("%.20q: %v", topic.Name, topic.ErrorCode)
		}
	}
	topic := wire.NewCreateTopicsRequestCreatableTopic()
	topic.Name, topic.NumPartitions, topic.ReplicationFactor = "many", 2_000_000_000, 1
	create.Topics = []wire.CreateTopicsRequestCreatableTopic{topic}
	if a := ask[*wire.CreateTopicsResponse](r, create, 7); a.Topics[0].ErrorCode != wire.ErrPolicyViolation {
		t.Errorf("two billion partitions: %+v", a.Topics[0])
	}
	q := fetchRequest("t", 0, 0)
	q.MaxBytes, q.MinBytes, q.MaxWaitMs = -5, -7, -9
	q.Topics[0].Partitions[0].PartitionMaxBytes = -3
	if a := ask[*wire.FetchResponse](r, q, 12); a.Responses[0].Partitions[0].ErrorCode != wire.ErrUnknownTopicOrPartition {
		t.Errorf("negative limits: %+v", a)
	}
}

func TestASmallRequestEarnsNoLargeAnswer(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 100)
	r := dialRaw(t, b)
	id := wire.UUID(mustTopic(t, b, "t"))
	m := wire.NewMetadataRequest()
	d := wire.NewDescribeConfigsRequest()
	for range 10_000 {
		name := "t"
		m.Topics = append(m.Topics, wire.MetadataRequestTopic{TopicId: id, Name: &name})
		d.Resources = append(d.Resources, wire.DescribeConfigsRequestResource{ResourceType: 2, ResourceName: "t"})
	}
	if a := ask[*wire.MetadataResponse](r, m, 13); len(a.Topics) != 1 {
		t.Errorf("a topic is described %d times", len(a.Topics))
	}
	if a := ask[*wire.DescribeConfigsResponse](r, d, 4); len(a.Results) != 1 {
		t.Errorf("a topic's configs are described %d times", len(a.Results))
	}
}

func mustTopic(t *testing.T, b *Broker, name string) [16]byte {
	t.Helper()
	topic, ok := b.set.Catalog().Topic(name)
	if !ok {
		t.Fatalf("no topic %s", name)
	}
	return topic.ID
}
