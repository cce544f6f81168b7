package group

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func (s *script) printStory(a *StoryResponse) {
	since := func(millis int64) string {
		if millis == 0 {
			return "-"
		}
		return (time.Duration(millis-start) * time.Millisecond).String()
	}
	fmt.Fprintf(&s.out, "story %s type=%s %s since=%s epoch=%d coordinated=%s", errorName(a.Error), a.Type, a.State, since(a.StateMillis), a.Epoch,
		since(a.CoordinatedMillis))
	for _, w := range a.Waiting {
		fmt.Fprintf(&s.out, "\n  waits for %s: %s", w.MemberID, w.What)
	}
	if a.MoreWaiting > 0 {
		fmt.Fprintf(&s.out, "\n  and %d more", a.MoreWaiting)
	}
	for _, r := range a.Rebalances {
		fmt.Fprintf(&s.out, "\n  at %s to %d: %s", since(r.WallMillis), r.Epoch, r.Reason)
	}
	for _, o := range a.Offsets {
		fmt.Fprintf(&s.out, "\n  %s/%d at %d", o.Topic, o.Partition, o.Offset)
	}
}

func (s *script) printObserved(a *ObserveResponse) {
	fmt.Fprintf(&s.out, "observe %s omitted=%d", errorName(a.Error), a.Omitted)
	for _, c := range a.Counts {
		fmt.Fprintf(&s.out, "\n  %d %s %s", c.Groups, c.Type, c.State)
	}
	for _, o := range a.Offsets {
		fmt.Fprintf(&s.out, "\n  %s %s/%d at %d", o.Group, o.Topic, o.Partition, o.Offset)
	}
}

// TestStoriesAreBounded lets very many members with very long names come and go.
func TestStoriesAreBounded(t *testing.T) {
	config := DefaultConfig()
	config.InitialRebalanceDelay = 0
	w := newWorld(config)
	w.handle(w.c.Elect(w.time()))
	long := "\x1b[2J\n" + strings.Repeat("ü", 10_000)
	for i := range 200 {
		w.ask(&JoinRequest{GroupID: "g", ClientID: long, ClientHost: long, ProtocolType: "consumer", Reason: long,
			Protocols: []Protocol{{Name: "range"}}, SessionTimeout: 10 * time.Second, RebalanceTimeout: 10 * time.Second})
		if i%5 == 0 {
			w.advance(11 * time.Second)
		}
	}
	var told *StoryResponse
	w.seen = func(_ uint64, _ Request, a Response) { told, _ = a.(*StoryResponse) }
	w.ask(&StoryRequest{GroupID: "g"})
	if told == nil || len(told.Rebalances) != keptRebalances || len(told.Waiting) > toldWaiters {
		t.Fatalf("%+v", told)
	}
	for _, r := range told.Rebalances {
		if len(r.Reason) > (keptCauses+1)*(maxCause+10) {
			t.Errorf("a reason has %d bytes", len(r.Reason))
		}
		if strings.ContainsAny(r.Reason, "\x1b\n") {
			t.Errorf("%q", r.Reason)
		}
	}
	w.advance(time.Hour)
	w.ask(&DeleteRequest{GroupIDs: []string{"g"}})
	w.advance(config.OffsetsRetentionInterval + time.Second)
	if len(w.c.memories) != 0 {
		t.Errorf("%d groups are remembered that are no more", len(w.c.memories))
	}
}
