package node_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/node"
	"millrace/sim"
	"millrace/sim/client"
)

// TestOffsetsTopicIsCompacted commits the offsets of a few groups again and again, over many segments of __consumer_offsets,
// while brokers lose power, and in the end all of them at once. Then the last commits stand and those that were deleted are
// gone, the member that was there from the start is still in its generation, and each replica is small.
func TestOffsetsTopicIsCompacted(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		for seed := range uint64(2) {
			x, err := runOffsetsWorld(seed, nodes)
			if err != nil {
				t.Errorf("%d nodes, seed %d: %v", nodes, seed, err)
				continue
			}
			t.Logf("%d nodes, seed %d: %d commits in %d segments, %d bytes at most in the end", nodes, seed, x.commits, x.segments, x.largest)
			if x.segments < 20*nodes {
				t.Errorf("%d nodes, seed %d: %d segments were made: that says nothing", nodes, seed, x.segments)
			}
		}
	}
}

const (
	offsetsRounds = 60
	offsetsGroups = 4
)

// offsetsWorld is a run.
type offsetsWorld struct {
	*simBrokers
	d *sim.Draws
	// may is what each group may have committed for each partition: what was acknowledged last, and what had no answer since.
	may      map[string]map[int64]bool
	next     int64
	commits  int
	segments int
	largest  int
}

func runOffsetsWorld(seed uint64, nodes int) (*offsetsWorld, error) {
	properties := map[string]string{"offsets.topic.num.partitions": "1", "offsets.topic.segment.bytes": "2000",
		"log.cleaner.min.cleanable.ratio": "0.2", "group.initial.rebalance.delay.ms": "0"}
	if nodes > 1 {
		properties["offsets.topic.replication.factor"] = "3"
	}
	x := &offsetsWorld{may: map[string]map[int64]bool{}, simBrokers: newSimBrokers(seed, 20*time.Minute, nodes, node.Config{Lanes: 2,
		WALFileBytes: 256 << 10, WALFirstBytes: 64 << 10, WALMaxBytes: 2 << 20, CheckpointBytes: 32 << 10, CheckpointInterval: 200 * time.Millisecond,
		ReserveHigh: 1, ReserveLow: 1, CacheBytes: 64 << 10, CleanInterval: 300 * time.Millisecond, IndexInterval: 512, Properties: properties})}
	x.d = x.world.Draws("offsets")
	return x, x.drive(20*time.Second, x.run)
}

func (x *offsetsWorld) run() error {
	if err := x.createTopic("t", 2); err != nil {
		return err
	}
	m := client.NewMember(x.c, client.MemberOptions{Group: "members", Protocol: client.Eager, Topics: []string{"t"}, Assignor: "range",
		Session: 5 * time.Minute, Rebalance: 5 * time.Minute})
	if err := x.joins(m); err != nil {
		return err
	}
	generation := m.Generation
	for round := range offsetsRounds {
		x.round()
		if round%6 == 5 {
			i := int(x.d.Below(int64(len(x.brokers))))
			x.brokers[i].Crash(sim.Power)
			x.h.Clock.Sleep(time.Duration(x.d.Skewed(1, 3000)) * time.Millisecond)
			x.boot(i)
		}
	}
	for range 2 { // what is compacted, and what is made of it
		if err := x.check(); err != nil {
			return err
		}
		if err := x.joins(m); err != nil || m.Generation != generation {
			return fmt.Errorf("the member is in generation %d, it was in %d: %v", m.Generation, generation, err)
		}
		if err := x.small(); err != nil {
			return err
		}
		x.blackout()
	}
	return x.check()
}

// joins lets the member go on until it has been heard, in its generation.
func (x *offsetsWorld) joins(m *client.Member) error {
	for end := x.h.Clock.Now().Add(2 * time.Minute); x.h.Clock.Now() < end; {
		if err := m.Step(); err == nil && m.Joined {
			return nil
		}
		x.h.Clock.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("it does not get in")
}

// round commits for each group and partition, or deletes what is committed.
func (x *offsetsWorld) round() {
	for i := range offsetsGroups {
		group := fmt.Sprint("g", i)
		for p := range int32(2) {
			key := fmt.Sprint(group, "/", p)
			if x.may[key] == nil {
				x.may[key] = map[int64]bool{-1: true}
			}
			now := int64(-1)
			var err error
			if x.d.Chance(0.05) {
				err = x.c.DeleteOffset(group, client.TopicPartition{Topic: "t", Partition: p})
			} else {
				x.next++
				now = x.next
				err = x.c.CommitOffset(group, "t", p, now, strings.Repeat("m", 40))
			}
			if x.commits++; err == nil {
				x.may[key] = map[int64]bool{}
			} else {
				x.h.Clock.Sleep(20 * time.Millisecond)
			}
			x.may[key][now] = true
		}
	}
}

// check looks at what is committed.
func (x *offsetsWorld) check() error {
	for i := range offsetsGroups {
		for p := range int32(2) {
			group := fmt.Sprint("g", i)
			err := x.eventually("fetch offset", func() error {
				offset, _, err := x.c.FetchOffset(group, "t", p)
				if may := x.may[fmt.Sprint(group, "/", p)]; err == nil && !may[offset] {
					x.world.Fail(fmt.Errorf("%s has committed %d for partition %d, it may be %v", group, offset, p, may))
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// small waits until each replica of the offsets topic is: a few records of each key, and a segment that is not closed.
func (x *offsetsWorld) small() error {
	if err := x.eventually("find the offsets topic", func() error { return x.c.Refresh("__consumer_offsets") }); err != nil {
		return err
	}
	id := x.c.Topic("__consumer_offsets").ID
	prefix := hex.EncodeToString(id[:]) + "-"
	const bound = 2*2000 + 100*(3*2*offsetsGroups+2)
	for end := x.h.Clock.Now().Add(time.Minute); ; {
		x.largest, x.segments = 0, 0
		for _, b := range x.brokers {
			bytes := 0
			for _, f := range b.Files() {
				if strings.Contains(f, prefix) && strings.HasSuffix(f, ".log") {
					bytes += len(b.Contents(f))
				}
			}
			for _, f := range b.Created() {
				if strings.Contains(f, prefix) && strings.HasSuffix(f, ".log") {
					x.segments++
				}
			}
			x.largest = max(x.largest, bytes)
		}
		if x.largest <= bound {
			return nil
		}
		if x.h.Clock.Now() > end {
			return fmt.Errorf("a replica of the offsets topic has %d bytes instead of %d after %d commits", x.largest, bound, x.commits)
		}
		x.h.Clock.Sleep(500 * time.Millisecond)
	}
}
