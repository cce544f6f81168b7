package group

import "millrace/net/wire"

// replaceStatic lets a static member come back with a new member id: the old id is fenced. In a stable group whose
// protocol stays the same nothing else changes, and the group's metadata is stored with the new id before it is told.
func (c *Coordinator) replaceStatic(tag uint64, r *JoinRequest, g *classic, m *member, protocols []Protocol) {
	before := *m
	leaderBefore := g.leader
	c.answerJoin(g, m, &JoinResponse{Error: wire.ErrFencedInstanceId, MemberID: m.id, Generation: -1})
	c.answerSync(m, &SyncResponse{Error: wire.ErrFencedInstanceId})
	c.timers.cancel(memberTimer(g, m.id))
	g.rename(m, c.memberID(r.InstanceID))
	c.updateMember(g, m, r, protocols)
	c.awaitJoin(g, m, tag)
	c.session(g, m)
	switch {
	case g.state == completingRebalance:
		c.prepareRebalance(g, saying(m.called()+" came back", r.Reason))
		return
	case g.state == stable && g.choose() != g.protocolName:
		c.rebalanceOrComplete(g, saying(m.called()+" came back with other assignors", r.Reason))
		return
	case g.state != stable:
		c.maybeCompleteJoin(g)
		return
	}
	// With another append of the group open nobody can tell which id is the stored one.
	alone := !c.inFlight.storesGroup(g.id)
	revert := func(code ErrorCode) {
		switch {
		case m.joinTag != tag || g.state != stable:
			return // answered meanwhile, or a rebalance will answer and store
		case !alone:
			c.prepareRebalance(g, m.called()+" came back") // which answers and stores
			return
		}
		c.answerJoin(g, m, &JoinResponse{Error: code, Generation: g.generation, Leader: leaderBefore,
			ProtocolType: g.protocolType, ProtocolName: g.protocolName})
		c.timers.cancel(memberTimer(g, m.id))
		g.rename(m, before.id)
		g.setProtocols(m, before.protocols)
		m.sessionTimeout, m.rebalanceTimeout = before.sessionTimeout, before.rebalanceTimeout
		c.session(g, m)
	}
	record, err := g.record(func(m *member) []byte { return m.assignment })
	if err != nil {
		revert(wire.ErrUnknownServerError)
		return
	}
	generation := g.generation
	c.append([]string{g.id}, []Record{record}, func() {
		if m.joinTag != tag || g.state != stable || g.generation != generation {
			return
		}
		answer := c.joined(g, m)
		if answer.SkipAssignment = m.id == g.leader && r.CanSkipAssignment; !r.CanSkipAssignment {
			// Before version 9 a leader cannot be told to skip assigning. So it is told of its old id as the leader's.
			answer.Leader, answer.Members = leaderBefore, nil
		}
		c.answerJoin(g, m, answer)
	}, revert)
}
