package group

import (
	"fmt"
	"time"

	"millrace/net/wire"
)

// The requests of members of a consumer group that speak the classic protocol. Their generation is their member epoch;
// they are told to join again when there is a step for them to take.

func milliseconds(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }

// joinConsumerGroup handles JoinGroup. Nobody waits for others: who joins is told at once what it may have by now.
func (c *Coordinator) joinConsumerGroup(g *consumerGroup, tag uint64, r *JoinRequest) (outcome, *refusal) {
	if code := c.checkJoin(r); code != wire.ErrNone {
		return outcome{}, refuse(code, "")
	}
	protocols := distinct(r.Protocols)
	if g.empty() {
		w := &writer{}
		w.groupTombstones(g)
		return w.encoded(outcome{stored: func() { c.join(tag, r) }})
	}
	if !c.config.ConsumerUpgrade && !c.config.ConsumerDowngrade {
		return outcome{}, refuse(wire.ErrInconsistentGroupProtocol, "")
	}
	id := r.MemberID
	if id == "" {
		id = c.uuid()
	}
	if g.members[id] == nil && len(g.members) >= c.config.ConsumerMaxSize {
		return outcome{}, refuse(wire.ErrGroupMaxSizeReached, "")
	}
	if !g.acceptsClassic(r.ProtocolType, protocols) {
		return outcome{}, refuse(wire.ErrInconsistentGroupProtocol, "")
	}
	s, ok := readSubscription(protocols[0].Metadata)
	if !ok {
		return outcome{}, refuse(wire.ErrInconsistentGroupProtocol, "")
	}
	if r.RequireMemberID && r.MemberID == "" && r.InstanceID == "" {
		return outcome{reply: &JoinResponse{Error: wire.ErrMemberIdRequired, MemberID: id, Generation: -1}}, nil
	}
	h := &heartbeat{c: c, g: g, classic: true, said: true, reported: c.ownedByName(s)}
	member, refused := h.findClassic(id, r)
	if refused != nil {
		return outcome{}, refused
	}
	return h.joinClassic(r, s, member, protocols)
}

// findClassic finds the member that joins; a static one that is back replaces what it was.
func (h *heartbeat) findClassic(id string, r *JoinRequest) (*consumerMember, *refusal) {
	if r.InstanceID == "" {
		return h.g.memberOrNew(id), nil
	}
	old := h.g.static(r.InstanceID)
	h.downgrades = old != nil && h.c.canDowngradeReplacing(h.g, old)
	h.joins = r.MemberID == ""
	return h.findStatic(id, joiningEpoch, r.InstanceID)
}

func (h *heartbeat) joinClassic(r *JoinRequest, s *wire.ConsumerProtocolSubscription, member *consumerMember,
	protocols []Protocol) (outcome, *refusal) {
	c, g := h.c, h.g
	updated, refused := h.update(member, member.with(func(m *consumerMember) {
		if r.InstanceID != "" {
			m.instanceID = &r.InstanceID
		}
		if rack := notEmpty(s.RackId); rack != nil {
			m.rackID = rack
		}
		m.rebalanceTimeout = int32(r.timeout().Milliseconds())
		m.names, m.pattern, m.patternNull = sortedNames(s.Topics), "", false
		m.clientID, m.clientHost = r.ClientID, r.ClientHost
		m.classic = &classicMember{sessionTimeout: int32(r.SessionTimeout.Milliseconds()), protocols: protocols}
	}))
	if refused != nil {
		return outcome{}, refused
	}
	if h.downgrades {
		return h.downgradeReplacing(updated)
	}
	reply := &JoinResponse{MemberID: updated.id, Generation: updated.epoch, ProtocolType: typeConsumer, ProtocolName: protocols[0].Name}
	return h.encoded(outcome{reply: reply, accepted: func() {
		h.accept(updated)
		c.timers.cancel(timerKey{timerConsumerJoin, g.id, updated.id})
		c.consumerSession(g.id, updated.id, r.SessionTimeout)
		c.timers.schedule(timerKey{timerConsumerSync, g.id, updated.id}, c.now.Instant.Add(r.timeout()))
	}})
}

// timeout is the rebalance timeout, which not all versions and clients say.
func (r *JoinRequest) timeout() time.Duration {
	if r.RebalanceTimeout <= 0 {
		return r.SessionTimeout
	}
	return r.RebalanceTimeout
}

// acceptsClassic says whether somebody with these protocols fits with the members of the classic protocol.
func (g *consumerGroup) acceptsClassic(protocolType string, protocols []Protocol) bool {
	if protocolType != typeConsumer {
		return false
	}
	for _, p := range protocols {
		if g.classicProtocols[p.Name] == g.classicMembers {
			return true
		}
	}
	return false
}

// ownedByName returns the partitions that a member of the classic protocol says it has.
func (c *Coordinator) ownedByName(s *wire.ConsumerProtocolSubscription) partitions {
	var owned []TopicPartitions
	for _, t := range s.OwnedPartitions {
		if topic, ok := c.cluster.Topic(t.Topic); ok {
			owned = append(owned, TopicPartitions{topic.ID, t.Partitions})
		}
	}
	return fromTopics(owned)
}

// classicMemberOf finds the member that a request of the classic protocol is from.
func (g *consumerGroup) classicMemberOf(id, instanceID string, generation int32) (*consumerMember, *refusal) {
	m := g.members[id]
	if instanceID != "" {
		if m = g.static(instanceID); m != nil && m.id != id {
			return nil, fenced(m, id, instanceID)
		}
	}
	switch {
	case m == nil || m.classic == nil:
		return nil, refuse(wire.ErrUnknownMemberId, "")
	case m.epoch != generation:
		return nil, refuse(wire.ErrIllegalGeneration, "")
	}
	return m, nil
}

// syncConsumerGroup handles SyncGroup: the member is told what it was given when it joined.
func (c *Coordinator) syncConsumerGroup(g *consumerGroup, r *SyncRequest) (outcome, *refusal) {
	m, refused := g.classicMemberOf(r.MemberID, r.InstanceID, r.Generation)
	if refused != nil {
		return outcome{}, refused
	}
	protocol := m.classic.protocols[0]
	if r.ProtocolType != "" && r.ProtocolType != typeConsumer || r.ProtocolName != "" && r.ProtocolName != protocol.Name {
		return outcome{}, refuse(wire.ErrInconsistentGroupProtocol, "")
	}
	if g.assignmentEpoch > m.epoch && m.state != memberUnrevoked {
		c.rejoinDue(g, m)
		return outcome{}, refuse(wire.ErrRebalanceInProgress, "")
	}
	reply := &SyncResponse{ProtocolType: typeConsumer, ProtocolName: protocol.Name,
		Assignment: c.classicAssignment(m.assigned.partitions(), protocol.Metadata)}
	return outcome{reply: reply, accepted: func() {
		c.timers.cancel(timerKey{timerConsumerSync, g.id, m.id})
		c.consumerSession(g.id, m.id, milliseconds(m.classic.sessionTimeout))
	}}, nil
}

// heartbeatConsumerGroup handles Heartbeat.
func (c *Coordinator) heartbeatConsumerGroup(g *consumerGroup, r *HeartbeatRequest) (outcome, *refusal) {
	m, refused := g.classicMemberOf(r.MemberID, r.InstanceID, r.Generation)
	if refused != nil {
		return outcome{}, refused
	}
	reply := &HeartbeatResponse{}
	if m.epoch < g.assignmentEpoch || m.state == memberUnrevoked || m.state == memberUnreleased && !g.waits(m) {
		reply.Error = wire.ErrRebalanceInProgress
		c.rejoinDue(g, m)
	}
	return outcome{reply: reply, accepted: func() {
		c.consumerSession(g.id, m.id, milliseconds(m.classic.sessionTimeout))
	}}, nil
}

// rejoinDue gives the member its rebalance timeout to join again, from when it was told first.
func (c *Coordinator) rejoinDue(g *consumerGroup, m *consumerMember) {
	key := timerKey{timerConsumerJoin, g.id, m.id}
	if c.timers.byKey[key] == nil {
		c.timers.schedule(key, c.now.Instant.Add(milliseconds(m.rebalanceTimeout)))
	}
}

// waits says whether others still have what the member waits for.
func (g *consumerGroup) waits(m *consumerMember) bool {
	for _, p := range g.targets[m.id] {
		if !m.assigned.has(p) && !g.free(p) {
			return true
		}
	}
	return false
}

// leaveConsumerGroup handles LeaveGroup, which takes out members of both protocols.
func (c *Coordinator) leaveConsumerGroup(g *consumerGroup, r *LeaveRequest) (outcome, *refusal) {
	out := &LeaveResponse{}
	var leaving []*consumerMember
	seen := map[string]bool{}
	for _, l := range r.Members {
		m, code := g.members[l.MemberID], wire.ErrNone
		if l.InstanceID != "" {
			if m = g.static(l.InstanceID); m != nil && l.MemberID != "" && l.MemberID != m.id {
				code = wire.ErrFencedInstanceId
			}
		}
		switch {
		case m == nil:
			code = wire.ErrUnknownMemberId
		case code == wire.ErrNone && !seen[m.id]:
			seen[m.id] = true
			leaving = append(leaving, m)
		}
		out.Members = append(out.Members, LeftMember{MemberID: l.MemberID, InstanceID: l.InstanceID, Error: code})
	}
	return c.fence(g, leaving, out, " left")
}

// canDowngradeReplacing says whether the group becomes a classic one when this member, which is the last one that speaks
// the consumer protocol, comes back speaking the classic one.
func (c *Coordinator) canDowngradeReplacing(g *consumerGroup, m *consumerMember) bool {
	return m.classic == nil && g.classicMembers == len(g.members)-1 && c.config.ConsumerDowngrade &&
		len(g.members) <= c.config.MaxSize
}

// keepsTarget says whether the operation ends in a classic group, whose members assign partitions themselves.
func (h *heartbeat) keepsTarget() bool { return h.downgrades }

// downgradeReplacing makes a classic group of all members, which then rebalances. Kafka lets them go on with what they have:
// then who waits for a partition waits until the next rebalance, and nobody knows that it leads, so that nobody sees the
// topics grow.
func (h *heartbeat) downgradeReplacing(m *consumerMember) (outcome, *refusal) {
	c := h.c
	if refused := h.replay(); refused != nil {
		return outcome{}, refused
	}
	classic := c.toClassic(h.g)
	record, err := classic.record(func(m *member) []byte { return m.assignment })
	if err != nil {
		return outcome{}, refuse(wire.ErrUnknownServerError, fmt.Sprint(err))
	}
	w := &writer{records: h.records}
	w.groupTombstones(h.g)
	w.records = append(w.records, record)
	reply := &JoinResponse{MemberID: m.id, Generation: classic.generation, ProtocolType: typeConsumer,
		ProtocolName: classic.protocolName} // which is told to join again when it asks what it has
	members := sortedKeys(h.g.members)
	if was := c.consumers[h.g.id]; was != nil { // with the member that is replaced
		members = append(members, sortedKeys(was.members)...)
	}
	return w.encoded(outcome{reply: reply, accepted: func() {
		c.becomeClassic(classic, members)
		c.prepareRebalance(classic, "the last member of the consumer protocol speaks the classic one now: the group is a classic one")
	}})
}
