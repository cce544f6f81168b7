package group

import (
	"fmt"
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/host/mutant"
)

// update lets the member, as it wants to be from now on, into the group: records that, a new group epoch and target if
// need be, and the member's next step. It returns the member after that.
func (h *heartbeat) update(member, updated *consumerMember) (*consumerMember, *refusal) {
	g := h.g
	if !sameMetadata(g.members[updated.id], updated) {
		h.member(g.id, updated)
	}
	resubscribed := !slices.Equal(member.names, updated.names)
	pattern, refused := h.updatePattern(member, updated)
	if refused != nil {
		return nil, refused
	}
	bump := resubscribed || pattern == patternResolved || h.classic && pattern != patternSame
	h.cause = updated.called() + " subscribes otherwise"
	if g.members[member.id] == nil {
		h.cause = updated.called() + " joined"
	}
	resubscribed = resubscribed || pattern != patternSame
	epoch := g.epoch
	if bump || g.checked != h.c.cluster {
		epoch = h.updateEpoch(member, updated, bump)
	}
	if h.keepsTarget() {
		return updated, nil // see downgrade
	}
	target, targetEpoch := h.updateTarget(member, updated, epoch)
	return h.step(updated, target, targetEpoch, resubscribed)
}

// sameMetadata says whether a member is stored as it is.
func sameMetadata(a, b *consumerMember) bool {
	if a == nil || b == nil {
		return false
	}
	same := func(a, b *string) bool { return (a == nil) == (b == nil) && orNothing(a) == orNothing(b) }
	return same(a.instanceID, b.instanceID) && same(a.rackID, b.rackID) && same(a.assignor, b.assignor) &&
		a.clientID == b.clientID && a.clientHost == b.clientHost && a.rebalanceTimeout == b.rebalanceTimeout &&
		slices.Equal(a.names, b.names) && a.pattern == b.pattern && a.classic.same(b.classic)
}

func (c *classicMember) same(o *classicMember) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c.sessionTimeout == o.sessionTimeout &&
		(&member{protocols: c.protocols}).offers(o.protocols)
}

// updateEpoch compares the hash of the subscribed topics' metadata and, if it has changed or bump says so, begins a new
// group epoch.
func (h *heartbeat) updateEpoch(member, updated *consumerMember, bump bool) int32 {
	h.checked = true
	hash := metadataHash(h.c.cluster, h.g.subscribedWith(member, updated))
	epoch := h.g.epoch
	if bump || hash != h.g.metadataHash {
		if !bump {
			h.cause = "topics that it subscribes to have changed"
		}
		epoch++
		h.bumped = epoch
		h.group(h.g.id, epoch, hash)
	}
	if h.g.legacy {
		h.topicsTombstone(h.g.id)
	}
	return epoch
}

// subscribedWith returns the topics that are subscribed to when one member becomes another, sorted. nil: none.
func (g *consumerGroup) subscribedWith(before, after *consumerMember) []string {
	lost := map[string]int{}
	if before != nil && g.members[before.id] != nil {
		for _, name := range before.names {
			lost[name]++
		}
	}
	var topics []string
	for name, n := range g.names { //door:ordered the topics are sorted below
		if n > lost[name] {
			topics = append(topics, name)
		}
	}
	if after != nil {
		topics = append(topics, after.names...)
	}
	unused := ""
	if before != nil && before.pattern != "" && g.byPattern[before.pattern] == 1 && g.members[before.id] != nil &&
		(after == nil || after.pattern != before.pattern) {
		unused = before.pattern
	}
	for pattern, r := range g.patterns { //door:ordered the topics are sorted below
		if pattern != unused {
			topics = append(topics, r.topics...)
		}
	}
	return sortedNames(topics)
}

// updateTarget computes a new target for the group if its epoch has moved and the last one is old enough. It returns the
// member's.
func (h *heartbeat) updateTarget(member, updated *consumerMember, epoch int32) (partitions, int32) {
	g, c := h.g, h.c
	interval := c.consumerTimeout(g.id, assignmentInterval).Milliseconds()
	since := c.now.WallMillis - g.assignmentMillis
	recent := g.assignmentMillis != 0 && since >= 0 && since < interval
	if g.assignmentEpoch >= epoch || recent {
		return g.targets[updated.id], g.assignmentEpoch
	}
	members := make([]subscriber, 0, len(g.members)+1)
	for _, id := range sortedKeys(g.members) {
		if id != updated.id {
			members = append(members, g.subscriber(c.cluster, g.members[id]))
		}
	}
	at, _ := slices.BinarySearchFunc(members, updated.id, func(s subscriber, id string) int {
		switch {
		case s.id < id:
			return -1
		case s.id > id:
			return 1
		}
		return 0
	})
	members = slices.Insert(members, at, g.subscriber(c.cluster, updated))
	sets := assignors[c.preferredAssignor(g, member, updated)](members, func(id wire.UUID) int32 {
		t, _ := c.cluster.TopicByID(id)
		return t.Partitions
	})
	for i, s := range members {
		if old, ok := g.targets[s.id]; !ok || !slices.Equal(old, sets[i]) {
			h.targetMember(g.id, s.id, sets[i])
		}
	}
	h.target(g.id, epoch, c.now.WallMillis)
	return sets[at], epoch
}

func (g *consumerGroup) subscriber(cluster Cluster, m *consumerMember) subscriber {
	return subscriber{id: m.id, instance: m.instance(), topics: topicIDs(cluster, g.topicsOf(m)), target: g.targets[m.id]}
}

// preferredAssignor is what most members ask for, of several the lesser name; the first configured one when none does.
func (c *Coordinator) preferredAssignor(g *consumerGroup, before, after *consumerMember) string {
	best, most := c.config.ConsumerAssignors[0], 0
	for _, name := range c.config.ConsumerAssignors {
		n := g.assignors[name]
		if before != nil && g.members[before.id] != nil && orNothing(before.assignor) == name {
			n--
		}
		if after != nil && orNothing(after.assignor) == name {
			n++
		}
		if n > most || n == most && n > 0 && name < best {
			best, most = name, n
		}
	}
	return best
}

// step takes the member a step towards its target.
func (h *heartbeat) step(m *consumerMember, target partitions, targetEpoch int32, resubscribed bool) (*consumerMember, *refusal) {
	free := h.g.free
	if mutant.On("group-assigned-before-released") {
		free = func(partitionID) bool { return true }
	}
	r := reconciliation{
		member:       m,
		topics:       topicIDs(h.c.cluster, h.g.topicsOf(m)),
		target:       target,
		targetEpoch:  targetEpoch,
		resubscribed: resubscribed,
		reported:     h.reported,
		said:         h.said,
		free:         free,
	}
	next, refused := r.run()
	if refused != nil {
		return nil, refused
	}
	if h.g.members[m.id] == nil || next != m && !sameAssignment(next, m) {
		h.reconcile = true
		h.current(h.g.id, next)
	}
	return next, nil
}

func sameAssignment(a, b *consumerMember) bool {
	return a.epoch == b.epoch && a.previousEpoch == b.previousEpoch && a.state == b.state &&
		slices.Equal(a.assigned, b.assigned) && slices.Equal(a.revoking, b.revoking)
}

// The times that may be configured for a group.
type consumerTime uint8

const (
	sessionTimeout consumerTime = iota
	heartbeatInterval
	assignmentInterval
)

// consumerTimeout is a time as it is configured for the group, within the broker's bounds, or else for the broker.
func (c *Coordinator) consumerTimeout(groupID string, which consumerTime) time.Duration {
	name, of := "consumer.session.timeout.ms", c.config.ConsumerSession
	switch which {
	case heartbeatInterval:
		name, of = "consumer.heartbeat.interval.ms", c.config.ConsumerHeartbeat
	case assignmentInterval:
		name, of = "consumer.assignment.interval.ms", c.config.ConsumerAssignment
	}
	ms, ok := c.cluster.GroupConfig(groupID, name)
	if !ok {
		return of.Default
	}
	return min(max(time.Duration(ms)*time.Millisecond, of.Min), of.Max)
}

// consumerSession gives the member this long from now on.
func (c *Coordinator) consumerSession(groupID, member string, d time.Duration) {
	if mutant.On("group-session-too-short") {
		d /= 3
	}
	c.timers.schedule(timerKey{timerConsumer, groupID, member}, c.now.Instant.Add(d))
}

// sessions gives every member its session timeout from now on, and those time that must give partitions back.
func (c *Coordinator) sessions(g *consumerGroup) {
	for _, id := range sortedKeys(g.members) {
		m := g.members[id]
		d := c.consumerTimeout(g.id, sessionTimeout)
		if m.classic != nil {
			d = time.Duration(m.classic.sessionTimeout) * time.Millisecond
		}
		c.consumerSession(g.id, id, d)
		if m.state == memberUnrevoked && m.classic == nil {
			c.timers.schedule(timerKey{timerRebalance, g.id, id},
				c.now.Instant.Add(time.Duration(m.rebalanceTimeout)*time.Millisecond))
		}
	}
}

// cancelConsumer ends all that waits for a member.
func (c *Coordinator) cancelConsumer(groupID, member string) {
	for _, kind := range []timerKind{timerConsumer, timerRebalance, timerConsumerJoin, timerConsumerSync} {
		c.timers.cancel(timerKey{kind, groupID, member})
	}
}

// notConsumerGroup is what is said of a group of another kind.
func notConsumerGroup(groupID string) string {
	return fmt.Sprintf("Group %s is not a consumer group.", groupID)
}
