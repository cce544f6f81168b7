package trial

import (
	"fmt"
	"slices"
	"time"

	"millrace/node/host"
	"millrace/sim/client"
)

// convergence is how long a cluster in which nothing breaks any more may take to become whole.
const convergence = time.Minute

// liveness is the phase in which nothing breaks: every partition must take produces with acks=all, and every replica that
// is not lost must become whole and in sync, as every broker sees it.
func (t *trial) liveness() bool {
	c := t.newClient("liveness", ActorPlan{})
	defer c.Close()
	deadline := t.host.Clock.Now().Add(convergence)
	up := func() bool { return !slices.ContainsFunc(t.whole(), func(b *broker) bool { return !b.up() }) }
	for !up() {
		if t.host.Clock.Now() > deadline {
			t.failf("liveness: not every broker has come up %v after the healing", convergence)
			return false
		}
		t.keepRunning(nil)
		t.host.Clock.Sleep(20 * time.Millisecond)
	}
	if !t.everyPartitionTakes(c) {
		return false
	}
	// Whoever has a damaged block must find it, which takes a scrub, and mend it.
	if slices.ContainsFunc(t.whole(), func(b *broker) bool { return b.node.Damaged() > 0 }) {
		t.awaitScrubs(t.host.Clock.Now().Add(2*t.plan.Broker.ScrubInterval + convergence/2))
	}
	for _, b := range t.whole() {
		why := ""
		for why = t.unwhole(b); why != "" && b.lost == ""; why = t.unwhole(b) { // it may find only now that its log is damaged
			if t.host.Clock.Now() > deadline.Add(convergence) {
				t.failf("liveness: as %s sees it %v after the healing: %s", b.node.Name(), 2*convergence, why)
				return false
			}
			t.host.Clock.Sleep(50 * time.Millisecond)
		}
	}
	return true
}

// What a scrub says when it has come through, and when it has found something.
const (
	scrubbed = "everything that is held was checked"
	doubtful = "a segment is damaged: it is not served any more, and is filled from what is sound in it and from the other replicas"
)

// awaitScrubs waits until the scrub of each node has twice come through without finding anything: the first time it may
// have begun earlier. Who is slow is not waited for beyond the deadline; what is not whole then shows elsewhere.
func (t *trial) awaitScrubs(deadline host.Instant) {
	type course struct{ passes, found, clean int }
	state := make(map[*broker]course)
	for _, b := range t.whole() {
		state[b] = course{passes: b.node.Said(scrubbed), found: b.node.Said(doubtful)}
	}
	done := func() bool {
		all := true
		for _, b := range t.whole() {
			c, passes, found := state[b], b.node.Said(scrubbed), b.node.Said(doubtful)
			switch {
			case found != c.found:
				c.clean = -1 // the pass that found it does not count
			case passes != c.passes:
				c.clean++
			}
			c.passes, c.found = passes, found
			state[b] = c
			all = all && c.clean >= 2
		}
		return all
	}
	for !done() && t.host.Clock.Now() < deadline {
		t.host.Clock.Sleep(20 * time.Millisecond)
	}
}

// everyPartitionTakes produces to every partition with acks=all.
func (t *trial) everyPartitionTakes(c *client.Client) bool {
	d := t.world.Draws("liveness")
	a := ActorPlan{Kind: "producer", Idempotent: true, Acks: -1, Records: 2, Bytes: 100}
	producer, p, under := t.newProducer(c, &a)
	var batches []*client.Batch
	for _, l := range t.partitions() {
		b, x := t.makeBatch(p, l, d, a)
		under[b] = x
		batches = append(batches, b)
		producer.Send(b)
	}
	began := t.host.Clock.Now()
	for producer.Pump() {
		if t.host.Clock.Now().Sub(began) > convergence {
			break
		}
	}
	for _, b := range batches {
		if b.Outcome != client.Acked {
			t.failf("liveness: %s-%d took no produce within %v after the healing: %v, %v", b.Topic, b.Partition, convergence, b.Outcome, b.Err)
			return false
		}
	}
	return true
}

// unwhole says which partition has no leader or lacks a replica that is not lost, as a broker sees it; "" when none does.
func (t *trial) unwhole(b *broker) string {
	c := t.newClient("look", ActorPlan{First: b.id - 1})
	defer c.Close()
	topics := slices.Clone(t.topics)
	for _, c := range t.compacted {
		topics = append(topics, c.topicState)
	}
	for _, s := range topics {
		if err := c.Refresh(s.plan.Name); err != nil {
			return fmt.Sprintf("metadata of %s: %v", s.plan.Name, err)
		}
		info := c.Topic(s.plan.Name)
		for i := range int(s.partitions) {
			if i >= len(info.Partitions) || info.Partitions[i].Leader < 0 {
				return fmt.Sprintf("%s-%d has no leader", s.plan.Name, i)
			}
			p := info.Partitions[i]
			for _, id := range p.Replicas {
				if t.brokers[id-1].lost == "" && !slices.Contains(p.InSync, id) {
					return fmt.Sprintf("%s-%d: replica %d is not in sync (replicas %v, in sync %v, leader %d)", s.plan.Name, i, id, p.Replicas, p.InSync, p.Leader)
				}
			}
		}
	}
	return ""
}
