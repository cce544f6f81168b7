package trial

import (
	"fmt"
	"time"

	"millrace/net/wire"
	"millrace/sim"
	"millrace/sim/client"
)

// oldRequest is what a member sent.
type oldRequest struct {
	member     *memberState
	life       int
	generation int32
	id         string
	assigned   bool // its generation was one for which it had its part
	message    wire.Message
}

// remembered bounds what a zombie knows of a group.
const remembered = 200

// remember keeps a heartbeat or commit that goes out.
func (g *groupState) remember(x *memberState, q wire.Message) {
	switch q.(type) {
	case *wire.HeartbeatRequest, *wire.OffsetCommitRequest:
	case *wire.ConsumerGroupHeartbeatRequest:
	default:
		return
	}
	if len(g.said) == remembered {
		g.said = g.said[remembered/2:]
	}
	g.said = append(g.said, oldRequest{x, x.life, x.m.Generation, x.m.ID, x.m.Assigned == x.m.Generation, q})
}

// beZombie is the task of a client that says again what others have said, as a network does that delivers late or twice
// what was sent over connections that have ended.
func (t *trial) beZombie(i int, name string, d *sim.Draws, a ActorPlan) {
	c := t.newClient(name, a)
	c.Least(wire.KeyOffsetCommit, 9) // which members of the consumer protocol need
	c.Least(wire.KeyProduce, 7)      // which has all codecs
	defer c.Close()
	for n := 0; !t.stop; t.rest(d, a) {
		if len(t.acked) > 0 && d.Chance(0.4) {
			t.produceAgain(c, t.acked[d.Below(int64(len(t.acked)))])
			continue
		}
		if len(t.groups) == 0 {
			continue
		}
		g := t.groups[d.Below(int64(len(t.groups)))]
		if len(g.said) == 0 {
			continue
		}
		old := g.said[d.Below(int64(len(g.said)))]
		switch q := old.message.(type) {
		case *wire.OffsetCommitRequest:
			n++
			g.commitAgain(c, i, n, old, q)
		case *wire.HeartbeatRequest:
			g.beatAgain(c, old, q)
		case *wire.ConsumerGroupHeartbeatRequest:
			g.reportAgain(c, old, q)
		}
	}
}

// commitAgain repeats a commit, under another name so that its effect can be seen.
func (g *groupState) commitAgain(c *client.Client, actor, n int, old oldRequest, q *wire.OffsetCommitRequest) {
	again := *q
	again.Topics = nil
	var list []*client.Commit
	var names []client.TopicPartition
	for _, t := range q.Topics {
		if c.Topic(t.Name) == nil {
			if err := c.Refresh(t.Name); err != nil {
				return
			}
		}
		copied := t
		copied.Partitions = nil
		for _, p := range t.Partitions {
			metadata := fmt.Sprintf("zombie %d/%d", actor, n)
			p.CommittedMetadata = &metadata
			copied.Partitions = append(copied.Partitions, p)
			tp := client.TopicPartition{Topic: t.Name, Partition: p.PartitionIndex}
			names = append(names, tp)
			list = append(list, &client.Commit{TopicPartition: tp, Offset: p.CommittedOffset, Metadata: metadata})
		}
		again.Topics = append(again.Topics, copied)
	}
	newest, called := g.newest, g.t.host.Clock.Now()
	owners := make([]*memberState, len(list))
	for i, x := range list {
		owners[i] = g.owner(x.TopicPartition, old.member)
	}
	// At its epoch a member may commit for all partitions, also for those that it gave up without a new epoch, when it
	// changed its subscription. So an old commit must be refused only when the member has heard of another epoch.
	// In the classic protocol a generation that was never complete may come again under its number after a failover.
	superseded := g.classic() && old.assigned || old.life == old.member.life && old.id == old.member.m.ID && old.generation < old.member.m.Generation
	for i, err := range c.Repeat(&again, names) {
		x := list[i]
		x.Err = err
		g.committed("zombie of "+old.id, actor, x, called)
		g.met("repeated commit", err)
		if err != nil {
			g.t.checkMember(old.member, "repeated commit", err)
			continue
		}
		if o := owners[i]; o != nil && superseded && !old.member.pretends() {
			g.t.failf("group %s: an old commit of %q in %d for %v was acknowledged, and %v had it", g.name, old.id, old.generation, x.TopicPartition, o)
		}
		if old.generation < newest && g.classic() {
			g.t.failf("group %s: an old commit of %q for %v was acknowledged in generation %d, after %d was told", g.name, old.id, x.TopicPartition, old.generation, newest)
		}
	}
}

// beatAgain repeats a heartbeat of the classic protocol.
func (g *groupState) beatAgain(c *client.Client, old oldRequest, q *wire.HeartbeatRequest) {
	newest := g.newest
	addr, err := c.Coordinator(g.name)
	if err != nil {
		return
	}
	answer, err := c.Do(addr, q)
	if err != nil {
		return
	}
	code := answer.(*wire.HeartbeatResponse).ErrorCode
	g.t.checkMember(old.member, "repeated heartbeat", code.Err())
	g.met("repeated heartbeat", code.Err())
	// Whoever says so need not know that it coordinates no longer.
	if code == wire.ErrNone && q.GenerationId < newest && g.classic() && len(g.t.brokers) == 1 {
		g.t.failf("group %s: a heartbeat of %q in generation %d was taken, after %d was told", g.name, old.id, q.GenerationId, newest)
	}
}

// reportAgain repeats a heartbeat of the consumer protocol, if it is one that must be refused: of a member that is known by
// another epoch, two steps later or more, to itself and so to the coordinator.
func (g *groupState) reportAgain(c *client.Client, old oldRequest, q *wire.ConsumerGroupHeartbeatRequest) {
	x := old.member
	if q.MemberEpoch <= 0 || x.life != old.life || x.m.ID != old.id || q.MemberEpoch >= x.m.Earlier {
		return
	}
	addr, err := c.Coordinator(g.name)
	if err != nil {
		return
	}
	answer, err := c.Do(addr, q)
	if err != nil {
		return
	}
	code := answer.(*wire.ConsumerGroupHeartbeatResponse).ErrorCode
	g.t.checkMember(old.member, "repeated heartbeat", code.Err())
	g.met("repeated heartbeat", code.Err())
	if code == wire.ErrNone {
		g.t.failf("group %s: a heartbeat of %q with epoch %d was taken, %d was told", g.name, old.id, q.MemberEpoch, x.m.Generation)
	}
}

// watch is the task of one who looks at a group from outside: at its committed offsets, which it asks of any broker, and at
// what is said of it.
func (t *trial) watch(i int, name string, d *sim.Draws, a ActorPlan) {
	c := t.newClient(name, a)
	defer c.Close()
	g := t.group(a.Member.Group)
	for ; !t.stop; t.rest(d, a) {
		l := t.partitions()
		if len(l) == 0 {
			continue
		}
		addr := t.brokers[d.Below(int64(len(t.brokers)))].node.Name() + ":9092"
		switch d.Below(4) {
		case 0:
			t.describe(c, g, addr)
		default:
			log := l[d.Below(int64(len(l)))]
			if c.Topic(log.topic.plan.Name) == nil {
				if err := c.Refresh(log.topic.plan.Name); err != nil {
					t.host.Clock.Sleep(10 * time.Millisecond)
					continue
				}
			}
			called := t.host.Clock.Now()
			got, err := c.Committed(addr, g.name, d.Chance(0.5), []client.TopicPartition{{Topic: log.topic.plan.Name, Partition: log.index}})
			if err != nil {
				t.check(g.name, "offset fetch", err)
				continue
			}
			g.fetched(name, i, got, called)
		}
	}
}

// remember keeps an acknowledged batch of an idempotent producer.
func (t *trial) remember(p *producerState, b *client.Batch) {
	if b.Outcome != client.Acked || !p.idempotent || t.log(client.TopicPartition{Topic: b.Topic, Partition: b.Partition}) == nil {
		return
	}
	if len(t.acked) == remembered {
		t.acked = t.acked[remembered/2:]
	}
	t.acked = append(t.acked, b)
}

// produceAgain repeats a batch that was acknowledged, which must be recognised for as long as its producer is known.
func (t *trial) produceAgain(c *client.Client, b *client.Batch) {
	offset, err := c.ProduceAgain(b)
	t.world.Note("oracle: %s-%d: the batch at %d again: %d, %v", b.Topic, b.Partition, b.Offset, offset, err)
	switch {
	case err == nil && offset >= 0 && b.Offset >= 0 && offset != b.Offset:
		t.failf("%s-%d: a batch was acknowledged at %d and, sent again, at %d", b.Topic, b.Partition, b.Offset, offset)
	case err == nil || client.IsCode(err, wire.ErrDuplicateSequenceNumber) || client.IsCode(err, wire.ErrOutOfOrderSequenceNumber) ||
		client.IsCode(err, wire.ErrInvalidProducerEpoch):
	case client.IsCode(err, wire.ErrRecordListTooLarge) || client.IsCode(err, wire.ErrMessageTooLarge): // its limits are others by now
	default:
		t.check(b.Topic, "a repeated produce", err)
	}
}
