package group

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"millrace/net/wire"
)

// maxString is how long a string of the protocol can be. A client id must be shorter, since member ids begin with it.
const (
	maxClientID = 32000
	maxString   = 1<<15 - 1
)

// join handles JoinGroup. It answers at once only when there is nothing to wait for.
func (c *Coordinator) join(tag uint64, r *JoinRequest) {
	if code := c.checkJoin(r); code != wire.ErrNone {
		c.reply(tag, ErrorResponse(r, code))
		return
	}
	g := c.groups[r.GroupID]
	if g == nil {
		if r.MemberID != "" {
			c.reply(tag, ErrorResponse(r, wire.ErrUnknownMemberId))
			return
		}
		g = c.create(r.GroupID)
	}
	defer c.forgetUnused(g)
	if !c.hasRoom(g, r.MemberID) {
		c.reply(tag, &JoinResponse{Error: wire.ErrGroupMaxSizeReached, Generation: -1})
		c.turnAway(g, r.MemberID)
		return
	}
	protocols := distinct(r.Protocols)
	switch {
	case !g.accepts(r.ProtocolType, protocols):
		c.reply(tag, ErrorResponse(r, wire.ErrInconsistentGroupProtocol))
	case r.MemberID != "":
		c.joinKnown(tag, r, g, protocols)
	case r.InstanceID != "":
		if old := g.byID[g.instances[r.InstanceID]]; old != nil {
			c.replaceStatic(tag, r, g, old, protocols)
		} else {
			c.addMember(tag, r, g, c.memberID(r.InstanceID), protocols)
		}
	case r.RequireMemberID:
		id := c.memberID(r.ClientID)
		g.pending[id] = struct{}{}
		c.timers.schedule(memberTimer(g, id), c.now.Instant.Add(r.SessionTimeout))
		c.reply(tag, &JoinResponse{Error: wire.ErrMemberIdRequired, MemberID: id, Generation: -1})
	default:
		c.addMember(tag, r, g, c.memberID(r.ClientID), protocols)
	}
}

func (c *Coordinator) checkJoin(r *JoinRequest) ErrorCode {
	switch {
	case r.GroupID == "":
		return wire.ErrInvalidGroupId
	case r.SessionTimeout < c.config.MinSessionTimeout || r.SessionTimeout > c.config.MaxSessionTimeout:
		return wire.ErrInvalidSessionTimeout
	case len(r.ClientID) > maxClientID || len(r.InstanceID) > maxClientID || len(r.MemberID) > maxString:
		return wire.ErrInvalidRequest
	}
	return wire.ErrNone
}

// distinct copies the protocols, out of the request's bytes, and leaves out names that come again.
func distinct(protocols []Protocol) []Protocol {
	seen := make(map[string]bool, len(protocols))
	out := make([]Protocol, 0, len(protocols))
	for _, p := range protocols {
		if !seen[p.Name] {
			seen[p.Name] = true
			out = append(out, Protocol{Name: p.Name, Metadata: bytes.Clone(p.Metadata)})
		}
	}
	return out
}

// memberID makes the id of a new member: the prefix and a random UUID.
func (c *Coordinator) memberID(prefix string) string {
	id := c.randomUUID()
	h := hex.EncodeToString(id[:])
	return prefix + "-" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func (c *Coordinator) randomUUID() [16]byte {
	var id [16]byte
	for i := range 2 {
		v := c.random.Uint64("group member id")
		for j := range 8 {
			id[8*i+j] = byte(v >> (8 * j))
		}
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// uuid makes the id of a new member of a consumer group that has none, in the letters in which Kafka writes ids; it does
// not begin with a dash.
func (c *Coordinator) uuid() string {
	for {
		id := c.randomUUID()
		if text := base64.RawURLEncoding.EncodeToString(id[:]); text[0] != '-' {
			return text
		}
	}
}

// hasRoom says whether group.max.size lets this member in. While a rebalance gathers members, those count that came:
// the others may be gone.
func (c *Coordinator) hasRoom(g *classic, memberID string) bool {
	m := g.byID[memberID]
	switch g.state {
	case empty:
		return true
	case preparingRebalance:
		return m != nil && m.joinTag != 0 || g.awaiting < c.config.MaxSize
	}
	return m != nil || len(g.members) < c.config.MaxSize
}

// turnAway forgets somebody that there was no room for.
func (c *Coordinator) turnAway(g *classic, memberID string) {
	if m := g.byID[memberID]; m != nil {
		c.removeMember(g, m, wire.ErrGroupMaxSizeReached)
	} else {
		c.removePending(g, memberID)
	}
	c.maybeCompleteJoin(g)
}

// joinKnown handles the JoinGroup of somebody that has a member id.
func (c *Coordinator) joinKnown(tag uint64, r *JoinRequest, g *classic, protocols []Protocol) {
	if _, ok := g.pending[r.MemberID]; ok && r.InstanceID == "" {
		c.addMember(tag, r, g, r.MemberID, protocols)
		return
	}
	if code := g.verify(r.MemberID, r.InstanceID); code != wire.ErrNone {
		c.reply(tag, ErrorResponse(r, code))
		return
	}
	m := g.byID[r.MemberID]
	same := m.offers(protocols)
	switch {
	case g.state == completingRebalance && same:
		// It has not seen the answer to its JoinGroup, perhaps: the generation still stands.
		c.reply(tag, c.joined(g, m))
	case g.state == stable && same && g.leader != m.id:
		c.reply(tag, c.joined(g, m))
	case g.state == empty:
		c.reply(tag, ErrorResponse(r, wire.ErrUnknownMemberId))
	default:
		// It offers something else, or it leads and wants to assign anew, for reasons that it alone sees.
		cause := ""
		if g.state != preparingRebalance { // then it comes as it should
			cause = rejoins(g, m, same, r.Reason)
		}
		c.updateMember(g, m, r, protocols)
		c.awaitJoin(g, m, tag)
		c.rebalanceOrComplete(g, cause)
	}
}

// rejoins says why a member joins again of its own accord.
func rejoins(g *classic, m *member, same bool, said string) string {
	what := " subscribes otherwise"
	if same {
		what = " wants to assign anew"
		if g.leader == m.id {
			what = ", the leader," + what
		}
	}
	return saying(m.called()+what, said)
}

// addMember takes in a new member, which then waits for the next generation.
func (c *Coordinator) addMember(tag uint64, r *JoinRequest, g *classic, id string, protocols []Protocol) {
	m := &member{
		id:         id,
		instanceID: r.InstanceID,
		clientID:   r.ClientID,
		clientHost: r.ClientHost,
		protocols:  protocols,
		fresh:      true,
	}
	m.setTimeouts(r)
	if g.state == preparingRebalance && g.previous == empty {
		g.newMember = true
	}
	g.add(m, r.ProtocolType)
	c.awaitJoin(g, m, tag)
	c.timers.schedule(memberTimer(g, m.id), c.now.Instant.Add(c.config.NewMemberJoinTimeout))
	c.rebalanceOrComplete(g, saying(m.called()+" joined", r.Reason))
}

func (c *Coordinator) updateMember(g *classic, m *member, r *JoinRequest, protocols []Protocol) {
	g.setProtocols(m, protocols)
	m.setTimeouts(r)
}

func (m *member) setTimeouts(r *JoinRequest) {
	m.sessionTimeout, m.rebalanceTimeout = r.SessionTimeout, r.RebalanceTimeout
	if m.rebalanceTimeout <= 0 {
		m.rebalanceTimeout = m.sessionTimeout
	}
}

// awaitJoin makes the request wait. One that waited before was given up by its client, most likely; it is told to join
// again.
func (c *Coordinator) awaitJoin(g *classic, m *member, tag uint64) {
	c.answerJoin(g, m, &JoinResponse{Error: wire.ErrRebalanceInProgress, MemberID: m.id, Generation: -1})
	m.joinTag = tag
	g.awaiting++
}

// answerJoin answers the member's JoinGroup if one waits.
func (c *Coordinator) answerJoin(g *classic, m *member, r *JoinResponse) bool {
	if m.joinTag == 0 {
		return false
	}
	c.reply(m.joinTag, r)
	m.joinTag = 0
	g.awaiting--
	return true
}

// joined is the answer that tells a member about the current generation.
func (c *Coordinator) joined(g *classic, m *member) *JoinResponse {
	r := &JoinResponse{
		MemberID:     m.id,
		Generation:   g.generation,
		ProtocolType: g.protocolType,
		ProtocolName: g.protocolName,
		Leader:       g.leader,
	}
	if m.id == g.leader {
		for _, o := range g.members {
			r.Members = append(r.Members, JoinedMember{
				MemberID:   o.id,
				InstanceID: o.instanceID,
				Metadata:   o.metadata(g.protocolName),
			})
		}
	}
	return r
}

// session gives the member its session timeout from now on.
func (c *Coordinator) session(g *classic, m *member) {
	c.timers.schedule(memberTimer(g, m.id), c.now.Instant.Add(m.sessionTimeout))
}

func memberTimer(g *classic, id string) timerKey { return timerKey{timerMember, g.id, id} }

// expireMember removes somebody that was silent for too long. Who waits for an answer of ours is not silent, except for
// its first generation, for which there is a bound.
func (c *Coordinator) expireMember(g *classic, id string) {
	defer c.forgetUnused(g)
	if c.removePending(g, id) {
		c.maybeCompleteGathering(g)
		return
	}
	m := g.byID[id]
	if m == nil || !m.fresh && (m.joinTag != 0 || m.syncTag != 0) {
		return
	}
	c.removeMember(g, m, wire.ErrUnknownMemberId)
	cause := fmt.Sprintf("%s was silent for its session timeout of %v", m.called(), m.sessionTimeout)
	switch g.state {
	case stable, completingRebalance:
		c.rebalanceOrComplete(g, cause)
	case preparingRebalance:
		c.because(g.id, typeClassic, g.generation+1, cause)
		c.maybeCompleteGathering(g)
	}
}

// removePending forgets a member id that was given out and has not joined.
func (c *Coordinator) removePending(g *classic, id string) bool {
	if _, ok := g.pending[id]; !ok {
		return false
	}
	delete(g.pending, id)
	c.timers.cancel(memberTimer(g, id))
	return true
}

// removeMember takes a member out of the group and answers what it waits for with the code.
func (c *Coordinator) removeMember(g *classic, m *member, code ErrorCode) {
	c.answerJoin(g, m, &JoinResponse{Error: code, Generation: -1})
	c.answerSync(m, &SyncResponse{Error: code})
	c.timers.cancel(memberTimer(g, m.id))
	g.remove(m)
}

// create makes the live group; nothing is stored until it has something to store.
func (c *Coordinator) create(groupID string) *classic {
	g := newClassic(groupID, c.now.WallMillis)
	c.groups[groupID] = g
	return g
}

// forgetUnused drops a group that never had a generation and that nothing is stored for: made-up names must not fill the
// memory.
func (c *Coordinator) forgetUnused(g *classic) {
	if c.groups[g.id] == g && g.state == empty && g.generation == 0 && len(g.pending) == 0 &&
		!c.inFlight.touches(g.id) && !c.image.knows(g.id) {
		delete(c.groups, g.id)
		delete(c.memories, g.id)
	}
}

// sortedGroups returns the live groups by id.
func (c *Coordinator) sortedGroups() []*classic {
	groups := make([]*classic, 0, len(c.groups))
	for _, id := range sortedKeys(c.groups) {
		groups = append(groups, c.groups[id])
	}
	return groups
}
