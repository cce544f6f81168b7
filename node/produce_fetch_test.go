package node

import (
	"encoding/binary"
	"testing"
	"time"

	"millrace/net/wire"
)

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 1)
	r := dialRaw(t, b)
	const produces = 50
	for range produces {
		r.send(produceRequest("t", -1, rawBatch(2, nil)), 9)
	}
	r.send(fetchRequest("t", 0, 0), 12)
	r.send(wire.NewMetadataRequest(), 9)
	for i := range int64(produces) {
		correlation, m := r.receive(wire.KeyProduce, 9)
		p := m.(*wire.ProduceResponse).Responses[0].PartitionResponses[0]
		if correlation != int32(i)+1 || p.BaseOffset != 2*i || p.ErrorCode != 0 {
			t.Fatalf("answer %d: correlation %d, %+v", i, correlation, p)
		}
	}
	_, m := r.receive(wire.KeyFetch, 12)
	if f := m.(*wire.FetchResponse); f.Responses[0].Partitions[0].HighWatermark != 2*produces {
		t.Errorf("a fetch behind the produces on its connection sees the end %d", f.Responses[0].Partitions[0].HighWatermark)
	}
	r.receive(wire.KeyMetadata, 9)
}

func TestAFetchWaitsForRecords(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 2)
	waiting, producing := dialRaw(t, b), dialRaw(t, b)
	q := fetchRequest("t", 0, 0, 1)
	q.MaxWaitMs = 300
	start := time.Now()
	a := ask[*wire.FetchResponse](waiting, q, 12)
	if d := time.Since(start); d < 290*time.Millisecond || a.Responses[0].Partitions[0].Records.Size() != 0 {
		t.Errorf("an empty fetch took %v: %+v", d, a)
	}
	q.MaxWaitMs = 10_000
	waiting.send(q, 12)
	time.Sleep(20 * time.Millisecond)
	start = time.Now()
	ask[*wire.ProduceResponse](producing, produceRequest("t", -1, rawBatch(1, nil)), 9)
	_, m := waiting.receive(wire.KeyFetch, 12)
	if a = m.(*wire.FetchResponse); a.Responses[0].Partitions[0].Records.Size() == 0 || time.Since(start) > 3*time.Second {
		t.Errorf("a waiting fetch got %+v after %v", a, time.Since(start))
	}
	// min_bytes: one more record is not enough, the next ones are.
	q.MinBytes, q.MaxWaitMs = int32(a.Responses[0].Partitions[0].Records.Size()*3), 10_000
	waiting.send(q, 12)
	for range 2 {
		time.Sleep(20 * time.Millisecond)
		ask[*wire.ProduceResponse](producing, produceRequest("t", -1, rawBatch(1, nil)), 9)
	}
	_, m = waiting.receive(wire.KeyFetch, 12)
	if size := m.(*wire.FetchResponse).Responses[0].Partitions[0].Records.Size(); size < int64(q.MinBytes) {
		t.Errorf("%d bytes, min_bytes is %d", size, q.MinBytes)
	}
}

func TestAStoppingNodeEndsLongPolls(t *testing.T) {
	b, stop := startBroker(t, t.TempDir(), testConfig())
	makeTopic(t, newClient(t, b), "t", 1)
	r := dialRaw(t, b)
	q := fetchRequest("t", 0, 0)
	q.MaxWaitMs = 100_000
	r.send(q, 12)
	time.Sleep(30 * time.Millisecond)
	start := time.Now()
	stop()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("Stop took %v", d)
	}
}

func TestFetchLimits(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 2)
	r := dialRaw(t, b)
	for range 4 {
		ask[*wire.ProduceResponse](r, produceRequest("t", -1, rawBatch(3, nil), rawBatch(3, nil)), 9)
	}
	one := int64(len(rawBatch(3, nil)))
	for _, c := range []struct {
		name          string
		partition     int32
		total         int32
		offset        int64
		first, second int64 // bytes of the two partitions
	}{
		{"everything", 1 << 20, 1 << 20, 0, 4 * one, 4 * one},
		{"at least one batch", 1, 1 << 20, 0, one, 0},
		{"at least one batch in all", 1 << 20, 1, 0, one, 0},
		{"whole batches", int32(2*one + 5), 1 << 20, 0, 2 * one, 2 * one},
		{"in all", 1 << 20, int32(5 * one), 0, 4 * one, one},
		{"from the middle of a batch", 1 << 20, 1 << 20, 4, 3 * one, 3 * one},
	} {
		q := fetchRequest("t", c.offset, 0, 1)
		q.MaxBytes = c.total
		for i := range q.Topics[0].Partitions {
			q.Topics[0].Partitions[i].PartitionMaxBytes = c.partition
		}
		p := ask[*wire.FetchResponse](r, q, 12).Responses[0].Partitions
		if p[0].Records.Size() != c.first || p[1].Records.Size() != c.second {
			t.Errorf("%s: %d and %d bytes, want %d and %d", c.name, p[0].Records.Size(), p[1].Records.Size(), c.first, c.second)
		}
	}
}

func TestFetchSessions(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 3)
	r := dialRaw(t, b)
	q := fetchRequest("t", 0, 0, 1, 2)
	q.SessionEpoch, q.MaxWaitMs = 0, 50
	a := ask[*wire.FetchResponse](r, q, 12)
	if a.SessionId == 0 || len(a.Responses[0].Partitions) != 3 {
		t.Fatalf("new session: %+v", a)
	}
	next := fetchRequest("t", 0)
	next.SessionId, next.SessionEpoch, next.MaxWaitMs = a.SessionId, 1, 50
	if a = ask[*wire.FetchResponse](r, next, 12); len(a.Responses) != 0 || a.SessionId != next.SessionId {
		t.Errorf("nothing new: %+v", a)
	}
	ask[*wire.ProduceResponse](r, produceRequest("t", -1, rawBatch(1, nil), rawBatch(1, nil)), 9)
	next.SessionEpoch = 2
	if a = ask[*wire.FetchResponse](r, next, 12); len(a.Responses) != 1 || len(a.Responses[0].Partitions) != 2 {
		t.Errorf("two partitions have news: %+v", a)
	}
	if a = ask[*wire.FetchResponse](r, next, 12); a.ErrorCode != wire.ErrInvalidFetchSessionEpoch {
		t.Errorf("epoch again: %+v", a)
	}
	// Advance partition 0 and forget partition 1.
	change := fetchRequest("t", 1, 0)
	change.SessionId, change.SessionEpoch, change.MaxWaitMs = next.SessionId, 3, 50
	change.ForgottenTopicsData = []wire.FetchRequestForgottenTopic{{Topic: "t", Partitions: []int32{1}}}
	if a = ask[*wire.FetchResponse](r, change, 12); len(a.Responses) != 0 {
		t.Errorf("after the change: %+v", a)
	}
	ask[*wire.ProduceResponse](r, produceRequest("t", -1, rawBatch(1, nil), rawBatch(1, nil), rawBatch(1, nil)), 9)
	next.SessionEpoch = 4
	a = ask[*wire.FetchResponse](r, next, 12)
	if len(a.Responses) != 1 || len(a.Responses[0].Partitions) != 2 {
		t.Fatalf("partitions 0 and 2 have news: %+v", a)
	}
	for _, p := range a.Responses[0].Partitions {
		if p.PartitionIndex == 1 {
			t.Error("a forgotten partition is fetched")
		}
	}
	other := dialRaw(t, b)
	next.SessionEpoch = 5
	if a = ask[*wire.FetchResponse](other, next, 12); a.ErrorCode != wire.ErrFetchSessionIdNotFound {
		t.Errorf("from another connection: %+v", a)
	}
	r.conn.Close()
	for range 100 {
		if b.sessions.count.Load() == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the session outlives its connection")
}

// TestFetchSessionsHaveABound lets sessions have five partitions altogether. Who gets no session, or asks for more than
// there is room for, is served without one; what was evicted counts until its connection has heard of it.
func TestFetchSessionsHaveABound(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 4)
	b.sessions.most = 5
	fetch := func(r *rawConn, session, epoch int32, indexes ...int32) *wire.FetchResponse {
		t.Helper()
		q := fetchRequest("t", 0, indexes...)
		q.SessionId, q.SessionEpoch, q.MaxWaitMs = session, epoch, 1
		return ask[*wire.FetchResponse](r, q, 12)
	}
	first, second, third := dialRaw(t, b), dialRaw(t, b), dialRaw(t, b)
	one, two := fetch(first, 0, 0, 0, 1, 2).SessionId, fetch(second, 0, 0, 0).SessionId
	if one == 0 || two == 0 {
		t.Fatal("four partitions have room")
	}
	if a := fetch(third, 0, 0, 0, 1); a.SessionId != 0 || a.ErrorCode != 0 || len(a.Responses[0].Partitions) != 2 {
		t.Errorf("two more have none, and are fetched all the same: %+v", a)
	}
	if a := fetch(second, two, 1, 1); a.SessionId != two {
		t.Errorf("one more has room: %+v", a)
	}
	if a := fetch(second, two, 2, 2); a.SessionId != 0 || a.ErrorCode != 0 || len(a.Responses[0].Partitions) != 3 {
		t.Errorf("a session that grows too large ends, and is served: %+v", a)
	}
	three := fetch(third, 0, 0, 0, 1).SessionId
	if three == 0 {
		t.Error("who ended made room")
	}
	fetch(second, one, -1) // somebody else ends the first one, whose connection does not know yet
	if a := fetch(second, 0, 0, 0); a.SessionId != 0 {
		t.Errorf("what is remembered counts: %+v", a)
	}
	if a := fetch(first, one, 1); a.ErrorCode != wire.ErrFetchSessionIdNotFound {
		t.Errorf("it has ended: %+v", a)
	}
	if a := fetch(first, 0, 0, 0, 1, 2); a.SessionId == 0 {
		t.Errorf("and makes room for its successor: %+v", a)
	}
}

func TestIdempotentProduces(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 1)
	r := dialRaw(t, b)
	send := func(epoch uint16, sequence uint32, n int) wire.ProduceResponsePartitionProduceResponse {
		q := produceRequest("t", -1, rawBatch(n, func(b []byte) {
			binary.BigEndian.PutUint64(b[43:], 77)
			binary.BigEndian.PutUint16(b[51:], epoch)
			binary.BigEndian.PutUint32(b[53:], sequence)
		}))
		return ask[*wire.ProduceResponse](r, q, 9).Responses[0].PartitionResponses[0]
	}
	for _, c := range []struct {
		epoch    uint16
		sequence uint32
		n        int
		offset   int64
		code     wire.ErrorCode
	}{
		{0, 0, 3, 0, wire.ErrNone},
		{0, 3, 2, 3, wire.ErrNone},
		{0, 0, 3, 0, wire.ErrNone}, // again
		{0, 3, 2, 3, wire.ErrNone},
		{0, 9, 1, -1, wire.ErrOutOfOrderSequenceNumber},
		{1, 5, 1, -1, wire.ErrOutOfOrderSequenceNumber},
		{1, 0, 1, 5, wire.ErrNone},
		{0, 5, 1, -1, wire.ErrInvalidProducerEpoch},
	} {
		if p := send(c.epoch, c.sequence, c.n); p.BaseOffset != c.offset || p.ErrorCode != c.code {
			t.Errorf("epoch %d sequence %d: offset %d, %v; want %d, %v", c.epoch, c.sequence, p.BaseOffset, p.ErrorCode, c.offset, c.code)
		}
	}
}

func TestLogAppendTimeIsAnswered(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 1, "message.timestamp.type", "LogAppendTime")
	start := time.Now().UnixMilli()
	q := produceRequest("t", -1, rawBatch(1, func(b []byte) { binary.BigEndian.PutUint64(b[27:], 1000) }))
	p := ask[*wire.ProduceResponse](dialRaw(t, b), q, 9).Responses[0].PartitionResponses[0]
	if p.LogAppendTimeMs < start || p.LogAppendTimeMs > time.Now().UnixMilli() {
		t.Errorf("log append time %d", p.LogAppendTimeMs)
	}
}

func TestDeletedTopicEndsAFetch(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 1)
	waiting, admin := dialRaw(t, b), dialRaw(t, b)
	q := fetchRequest("t", 0, 0)
	q.MaxWaitMs = 15_000
	waiting.send(q, 12)
	time.Sleep(20 * time.Millisecond)
	start := time.Now()
	name := "t"
	del := wire.NewDeleteTopicsRequest()
	del.TimeoutMs, del.Topics = 5000, []wire.DeleteTopicsRequestDeleteTopicState{{Name: &name}}
	if a := ask[*wire.DeleteTopicsResponse](admin, del, 6); a.Responses[0].ErrorCode != 0 {
		t.Fatalf("delete: %+v", a)
	}
	_, m := waiting.receive(wire.KeyFetch, 12)
	if code := m.(*wire.FetchResponse).Responses[0].Partitions[0].ErrorCode; code != wire.ErrUnknownTopicOrPartition || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", code, time.Since(start))
	}
}
