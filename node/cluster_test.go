package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/net/wire"
)

// testNode is a node of a cluster of real processes' making: goroutines, sockets, files.
type testNode struct {
	*Broker
	end    func(func(*Broker) error)
	dir    string
	config Config
}

// stop ends a node that hands over first, quit one that does not.
func (n *testNode) stop() { n.end((*Broker).Stop) }
func (n *testNode) quit() { n.end((*Broker).Close) }

// startCluster runs nodes 1, 2, ... in racks "a", "b", ....
func startCluster(t *testing.T, n int, properties map[string]string) []*testNode {
	t.Helper()
	nodes := make([]*testNode, n)
	addresses := freeAddresses(t, 2*n)
	var peers []Peer
	for i := range nodes {
		peers = append(peers, Peer{int32(i + 1), addresses[i]})
	}
	for i := range nodes {
		c := testConfig()
		c.NodeID, c.Peers, c.Rack, c.Properties, c.Listen = int32(i+1), peers, string(rune('a'+i)), properties, addresses[n+i]
		nodes[i] = &testNode{dir: t.TempDir(), config: c}
	}
	var wait sync.WaitGroup
	for _, node := range nodes {
		wait.Go(func() { node.start(t) })
	}
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return nodes
}

func (n *testNode) start(t *testing.T) { n.Broker, n.end = startBrokerToEnd(t, n.dir, n.config) }

// freeAddresses are addresses of this machine whose ports were free a moment ago. They are below those that outgoing
// connections get, so that none of them takes one while its node is down.
func freeAddresses(t *testing.T, n int) (list []string) {
	t.Helper()
	ports := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(os.Getpid())))
	for len(list) < n {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 20_000+ports.IntN(12_000)))
		if err == nil {
			defer l.Close() // held until all are chosen, so that no two are the same
			list = append(list, l.Addr().String())
		}
	}
	return list
}

// metadataOf asks one node about topics.
func metadataOf(t *testing.T, b *Broker, names ...string) *wire.MetadataResponse {
	t.Helper()
	q := wire.NewMetadataRequest()
	for i := range names {
		q.Topics = append(q.Topics, wire.MetadataRequestTopic{Name: &names[i]})
	}
	r := dialRaw(t, b)
	defer r.conn.Close()
	return ask[*wire.MetadataResponse](r, q, 12)
}

// eventually repeats a check until it says "", or fails with what it says.
func eventually(t *testing.T, within time.Duration, check func() string) {
	t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		why := check()
		if why == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal(why)
		}
	}
}

// settledTopic waits until all nodes say the same of a topic whose partitions have leaders and all replicas in sync.
func settledTopic(t *testing.T, nodes []*testNode, name string) (parts []wire.MetadataResponsePartition) {
	t.Helper()
	eventually(t, 10*time.Second, func() string {
		parts = nil
		for _, n := range nodes {
			topic := metadataOf(t, n.Broker, name).Topics[0]
			for _, p := range topic.Partitions {
				if p.LeaderId < 0 || len(p.IsrNodes) != len(p.ReplicaNodes) || len(p.OfflineReplicas) > 0 {
					return fmt.Sprintf("node %d says %+v", n.NodeID(), p)
				}
			}
			if parts != nil && !reflect.DeepEqual(parts, topic.Partitions) {
				return fmt.Sprintf("node %d says\n%+v, another one\n%+v", n.NodeID(), topic.Partitions, parts)
			}
			parts = topic.Partitions
		}
		return ""
	})
	return parts
}

func createIn(t *testing.T, nodes []*testNode, name string, partitions int32, replication int16) {
	t.Helper()
	r, err := kadm.NewClient(newClient(t, nodes[0].Broker)).CreateTopic(testContext(t), partitions, replication, nil, name)
	if err != nil || r.Err != nil {
		t.Fatalf("create %s: %v %v %s", name, err, r.Err, r.ErrMessage)
	}
}

// TestAClusterIsSeenAlike asks all nodes for the same things.
func TestAClusterIsSeenAlike(t *testing.T) {
	nodes := startCluster(t, 3, nil)
	createIn(t, nodes, "three", 6, 3)
	createIn(t, nodes, "two", 3, 2)
	createIn(t, nodes, "default", -1, -1)
	led := map[int32]int{}
	for _, p := range settledTopic(t, nodes, "three") {
		led[p.LeaderId]++
		if p.LeaderId != p.ReplicaNodes[0] {
			t.Errorf("partition %d is led by %d, its replicas are %v", p.PartitionIndex, p.LeaderId, p.ReplicaNodes)
		}
	}
	if len(led) != 3 {
		t.Errorf("six partitions are led by %v", led)
	}
	settledTopic(t, nodes, "two")
	if p := settledTopic(t, nodes, "default"); len(p) != 1 || len(p[0].ReplicaNodes) != 3 {
		t.Errorf("by default a topic has %+v", p)
	}
	for _, n := range nodes {
		q := wire.NewDescribeClusterRequest()
		q.EndpointType = 1
		a := ask[*wire.DescribeClusterResponse](dialRaw(t, n.Broker), q, 2)
		if len(a.Brokers) != 3 || *a.Brokers[2].Rack != "c" || a.Brokers[1].IsFenced || a.ControllerId < 1 {
			t.Errorf("node %d: %+v", n.NodeID(), a)
		}
		qq := wire.NewDescribeQuorumRequest()
		qq.Topics = []wire.DescribeQuorumRequestTopicData{{TopicName: metadataTopic, Partitions: []wire.DescribeQuorumRequestPartitionData{{}}}}
		c := dialRaw(t, n.Broker)
		var p wire.DescribeQuorumResponsePartitionData
		for range 100 { // indexes are shown with the next tick
			if p = ask[*wire.DescribeQuorumResponse](c, qq, 2).Topics[0].Partitions[0]; p.HighWatermark >= 5 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if p.ErrorCode != wire.ErrNone || p.LeaderId != a.ControllerId || len(p.CurrentVoters) != 3 || p.HighWatermark < 5 {
			t.Errorf("node %d: the quorum is %+v", n.NodeID(), p)
		}
	}
}

// TestOtherNodesTellTheLeader produces to and fetches from each node.
func TestOtherNodesTellTheLeader(t *testing.T) {
	nodes := startCluster(t, 3, nil)
	createIn(t, nodes, "t", 1, 3)
	createIn(t, nodes, "one", 3, 1)
	p := settledTopic(t, nodes, "t")[0]
	leader := nodes[p.LeaderId-1]
	ask[*wire.ProduceResponse](dialRaw(t, leader.Broker), produceRequest("t", -1, rawBatch(3, nil)), 12)
	for _, n := range nodes {
		if n == leader {
			continue
		}
		r := dialRaw(t, n.Broker)
		a := ask[*wire.ProduceResponse](r, produceRequest("t", -1, rawBatch(1, nil)), 12)
		part := a.Responses[0].PartitionResponses[0]
		if part.ErrorCode != wire.ErrNotLeaderOrFollower || part.CurrentLeader.LeaderId != p.LeaderId || part.CurrentLeader.LeaderEpoch != p.LeaderEpoch ||
			len(a.NodeEndpoints) != 1 || fmt.Sprintf("%s:%d", a.NodeEndpoints[0].Host, a.NodeEndpoints[0].Port) != leader.Addr() {
			t.Errorf("produce to node %d: %+v %+v", n.NodeID(), part, a.NodeEndpoints)
		}
		// Any replica gives records, to who may ask one.
		f := ask[*wire.FetchResponse](r, fetchRequest("t", 0, 0), 12).Responses[0].Partitions[0]
		if f.ErrorCode != wire.ErrNone || f.HighWatermark != 3 || f.Records.Size() == 0 {
			t.Errorf("fetch from node %d: %+v", n.NodeID(), f)
		}
		if f := ask[*wire.FetchResponse](r, fetchRequest("t", 0, 0), 10).Responses[0].Partitions[0]; f.ErrorCode != wire.ErrNotLeaderOrFollower {
			t.Errorf("an old fetch from node %d: %+v", n.NodeID(), f)
		}
	}
	for i, part := range settledTopic(t, nodes, "one") {
		other := nodes[part.LeaderId%3]
		q := fetchRequest("one", 0, int32(i))
		q.Topics[0].TopicId = metadataOf(t, other.Broker, "one").Topics[0].TopicId
		a := ask[*wire.FetchResponse](dialRaw(t, other.Broker), q, 16)
		got := a.Responses[0].Partitions[0]
		if got.ErrorCode != wire.ErrNotLeaderOrFollower || got.CurrentLeader.LeaderId != part.LeaderId || len(a.NodeEndpoints) != 1 {
			t.Errorf("fetch of a partition that node %d does not have: %+v", other.NodeID(), a)
		}
	}
}

// TestFetchEpochs checks what a client knows of the leader against what is.
func TestFetchEpochs(t *testing.T) {
	nodes := startCluster(t, 3, nil)
	createIn(t, nodes, "t", 1, 3)
	p := settledTopic(t, nodes, "t")[0]
	for _, n := range nodes {
		for epoch, want := range map[int32]wire.ErrorCode{
			p.LeaderEpoch - 1: wire.ErrFencedLeaderEpoch, p.LeaderEpoch: wire.ErrNone, p.LeaderEpoch + 1: wire.ErrUnknownLeaderEpoch,
		} {
			q := fetchRequest("t", 0, 0)
			q.Topics[0].TopicId, q.MaxWaitMs = metadataOf(t, n.Broker, "t").Topics[0].TopicId, 1
			q.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
			a := ask[*wire.FetchResponse](dialRaw(t, n.Broker), q, 16).Responses[0].Partitions[0]
			if a.ErrorCode != want || (want == wire.ErrFencedLeaderEpoch) != (a.CurrentLeader.LeaderId == p.LeaderId) {
				t.Errorf("node %d, epoch %+d: %+v", n.NodeID(), epoch-p.LeaderEpoch, a)
			}
		}
		q := fetchRequest("t", 7, 0)
		if a := ask[*wire.FetchResponse](dialRaw(t, n.Broker), q, 12).Responses[0].Partitions[0]; a.ErrorCode != wire.ErrOffsetOutOfRange {
			t.Errorf("node %d, above the end: %+v", n.NodeID(), a)
		}
	}
}

// TestClientsOfARackReadThere asks the leader with a rack.
func TestClientsOfARackReadThere(t *testing.T) {
	nodes := startCluster(t, 3, nil)
	createIn(t, nodes, "t", 1, 3)
	p := settledTopic(t, nodes, "t")[0]
	leader := nodes[p.LeaderId-1]
	r := dialRaw(t, leader.Broker)
	ask[*wire.ProduceResponse](r, produceRequest("t", -1, rawBatch(3, nil)), 12)
	for rack, want := range map[string]int32{"": -1, "a": 1, "b": 2, "c": 3, "d": -1} {
		if want == p.LeaderId {
			want = -1
		}
		q := fetchRequest("t", 0, 0)
		q.RackId = rack
		a := ask[*wire.FetchResponse](r, q, 12).Responses[0].Partitions[0]
		if a.ErrorCode != wire.ErrNone || a.PreferredReadReplica != want || (want >= 0) != (a.Records.Size() == 0) || a.HighWatermark != 3 {
			t.Errorf("rack %q: %+v, want to be sent to %d", rack, a, want)
		}
	}
}

// TestANodeHandsOverBeforeItStops produces all the time while each node in turn is stopped and started again.
func TestANodeHandsOverBeforeItStops(t *testing.T) {
	nodes := startCluster(t, 3, nil)
	createIn(t, nodes, "t", 6, 3)
	settledTopic(t, nodes, "t")
	cl, err := kgo.NewClient(kgo.SeedBrokers(listens(nodes)...), kgo.DefaultProduceTopic("t"), kgo.MaxBufferedRecords(100))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	acked := map[string]bool{}
	var mu sync.Mutex
	longest, last := time.Duration(0), time.Now()
	load.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			value := fmt.Sprint(i)
			cl.Produce(context.Background(), kgo.StringRecord(value), func(_ *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("record %s: %v", value, err)
					return
				}
				acked[value] = true
				longest, last = max(longest, time.Since(last)), time.Now()
			})
			time.Sleep(time.Millisecond)
		}
	})
	for _, n := range nodes {
		time.Sleep(200 * time.Millisecond)
		begin := time.Now()
		n.stop()
		stopped := time.Now()
		n.start(t)
		started := time.Now()
		settledTopic(t, nodes, "t")
		mu.Lock()
		t.Logf("node %d: stopped in %v, started in %v, in sync after %v; longest time without an answer %v", n.NodeID(),
			stopped.Sub(begin), started.Sub(stopped), time.Since(started), longest)
		mu.Unlock()
	}
	cancel()
	load.Wait()
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records, longest time without an answer %v", len(acked), longest)
	reader := newClient(t, nodes[0].Broker, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := map[string]int{}
	for end := testContext(t); len(seen) < len(acked); {
		fetches := reader.PollFetches(end)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d of %d records: %v", len(seen), len(acked), err)
		}
		fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
	}
	for value, n := range seen {
		if n > 1 || !acked[value] {
			t.Errorf("record %s was read %d times, acknowledged %t", value, n, acked[value])
		}
	}
}

func newAdmin(t *testing.T, nodes []*testNode) *kadm.Client {
	t.Helper()
	return kadm.NewClient(newClient(t, nodes[0].Broker, kgo.SeedBrokers(listens(nodes)...)))
}

func listens(nodes []*testNode) (list []string) {
	for _, n := range nodes {
		list = append(list, n.config.Listen)
	}
	return list
}

// TestAGroupSurvivesItsCoordinator commits offsets and takes the coordinator away, which does not hand over.
func TestAGroupSurvivesItsCoordinator(t *testing.T) {
	nodes := startCluster(t, 3, map[string]string{"offsets.topic.num.partitions": "5", "group.initial.rebalance.delay.ms": "0"})
	createIn(t, nodes, "t", 3, 3)
	for round := range int64(3) {
		offsets := kadm.Offsets{}
		for p := range int32(3) {
			offsets.AddOffset("t", p, 10*round+int64(p), -1)
		}
		admin := newAdmin(t, nodes)
		if err := admin.CommitAllOffsets(testContext(t), "g", offsets); err != nil {
			t.Fatalf("round %d: commit: %v", round, err)
		}
		found := admin.FindGroupCoordinators(testContext(t), "g")
		if found.Error() != nil {
			t.Fatal(found.Error())
		}
		coordinator := nodes[found["g"].NodeID-1]
		coordinator.quit()
		var fetched kadm.OffsetResponses
		eventually(t, 10*time.Second, func() (why string) {
			// A new client each time: one that was told of the old coordinator a moment too early stays with it.
			var err error
			if fetched, err = newAdmin(t, nodes).FetchOffsets(testContext(t), "g"); err != nil {
				why = fmt.Sprintf("round %d: fetch: %v", round, err)
			}
			return why
		})
		for p := range int32(3) {
			if o, ok := fetched.Lookup("t", p); !ok || o.At != 10*round+int64(p) {
				t.Errorf("round %d: partition %d is at %+v", round, p, o)
			}
		}
		again := admin.FindGroupCoordinators(testContext(t), "g")["g"].NodeID
		if again == coordinator.NodeID() {
			t.Errorf("round %d: node %d coordinates though it has gone", round, again)
		}
		coordinator.start(t)
		settledTopic(t, nodes, "t")
	}
}

// TestLeadershipGoesBack stops the leader of a partition, which then does not lead it until it is asked to.
func TestLeadershipGoesBack(t *testing.T) {
	nodes := startCluster(t, 3, map[string]string{"auto.leader.rebalance.enable": "false"})
	createIn(t, nodes, "t", 3, 3)
	before := settledTopic(t, nodes, "t")
	first := nodes[0]
	others := nodes[1:]
	first.stop()
	eventually(t, 5*time.Second, func() string {
		for _, n := range others {
			for _, p := range metadataOf(t, n.Broker, "t").Topics[0].Partitions {
				if p.LeaderId < 2 || !slices.Equal(p.OfflineReplicas, []int32{1}) || slices.Contains(p.IsrNodes, 1) {
					return fmt.Sprintf("node %d says %+v", n.NodeID(), p)
				}
			}
		}
		return ""
	})
	elect := func() (codes []wire.ErrorCode) {
		q := wire.NewElectLeadersRequest()
		q.TimeoutMs = 5000
		q.TopicPartitions = []wire.ElectLeadersRequestTopicPartitions{{Topic: "t", Partitions: []int32{0, 1, 2}}}
		for _, p := range ask[*wire.ElectLeadersResponse](dialRaw(t, others[0].Broker), q, 2).ReplicaElectionResults[0].PartitionResult {
			codes = append(codes, p.ErrorCode)
		}
		return codes
	}
	want := func(ofFirst wire.ErrorCode) (codes []wire.ErrorCode) {
		for _, p := range before {
			if p.LeaderId == 1 {
				codes = append(codes, ofFirst)
			} else {
				codes = append(codes, wire.ErrElectionNotNeeded)
			}
		}
		return codes
	}
	if codes := elect(); !slices.Equal(codes, want(wire.ErrPreferredLeaderNotAvailable)) {
		t.Errorf("elections without node 1: %v", codes)
	}
	first.start(t)
	settledTopic(t, nodes, "t")
	if codes := elect(); !slices.Equal(codes, want(wire.ErrNone)) {
		t.Errorf("elections with node 1: %v", codes)
	}
	for i, p := range settledTopic(t, nodes, "t") {
		if p.LeaderId != before[i].LeaderId || p.LeaderEpoch < before[i].LeaderEpoch {
			t.Errorf("partition %d was led by %d in epoch %d, and is by %d in %d", i, before[i].LeaderId, before[i].LeaderEpoch, p.LeaderId, p.LeaderEpoch)
		}
	}
}
