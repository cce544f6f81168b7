package group

import "millrace/net/wire"

// leave handles LeaveGroup: members of its own will, or, named by an administrator, static ones by their instance id.
func (c *Coordinator) leave(tag uint64, r *LeaveRequest) {
	if r.GroupID == "" {
		c.reply(tag, &LeaveResponse{Error: wire.ErrInvalidGroupId})
		return
	}
	g := c.groups[r.GroupID]
	out := &LeaveResponse{}
	gone := false
	var causes []string
	for _, l := range r.Members {
		code, cause := wire.ErrUnknownMemberId, ""
		if g != nil {
			code, cause = c.leaveOne(g, l)
		}
		if gone = gone || code == wire.ErrNone; cause != "" {
			causes = append(causes, cause)
		}
		out.Members = append(out.Members, LeftMember{MemberID: l.MemberID, InstanceID: l.InstanceID, Error: code})
	}
	c.reply(tag, out)
	if !gone {
		return
	}
	// The causes come first: with the rebalance the group may be complete, and of the next generation, at once.
	if g.state != empty {
		for _, cause := range causes {
			c.because(g.id, typeClassic, g.generation+1, cause)
		}
	}
	switch g.state {
	case stable, completingRebalance:
		c.prepareRebalance(g, "")
	case preparingRebalance:
		c.maybeCompleteJoin(g)
	}
	c.forgetUnused(g)
}

// leaveOne takes one out. cause says why the group then rebalances.
func (c *Coordinator) leaveOne(g *classic, l LeavingMember) (code ErrorCode, cause string) {
	id := l.MemberID
	if id == "" {
		id = g.instances[l.InstanceID]
		if l.InstanceID == "" || id == "" {
			return wire.ErrUnknownMemberId, ""
		}
	} else if c.removePending(g, id) {
		return wire.ErrNone, "somebody left that had been given a member id and had not joined yet"
	}
	if code := g.verify(id, l.InstanceID); code != wire.ErrNone {
		return code, ""
	}
	m := g.byID[id]
	c.removeMember(g, m, wire.ErrUnknownMemberId)
	return wire.ErrNone, saying(m.called()+" left", l.Reason)
}
