package group

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"millrace/net/wire"
	"millrace/node/host/mutant"
)

// consumerHeartbeat handles ConsumerGroupHeartbeat: the member's wishes change the group, the group's target follows, and
// the member takes its next step towards it.
func (c *Coordinator) consumerHeartbeat(r *ConsumerHeartbeatRequest) (outcome, *refusal) {
	if r.MemberEpoch == leavingEpoch || r.MemberEpoch == awayEpoch {
		return c.consumerLeave(r)
	}
	h := &heartbeat{c: c, joins: r.MemberEpoch == joiningEpoch, reported: fromTopics(r.Owned), said: r.Owned != nil}
	if refused := h.open(r.GroupID); refused != nil {
		return outcome{}, refused
	}
	member, refused := h.find(r.MemberID, r.MemberEpoch, r.InstanceID)
	if refused != nil {
		return outcome{}, refused
	}
	updated, refused := h.update(member, member.with(func(m *consumerMember) { r.wishes(m) }))
	if refused != nil {
		return outcome{}, refused
	}
	reply := &ConsumerHeartbeatResponse{
		MemberID:            updated.id,
		MemberEpoch:         updated.epoch,
		HeartbeatIntervalMs: int32(c.consumerTimeout(r.GroupID, heartbeatInterval).Milliseconds()),
	}
	full := r.RebalanceTimeoutMs != -1 && (r.TopicNames != nil || r.TopicPattern != nil) && r.Owned != nil
	if h.joins || full || !slices.Equal(member.assigned, updated.assigned) {
		reply.Assigned, reply.Assignment = true, updated.assigned.partitions().byTopic()
	}
	return h.encoded(outcome{reply: reply, accepted: func() {
		h.accept(updated)
		c.consumerSession(r.GroupID, updated.id, c.consumerTimeout(r.GroupID, sessionTimeout))
	}})
}

// wishes puts in what the request says.
func (r *ConsumerHeartbeatRequest) wishes(m *consumerMember) {
	if r.InstanceID != nil {
		m.instanceID = r.InstanceID
	}
	if r.RackID != nil {
		m.rackID = r.RackID
	}
	if r.RebalanceTimeoutMs != -1 {
		m.rebalanceTimeout = r.RebalanceTimeoutMs
	}
	if r.Assignor != nil {
		m.assignor = r.Assignor
	}
	if r.TopicNames != nil {
		m.names = sortedNames(r.TopicNames)
	}
	if r.TopicPattern != nil {
		m.pattern, m.patternNull = *r.TopicPattern, false
	}
	m.clientID, m.clientHost, m.classic = r.ClientID, r.ClientHost, nil
}

// check says what is wrong with a request whatever the group is.
func (r *ConsumerHeartbeatRequest) check(assignors []string) *refusal {
	blank := func(s *string) bool { return s != nil && strings.TrimSpace(*s) == "" }
	invalid := func(text string) *refusal { return refuse(wire.ErrInvalidRequest, text) }
	switch {
	case (r.RequireMemberID || r.MemberEpoch > 0 || r.MemberEpoch == leavingEpoch) && blank(&r.MemberID):
		return invalid("MemberId can't be empty.")
	case blank(&r.GroupID):
		return invalid("GroupId can't be empty.")
	case blank(r.InstanceID):
		return invalid("InstanceId can't be empty.")
	case blank(r.RackID):
		return invalid("RackId can't be empty.")
	case r.MemberEpoch == joiningEpoch && r.RebalanceTimeoutMs == -1:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	case r.MemberEpoch == joiningEpoch && (r.Owned == nil || len(r.Owned) > 0):
		return invalid("TopicPartitions must be empty when (re-)joining.")
	case r.MemberEpoch == joiningEpoch && r.TopicNames == nil && r.TopicPattern == nil:
		return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	case r.MemberEpoch == awayEpoch && r.InstanceID == nil:
		return invalid("InstanceId can't be null.")
	case r.MemberEpoch < awayEpoch:
		return invalid("MemberEpoch is invalid.")
	case r.Assignor != nil && !slices.Contains(assignors, *r.Assignor):
		return refuse(wire.ErrUnsupportedAssignor, fmt.Sprintf("ServerAssignor %s is not supported. Supported assignors: %s.",
			*r.Assignor, strings.Join(assignors, ", ")))
	}
	return nil
}

// heartbeat is an operation of a member on its group: of the consumer protocol, or a JoinGroup.
type heartbeat struct {
	writer
	c *Coordinator
	// g is the group that it looks at. It is a copy when the operation has changed it on the way.
	g     *consumerGroup
	joins bool
	// classic says that it is a JoinGroup.
	classic  bool
	reported partitions
	said     bool
	// Found out on the way.
	downgrades bool     // the group becomes a classic one
	upgraded   *classic // the classic group that is replaced
	checked    bool     // the metadata's hash is up to date
	resolves   bool     // regular expressions have to be looked at
	reconcile  bool     // the member's assignment has changed
	bumped     int32    // the new group epoch, 0 when it is the old one
	cause      string   // why there is a new one
}

// open finds the group, or makes it: of nothing, or of a classic one.
func (h *heartbeat) open(groupID string) *refusal {
	c := h.c
	old := c.groups[groupID]
	switch g := c.consumers[groupID]; {
	case g != nil:
		h.g = g
	case !h.joins && old == nil:
		return refuse(wire.ErrGroupIdNotFound, fmt.Sprintf("Consumer group %s not found.", groupID))
	case old == nil:
		h.g = newConsumerGroup(groupID)
	case !h.joins:
		return refuse(wire.ErrGroupIdNotFound, fmt.Sprintf("Group %s is not a consumer group.", groupID))
	case old.state == empty:
		h.upgraded = old
		h.records = append(h.records, groupTombstone(groupID))
		h.g = newConsumerGroup(groupID)
	default:
		return h.upgrade(old)
	}
	return nil
}

// write has what fill writes applied to a copy of the group, for the rest of the operation to see.
func (h *heartbeat) write(fill func(w *writer)) *refusal {
	w := &writer{}
	fill(w)
	if w.err != nil {
		return refuse(wire.ErrUnknownServerError, "A record cannot be encoded.")
	}
	h.g = h.g.clone()
	for _, r := range w.records {
		key, err := decodeKey(r.Key)
		if err == nil && key.kind >= keyConsumerGroup {
			err = h.g.apply(key, r.Value)
		}
		if err != nil {
			panic("group: a record of our own cannot be applied: " + err.Error())
		}
	}
	h.records = append(h.records, w.records...)
	return nil
}

// replay has all that was written applied to a copy of the group.
func (h *heartbeat) replay() *refusal {
	w := h.records
	h.records = nil
	return h.write(func(again *writer) { again.records, again.err = w, h.err })
}

// find finds the member, or makes it.
func (h *heartbeat) find(id string, epoch int32, instanceID *string) (*consumerMember, *refusal) {
	g, c := h.g, h.c
	if g.members[id] == nil && len(g.members) >= c.config.ConsumerMaxSize {
		return nil, refuse(wire.ErrGroupMaxSizeReached,
			fmt.Sprintf("The consumer group has reached its maximum capacity of %d members.", c.config.ConsumerMaxSize))
	}
	if id == "" {
		id = c.uuid()
	}
	if instanceID != nil {
		return h.findStatic(id, epoch, *instanceID)
	}
	m := g.members[id]
	if m == nil && !h.joins {
		return nil, refuse(wire.ErrUnknownMemberId, fmt.Sprintf("Member %s is not a member of group %s.", id, g.id))
	}
	if m == nil {
		return newConsumerMember(id), nil
	}
	return m, h.checkEpoch(m, epoch)
}

func (h *heartbeat) findStatic(id string, epoch int32, instanceID string) (*consumerMember, *refusal) {
	old := h.g.static(instanceID)
	switch {
	case h.joins && old == nil:
		return h.g.memberOrNew(id), nil
	case old == nil:
		return nil, refuse(wire.ErrUnknownMemberId, fmt.Sprintf("Instance id %s is unknown.", instanceID))
	case !h.joins && old.id != id:
		return nil, fenced(old, id, instanceID)
	case !h.joins:
		return old, h.checkEpoch(old, epoch)
	case !h.classic && old.classic == nil && old.epoch != awayEpoch && !mutant.On("group-static-member-not-fenced"):
		return nil, refuse(wire.ErrUnreleasedInstanceId, fmt.Sprintf("Static member %s with instance id %s cannot join "+
			"the group because the instance id is owned by %s member.", id, instanceID, old.id))
	}
	return h.replace(old, id)
}

// replace puts a static member that is back in the place of what it was. It has what that had.
func (h *heartbeat) replace(old *consumerMember, id string) (*consumerMember, *refusal) {
	target := h.g.targets[old.id]
	m := old.with(func(m *consumerMember) { m.id, m.epoch, m.previousEpoch = id, 0, 0 })
	refused := h.write(func(w *writer) {
		w.memberTombstones(h.g.id, old.id)
		w.member(h.g.id, m)
		w.targetMember(h.g.id, id, target)
		w.current(h.g.id, m)
	})
	return h.g.members[id], refused
}

func fenced(old *consumerMember, id, instanceID string) *refusal {
	return refuse(wire.ErrFencedInstanceId, fmt.Sprintf("Static member %s with instance id %s was fenced by member %s.",
		id, instanceID, old.id))
}

// checkEpoch fences a member that knows another epoch than the group. The epoch before is all right if the member has
// nothing but what it was assigned: then the answer was lost that told it of the new one.
func (h *heartbeat) checkEpoch(m *consumerMember, epoch int32) *refusal {
	smallerOrGreater := ""
	switch {
	case h.classic || epoch == joiningEpoch || epoch == m.epoch || mutant.On("group-member-epoch-not-checked"):
		return nil
	case epoch > m.epoch:
		smallerOrGreater = "greater"
	case epoch == m.previousEpoch && h.said && !slices.ContainsFunc(h.reported, func(p partitionID) bool { return !m.assigned.has(p) }):
		return nil
	default:
		smallerOrGreater = "smaller"
	}
	return refuse(wire.ErrFencedMemberEpoch, fmt.Sprintf("The consumer group member has a %s member epoch (%d) than the one known "+
		"by the group coordinator (%d). The member must abandon all its partitions and rejoin.", smallerOrGreater, epoch, m.epoch))
}

// accept does what goes with the records when they are in force.
func (h *heartbeat) accept(m *consumerMember) {
	c, g := h.c, h.c.consumers[h.g.id]
	if h.bumped > 0 {
		c.because(h.g.id, typeConsumer, h.bumped, h.cause)
	}
	if h.upgraded != nil {
		c.endClassic(h.upgraded, wire.ErrRebalanceInProgress)
		c.sessions(g)
	}
	if g == nil {
		return
	}
	if h.checked {
		g.checked = c.cluster
	}
	if h.resolves && !c.lanes[g.id].resolves() {
		c.enter(g.id, operation{request: &resolvePatterns{g.id}})
	}
	key := timerKey{timerRebalance, g.id, m.id}
	switch {
	case !h.reconcile || m.classic != nil:
	case m.state == memberUnrevoked:
		c.timers.schedule(key, c.now.Instant.Add(time.Duration(m.rebalanceTimeout)*time.Millisecond))
	default:
		c.timers.cancel(key)
	}
}
