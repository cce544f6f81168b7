package group

import (
	"fmt"

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
	protocol := old.protocolName
	if protocol == "" {
		protocol = old.choose() // of a rebalance that gathers members since the group was empty
	}
	for _, m := range old.members {
		member, err := h.fromClassic(old, m, protocol)
		if err != "" {
			return cannot(err)
		}
		members = append(members, member)
	}
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
		hash := metadataHash(h.c.cluster, sortedNames(topics))
		if old.state != stable {
			// What its members have is not all that there is, and whoever comes may come as one of them, which by itself is no
			// reason for a new assignment. Another hash is.
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

// fromClassic reads a member's subscription and assignment; or it says why it cannot.
func (h *heartbeat) fromClassic(g *classic, m *member, protocol string) (*consumerMember, string) {
	const malformed = "the embedded consumer protocol is malformed."
	s, ok := readSubscription(m.metadata(protocol))
	if !ok {
		return nil, malformed
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
	if len(m.assignment) == 0 {
		return c, ""
	}
	a, ok := readAssignment(m.assignment)
	switch {
	case !ok:
		return nil, malformed
	case len(a.UserData) > 0:
		return nil, "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default " +
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
	return c, ""
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
	return w.encoded(outcome{reply: reply, accepted: func() {
		c.becomeClassic(g, classic)
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
		m.assignment = c.classicAssignment(holds, m.metadata(out.protocolName))
	}
	out.readTopics()
	return out
}

// becomeClassic puts a classic group in the place of a consumer group.
func (c *Coordinator) becomeClassic(old *consumerGroup, g *classic) {
	for _, id := range sortedKeys(old.members) {
		c.cancelConsumer(old.id, id)
	}
	c.groups[g.id] = g
	for _, m := range g.members {
		c.session(g, m)
	}
}
