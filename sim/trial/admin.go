package trial

import (
	"errors"
	"fmt"
	"time"

	"millrace/net/wire"
	"millrace/sim"
	"millrace/sim/client"
)

// createTopic makes a topic, again and again until it is there, and learns its id, which is another one than that of the
// topics that were made before: a broker that is behind may still show one of those.
func (t *trial) createTopic(c *client.Client, p TopicPlan) (*topicState, error) {
	deadline := t.host.Clock.Now().Add(patience)
	tried := false
	c.SetReplicas(p.Replicas)
	err := c.Retry(deadline, func() error {
		err := c.CreateTopic(p.Name, p.Partitions, p.Configs...)
		t.struckIf(err == nil, "topic created")
		t.haunt(p.Name, "create", err)
		if tried && client.IsCode(err, wire.ErrTopicAlreadyExists) {
			return nil
		}
		tried = true
		return t.allStopping(err)
	})
	if err != nil {
		return nil, err
	}
	err = c.Retry(deadline, func() error {
		err := c.Refresh(p.Name)
		if info := c.Topic(p.Name); err == nil && info != nil && len(t.brokers) > 1 && t.ids[info.ID] {
			return fmt.Errorf("metadata still has the topic %v", info.ID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	info := c.Topic(p.Name)
	if info == nil || len(info.Partitions) != int(p.Partitions) || info.ID.IsZero() {
		return nil, fmt.Errorf("metadata says %+v", info)
	}
	t.ids[info.ID] = true
	return newTopicState(p, info.ID, p.Partitions), nil
}

// haunt notes a change to a topic that was asked for. In a cluster one without an answer may still be on its way from one
// broker to another, and make or delete a topic of this name at any time: nothing can be said of the name any more.
func (t *trial) haunt(name, what string, err error) {
	t.world.Note("admin: %s topic %s: %v", what, name, err)
	if len(t.brokers) > 1 && (errors.Is(err, client.ErrUnanswered) || client.IsCode(err, wire.ErrRequestTimedOut)) {
		t.haunted[name] = true
	}
}

// struckIf counts what the harness does when it was done.
func (t *trial) struckIf(done bool, kind string) {
	if done {
		t.world.Struck(kind)
	}
}

// allStopping makes an error worth another try that a cluster gives while every broker of it is being stopped in order.
func (t *trial) allStopping(err error) error {
	if len(t.brokers) > 1 && client.IsCode(err, wire.ErrInvalidReplicationFactor) {
		return fmt.Errorf("no broker to place a replica on: %v", err)
	}
	return err
}

// administer is the admin's task.
func (t *trial) administer(who int, name string, d *sim.Draws, a ActorPlan) {
	c := t.newClient(name, a)
	defer c.Close()
	for life := 0; !t.stop; {
		s := t.topics[d.Below(int64(len(t.topics)))]
		l := s.logs[d.Below(int64(s.partitions))]
		switch d.Below(8) {
		case 0, 1:
			t.deleteRecords(c, l, d)
		case 2:
			t.addPartition(c, s)
		case 3:
			if life < 3 {
				life++
				t.churn(c, fmt.Sprintf("churn-%s", name), d, a)
			}
		case 4:
			bytes := fmt.Sprint(d.Skewed(1<<20, 2<<20))
			t.check(s.plan.Name, "alter configs", c.AlterTopic(s.plan.Name, "max.message.bytes", &bytes))
		default:
			t.lookAtEnds(who, c, l)
		}
		t.rest(d, a)
	}
}

// check fails the trial on an error that no fault explains.
func (t *trial) check(where, what string, err error) {
	if !tolerable(err) {
		t.failf("%s: %s: %w", where, what, err)
	}
}

// deleteRecords moves the log start of a topic that allows it.
func (t *trial) deleteRecords(c *client.Client, l *partitionLog, d *sim.Draws) {
	if !l.topic.plan.Empties || l.high == 0 {
		return
	}
	offset := l.start + d.Below(l.high-l.start+1)
	if d.Chance(0.3) {
		offset = l.high // everything
	}
	l.mayStart = max(l.mayStart, offset)
	low, err := c.DeleteRecords(l.topic.plan.Name, l.index, offset)
	t.world.Note("oracle: %v: delete records below %d: start %d, %v", l, offset, low, err)
	if client.IsCode(err, wire.ErrOffsetOutOfRange) {
		return // retention was faster; that it is in range is checked elsewhere
	}
	t.check(l.String(), "delete records", err)
	if err != nil {
		return
	}
	if low < offset {
		t.failf("%v: records below %d deleted, the log starts at %d", l, offset, low)
	}
	l.start = max(l.start, low)
}

// addPartition makes a topic grow.
func (t *trial) addPartition(c *client.Client, s *topicState) {
	if s.partitions >= 5 {
		return
	}
	want := s.partitions + 1
	err := c.CreatePartitions(s.plan.Name, want)
	t.struckIf(err == nil, "partition added")
	if err != nil && !client.IsCode(err, wire.ErrInvalidPartitions) { // an attempt before may have had its effect
		t.check(s.plan.Name, "create partitions", t.allStopping(err))
		return
	}
	err = c.Retry(t.host.Clock.Now().Add(10*time.Second), func() error {
		err := c.Refresh(s.plan.Name)
		if info := c.Topic(s.plan.Name); err == nil && info != nil && len(info.Partitions) < int(want) && len(t.brokers) > 1 {
			return errors.New("this broker has not heard of it yet")
		}
		return err
	})
	if info := c.Topic(s.plan.Name); err == nil && info != nil {
		if len(info.Partitions) < int(want) {
			t.failf("%s: %d partitions after there were %d", s.plan.Name, len(info.Partitions), want)
		}
		s.partitions = max(s.partitions, int32(len(info.Partitions)))
	}
}

// lookAtEnds compares what ListOffsets says with what is known.
func (t *trial) lookAtEnds(who int, c *client.Client, l *partitionLog) {
	b := t.oracle.bounds(l)
	end, _, err := c.ListOffset(l.topic.plan.Name, l.index, client.Latest)
	t.check(l.String(), "list offsets", err)
	if err == nil {
		t.oracle.watermarks(l, b, end, -1, true, "ListOffsets(latest)")
		t.oracle.recordEnd(l, who, b.called, end)
	}
	b = t.oracle.bounds(l)
	start, _, err := c.ListOffset(l.topic.plan.Name, l.index, client.Earliest)
	t.check(l.String(), "list offsets", err)
	if err == nil {
		t.oracle.watermarks(l, b, -1, start, false, "ListOffsets(earliest)")
	}
}

// look is the task of a client that asks for leaders and ends of partitions all the time, of the leaders that it knows until they
// refuse.
func (t *trial) look(who int, name string, d *sim.Draws, a ActorPlan) {
	c := t.newClient(name, a)
	defer c.Close()
	for ; !t.stop; t.rest(d, a) {
		logs := t.partitions()
		l := logs[d.Below(int64(len(logs)))]
		if d.Chance(0.3) { // who leads, as another broker sees it
			c.Turn()
			t.check(l.String(), "metadata", c.Refresh(l.topic.plan.Name))
		}
		if d.Chance(0.3) {
			t.probe(c, l, t.brokers[d.Below(int64(len(t.brokers)))])
		}
		t.lookAtEnds(who, c, l)
	}
}

// probe asks a broker, whether it leads or not, for what comes behind everything that anybody has seen. It may know less, but
// it may not say that there is no such offset.
func (t *trial) probe(c *client.Client, l *partitionLog, b *broker) {
	offset := l.high
	code, err := c.FetchFrom(b.node.Name()+":9092", l.topic.plan.Name, l.index, offset)
	if err == nil && code == wire.ErrOffsetOutOfRange && offset >= l.mayStart && !l.limitless {
		t.failf("%v: fetch at %d is out of range for %s, although the log ended there before", l, offset, b.node.Name())
	}
}

// churn makes a topic, fills it, deletes it, and makes another one of the same name, which must be empty.
func (t *trial) churn(c *client.Client, name string, d *sim.Draws, a ActorPlan) {
	for t.haunted[name] {
		name += "-again"
	}
	plan := TopicPlan{Name: name, Partitions: int32(d.Between(1, 2)), Replicas: t.topics[0].plan.Replicas}
	delete(t.gone, name)
	first, err := t.createTopic(c, plan)
	if err != nil {
		if !tolerable(err) {
			t.failf("create topic %s: %w", name, err)
		}
		return
	}
	t.fill(c, first, d)
	deleted := false
	err = c.Retry(t.host.Clock.Now().Add(patience), func() error {
		err := c.DeleteTopic(name)
		t.struckIf(err == nil, "topic deleted")
		t.haunt(name, "delete", err)
		if deleted && client.IsCode(err, wire.ErrUnknownTopicOrPartition) {
			return nil
		}
		deleted = true
		if client.IsCode(err, wire.ErrUnknownTopicOrPartition) {
			return fmt.Errorf("the topic is gone: %v", err)
		}
		return err
	})
	if err != nil && !t.haunted[name] {
		t.failf("delete topic %s: %w", name, err)
	}
	if err != nil || t.haunted[name] {
		return
	}
	if err := t.vanished(c, name); err != nil {
		t.failf("topic %s was deleted and is in the metadata: %w", name, err)
	}
	second, err := t.createTopic(c, plan)
	if t.haunted[name] {
		return
	}
	if err != nil {
		t.failf("create topic %s again: %w", name, err)
		return
	}
	if second.id == first.id {
		t.failf("topic %s was deleted and made again with the same id", name)
	}
	t.startsEmpty(c, second)
	err = c.Retry(t.host.Clock.Now().Add(patience), func() error {
		err := c.DeleteTopic(name)
		t.struckIf(err == nil, "topic deleted")
		t.haunt(name, "delete", err)
		if client.IsCode(err, wire.ErrUnknownTopicOrPartition) {
			return nil
		}
		return err
	})
	if err != nil {
		t.failf("delete topic %s again: %w", name, err)
		return
	}
	t.gone[name] = !t.haunted[name]
}

// fill produces a few batches to a topic.
func (t *trial) fill(c *client.Client, made *topicState, d *sim.Draws) {
	producer, p, under := t.newProducer(c, &ActorPlan{Idempotent: true, Acks: -1})
	for range d.Between(1, 10) {
		b, x := t.makeBatch(p, made.logs[d.Below(int64(made.partitions))], d, ActorPlan{Records: 5, Bytes: 300})
		under[b] = x
		producer.Send(b)
	}
	for producer.Pump() {
	}
}

// startsEmpty looks whether a topic that was just made has no records.
func (t *trial) startsEmpty(c *client.Client, made *topicState) {
	for _, l := range made.logs[:made.partitions] {
		err := c.Retry(t.host.Clock.Now().Add(patience), func() error {
			end, _, err := c.ListOffset(made.plan.Name, l.index, client.Latest)
			if err == nil && end != 0 && len(t.brokers) > 1 {
				return fmt.Errorf("it ends at %d", end) // this broker may not have heard that the old one is gone
			}
			if err == nil && end != 0 {
				t.failf("%v: a new topic ends at %d", l, end)
			}
			return err
		})
		if err != nil {
			t.failf("%v: list offsets of a new topic: %w", l, err)
		}
	}
}

// vanished looks whether a deleted topic is not in the metadata. A broker of several may hear of it later.
func (t *trial) vanished(c *client.Client, name string) error {
	look := func() error {
		if err := c.Refresh(name); err == nil {
			return errors.New("it is there")
		}
		return nil
	}
	if len(t.brokers) == 1 {
		return look()
	}
	return c.Retry(t.host.Clock.Now().Add(patience), look)
}

// commitOffsets is the task of a group without members that commits offsets and looks whether they stay.
func (t *trial) commitOffsets(name string, d *sim.Draws, a ActorPlan) {
	c := t.newClient(name, a)
	defer c.Close()
	may := map[int64]bool{-1: true} // what the committed offset may be
	l := t.topics[0].logs[0]
	group := "group-" + name
	for next := int64(0); !t.stop; t.rest(d, a) {
		if d.Chance(0.5) {
			next++
			err := c.CommitOffset(group, l.topic.plan.Name, l.index, next, fmt.Sprint("m", next))
			if t.check(group, "commit offset", err); err == nil {
				may = map[int64]bool{next: true}
			} else {
				may[next] = true
			}
			continue
		}
		t.checkOffset(c, group, l, may)
	}
	// The last word: after the repair it must be readable.
	err := c.Retry(t.host.Clock.Now().Add(patience), func() error { return t.checkOffset(c, group, l, may) })
	if err != nil {
		t.failf("%s: fetch offset: %w", group, err)
	}
}

// checkOffset looks at a committed offset. One that was committed without an answer may still come later.
func (t *trial) checkOffset(c *client.Client, group string, l *partitionLog, may map[int64]bool) error {
	offset, metadata, err := c.FetchOffset(group, l.topic.plan.Name, l.index)
	if t.check(group, "fetch offset", err); err != nil {
		return err
	}
	if !may[offset] || offset >= 0 && metadata != fmt.Sprint("m", offset) {
		t.failf("%s: the committed offset is %d (%q), it may be %v", group, offset, metadata, may)
	}
	return nil
}
