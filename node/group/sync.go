package group

import (
	"bytes"
	"fmt"

	"millrace/net/wire"
)

// sync handles SyncGroup. While the generation has no assignment, members wait for it; the leader brings it, and
// everybody learns of it when it is stored.
func (c *Coordinator) sync(tag uint64, r *SyncRequest) {
	g := c.groups[r.GroupID]
	if code := checkSync(g, r); code != wire.ErrNone {
		c.reply(tag, &SyncResponse{Error: code})
		return
	}
	m := g.byID[r.MemberID]
	m.syncDue = false
	if g.state == stable {
		c.reply(tag, synced(g, m))
		return
	}
	c.answerSync(m, &SyncResponse{Error: wire.ErrRebalanceInProgress}) // an earlier one that its client gave up
	m.syncTag = tag
	if m.id == g.leader {
		c.storeAssignment(g, r)
	}
}

func checkSync(g *classic, r *SyncRequest) ErrorCode {
	if r.GroupID == "" {
		return wire.ErrInvalidGroupId
	}
	if g == nil || g.state == empty {
		return wire.ErrUnknownMemberId
	}
	if code := g.verify(r.MemberID, r.InstanceID); code != wire.ErrNone {
		return code
	}
	differs := func(said, is string) bool { return said != "" && is != "" && said != is }
	switch {
	case r.Generation != g.generation:
		return wire.ErrIllegalGeneration
	case differs(r.ProtocolType, g.protocolType) || differs(r.ProtocolName, g.protocolName):
		return wire.ErrInconsistentGroupProtocol
	case g.state == preparingRebalance:
		return wire.ErrRebalanceInProgress
	}
	return wire.ErrNone
}

func synced(g *classic, m *member) *SyncResponse {
	return &SyncResponse{ProtocolType: g.protocolType, ProtocolName: g.protocolName, Assignment: m.assignment}
}

// storeAssignment appends the generation with the leader's assignment to the log. If another rebalance begins before it
// is applied, the outcome no longer concerns the members, whatever it is.
func (c *Coordinator) storeAssignment(g *classic, r *SyncRequest) {
	assigned := make(map[string][]byte, len(r.Assignments))
	for _, a := range r.Assignments {
		assigned[a.MemberID] = bytes.Clone(a.Assignment)
	}
	generation := g.generation
	current := func() bool {
		return c.groups[g.id] == g && g.state == completingRebalance && g.generation == generation
	}
	failed := func(code ErrorCode) {
		if current() {
			c.dropAssignments(g, code)
			c.prepareRebalance(g, fmt.Sprintf("what the leader assigned could not be stored: %v", code))
		}
	}
	record, err := g.record(func(m *member) []byte { return assigned[m.id] })
	if err != nil {
		failed(wire.ErrUnknownServerError)
		return
	}
	c.append([]string{g.id}, []Record{record}, func() {
		if !current() {
			return
		}
		g.transition(stable, c.now.WallMillis)
		for _, m := range g.members {
			m.assignment = assigned[m.id]
			if c.answerSync(m, synced(g, m)) {
				c.session(g, m)
			}
		}
	}, failed)
}

// dropAssignments ends a generation before it had any: who waits for an assignment is told why none comes.
func (c *Coordinator) dropAssignments(g *classic, code ErrorCode) {
	for _, m := range g.members {
		m.assignment = nil
		if c.answerSync(m, &SyncResponse{Error: code}) {
			c.session(g, m)
		}
	}
}

// answerSync answers the member's SyncGroup if one waits.
func (c *Coordinator) answerSync(m *member, r *SyncResponse) bool {
	if m.syncTag == 0 {
		return false
	}
	c.reply(m.syncTag, r)
	m.syncTag = 0
	return true
}

// heartbeat handles Heartbeat.
func (c *Coordinator) heartbeat(r *HeartbeatRequest) ErrorCode {
	if r.GroupID == "" {
		return wire.ErrInvalidGroupId
	}
	g := c.groups[r.GroupID]
	if g == nil {
		return wire.ErrUnknownMemberId
	}
	if code := g.verify(r.MemberID, r.InstanceID); code != wire.ErrNone {
		return code
	}
	if r.Generation != g.generation {
		return wire.ErrIllegalGeneration
	}
	c.session(g, g.byID[r.MemberID])
	if g.state == preparingRebalance {
		return wire.ErrRebalanceInProgress
	}
	return wire.ErrNone
}
