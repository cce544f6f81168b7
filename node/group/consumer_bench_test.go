package group

import (
	"fmt"
	"testing"
	"time"
)

// bigGroup is a group with so many members that share a topic with as many partitions, settled.
func bigGroup(tb testing.TB, members int) (*world, []*ConsumerHeartbeatRequest) {
	config := DefaultConfig()
	config.ConsumerAssignment = Bounds{0, 0, time.Minute}
	w := newWorld(config)
	w.cluster = (*testCluster)(nil).with("t", int32(members))
	w.c.SetCluster(w.cluster, true)
	w.handle(w.c.Elect(w.time()))
	beats := make([]*ConsumerHeartbeatRequest, members)
	owned := make([][]TopicPartitions, members)
	changed := false
	w.seen = func(_ uint64, r Request, answer Response) {
		q, a := r.(*ConsumerHeartbeatRequest), answer.(*ConsumerHeartbeatResponse)
		if a.Error != 0 {
			tb.Fatalf("member %s: %d %s", q.MemberID, a.Error, a.ErrorMessage)
		}
		var n int
		fmt.Sscanf(q.MemberID, "member-%d", &n)
		changed = changed || a.Assigned || beats[n].MemberEpoch != a.MemberEpoch
		if beats[n].MemberEpoch = a.MemberEpoch; a.Assigned {
			owned[n] = a.Assignment
		}
	}
	w.hold = true
	for i := range members {
		r := &ConsumerHeartbeatRequest{GroupID: "g", MemberID: fmt.Sprintf("member-%d", i), RebalanceTimeoutMs: 60000,
			TopicNames: []string{"t"}, Owned: []TopicPartitions{}, ClientID: "c", ClientHost: "/192.0.2.1"}
		beats[i] = &ConsumerHeartbeatRequest{GroupID: "g", MemberID: r.MemberID, RebalanceTimeoutMs: -1, ClientID: "c", ClientHost: "/192.0.2.1"}
		w.ask(r)
	}
	w.commitAll()
	for changed {
		changed = false
		for i, b := range beats {
			r := *b
			r.Owned = append([]TopicPartitions{}, owned[i]...)
			w.ask(&r)
		}
		w.commitAll()
	}
	w.hold = false
	w.seen = nil
	return w, beats
}

// BenchmarkConsumerHeartbeat is one of a settled group's heartbeats, which changes nothing.
func BenchmarkConsumerHeartbeat(b *testing.B) {
	w, beats := bigGroup(b, 1000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.ask(beats[i%len(beats)])
		i++
	}
}

// BenchmarkConsumerSettle is how long the coordinator itself works until a group of 200 members is settled.
func BenchmarkConsumerSettle(b *testing.B) {
	for b.Loop() {
		bigGroup(b, 200)
	}
}
