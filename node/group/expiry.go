package group

import "millrace/node/host/mutant"

// cleanup removes offsets that nobody has committed or used for the retention time, and groups that have nothing left.
// Groups with an open append are left for the next time: what it stores is younger than what would be removed.
func (c *Coordinator) cleanup() {
	nothing := func() {}
	b := tombstones{c: c, wait: &gathering{open: 1, answer: nothing}, failed: func(ErrorCode) {}}
	c.cleanupConsumers(&b)
	for _, g := range c.sortedGroups() {
		if c.inFlight.touches(g.id) || c.busy(g.id) {
			continue
		}
		rest := false
		for _, key := range c.image.offsets.keys(g.id) {
			v, _ := c.image.offsets.get(key)
			if c.expired(g, key, v) {
				b.add(g.id, offsetTombstone(key))
			} else {
				rest = true
			}
		}
		if !rest && g.state == empty && len(g.pending) == 0 && len(c.image.pendingKeys(g.id)) == 0 {
			if c.image.knows(g.id) {
				b.addGroup(g.id)
			} else {
				delete(c.groups, g.id)
			}
		}
	}
	b.flush()
	c.forgetMemories()
}

// cleanupConsumers does so for groups of the consumer protocol. One that is empty goes when it has no offsets any more.
func (c *Coordinator) cleanupConsumers(b *tombstones) {
	for _, id := range sortedKeys(c.consumers) {
		if c.inFlight.touches(id) || c.busy(id) {
			continue
		}
		g := c.consumers[id]
		for _, key := range c.image.offsets.keys(id) {
			if v, _ := c.image.offsets.get(key); c.expiredConsumer(g, key, v) {
				b.add(id, offsetTombstone(key))
			}
		}
		if g.empty() && len(c.storedOffsets(id)) == 0 {
			c.enter(id, operation{request: &removeGroup{groupID: id, unused: true, done: func(ErrorCode) {}}})
		}
	}
}

// expiredConsumer says whether an offset's time is over, which runs from its commit, for topics that no member subscribes
// to.
func (c *Coordinator) expiredConsumer(g *consumerGroup, key offsetKey, v committed) bool {
	switch {
	case g.subscribed(key.topic) || c.image.unstable(key):
		return false
	case v.expireMillis >= 0:
		return c.now.WallMillis >= v.expireMillis
	}
	return c.now.WallMillis-v.commitMillis >= c.retentionMillis()
}

// expired says whether an offset's time is over. It runs
//
//	in a group that only commits offsets    from the commit
//	in an empty group                       from when it became empty
//	in a stable group of consumers          from the commit, for topics that no member subscribes to
//	in all others                           not at all
//
// A commit of an old client may name its end itself.
func (c *Coordinator) expired(g *classic, key offsetKey, v committed) bool {
	since := v.commitMillis
	switch {
	case g.protocolType == "":
	case g.state == empty:
		if g.stateMillis >= 0 {
			since = g.stateMillis
		}
	case g.state == stable && g.protocolType == typeConsumer && g.topics != nil:
	default:
		return false
	}
	if g.subscribed(key.topic) || c.image.unstable(key) {
		return false
	}
	if v.expireMillis >= 0 {
		return c.now.WallMillis >= v.expireMillis
	}
	return c.now.WallMillis-since >= c.retentionMillis()
}

func (c *Coordinator) retentionMillis() int64 {
	if mutant.On("group-offsets-expire-early") {
		return int64(c.config.OffsetsRetention.Minutes())
	}
	return c.config.OffsetsRetention.Milliseconds()
}
