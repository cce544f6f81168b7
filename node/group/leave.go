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
	for _, l := range r.Members {
		code := wire.ErrUnknownMemberId
		if g != nil {
			code = c.leaveOne(g, l)
		}
		gone = gone || code == wire.ErrNone
		out.Members = append(out.Members, LeftMember{MemberID: l.MemberID, InstanceID: l.InstanceID, Error: code})
	}
	c.reply(tag, out)
	if !gone {
		return
	}
	switch g.state {
	case stable, completingRebalance:
		c.prepareRebalance(g)
	case preparingRebalance:
		c.maybeCompleteJoin(g)
	}
	c.forgetUnused(g)
}

func (c *Coordinator) leaveOne(g *classic, l LeavingMember) ErrorCode {
	id := l.MemberID
	if id == "" {
		id = g.instances[l.InstanceID]
		if l.InstanceID == "" || id == "" {
			return wire.ErrUnknownMemberId
		}
	} else if c.removePending(g, id) {
		return wire.ErrNone
	}
	if code := g.verify(id, l.InstanceID); code != wire.ErrNone {
		return code
	}
	c.removeMember(g, g.byID[id], wire.ErrUnknownMemberId)
	return wire.ErrNone
}
