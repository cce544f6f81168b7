package node

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"millrace/net/wire"
)

// describedBrokers are the ids that DescribeCluster lists, with those that are fenced as negative numbers.
func describedBrokers(t *testing.T, b *Broker, fenced bool) (ids []int32) {
	t.Helper()
	q := wire.NewDescribeClusterRequest()
	q.IncludeFencedBrokers = fenced
	r := dialRaw(t, b)
	defer r.conn.Close()
	for _, broker := range ask[*wire.DescribeClusterResponse](r, q, 2).Brokers {
		if broker.IsFenced {
			broker.BrokerId = -broker.BrokerId
		}
		ids = append(ids, broker.BrokerId)
	}
	slices.SortFunc(ids, func(x, y int32) int { return int(max(x, -x) - max(y, -y)) })
	return ids
}

func unregister(t *testing.T, b *Broker, id int32) wire.ErrorCode {
	t.Helper()
	q := wire.NewUnregisterBrokerRequest()
	q.BrokerId = id
	r := dialRaw(t, b)
	defer r.conn.Close()
	return ask[*wire.UnregisterBrokerResponse](r, q, 0).ErrorCode
}

// TestALostBrokerIsFencedAndUnregistered: a broker that dies is fenced after its session, then listed only for who asks for such,
// and gone for good when somebody says so; not before.
func TestALostBrokerIsFencedAndUnregistered(t *testing.T) {
	nodes := startCluster(t, 3, map[string]string{"broker.session.timeout.ms": "1000"})
	first := nodes[0].Broker
	if ids := describedBrokers(t, first, true); !slices.Equal(ids, []int32{1, 2, 3}) {
		t.Fatalf("brokers at first: %v", ids)
	}
	if code := unregister(t, first, 3); code == wire.ErrNone {
		t.Error("a broker that is alive was unregistered")
	}
	nodes[2].quit()
	eventually(t, 20*time.Second, func() (why string) {
		for _, n := range nodes[:2] {
			without, with := describedBrokers(t, n.Broker, false), describedBrokers(t, n.Broker, true)
			if !slices.Equal(without, []int32{1, 2}) || !slices.Equal(with, []int32{1, 2, -3}) {
				why = fmt.Sprintf("node %d lists %v, with fenced ones %v", n.NodeID(), without, with)
			}
		}
		return why
	})
	if code := unregister(t, first, 3); code != wire.ErrNone {
		t.Errorf("unregistering a fenced broker: %v", code)
	}
	eventually(t, 10*time.Second, func() (why string) {
		for _, n := range nodes[:2] {
			if ids := describedBrokers(t, n.Broker, true); !slices.Equal(ids, []int32{1, 2}) {
				why = fmt.Sprintf("node %d lists %v", n.NodeID(), ids)
			}
		}
		return why
	})
	if code := unregister(t, first, 3); code != wire.ErrBrokerIdNotRegistered {
		t.Errorf("unregistering it once more: %v", code)
	}
	nodes[2].start(t)
	eventually(t, 10*time.Second, func() (why string) {
		if ids := describedBrokers(t, first, true); !slices.Equal(ids, []int32{1, 2, 3}) {
			why = fmt.Sprintf("after it came back: %v", ids)
		}
		return why
	})
}

// TestReplicasChosenByHand creates a topic and partitions with replicas that somebody has chosen: on those brokers, in that order.
func TestReplicasChosenByHand(t *testing.T) {
	nodes := startCluster(t, 3, nil)
	r := dialRaw(t, nodes[0].Broker)
	create := wire.NewCreateTopicsRequest()
	create.TimeoutMs = 10_000
	topic := wire.CreateTopicsRequestCreatableTopic{Name: "t", NumPartitions: -1, ReplicationFactor: -1}
	want := [][]int32{{3, 1}, {2, 3}, {1, 3}}
	for i, ids := range want {
		topic.Assignments = append(topic.Assignments, wire.CreateTopicsRequestCreatableReplicaAssignment{PartitionIndex: int32(i), BrokerIds: ids})
	}
	create.Topics = append(create.Topics, topic)
	if a := ask[*wire.CreateTopicsResponse](r, create, 7).Topics[0]; a.ErrorCode != wire.ErrNone || a.NumPartitions != 3 || a.ReplicationFactor != 2 {
		t.Fatalf("created: %+v", a)
	}
	grow := wire.NewCreatePartitionsRequest()
	grow.TimeoutMs = 10_000
	more := wire.CreatePartitionsRequestTopic{Name: "t", Count: 4}
	more.Assignments = append(more.Assignments, wire.CreatePartitionsRequestAssignment{BrokerIds: []int32{2, 1}})
	grow.Topics = append(grow.Topics, more)
	if a := ask[*wire.CreatePartitionsResponse](r, grow, 3).Results[0]; a.ErrorCode != wire.ErrNone {
		t.Fatalf("grown: %+v", a)
	}
	eventually(t, 10*time.Second, func() string {
		parts := metadataOf(t, nodes[1].Broker, "t").Topics[0].Partitions
		if len(parts) != 4 {
			return fmt.Sprintf("%d partitions", len(parts))
		}
		return ""
	})
	var got [][]int32
	for _, p := range settledTopic(t, nodes, "t") {
		got = append(got, p.ReplicaNodes)
	}
	if want = append(want, []int32{2, 1}); !reflect.DeepEqual(got, want) {
		t.Errorf("the replicas are %v, not %v", got, want)
	}
}
