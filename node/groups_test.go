package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// consumed collects what the members of a group were given.
type consumed struct {
	mu     sync.Mutex
	values map[string]int
}

func (c *consumed) add(v string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[v]++
}

func (c *consumed) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.values)
}

// consumeInGroup runs a member, which commits now and then, until it is told to end; then it leaves.
func consumeInGroup(ctx context.Context, client *kgo.Client, into *consumed) {
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			break
		}
		fetches.EachRecord(func(r *kgo.Record) { into.add(string(r.Value)) })
	}
	client.Close()
}

// TestGroupOfClients lets members of a real client share a topic, come and go, and find their offsets again after a
// restart of the broker.
func TestGroupOfClients(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, config := t.TempDir(), testConfig()
	config.Properties = map[string]string{"group.initial.rebalance.delay.ms": "100", "offsets.topic.num.partitions": "7"}
	b, stop := startBroker(t, dir, config)
	admin := newClient(t, b)
	if _, err := kadm.NewClient(admin).CreateTopics(ctx, 6, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	produce := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if err := admin.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: fmt.Appendf(nil, "v%d", i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	produce(0, 30)
	options := []kgo.Opt{kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(6 * time.Second), kgo.RebalanceTimeout(5 * time.Second), kgo.HeartbeatInterval(200 * time.Millisecond),
		kgo.FetchMaxWait(100 * time.Millisecond), kgo.AutoCommitInterval(100 * time.Millisecond)}
	got := &consumed{values: map[string]int{}}
	var members sync.WaitGroup
	ends := make([]context.CancelFunc, 3)
	for i := range ends {
		var member context.Context
		member, ends[i] = context.WithCancel(ctx)
		client := newClient(t, b, append(options, kgo.Balancers(kgo.RangeBalancer()))...)
		members.Go(func() { consumeInGroup(member, client, got) })
	}
	until(t, "all records are consumed", func() bool { return got.len() == 30 })
	until(t, "three members share the topic", func() bool { return membersOf(ctx, t, admin, "g") == "Stable [2 2 2]" })
	until(t, "all records are committed", func() bool { return committedSum(ctx, t, admin, "g") == 30 })
	ends[0]()
	until(t, "two members share the topic", func() bool { return membersOf(ctx, t, admin, "g") == "Stable [3 3]" })
	ends[1]()
	ends[2]()
	members.Wait()
	until(t, "the group is empty", func() bool { return membersOf(ctx, t, admin, "g") == "Empty []" })
	if sum := committedSum(ctx, t, admin, "g"); sum != 30 {
		t.Errorf("committed are %d records, want 30", sum)
	}
	admin.Close()
	stop()

	b, _ = startBroker(t, dir, config)
	admin = newClient(t, b)
	until(t, "offsets are there after a restart", func() bool { return committedSum(ctx, t, admin, "g") == 30 })
	produce(30, 40)
	member, end := context.WithCancel(ctx)
	again := &consumed{values: map[string]int{}}
	client := newClient(t, b, append(options, kgo.InstanceID("i"), kgo.Balancers(kgo.CooperativeStickyBalancer()))...)
	members.Go(func() { consumeInGroup(member, client, again) })
	until(t, "new records are consumed", func() bool { return again.len() == 10 })
	end()
	members.Wait()
	if again.len() != 10 {
		t.Errorf("after the restart %d records were consumed, want the 10 new ones", again.len())
	}
	deleteGroup(ctx, t, admin)
}

// deleteGroup deletes what the static member left behind.
func deleteGroup(ctx context.Context, t *testing.T, client *kgo.Client) {
	t.Helper()
	admin := kadm.NewClient(client)
	if _, err := admin.DeleteGroup(ctx, "g"); !errors.Is(err, kerr.NonEmptyGroup) {
		t.Errorf("a group with a member was deleted: %v", err)
	}
	if _, err := admin.LeaveGroup(ctx, kadm.LeaveGroup("g").InstanceIDs("i")); err != nil {
		t.Error(err)
	}
	until(t, "the group is empty", func() bool { return membersOf(ctx, t, client, "g") == "Empty []" })
	if _, err := admin.DeleteTopics(ctx, "t"); err != nil {
		t.Error(err)
	}
	until(t, "offsets of a deleted topic are gone", func() bool { return committedSum(ctx, t, client, "g") == 0 })
	if _, err := admin.DeleteGroup(ctx, "g"); err != nil {
		t.Error(err)
	}
	listed, err := admin.ListGroups(ctx)
	if err != nil || len(listed) > 0 {
		t.Errorf("listed are %v, %v", listed, err)
	}
}

// membersOf is the state of a group and the number of partitions of each member, sorted.
func membersOf(ctx context.Context, t *testing.T, client *kgo.Client, group string) string {
	t.Helper()
	described, err := kadm.NewClient(client).DescribeGroups(ctx, group)
	if err != nil {
		t.Fatal(err)
	}
	g := described[group]
	if g.Err != nil {
		return g.Err.Error()
	}
	counts := []int{}
	for _, m := range g.Members {
		n := 0
		if a, ok := m.Assigned.AsConsumer(); ok {
			for _, topic := range a.Topics {
				n += len(topic.Partitions)
			}
		}
		counts = append(counts, n)
	}
	slices.Sort(counts)
	return fmt.Sprint(g.State, " ", counts)
}

// committedSum adds up a group's committed offsets.
func committedSum(ctx context.Context, t *testing.T, client *kgo.Client, group string) int64 {
	t.Helper()
	fetched, err := kadm.NewClient(client).FetchOffsets(ctx, group)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	fetched.Each(func(o kadm.OffsetResponse) {
		if o.Err == nil && o.At > 0 {
			sum += o.At
		}
	})
	return sum
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came about that %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
