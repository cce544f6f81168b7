package node

import (
	"bytes"
	"testing"
	"time"

	"millrace/net/server"
	"millrace/net/wire"
	"millrace/partition/batch"
)

// TestSlowReadersHoldNoMoreThanTheBudget has clients that fetch what is cached and never take it. The memory of what they
// are to be sent is bounded, and who reads on is still served.
func TestSlowReadersHoldNoMoreThanTheBudget(t *testing.T) {
	const limit = 4 << 20
	c := testConfig()
	c.Server = server.Options{AnswerBytes: limit, Patience: 200 * time.Millisecond}
	b, _ := startBroker(t, t.TempDir(), c)
	makeTopic(t, newClient(t, b), "t", 1)
	r := dialRaw(t, b)
	big := rawBatch(1, nil)
	value := bytes.Repeat([]byte("x"), 500<<10)
	for range 8 {
		if a := ask[*wire.ProduceResponse](r, produceRequest("t", -1, largeBatch(t, value)), 9); a.Responses[0].PartitionResponses[0].ErrorCode != 0 {
			t.Fatalf("%+v", a)
		}
	}
	ask[*wire.ProduceResponse](r, produceRequest("t", -1, big), 9)
	q := fetchRequest("t", 0, 0)
	q.MaxBytes, q.Topics[0].Partitions[0].PartitionMaxBytes, q.MaxWaitMs = 4<<20, 4<<20, 100
	var slow []*rawConn
	for range 20 {
		s := dialRaw(t, b)
		for range 8 { // more than the sockets' buffers take
			s.send(q, 12)
		}
		slow = append(slow, s)
	}
	most := int64(0)
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		most = max(most, b.server.Answers.Used())
	}
	// A batch more than there is room for may be read, since clients could not go on otherwise.
	if most == 0 || most > limit+int64(len(slow))*(600<<10) {
		t.Errorf("%d bytes of answers were in memory", most)
	}
	for offset := int64(0); offset < 9; {
		q.Topics[0].Partitions[0].FetchOffset = offset
		a := ask[*wire.FetchResponse](r, q, 12)
		p := a.Responses[0].Partitions[0]
		if p.ErrorCode != 0 {
			t.Fatalf("%+v", p)
		}
		for _, part := range p.Records.Parts {
			for rest := part.Bytes; len(rest) > 12; rest = rest[min(len(rest), 12+int(be32(rest[8:]))):] {
				offset++
			}
		}
	}
	for _, s := range slow {
		s.conn.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); b.server.Answers.Used() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are charged when everybody has gone", b.server.Answers.Used())
		}
	}
}

// largeBatch is a batch of one record.
func largeBatch(t testing.TB, value []byte) []byte {
	t.Helper()
	h := batch.Header{ProducerID: batch.NoProducer, ProducerEpoch: -1, BaseSequence: -1}
	b, err := batch.Encode(nil, h, []batch.Record{{Timestamp: time.Now().UnixMilli(), Value: value}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
