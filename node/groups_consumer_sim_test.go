package node_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
)

// TestConsumerGroupsInTheSimulator is TestGroupsInTheSimulator for members that speak the consumer protocol, one or two of
// them static ones. Held against it:
//
//	a partition belongs to one member at a time: to who was told so, until he is told otherwise or was silent for so long
//	  that he must count with having been fenced
//	the epoch that a member is told never goes back
//	a fetched offset is never below one that was acknowledged before
//	no commit is acknowledged for a partition that another member has
//	members come to own the topic again when the faults are over
func TestConsumerGroupsInTheSimulator(t *testing.T) {
	seeds := uint64(6)
	if n, err := strconv.ParseUint(os.Getenv("SIM_SEEDS"), 10, 64); err == nil {
		seeds = n
	}
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprint("nodes=", nodes), func(t *testing.T) {
			commits := 0
			for seed := range seeds {
				g, err := runConsumerWorld(seed, nodes)
				if err != nil {
					t.Fatal(err)
				}
				commits += g.commits
				if seed == 0 {
					if again, err := runConsumerWorld(seed, nodes); err != nil || again.hash != g.hash {
						t.Errorf("seed %d: hash %x, and again %x", seed, g.hash, again.hash)
					}
				}
			}
			t.Logf("%d seeds, %d commits", seeds, commits)
			if commits < 100 {
				t.Errorf("%d commits were acknowledged: too few to show anything", commits)
			}
		})
	}
}

func runConsumerWorld(seed uint64, nodes int) (*groupWorld, error) {
	var all []*simConsumer
	return runGroups(seed, nodes, func(m *simMember) {
		c := &simConsumer{simMember: m, all: &all, number: len(all), told: map[string]int32{}}
		if c.number == 2 || c.number == 1 && seed%3 == 0 { // then two want to be the same static member
			c.instance = new("i")
		}
		all = append(all, c)
		c.run()
	})
}

// The times of the consumer groups here. Who has not been heard of for the lease may be fenced.
const (
	simConsumerSession   = 6 * time.Second
	simConsumerRebalance = 5 * time.Second
	simConsumerLease     = 4900 * time.Millisecond
)

// simConsumer is a member that speaks the consumer protocol.
type simConsumer struct {
	*simMember
	all      *[]*simConsumer
	number   int
	lives    int
	instance *string
	epoch    int32
	report   bool // what it has has changed
	until    host.Instant
	at       [simPartitions]int64
	told     map[string]int32 // by member id
}

var errLost = errors.New("the member is no member any more")

func (c *simConsumer) run() {
	for c.g.world.Now() < simEnd {
		if err := c.session(); err != nil {
			c.pause(20, 300)
		}
	}
	c.c.Close()
	if c.g.running--; c.g.running == 0 {
		c.g.world.Stop()
	}
}

// session is some time with one coordinator.
func (c *simConsumer) session() error {
	addr, err := c.c.Coordinator("g")
	if err != nil {
		return err
	}
	for range c.draws.Between(5, 40) {
		if err := c.beat(addr); err != nil {
			return err
		}
		for _, p := range slices.Clone(c.owned) {
			if err := c.commitOne(addr, p); err != nil {
				return err
			}
		}
		c.pause(100, 500)
	}
	return c.finish(addr)
}

// finish is what a member does that has had enough.
func (c *simConsumer) finish(addr string) error {
	if c.g.world.Now() > simChaos {
		return nil
	}
	switch c.draws.Below(5) {
	case 0, 1:
		q := wire.NewConsumerGroupHeartbeatRequest()
		q.GroupId, q.MemberId, q.MemberEpoch, q.InstanceId = "g", c.id, -1, c.instance
		if c.instance != nil && c.draws.Chance(0.5) {
			q.MemberEpoch = -2
		}
		c.forget()
		_, err := c.c.Do(addr, q)
		return err
	case 2:
		c.forget() // its process ends and begins again
	case 3:
		c.pause(6000, 9000)
	}
	return nil
}

func (c *simConsumer) forget() { c.id, c.owned, c.until = "", nil, 0 }

func (c *simConsumer) beat(addr string) error {
	q := wire.NewConsumerGroupHeartbeatRequest()
	if c.id == "" {
		c.lives++
		c.id, c.epoch, c.owned = fmt.Sprintf("m%d-%d", c.number, c.lives), 0, nil
	}
	q.GroupId, q.MemberId, q.MemberEpoch, q.InstanceId = "g", c.id, c.epoch, c.instance
	if c.epoch == 0 || c.report {
		q.RebalanceTimeoutMs, q.SubscribedTopicNames = int32(simConsumerRebalance.Milliseconds()), []string{"t"}
		q.TopicPartitions = []wire.ConsumerGroupHeartbeatRequestTopicPartitions{}
		if len(c.owned) > 0 {
			q.TopicPartitions = append(q.TopicPartitions,
				wire.ConsumerGroupHeartbeatRequestTopicPartitions{TopicId: c.g.topic, Partitions: slices.Clone(c.owned)})
		}
	}
	sent := c.g.h.Clock.Now()
	answer, err := c.c.Do(addr, q)
	if err != nil {
		c.report = true // who does not know what became of a heartbeat says all again
		return err
	}
	a := answer.(*wire.ConsumerGroupHeartbeatResponse)
	switch a.ErrorCode {
	case wire.ErrNone:
	case wire.ErrFencedMemberEpoch:
		c.epoch, c.owned = 0, nil
		return errLost
	case wire.ErrUnknownMemberId, wire.ErrFencedInstanceId, wire.ErrGroupIdNotFound:
		c.forget()
		return errLost
	default:
		return a.ErrorCode.Err()
	}
	if a.MemberEpoch < c.told[c.id] {
		c.g.world.Fail(fmt.Errorf("member %s was told epoch %d, and then %d", c.id, c.told[c.id], a.MemberEpoch))
	}
	c.epoch, c.told[c.id], c.report = a.MemberEpoch, a.MemberEpoch, false
	c.until = sent.Add(simConsumerLease)
	if a.Assignment == nil {
		return nil
	}
	return c.take(a.Assignment)
}

// take gives back what is no longer assigned and takes what is, of which nobody else may have anything.
func (c *simConsumer) take(assigned *wire.ConsumerGroupHeartbeatResponseAssignment) error {
	var taken []int32
	for _, t := range assigned.TopicPartitions {
		taken = append(taken, t.Partitions...)
	}
	c.owned = slices.DeleteFunc(c.owned, func(p int32) bool { return !slices.Contains(taken, p) })
	c.report = true
	for _, p := range taken {
		for _, o := range *c.all {
			if o != c && o.has(p) {
				c.g.world.Fail(fmt.Errorf("partition %d belongs to %s (epoch %d) and to %s (epoch %d)", p, o.id, o.epoch, c.id, c.epoch))
			}
		}
	}
	for _, p := range taken {
		if slices.Contains(c.owned, p) {
			continue
		}
		acked := c.g.acked[p]
		offset, _, err := c.c.FetchOffset("g", "t", p)
		if err != nil {
			return err // the rest is told again
		}
		if max(offset, 0) < acked {
			c.g.world.Fail(fmt.Errorf("partition %d: offset %d was acknowledged, and then %d fetched", p, acked, offset))
		}
		c.at[p] = max(offset, 0)
		c.owned = append(c.owned, p)
	}
	return nil
}

// has says whether the member may think that the partition is its own.
func (c *simConsumer) has(p int32) bool {
	return slices.Contains(c.owned, p) && c.g.h.Clock.Now() < c.until
}

func (c *simConsumer) commitOne(addr string, p int32) error {
	other := ""
	for _, o := range *c.all {
		if o != c && o.has(p) {
			other = o.id
		}
	}
	q := wire.NewOffsetCommitRequest()
	q.GroupId, q.MemberId, q.GenerationIdOrMemberEpoch, q.GroupInstanceId = "g", c.id, c.epoch, c.instance
	part := wire.NewOffsetCommitRequestPartition()
	part.PartitionIndex, part.CommittedOffset = p, c.at[p]+1
	q.Topics = []wire.OffsetCommitRequestTopic{{Name: "t", TopicId: c.g.topic, Partitions: []wire.OffsetCommitRequestPartition{part}}}
	answer, err := c.c.Do(addr, q)
	if err != nil {
		return err
	}
	switch code := answer.(*wire.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode; code {
	case wire.ErrNone:
	case wire.ErrStaleMemberEpoch:
		return nil // the next heartbeat tells
	default:
		return code.Err()
	}
	g := c.g
	if other != "" {
		g.world.Fail(fmt.Errorf("partition %d: a commit of %s (epoch %d) was acknowledged, and %s had it", p, c.id, c.epoch, other))
	}
	c.at[p]++
	g.acked[p] = max(g.acked[p], c.at[p])
	g.commits++
	if g.world.Now() > simChaos+20*time.Second {
		g.late[p]++
	}
	return nil
}
