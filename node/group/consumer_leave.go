package group

import (
	"fmt"

	"millrace/net/wire"
)

// consumerLeave handles a heartbeat with which a member leaves, for good or for a while.
func (c *Coordinator) consumerLeave(r *ConsumerHeartbeatRequest) (outcome, *refusal) {
	g := c.consumers[r.GroupID]
	switch {
	case g == nil && c.groups[r.GroupID] != nil:
		return outcome{}, refuse(wire.ErrGroupIdNotFound, notConsumerGroup(r.GroupID))
	case g == nil:
		return outcome{}, refuse(wire.ErrGroupIdNotFound, fmt.Sprintf("Group %s not found.", r.GroupID))
	}
	m := g.members[r.MemberID]
	if r.InstanceID != nil {
		switch m = g.static(*r.InstanceID); {
		case m == nil:
			return outcome{}, refuse(wire.ErrUnknownMemberId, fmt.Sprintf("Instance id %s is unknown.", *r.InstanceID))
		case m.id != r.MemberID:
			return outcome{}, fenced(m, r.MemberID, *r.InstanceID)
		}
	}
	if m == nil {
		return outcome{}, refuse(wire.ErrUnknownMemberId, fmt.Sprintf("Member %s is not a member of group %s.", r.MemberID, g.id))
	}
	reply := &ConsumerHeartbeatResponse{MemberID: r.MemberID, MemberEpoch: r.MemberEpoch}
	if r.InstanceID == nil || r.MemberEpoch != awayEpoch {
		return c.fence(g, []*consumerMember{m}, reply, " left")
	}
	// It keeps its place, until its session ends. What it was about to give back is free.
	w := &writer{}
	w.current(g.id, m.with(func(m *consumerMember) {
		m.epoch, m.assigned, m.revoking = awayEpoch, m.assigned.partitions().since(0), nil
	}))
	return w.encoded(outcome{reply: reply})
}

// fence takes members out of the group, which begins a new epoch; why completes a sentence about the first of them. If all that remain speak the classic protocol, the group
// becomes a classic one.
func (c *Coordinator) fence(g *consumerGroup, members []*consumerMember, reply Response, why string) (outcome, *refusal) {
	if len(members) == 0 {
		return outcome{reply: reply}, nil
	}
	if c.canDowngrade(g, members) {
		return c.downgrade(g, members, reply)
	}
	cause := members[0].called() + why
	if n := len(members) - 1; n > 0 {
		cause += fmt.Sprintf(", and so did %d more", n)
	}
	w := &writer{}
	after := g.clone()
	for _, m := range members {
		w.memberTombstones(g.id, m.id)
		after.remove(m.id)
	}
	for _, pattern := range sortedKeys(after.patterns) {
		if after.byPattern[pattern] == 0 {
			w.patternTombstone(g.id, pattern)
			after.removePattern(pattern)
		}
	}
	w.group(g.id, g.epoch+1, metadataHash(c.cluster, after.subscribedWith(nil, nil)))
	return w.encoded(outcome{reply: reply, accepted: func() {
		c.because(g.id, typeConsumer, g.epoch, cause)
		for _, m := range members {
			c.cancelConsumer(g.id, m.id)
		}
	}})
}

// fenceMember is the operation that takes out a member which was silent or slow for too long.
type fenceMember struct{ key timerKey }

func (*fenceMember) request() {}

// expireConsumer is called when a member's time is over.
func (c *Coordinator) expireConsumer(key timerKey) {
	c.enter(key.group, operation{request: &fenceMember{key}})
}

// fenceConsumer carries that out, unless the member was heard of meanwhile.
func (c *Coordinator) fenceConsumer(r *fenceMember) (outcome, *refusal) {
	g := c.consumers[r.key.group]
	if g == nil || c.timers.byKey[r.key] != nil {
		return outcome{}, nil
	}
	m := g.members[r.key.member]
	if m == nil || r.key.kind == timerRebalance && m.state != memberUnrevoked {
		return outcome{}, nil
	}
	return c.fence(g, []*consumerMember{m}, nil, c.lateness(r.key, m))
}

// lateness says what a member's time was for that is over.
func (c *Coordinator) lateness(key timerKey, m *consumerMember) string {
	switch key.kind {
	case timerRebalance:
		return fmt.Sprintf(" did not give partitions back within its rebalance timeout of %v", milliseconds(m.rebalanceTimeout))
	case timerConsumerJoin:
		return fmt.Sprintf(" did not join again within its rebalance timeout of %v", milliseconds(m.rebalanceTimeout))
	case timerConsumerSync:
		return " did not ask in time what to read"
	}
	d := c.consumerTimeout(key.group, sessionTimeout)
	if m.classic != nil {
		d = milliseconds(m.classic.sessionTimeout)
	}
	return fmt.Sprintf(" was silent for its session timeout of %v", d)
}

// removeGroup is the operation that deletes a group without members.
type removeGroup struct {
	groupID string
	// unused says to do so only if it has no offsets either.
	unused bool
	done   func(ErrorCode)
}

func (*removeGroup) request() {}

// removeConsumerGroup carries that out.
func (c *Coordinator) removeConsumerGroup(r *removeGroup) (outcome, *refusal) {
	g := c.consumers[r.groupID]
	code := wire.ErrNone
	switch {
	case g == nil:
		code = wire.ErrGroupIdNotFound
	case !g.empty():
		code = wire.ErrNonEmptyGroup
	case r.unused && len(c.storedOffsets(g.id)) > 0:
		code = wire.ErrNonEmptyGroup
	}
	if code != wire.ErrNone {
		return outcome{stored: func() { r.done(code) }}, nil
	}
	w := &writer{}
	for _, key := range c.storedOffsets(g.id) {
		w.records = append(w.records, offsetTombstone(key))
	}
	w.groupTombstones(g)
	return w.encoded(outcome{stored: func() { r.done(wire.ErrNone) }})
}
