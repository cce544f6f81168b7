package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerProperties let consumer groups settle quickly.
func consumerProperties() map[string]string {
	return map[string]string{
		"offsets.topic.num.partitions":             "3",
		"group.initial.rebalance.delay.ms":         "0",
		"group.consumer.min.heartbeat.interval.ms": "100",
		"group.consumer.heartbeat.interval.ms":     "200",
		"group.consumer.min.session.timeout.ms":    "1000",
		"group.consumer.session.timeout.ms":        "10000",
		"group.consumer.assignment.interval.ms":    "0",
	}
}

// TestConsumerGroupOfClients lets members of a real client that speak the consumer protocol share topics, come and go, be
// joined by one that speaks the classic protocol, and find their offsets again after a restart of the broker.
func TestConsumerGroupOfClients(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, config := t.TempDir(), testConfig()
	config.Properties = consumerProperties()
	b, stop := startBroker(t, dir, config)
	admin := newClient(t, b)
	if _, err := kadm.NewClient(admin).CreateTopics(ctx, 6, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	produce := func(topic string, from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if err := admin.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "v%d", i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	produce("t", 0, 30)
	options := []kgo.Opt{kgo.ConsumerGroup("g"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RebalanceTimeout(5 * time.Second),
		kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(200 * time.Millisecond), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.AutoCommitInterval(100 * time.Millisecond), kgo.Balancers(kgo.RangeBalancer())}
	newProtocol := append(slices.Clone(options), kgo.ServerSideBalancer())
	got := &consumed{values: map[string]int{}}
	var members sync.WaitGroup
	run := func(opts ...kgo.Opt) context.CancelFunc {
		member, end := context.WithCancel(ctx)
		client := newClient(t, b, opts...)
		members.Go(func() { consumeInGroup(member, client, got) })
		return end
	}
	is := func(what, want string) {
		t.Helper()
		until(t, what, func() bool { return consumersOf(ctx, t, admin, "g") == want })
	}
	var ends []context.CancelFunc
	for range 3 {
		ends = append(ends, run(append(newProtocol, kgo.ConsumeTopics("t"))...))
	}
	until(t, "all records are consumed", func() bool { return got.len() == 30 })
	is("three members share the topic", "Stable range [2 2 2]")
	until(t, "all records are committed", func() bool { return committedSum(ctx, t, admin, "g") == 30 })
	ends[0]()
	is("two members share the topic", "Stable range [3 3]")

	// One that speaks the classic protocol joins, and is the last.
	classic := run(append(options, kgo.ConsumeTopics("t"))...)
	is("one of another protocol has its share", "Stable range [2 2 2]")
	ends[1]()
	ends[2]()
	until(t, "the group is a classic one", func() bool { return membersOf(ctx, t, admin, "g") == "Stable [6]" })
	produce("t", 30, 40)
	until(t, "new records are consumed", func() bool { return got.len() == 40 })
	pattern := run(append(newProtocol, kgo.ConsumeTopics("^[tu]$"), kgo.ConsumeRegex())...)
	is("the group is a consumer group again", "Stable range [3 3]")
	classic()
	is("one is left", "Stable range [6]")
	if _, err := kadm.NewClient(admin).CreateTopics(ctx, 2, 1, nil, "u"); err != nil {
		t.Fatal(err)
	}
	produce("u", 40, 42)
	pattern()
	members.Wait()
	is("the group is empty", "Empty range []")
	admin.Close()
	stop()

	b, _ = startBroker(t, dir, config)
	admin = newClient(t, b)
	is("the group is there after a restart", "Empty range []")
	again := run(append(newProtocol, kgo.ConsumeTopics("t", "u"), kgo.InstanceID("i"))...)
	until(t, "records of the new topic are consumed", func() bool { return got.len() == 42 })
	is("a static member has all", "Stable range [8]")
	again()
	members.Wait()
	is("it keeps its place", "Stable range [8]")
	for v, n := range got.values {
		if n != 1 && v < "v30" {
			t.Errorf("%s was consumed %d times", v, n)
		}
	}
	if _, err := kadm.NewClient(admin).DeleteGroup(ctx, "g"); !errors.Is(err, kerr.NonEmptyGroup) {
		t.Errorf("a group with a member was deleted: %v", err)
	}
	if _, err := kadm.NewClient(admin).LeaveGroup(ctx, kadm.LeaveGroup("g").InstanceIDs("i")); err != nil {
		t.Error(err)
	}
	is("nobody is left", "Empty range []")
	if _, err := kadm.NewClient(admin).DeleteGroup(ctx, "g"); err != nil {
		t.Error(err)
	}
	if sum := committedSum(ctx, t, admin, "g"); sum != 0 {
		t.Errorf("committed are %d in a deleted group", sum)
	}
}

// consumersOf is the state of a consumer group, its assignor, and the number of partitions of each member, sorted.
func consumersOf(ctx context.Context, t *testing.T, client *kgo.Client, group string) string {
	t.Helper()
	r := kmsg.NewPtrConsumerGroupDescribeRequest()
	r.Groups = []string{group}
	a, err := r.RequestWith(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	g := a.Groups[0]
	if g.ErrorCode != 0 {
		return kerr.ErrorForCode(g.ErrorCode).Error()
	}
	counts := []int{}
	for _, m := range g.Members {
		n := 0
		for _, topic := range m.Assignment.TopicPartitions {
			n += len(topic.Partitions)
		}
		counts = append(counts, n)
	}
	slices.Sort(counts)
	assignor := g.AssignorName
	if len(counts) == 0 {
		assignor = "range"
	}
	return fmt.Sprint(g.State, " ", assignor, " ", counts)
}

// TestGroupConfigs checks that groups have configs of their own, within the broker's bounds.
func TestGroupConfigs(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	config := testConfig()
	config.Properties = consumerProperties()
	b, _ := startBroker(t, t.TempDir(), config)
	client := newClient(t, b)
	alter := func(name, key, value string) string {
		t.Helper()
		r := kmsg.NewPtrIncrementalAlterConfigsRequest()
		resource := kmsg.NewIncrementalAlterConfigsRequestResource()
		resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeGroupConfig, name
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = key, &value
		resource.Configs = append(resource.Configs, c)
		r.Resources = append(r.Resources, resource)
		a, err := r.RequestWith(ctx, client)
		if err != nil {
			t.Fatal(err)
		}
		if a.Resources[0].ErrorMessage == nil {
			return ""
		}
		return *a.Resources[0].ErrorMessage
	}
	for _, c := range []struct{ name, key, value, want string }{
		{"g", "consumer.heartbeat.interval.ms", "300", ""},
		{"g", "consumer.session.timeout.ms", "2000", ""},
		{"g", "consumer.session.timeout.ms", "500", "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"},
		{"g", "consumer.session.timeout.ms", "70000", "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms"},
		{"g", "consumer.heartbeat.interval.ms", "2000", "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms"},
		{"g", "consumer.heartbeat.interval.ms", "x", "Not a number"},
		{"g", "retention.ms", "1", "Unknown group config name: retention.ms"},
		{"", "consumer.session.timeout.ms", "2000", "Default group resources are not allowed."},
	} {
		if got := alter(c.name, c.key, c.value); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s=%s of %q: %q, want %q", c.key, c.value, c.name, got, c.want)
		}
	}
	r := kmsg.NewPtrDescribeConfigsRequest()
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeGroupConfig, "g"
	r.Resources = append(r.Resources, resource)
	a, err := r.RequestWith(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range a.Resources[0].Configs {
		got = append(got, fmt.Sprint(c.Name, "=", *c.Value, " ", int8(c.Source)))
	}
	want := "[consumer.assignment.interval.ms=0 4 consumer.heartbeat.interval.ms=300 8 consumer.session.timeout.ms=2000 8]"
	if fmt.Sprint(got) != want {
		t.Errorf("described are\n%v, want\n%s", got, want)
	}
	h := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	h.Group, h.MemberID, h.RebalanceTimeoutMillis, h.SubscribedTopicNames = "g", "m", 1000, []string{"t"}
	h.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	var joined *kmsg.ConsumerGroupHeartbeatResponse
	until(t, "the coordinator is there", func() bool {
		joined, err = h.RequestWith(ctx, client)
		return err == nil && joined.ErrorCode != kerr.NotCoordinator.Code
	})
	if joined.ErrorCode != 0 || joined.HeartbeatIntervalMillis != 300 {
		t.Errorf("a member is told %+v", joined)
	}
	start := time.Now()
	until(t, "the session ends", func() bool { return consumersOf(ctx, t, client, "g") == "Empty range []" })
	if d := time.Since(start); d < time.Second || d > 6*time.Second {
		t.Errorf("the session took %v to end", d)
	}
}
