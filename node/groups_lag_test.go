package node

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/net/wire"
	"millrace/node/group"
)

// TestLagIsToldAndMeasured commits offsets of partitions that are led by all nodes of a cluster, and compares what the
// group's coordinator tells, and what its metrics show, with where the partitions end.
func TestLagIsToldAndMeasured(t *testing.T) {
	nodes := startCluster(t, 3, map[string]string{"offsets.topic.num.partitions": "3"})
	ctx := testContext(t)
	cl := newClient(t, nodes[0].Broker, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	admin := kadm.NewClient(cl)
	if _, err := admin.CreateTopics(ctx, 6, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	offsets := kadm.Offsets{}
	for p := range int32(6) {
		for i := range 3 {
			at := old
			if i == 2 {
				at = old.Add(30 * time.Minute)
			}
			r := &kgo.Record{Topic: "t", Partition: p, Value: []byte("v"), Timestamp: at}
			if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		offsets.Add(kadm.Offset{Topic: "t", Partition: p, At: int64(p % 4), LeaderEpoch: -1})
	}
	if r, err := admin.CommitOffsets(ctx, "g", offsets); err != nil || r.Error() != nil {
		t.Fatal(err, r.Error())
	}
	coordinator := admin.FindGroupCoordinators(ctx, "g")["g"].NodeID
	// Behind 0 and 1 the first record is an hour old, behind 2 half an hour, behind 3 there is none.
	ages := []float64{3600, 3600, 1800, 0}

	q := kmsg.NewPtrDescribeGroupsRequest()
	q.Groups = []string{"g"}
	q.UnknownTags.Set(TellTag, []byte{1})
	answer, err := cl.Broker(int(coordinator)).Request(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	told := ToldGroup{}
	answer.(*kmsg.DescribeGroupsResponse).Groups[0].UnknownTags.Each(func(tag uint32, v []byte) {
		if tag == TellTag {
			if err := json.Unmarshal(v[bytesLength(v):], &told); err != nil {
				t.Fatal(err)
			}
		}
	})
	if told.Type != "classic" || told.State != "Empty" || len(told.Lag) != 6 {
		t.Fatalf("%+v", told)
	}
	for i, l := range told.Lag {
		checkLag(t, int32(i), l.Partition, l.Lag, l.Seconds, ages)
	}

	b := nodes[coordinator-1].Broker
	m := lagMeter{broker: b}
	report := m.round(b.groups, b.host.Tasks.NewWaiter())
	if len(report.lags) != 6 || len(m.times) != 5 || fmt.Sprint(report.counts) != "[{classic Empty 1}]" {
		t.Fatalf("%+v, times %v", report, m.times)
	}
	for i := range report.lags {
		l := &report.lags[i]
		checkLag(t, int32(i), l.Partition, l.lag(), l.seconds, ages)
	}
	shown := map[string]float64{}
	for _, metric := range report.lagMetrics() {
		for _, s := range metric.Samples {
			shown[metric.Name] += s.Value
		}
	}
	if shown["millrace_group_lag_records"] != 11 || shown["millrace_group_partition_lag_records"] != 11 || shown["millrace_group_lag_hidden"] != 0 ||
		shown["millrace_group_lag_seconds"] < 3600 || shown["millrace_group_lag_seconds"] > 3700 {
		t.Errorf("%v", shown)
	}
	// Asked of a node that does not coordinate the group, nothing is told.
	other := cl.Broker(int(coordinator%3) + 1)
	if answer, err = other.Request(ctx, q); err != nil || answer.(*kmsg.DescribeGroupsResponse).Groups[0].ErrorCode != int16(wire.ErrNotCoordinator) {
		t.Errorf("%+v, %v", answer, err)
	}
}

// TestLagFollowsTheGroup measures again after the group has committed more, and after records were deleted.
func TestLagFollowsTheGroup(t *testing.T) {
	if err := runLag(t); err != nil {
		t.Error(err)
	}
}

func runLag(t *testing.T) error {
	b := newBroker(t)
	ctx := testContext(t)
	cl := newClient(t, b)
	makeTopic(t, cl, "t", 1)
	admin := kadm.NewClient(cl)
	now := time.Now()
	for i := range 10 { // record i is 100 - 10 i minutes old
		produce(t, cl, &kgo.Record{Topic: "t", Value: []byte("v"), Timestamp: now.Add(time.Duration(10*i-100) * time.Minute)})
	}
	m := lagMeter{broker: b}
	w := b.host.Tasks.NewWaiter()
	is := func(records, minutes int64) error {
		lags := m.round(b.groups, w).lags
		if len(lags) != 1 || lags[0].lag() != records || int64(lags[0].seconds+1)/60 != minutes {
			return fmt.Errorf("%+v, want %d records, %d minutes", lags, records, minutes)
		}
		return nil
	}
	commit := func(at int64) {
		t.Helper()
		r, err := admin.CommitOffsets(ctx, "g", kadm.Offsets{"t": {0: {Topic: "t", At: at, LeaderEpoch: -1}}})
		if err != nil || r.Error() != nil {
			t.Fatal(err, r.Error())
		}
	}
	admin.FindGroupCoordinators(ctx, "g")
	commit(1)
	if err := is(9, 90); err != nil {
		return err
	}
	commit(4)
	if err := is(6, 60); err != nil {
		return err
	}
	if _, err := admin.DeleteRecords(ctx, kadm.Offsets{"t": {0: {Topic: "t", At: 7}}}); err != nil {
		t.Fatal(err)
	}
	if err := is(3, 30); err != nil {
		return err
	}
	commit(10)
	return is(0, 0)
}

// bytesLength is the size of the length that bytes begin with.
func bytesLength(v []byte) int {
	n := 0
	for v[n] >= 0x80 {
		n++
	}
	return n + 1
}

func checkLag(t *testing.T, want, partition int32, lag int64, seconds float64, ages []float64) {
	t.Helper()
	committed := int64(partition % 4)
	if partition != want || lag != 3-committed || seconds < ages[committed] || seconds > ages[committed]+100 {
		t.Errorf("partition %d: %d records, %.1f seconds", partition, lag, seconds)
	}
}

// TestLagMetricsAreBounded shows more groups than there is place for.
func TestLagMetricsAreBounded(t *testing.T) {
	r := &groupReport{omitted: 7}
	for i := range shownGroups + 10 {
		for p := range int32(3) {
			r.lags = append(r.lags, groupLag{StoredOffset: storedAt(fmt.Sprintf("g%05d", i), p), start: 0, end: 10, seconds: 1})
		}
	}
	hidden := 0.0
	for _, m := range r.lagMetrics() {
		if len(m.Samples) > shownPartitions {
			t.Errorf("%s has %d samples", m.Name, len(m.Samples))
		}
		if m.Name == "millrace_group_lag_hidden" {
			hidden = m.Samples[0].Value
		}
	}
	if want := float64(7 + 3*(shownGroups+10) - shownPartitions); hidden != want {
		t.Errorf("%v are hidden, want %v", hidden, want)
	}
}

func storedAt(name string, partition int32) group.StoredOffset {
	return group.StoredOffset{Group: name, Topic: "t", Partition: partition, Offset: 1}
}
