package node_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node"
	"millrace/partition/batch"
	"millrace/sim"
)

// TestProducersThroughFailover has idempotent producers write to a partition of three replicas whose leader is killed or
// loses its power again and again, of which one is away for longer than the others' write-ahead logs reach back, and which
// all lose their power in the end. DescribeProducers must tell the same before and after, on the old leader, the new one,
// and every replica that has caught up: what was sent. A batch that is sent again is answered with its first offset.
func TestProducersThroughFailover(t *testing.T) {
	for seed := range uint64(3) {
		x, err := runProducersWorld(seed)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
			continue
		}
		t.Logf("seed %d: %d batches, %d changes of leaders", seed, x.sent, x.changes)
		if x.changes < producersRounds {
			t.Errorf("seed %d: the leader changed %d times: that says little", seed, x.changes)
		}
	}
}

const producersRounds = 5

// producersWorld is a run.
type producersWorld struct {
	*simBrokers
	d *sim.Draws
	// want is what DescribeProducers has to tell, by id; last are the batches that a producer may send again.
	want    []wire.DescribeProducersResponseProducerState
	last    [][]sentBatch
	sent    int
	changes int
}

// sentBatch is a batch that was acknowledged.
type sentBatch struct {
	bytes []byte
	base  int64
}

func runProducersWorld(seed uint64) (*producersWorld, error) {
	x := &producersWorld{last: make([][]sentBatch, 3), simBrokers: newSimBrokers(seed, 20*time.Minute, 3, node.Config{Lanes: 1, WALFileBytes: 64 << 10,
		WALFirstBytes: 64 << 10, WALMaxBytes: 256 << 10, CheckpointBytes: 16 << 10, CheckpointInterval: 200 * time.Millisecond,
		ReserveHigh: 1, ReserveLow: 1, CacheBytes: 64 << 10})}
	x.d = x.world.Draws("producers")
	for i := range 3 {
		x.want = append(x.want, wire.DescribeProducersResponseProducerState{ProducerId: int64(1000 + i), LastSequence: -1,
			CoordinatorEpoch: -1, CurrentTxnStartOffset: -1})
	}
	return x, x.drive(10*time.Second, x.run)
}

func (x *producersWorld) run() error {
	x.c.SetReplicas(3)
	if err := x.createTopic("t", 1); err != nil {
		return err
	}
	for range producersRounds {
		if err := x.failover(); err != nil {
			return err
		}
	}
	if err := x.absence(); err != nil {
		return err
	}
	if err := x.failover(); err != nil {
		return err
	}
	x.blackout()
	return x.alike("after all have lost their power")
}

// failover writes something, ends the leader, and compares what the old and the new one tell.
func (x *producersWorld) failover() error {
	for range x.d.Below(12) + 3 {
		if err := x.write(int(x.d.Below(3)), 10); err != nil {
			return err
		}
	}
	old, err := x.leader(-1)
	if err != nil {
		return err
	}
	if err := x.tells(old); err != nil {
		return fmt.Errorf("the leader: %w", err)
	}
	if x.d.Chance(0.5) { // else the write-ahead log tells, and no checkpoint
		x.h.Clock.Sleep(time.Duration(x.d.Skewed(10, 1000)) * time.Millisecond)
	}
	x.brokers[old].Crash(sim.Pick(x.d, sim.Kill, sim.Power))
	next, err := x.leader(old)
	if err != nil {
		return err
	}
	x.changes++
	if err := x.tells(next); err != nil {
		return fmt.Errorf("the leader after %d: %w", old+1, err)
	}
	if err := x.again(); err != nil {
		return err
	}
	x.boot(old)
	return x.alike("after a failover")
}

// absence keeps a follower away until the others' write-ahead logs have forgotten what it misses.
func (x *producersWorld) absence() error {
	leader, err := x.leader(-1)
	if err != nil {
		return err
	}
	away := (leader + 1) % len(x.brokers)
	x.brokers[away].Crash(sim.Power)
	for range 200 {
		if err := x.write(int(x.d.Below(3)), 8000); err != nil {
			return err
		}
	}
	x.boot(away)
	return x.alike("after a long absence")
}

// write has a producer send its next batch until it is acknowledged, now and then in a new epoch.
func (x *producersWorld) write(producer, size int) error {
	s := &x.want[producer]
	if s.LastSequence >= 0 && x.d.Chance(0.1) {
		s.ProducerEpoch++
		s.LastSequence = -1
		x.last[producer] = nil
	}
	records := make([]batch.Record, x.d.Below(3)+1)
	at := x.h.Clock.Wall().UnixMilli()
	s.LastTimestamp = 0
	for i := range records {
		records[i] = batch.Record{Timestamp: at - x.d.Below(1000), Value: make([]byte, size)}
		s.LastTimestamp = max(s.LastTimestamp, records[i].Timestamp)
	}
	header := batch.Header{LeaderEpoch: -1, ProducerID: s.ProducerId, ProducerEpoch: int16(s.ProducerEpoch), BaseSequence: s.LastSequence + 1}
	b, err := batch.Encode(nil, header, records, nil)
	if err != nil {
		return err
	}
	base, err := x.send(b)
	if err != nil {
		return err
	}
	x.sent++
	s.LastSequence += int32(len(records))
	x.last[producer] = append(x.last[producer], sentBatch{b, base})
	if n := len(x.last[producer]); n > 5 {
		x.last[producer] = x.last[producer][n-5:]
	}
	return nil
}

// again sends what may be sent again.
func (x *producersWorld) again() error {
	for i, list := range x.last {
		for _, b := range list {
			base, err := x.send(b.bytes)
			if err != nil || base != b.base {
				return fmt.Errorf("a batch of producer %d that was appended at %d is sent again: at %d, %v", x.want[i].ProducerId, b.base, base, err)
			}
		}
	}
	return nil
}

// send produces until there is an answer that says what became of the batch, which is sent again and again otherwise.
func (x *producersWorld) send(b []byte) (base int64, err error) {
	err = x.eventually("produce", func() error {
		if err := x.c.Refresh("t"); err != nil {
			return err
		}
		q := wire.NewProduceRequest()
		q.Acks, q.TimeoutMs = -1, 5000
		q.TopicData = []wire.ProduceRequestTopicProduceData{{Name: "t", TopicId: x.c.Topic("t").ID,
			PartitionData: []wire.ProduceRequestPartitionProduceData{{Records: slices.Clone(b)}}}}
		a, err := x.c.Do(x.c.Leader("t", 0), q)
		if err != nil {
			return err
		}
		p := a.(*wire.ProduceResponse).Responses[0].PartitionResponses[0]
		if base = p.BaseOffset; p.ErrorCode != wire.ErrNone {
			return p.ErrorCode
		}
		return nil
	})
	return base, err
}

// leader waits until the partition has a leader that is another one.
func (x *producersWorld) leader(not int) (i int, err error) {
	err = x.eventually("find the leader", func() error {
		if err := x.c.Refresh("t"); err != nil {
			return err
		}
		if i = slices.Index(x.listens, x.c.Leader("t", 0)); i < 0 || i == not {
			return wire.ErrLeaderNotAvailable
		}
		return nil
	})
	return i, err
}

// tells compares what a replica says with what was sent.
func (x *producersWorld) tells(replica int) error {
	q := &wire.DescribeProducersRequest{Topics: []wire.DescribeProducersRequestTopicRequest{{Name: "t", PartitionIndexes: []int32{0}}}}
	var got []wire.DescribeProducersResponseProducerState
	err := x.eventually("describe producers", func() error {
		a, err := x.c.Do(x.listens[replica], q)
		if err != nil {
			return err
		}
		p := a.(*wire.DescribeProducersResponse).Topics[0].Partitions[0]
		if got = p.ActiveProducers; p.ErrorCode != wire.ErrNone {
			return p.ErrorCode
		}
		return nil
	})
	if err != nil {
		return err
	}
	want := slices.DeleteFunc(slices.Clone(x.want), func(s wire.DescribeProducersResponseProducerState) bool { return s.LastSequence < 0 })
	if !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
		return fmt.Errorf("node %d tells\n%+v, it should be\n%+v", replica+1, got, want)
	}
	return nil
}

// alike waits until all replicas tell what was sent.
func (x *producersWorld) alike(when string) error {
	for i := range x.brokers {
		for end := x.h.Clock.Now().Add(time.Minute); ; x.h.Clock.Sleep(50 * time.Millisecond) {
			err := x.tells(i)
			if err == nil {
				break
			}
			if x.h.Clock.Now() > end {
				return fmt.Errorf("%s: %w", when, err)
			}
		}
	}
	return nil
}
