package group

import (
	"cmp"
	"fmt"
	"slices"

	"millrace/net/wire"
	"millrace/node/host/mutant"
)

// A group of consumers changes its protocol with its members, one by one. The first member that speaks the consumer
// protocol makes a classic group a consumer group, in which the others go on as members of the classic protocol; when the
// last that speaks the consumer protocol leaves, the group is a classic one again.

// upgrade makes a consumer group of a classic one that has members. Its generation is the epoch of all of them.
func (h *heartbeat) upgrade(old *classic) *refusal {
	cannot := func(why string) *refusal {
		return refuse(wire.ErrGroupIdNotFound, fmt.Sprintf("Cannot upgrade classic group %s to consumer group because %s", old.id, why))
	}
	switch {
	case !h.c.config.ConsumerUpgrade:
		return cannot("online upgrade is disabled.")
	case old.protocolType != typeConsumer:
		return cannot("the group does not use the consumer embedded protocol.")
	case len(old.members) > h.c.config.ConsumerMaxSize:
		return cannot("the group size exceeds the consumer group maximum size.")
	}
	var members []*consumerMember
	var claims []claim
	protocol := old.protocolName
	if protocol == "" {
		protocol = old.choose() // of a rebalance that gathers members since the group was empty
	}
	for _, m := range old.members {
		member, claimed, err := h.fromClassic(old, m, protocol)
		if err != "" {
			return cannot(err)
		}
		members, claims = append(members, member), append(claims, claimed)
	}
	members = claimed(members, claims, old.generation)
	h.g, h.upgraded = newConsumerGroup(old.id), old
	h.records = append(h.records, groupTombstone(old.id))
	var topics []string
	for _, m := range members {
		topics = append(topics, m.names...)
	}
	return h.write(func(w *writer) {
		for _, m := range members {
			w.member(old.id, m)
		}
		// What its members have need not be all that there is: they may wait for their assignment, or the topics have grown
		// since their leader assigned them. Whoever comes may come as one of them, which by itself is no reason for a new
		// assignment. Another hash is.
		hash := metadataHash(h.c.cluster, sortedNames(topics))
		if !mutant.On("group-migrated-with-old-target") {
			hash++
		}
		w.group(old.id, old.generation, hash)
		for _, m := range members {
			w.targetMember(old.id, m.id, m.assigned.partitions())
		}
		w.target(old.id, old.generation, 0)
		for _, m := range members {
			w.current(old.id, m)
		}
	})
}

// claim is what a member said that it had when it joined last, and in which generation it was then.
type claim struct {
	generation int32
	owned      partitions
}

// claimed adds to what the members are assigned what else they may have. A cooperative member keeps what it has while it
// joins, until it hears of its new assignment, which it may never do now. (As we read its source, Kafka forgets that: if the
// rebalance was under way, others are given what such a member still reads.) What was assigned to somebody else since is not
// the member's, and of two who claim the same the one of the later generation has it.
func claimed(members []*consumerMember, claims []claim, generation int32) []*consumerMember {
	taken := map[partitionID]bool{}
	order := make([]int, len(members))
	for i, m := range members {
		order[i] = i
		for _, p := range m.assigned {
			taken[p.partitionID] = true
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(claims[b].generation, claims[a].generation) })
	out := slices.Clone(members)
	for _, i := range order {
		var more partitions
		for _, p := range claims[i].owned {
			if !taken[p] {
				taken[p] = true
				more = append(more, p)
			}
		}
		out[i] = members[i].with(func(m *consumerMember) { m.assigned = more.since(generation).union(m.assigned) })
	}
	return out
}

// fromClassic reads a member's subscription and assignment; or it says why it cannot.
func (h *heartbeat) fromClassic(g *classic, m *member, protocol string) (*consumerMember, claim, string) {
	const malformed = "the embedded consumer protocol is malformed."
	s, ok := readSubscription(m.metadata(protocol))
	if !ok {
		return nil, claim{}, malformed
	}
	c := newConsumerMember(m.id)
	c.epoch, c.previousEpoch, c.state = g.generation, g.generation, memberStable
	if m.instanceID != "" {
		c.instanceID = &m.instanceID
	}
	c.rackID = notEmpty(s.RackId)
	c.rebalanceTimeout = int32(m.rebalanceTimeout.Milliseconds())
	c.clientID, c.clientHost = m.clientID, m.clientHost
	c.names = sortedNames(s.Topics)
	c.classic = &classicMember{sessionTimeout: int32(m.sessionTimeout.Milliseconds()), protocols: m.protocols}
	var claims claim
	if !mutant.On("group-migrated-without-claims") {
		claims = claim{s.GenerationId, h.c.existing(h.c.ownedByName(s))}
	}
	if len(m.assignment) == 0 {
		return c, claims, ""
	}
	a, ok := readAssignment(m.assignment)
	switch {
	case !ok:
		return nil, claim{}, malformed
	case len(a.UserData) > 0:
		return nil, claim{}, "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default " +
			"assignor before re-attempting the upgrade."
	}
	var assigned []TopicPartitions
	for _, t := range a.AssignedPartitions {
		if topic, ok := h.c.cluster.Topic(t.Topic); ok {
			assigned = append(assigned, TopicPartitions{topic.ID, t.Partitions})
		}
	}
	if !mutant.On("group-migrated-without-assignment") {
		c.assigned = fromTopics(assigned).since(g.generation)
	}
	return c, claims, ""
}

// existing leaves out partitions that topics do not have.
func (c *Coordinator) existing(list partitions) partitions {
	return slices.DeleteFunc(list, func(p partitionID) bool {
		t, _ := c.cluster.TopicByID(p.topic)
		return p.index < 0 || p.index >= t.Partitions
	})
}

func notEmpty(s *string) *string {
	if orNothing(s) == "" {
		return nil
	}
	return s
}

// readSubscription reads a consumer's metadata. Versions above the known ones begin like the last.
func readSubscription(metadata []byte) (*wire.ConsumerProtocolSubscription, bool) {
	r := wire.NewReader(metadata)
	version := r.Int16()
	if r.Err() != nil || version < 0 {
		return nil, false
	}
	m := &wire.ConsumerProtocolSubscription{}
	m.Decode(r, min(version, 3))
	return m, r.Err() == nil
}

func readAssignment(assignment []byte) (*wire.ConsumerProtocolAssignment, bool) {
	r := wire.NewReader(assignment)
	version := r.Int16()
	if r.Err() != nil || version < 0 {
		return nil, false
	}
	m := &wire.ConsumerProtocolAssignment{}
	m.Decode(r, min(version, 3))
	return m, r.Err() == nil
}

// classicAssignment writes partitions as a consumer of the classic protocol reads them, in the version of its metadata.
func (c *Coordinator) classicAssignment(assigned partitions, metadata []byte) []byte {
	r := wire.NewReader(metadata)
	version := min(max(r.Int16(), 0), 3)
	a := &wire.ConsumerProtocolAssignment{}
	for _, t := range assigned.byTopic() {
		if topic, ok := c.cluster.TopicByID(t.TopicID); ok {
			a.AssignedPartitions = append(a.AssignedPartitions,
				wire.ConsumerProtocolAssignmentTopicPartition{Topic: topic.Name, Partitions: t.Partitions})
		}
	}
	b, err := encode(version, version, a)
	if err != nil {
		return nil // a topic's name that does not fit, which none is
	}
	return b
}

// canDowngrade says whether the group becomes a classic one when these members leave.
func (c *Coordinator) canDowngrade(g *consumerGroup, leaving []*consumerMember) bool {
	remain, classics := len(g.members)-len(leaving), g.classicMembers
	for _, m := range leaving {
		if m.classic != nil {
			classics--
		}
	}
	return remain > 0 && classics == remain && c.config.ConsumerDowngrade && remain <= c.config.MaxSize
}

// downgrade makes a classic group of those that remain, which then rebalances.
func (c *Coordinator) downgrade(g *consumerGroup, leaving []*consumerMember, reply Response) (outcome, *refusal) {
	after := g.clone()
	for _, m := range leaving {
		after.remove(m.id)
	}
	w := &writer{}
	w.groupTombstones(g)
	classic := c.toClassic(after)
	record, err := classic.record(func(m *member) []byte { return m.assignment })
	if err != nil {
		return outcome{}, refuse(wire.ErrUnknownServerError, "A record cannot be encoded.")
	}
	w.records = append(w.records, record)
	members := sortedKeys(g.members) // when the records are accepted it has none
	return w.encoded(outcome{reply: reply, accepted: func() {
		c.becomeClassic(classic, members)
		c.prepareRebalance(classic, "the last member of the consumer protocol has gone: the group is a classic one")
	}})
}

// toClassic makes the classic group with the members of a consumer group, all of which speak the classic protocol. What
// they may have becomes their assignment. Kafka takes their target: then a member of the consumer protocol that comes before
// they have joined again is given what they still have.
func (c *Coordinator) toClassic(g *consumerGroup) *classic {
	out := newClassic(g.id, c.now.WallMillis)
	for _, id := range sortedKeys(g.members) {
		m := g.members[id]
		member := &member{
			id:               id,
			instanceID:       m.instance(),
			clientID:         m.clientID,
			clientHost:       m.clientHost,
			rebalanceTimeout: milliseconds(m.rebalanceTimeout),
			sessionTimeout:   milliseconds(m.classic.sessionTimeout),
			protocols:        m.classic.protocols,
		}
		out.add(member, typeConsumer)
	}
	out.protocolType, out.protocolName = typeConsumer, out.choose()
	out.generation, out.state = g.epoch, stable
	for _, m := range out.members {
		had := g.members[m.id]
		holds := had.assigned.union(had.revoking).partitions()
		if mutant.On("group-downgraded-with-target") {
			holds = g.targets[m.id]
		}
		m.assignment = c.classicAssignment(holds, m.metadata(out.protocolName))
	}
	out.readTopics()
	return out
}

// becomeClassic puts a classic group in the place of a consumer group that had these members.
func (c *Coordinator) becomeClassic(g *classic, members []string) {
	for _, id := range members {
		if !mutant.On("group-downgraded-with-timers") {
			c.cancelConsumer(g.id, id)
		}
	}
	c.groups[g.id] = g
	for _, m := range g.members {
		c.session(g, m)
	}
}
