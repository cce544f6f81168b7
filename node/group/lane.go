package group

import (
	"slices"

	"millrace/net/wire"
)

// A consumer group is changed by one operation after the other. An operation looks at the group as the operations before
// it left it, whether or not that is stored yet, and is answered when all that it looked at is. Of each group one append is
// open at a time; what comes meanwhile waits, and goes into the next one together. If the append fails, the group is again
// what the image says, and who waited for it is told so.

// laneBytes is when a batch takes no further operation. An operation's own records are never divided.
const laneBytes = 256 << 10

// lane holds the operations of one group. It is there as long as something is open or waits.
type lane struct {
	open     bool // an append has no fate yet
	draining bool
	waiting  []operation
}

// operation is a request, or something that a timer or another operation brought about, whose tag is 0.
type operation struct {
	tag     uint64
	request Request
}

// resolves says whether regular expressions are going to be looked at.
func (l *lane) resolves() bool {
	return slices.ContainsFunc(l.waiting, func(op operation) bool {
		_, ok := op.request.(*resolvePatterns)
		return ok
	})
}

// outcome is what an operation comes to.
type outcome struct {
	records []Record
	size    int
	reply   Response // nil: none
	// accepted runs when the leader's group has changed. stored, if there is one, runs when the records are stored, and
	// answers the request.
	accepted, stored func()
}

// enter puts an operation behind the others of its group.
func (c *Coordinator) enter(groupID string, op operation) {
	l := c.lanes[groupID]
	if l == nil {
		l = &lane{}
		c.lanes[groupID] = l
	}
	l.waiting = append(l.waiting, op)
	c.drain(groupID, l)
}

// flightOf is what becomes of a batch of operations.
type flightOf struct {
	records []Record
	size    int
	done    []finished
}

// finished is an operation whose outcome waits for the batch.
type finished struct {
	op  operation
	out outcome
}

// drain carries out what waits until an append is open or nothing waits.
func (c *Coordinator) drain(groupID string, l *lane) {
	if l.open || l.draining {
		return
	}
	l.draining = true
	for len(l.waiting) > 0 && !l.open {
		c.fly(groupID, l, c.carryOut(groupID, l))
	}
	l.draining = false
	if !l.open && c.lanes[groupID] == l {
		delete(c.lanes, groupID)
	}
}

// carryOut makes one batch of what waits.
func (c *Coordinator) carryOut(groupID string, l *lane) flightOf {
	var f flightOf
	for len(l.waiting) > 0 && f.size < laneBytes {
		op := l.waiting[0]
		out, refused := c.evaluate(groupID, op)
		switch {
		case refused != nil:
			out = outcome{reply: refused.to(op.request)}
			if op.tag == 0 {
				c.giveUp(op, refused.code)
			}
		case len(f.records) > 0 && f.size+out.size > 2*laneBytes:
			return f // it is carried out again, in a batch of its own
		}
		l.waiting = l.waiting[1:]
		for _, r := range out.records {
			c.applyLive(r)
		}
		if out.accepted != nil {
			out.accepted()
		}
		f.records, f.size = append(f.records, out.records...), f.size+out.size
		f.done = append(f.done, finished{op, out})
		if out.stored != nil {
			return f // what comes next depends on it
		}
	}
	return f
}

// applyLive applies a record to the leader's group; those of other kinds are followed by whoever made them.
func (c *Coordinator) applyLive(r Record) {
	key, err := decodeKey(r.Key)
	if err == nil && key.kind >= keyConsumerGroup {
		err = applyConsumer(c.consumers, key, r.Value)
	}
	if err != nil {
		panic("group: a record of our own cannot be applied: " + err.Error())
	}
}

// fly appends the batch and answers its operations when that is applied. Without records there is nothing to wait for.
func (c *Coordinator) fly(groupID string, l *lane, f flightOf) {
	finish := func() {
		for _, d := range f.done {
			switch {
			case d.out.stored != nil && c.elected:
				d.out.stored()
			case d.out.stored != nil:
				c.giveUp(d.op, wire.ErrNotCoordinator)
			case d.op.tag != 0 && d.out.reply != nil:
				c.reply(d.op.tag, d.out.reply)
			}
		}
	}
	if len(f.records) == 0 {
		finish()
		return
	}
	l.open = true
	c.append([]string{groupID}, f.records, func() {
		l.open = false
		finish()
		if c.lanes[groupID] == l {
			c.drain(groupID, l)
		}
	}, func(code ErrorCode) {
		l.open = false
		current := c.lanes[groupID] == l
		if current {
			c.reload(groupID, code)
		}
		for _, d := range f.done {
			c.giveUp(d.op, code)
		}
		if current {
			c.drain(groupID, l)
		}
	})
}

// giveUp ends an operation that comes to nothing.
func (c *Coordinator) giveUp(op operation, code ErrorCode) {
	if r, ok := op.request.(*removeGroup); ok {
		r.done(code)
	}
	if op.tag != 0 {
		c.reply(op.tag, ErrorResponse(op.request, code))
	}
}

// busy says whether operations of the group are under way: then also those of classic groups wait for their turn.
func (c *Coordinator) busy(groupID string) bool { return c.lanes[groupID] != nil }

// reload makes the leader's group again what the image says.
func (c *Coordinator) reload(groupID string, code ErrorCode) {
	if g := c.groups[groupID]; g != nil {
		c.endClassic(g, code)
	}
	if g := c.consumers[groupID]; g != nil {
		for _, id := range sortedKeys(g.members) {
			c.cancelConsumer(groupID, id)
		}
		delete(c.consumers, groupID)
	}
	if c.image.knows(groupID) {
		c.loadOne(groupID)
	}
}

// endClassic takes a classic group out of the leader's memory; members that wait are told why.
func (c *Coordinator) endClassic(g *classic, code ErrorCode) {
	for _, m := range g.members {
		c.answerJoin(g, m, &JoinResponse{Error: code, MemberID: m.id, Generation: -1})
		c.answerSync(m, &SyncResponse{Error: code})
		c.timers.cancel(memberTimer(g, m.id))
	}
	for id := range g.pending { //door:ordered each by itself
		c.timers.cancel(memberTimer(g, id))
	}
	for _, kind := range []timerKind{timerInitialJoin, timerJoin, timerSync} {
		c.timers.cancel(timerKey{kind: kind, group: g.id})
	}
	delete(c.groups, g.id)
}

// evaluate finds out what an operation comes to. It changes nothing.
func (c *Coordinator) evaluate(groupID string, op operation) (outcome, *refusal) {
	switch r := op.request.(type) {
	case *ConsumerHeartbeatRequest:
		return c.consumerHeartbeat(r)
	case *fenceMember:
		return c.fenceConsumer(r)
	case *resolvePatterns:
		return c.resolve(r)
	case *removeGroup:
		return c.removeConsumerGroup(r)
	}
	g := c.consumers[groupID]
	if g == nil {
		// The group is of the other kind, or there is none. Its answers are its own.
		return outcome{stored: func() { c.classicRequest(op.tag, op.request) }}, nil
	}
	switch r := op.request.(type) {
	case *JoinRequest:
		return c.joinConsumerGroup(g, op.tag, r)
	case *SyncRequest:
		return c.syncConsumerGroup(g, r)
	case *HeartbeatRequest:
		return c.heartbeatConsumerGroup(g, r)
	case *LeaveRequest:
		return c.leaveConsumerGroup(g, r)
	}
	panic("group: an operation of an unknown type")
}

// refusal is an error that a request is answered with.
type refusal struct {
	code    ErrorCode
	message string
}

func refuse(code ErrorCode, message string) *refusal { return &refusal{code, message} }

// to is the answer to a request; nil when nobody asked.
func (e *refusal) to(r Request) Response {
	switch r := r.(type) {
	case *ConsumerHeartbeatRequest:
		return &ConsumerHeartbeatResponse{Error: e.code, ErrorMessage: e.message}
	case *JoinRequest:
		return &JoinResponse{Error: e.code, MemberID: r.MemberID, Generation: -1}
	case *SyncRequest, *HeartbeatRequest, *LeaveRequest:
		return ErrorResponse(r, e.code)
	}
	return nil
}

// encoded ends an operation: what it wrote, or why that cannot be.
func (w *writer) encoded(out outcome) (outcome, *refusal) {
	if w.err != nil {
		return outcome{}, refuse(wire.ErrUnknownServerError, "A record cannot be encoded.")
	}
	out.records, out.size = w.records, w.size()
	return out, nil
}
