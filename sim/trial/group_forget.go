package trial

import (
	"errors"
	"fmt"
	"time"

	"millrace/linearizability"
	"millrace/net/wire"
	"millrace/node/host"
	"millrace/sim"
	"millrace/sim/client"
)

// kindForgetter is an actor that, beside others of its kind, commits offsets in a group without members, looks at them, deletes
// single ones, and the group. Each committed offset is a register (linearizability).
const kindForgetter = "forgetter"

// groupForgotten is their group.
const groupForgotten = "forgotten"

// mostUnanswered deletions may be without an answer: each may come at any time, and doubles the orders to be looked through.
const mostUnanswered = 3

// drawForgetters gives some plans a few of them. What they write is compacted meanwhile.
func drawForgetters(d *sim.Draws, p *Plan) {
	if !d.Chance(0.3) {
		return
	}
	for range d.Between(2, 3) {
		p.Actors = append(p.Actors, ActorPlan{Kind: kindForgetter, Pause: time.Duration(d.Skewed(2_000, 100_000)) * time.Microsecond,
			OldVersion: d.Chance(0.3), First: int(d.Below(int64(p.Nodes)))})
	}
	if p.Broker.Properties == nil {
		p.Broker.Properties = map[string]string{}
	}
	p.Broker.Properties["offsets.topic.segment.bytes"] = fmt.Sprint(d.Skewed(400, 8<<10))
	p.Broker.Properties["log.cleaner.min.cleanable.ratio"] = sim.Pick(d, "0", "0.1", "0.5")
	if p.Broker.CleanInterval == 0 {
		p.Broker.CleanInterval = time.Duration(d.Skewed(100, 3000)) * time.Millisecond
	}
}

// forgetter is one of them.
type forgetter struct {
	t       *trial
	g       *groupState // for what it meets
	c       *client.Client
	actor   int
	commits int64 // numbers them
}

// beForgetter is its task.
func (t *trial) beForgetter(i int, name string, d *sim.Draws, a ActorPlan) {
	c := t.newClient(name, a)
	defer c.Close()
	x := &forgetter{t: t, g: t.group(groupForgotten), c: c, actor: i}
	s := t.topics[0]
	for ; !t.stop; t.rest(d, a) {
		p := client.TopicPartition{Topic: s.plan.Name, Partition: int32(d.Below(int64(min(s.partitions, 2))))}
		switch n := d.Below(20); {
		case n >= 17 && x.g.unanswered >= mostUnanswered:
			x.look(p)
		case n < 9:
			x.commit(p)
		case n < 17:
			x.look(p)
		case n < 19:
			called := t.host.Clock.Now()
			x.forgot("deletion of an offset", []client.TopicPartition{p}, called, c.DeleteOffset(groupForgotten, p))
		default:
			// Also a partition that is made while the group is deleted.
			all := []client.TopicPartition{{Topic: s.plan.Name}, {Topic: s.plan.Name, Partition: 1}}
			called := t.host.Clock.Now()
			x.forgot("deletion of the group", all, called, c.DeleteGroup(groupForgotten))
		}
	}
	err := c.Retry(t.host.Clock.Now().Add(patience), func() error { return x.look(client.TopicPartition{Topic: s.plan.Name}) })
	if err != nil {
		t.failf("group %s: look at the end: %w", groupForgotten, err)
	}
}

func (x *forgetter) commit(p client.TopicPartition) {
	x.commits++
	// Nobody writes what another has written.
	offset, metadata, called := x.commits*1000+int64(x.actor), fmt.Sprint("m", x.actor), x.t.host.Clock.Now()
	err := x.c.CommitOffset(groupForgotten, p.Topic, p.Partition, offset, metadata)
	x.t.check(groupForgotten, "commit offset", err)
	x.record(p, linearizability.Operation{Kind: linearizability.Commit, Offset: offset, Records: []uint64{commitHash(offset, metadata)},
		Unknown: err != nil}, called)
	x.g.met("commit", err)
}

func (x *forgetter) look(p client.TopicPartition) error {
	called := x.t.host.Clock.Now()
	offset, metadata, err := x.c.FetchOffset(groupForgotten, p.Topic, p.Partition)
	x.t.check(groupForgotten, "fetch offset", err)
	if err != nil {
		return err
	}
	op := linearizability.Operation{Kind: linearizability.Committed, Offset: offset}
	if offset >= 0 {
		op.Records = []uint64{commitHash(offset, metadata)}
	}
	x.record(p, op, called)
	x.g.met("look", nil)
	return nil
}

// forgot takes what came of a deletion. A group that is not there has nothing to delete.
func (x *forgetter) forgot(what string, list []client.TopicPartition, called host.Instant, err error) {
	x.g.met(what, err)
	var unsent *client.NotSent
	switch {
	case errors.As(err, &unsent) || client.IsCode(err, wire.ErrGroupIdNotFound):
		return
	case err != nil:
		x.t.check(groupForgotten, what, err)
	}
	if err != nil {
		x.g.unanswered++
	}
	for _, p := range list {
		x.record(p, linearizability.Operation{Kind: linearizability.Forget, Unknown: err != nil}, called)
	}
}

// record adds an operation to the history.
func (x *forgetter) record(p client.TopicPartition, op linearizability.Operation, called host.Instant) {
	op.Log, op.Client = groupForgotten+"/"+p.String(), x.actor
	op.Call, op.Return = int64(called), int64(x.t.host.Clock.Now())
	x.t.world.Note("oracle: group %s: %s at %v: %v", groupForgotten, op.Kind, p, &op)
	x.t.oracle.history = append(x.t.oracle.history, op)
}
