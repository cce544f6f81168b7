package node

import (
	"encoding/binary"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/net/wire"
)

// TestProducersAreRememberedAndTold takes an idempotent producer through its window of five, a restart of the broker, and
// a new epoch, and compares what DescribeProducers tells each time.
func TestProducersAreRememberedAndTold(t *testing.T) {
	dir := t.TempDir()
	b, stop := startBroker(t, dir, testConfig())
	makeTopic(t, newClient(t, b), "t", 2)
	r := dialRaw(t, b)
	send := func(epoch uint16, sequence uint32, offset int64, code wire.ErrorCode) {
		t.Helper()
		q := produceRequest("t", -1, rawBatch(2, func(b []byte) {
			binary.BigEndian.PutUint64(b[43:], 77)
			binary.BigEndian.PutUint16(b[51:], epoch)
			binary.BigEndian.PutUint32(b[53:], sequence)
		}))
		p := ask[*wire.ProduceResponse](r, q, 9).Responses[0].PartitionResponses[0]
		if p.ErrorCode != code || p.BaseOffset != offset {
			t.Errorf("epoch %d sequence %d: offset %d, %v; want %d, %v", epoch, sequence, p.BaseOffset, p.ErrorCode, offset, code)
		}
	}
	told := func() []wire.DescribeProducersResponseProducerState {
		t.Helper()
		q := &wire.DescribeProducersRequest{Topics: []wire.DescribeProducersRequestTopicRequest{{Name: "t", PartitionIndexes: []int32{0, 1, 7}}, {Name: "u", PartitionIndexes: []int32{0}}}}
		a := ask[*wire.DescribeProducersResponse](r, q, 0)
		if p := a.Topics[0].Partitions; p[0].ErrorCode != 0 || p[1].ErrorCode != 0 || len(p[1].ActiveProducers) != 0 || p[2].ErrorCode != wire.ErrUnknownTopicOrPartition ||
			a.Topics[1].Partitions[0].ErrorCode != wire.ErrUnknownTopicOrPartition {
			t.Errorf("%+v", a.Topics)
		}
		return a.Topics[0].Partitions[0].ActiveProducers
	}
	if got := told(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	for i := range uint32(6) {
		send(0, 2*i, int64(2*i), wire.ErrNone)
	}
	is := func(epoch, last int32) {
		t.Helper()
		got := told()
		if len(got) != 1 || got[0].LastTimestamp <= 0 {
			t.Fatalf("%+v", got)
		}
		got[0].LastTimestamp = 0
		want := wire.DescribeProducersResponseProducerState{ProducerId: 77, ProducerEpoch: epoch, LastSequence: last, CoordinatorEpoch: -1, CurrentTxnStartOffset: -1}
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("%+v, want %+v", got[0], want)
		}
	}
	window := func() {
		t.Helper()
		for i := uint32(1); i < 6; i++ {
			send(0, 2*i, int64(2*i), wire.ErrNone) // again: one of the last five
		}
		send(0, 0, -1, wire.ErrOutOfOrderSequenceNumber) // the sixth from behind
		send(0, 14, -1, wire.ErrOutOfOrderSequenceNumber)
		is(0, 11)
	}
	window()
	stop()
	b, _ = startBroker(t, dir, testConfig())
	r = dialRaw(t, b)
	window()
	send(1, 3, -1, wire.ErrOutOfOrderSequenceNumber)
	send(1, 0, 12, wire.ErrNone)
	send(0, 12, -1, wire.ErrInvalidProducerEpoch)
	send(1, 2, 14, wire.ErrNone)
	is(1, 3)
	q := &wire.DescribeProducersRequest{Topics: []wire.DescribeProducersRequestTopicRequest{{Name: "a b", PartitionIndexes: []int32{0}}}}
	if a := ask[*wire.DescribeProducersResponse](r, q, 0); a.Topics[0].Partitions[0].ErrorCode != wire.ErrInvalidTopicException {
		t.Errorf("%+v", a.Topics)
	}
}

// TestProducersExpire shortens producer.id.expiration.ms while the broker runs.
func TestProducersExpire(t *testing.T) {
	c := testConfig()
	c.RetentionInterval = 20 * time.Millisecond
	b, _ := startBroker(t, t.TempDir(), c)
	cl := newClient(t, b)
	makeTopic(t, cl, "t", 1)
	produce(t, cl, &kgo.Record{Topic: "t", Value: []byte("v")})
	admin := kadm.NewClient(cl)
	known := func() int {
		all, err := admin.DescribeProducers(testContext(t), kadm.TopicsSet{"t": {0: {}}})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		all.EachProducer(func(kadm.DescribedProducer) { n++ })
		return n
	}
	if n := known(); n != 1 {
		t.Fatalf("%d producers are known, want 1", n)
	}
	value := "1"
	if _, err := admin.AlterBrokerConfigs(testContext(t), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "producer.id.expiration.ms", Value: &value}}); err != nil {
		t.Fatal(err)
	}
	until(t, "the producer is forgotten", func() bool { return known() == 0 })
}
