package group

import (
	"slices"
	"time"

	"millrace/node/host/mutant"
)

// load makes the live groups from the image.
func (c *Coordinator) load() {
	for _, id := range c.image.groupIDs() {
		c.loadOne(id)
	}
}

// loadOne makes the live group of one that the image knows.
func (c *Coordinator) loadOne(id string) {
	if g := c.image.consumers[id]; g != nil {
		c.consumers[id] = g.clone()
		if !mutant.On("group-sessions-not-restarted") {
			c.sessions(c.consumers[id])
		}
		return
	}
	g := c.create(id)
	g.stateMillis = -1
	if value := c.image.groups[id]; value != nil {
		c.loadGroup(g, value)
	}
}

func (c *Coordinator) loadGroup(g *classic, value []byte) {
	v, err := decodeGroup(value)
	if err != nil {
		panic("group: a stored group that was readable when it was applied no longer is: " + err.Error())
	}
	for _, mv := range v.Members {
		m := &member{
			id:               mv.MemberId,
			clientID:         mv.ClientId,
			clientHost:       mv.ClientHost,
			sessionTimeout:   time.Duration(mv.SessionTimeout) * time.Millisecond,
			rebalanceTimeout: time.Duration(mv.RebalanceTimeout) * time.Millisecond,
			protocols:        []Protocol{{Metadata: slices.Clone(mv.Subscription)}},
			assignment:       slices.Clone(mv.Assignment),
		}
		if v.Protocol != nil {
			m.protocols[0].Name = *v.Protocol
		}
		if mv.GroupInstanceId != nil {
			m.instanceID = *mv.GroupInstanceId
		}
		if mv.RebalanceTimeout < 0 { // version 0 has none
			m.rebalanceTimeout = m.sessionTimeout
		}
		if g.byID[m.id] != nil {
			continue // only a damaged record says this
		}
		g.add(m, v.ProtocolType)
		if !mutant.On("group-sessions-not-restarted") {
			c.session(g, m)
		}
	}
	g.protocolType, g.generation, g.stateMillis = v.ProtocolType, v.Generation, v.CurrentStateTimestamp
	if len(g.members) > 0 {
		g.state = stable
		if v.Protocol != nil {
			g.protocolName = *v.Protocol
		}
		if v.Leader != nil && g.byID[*v.Leader] != nil {
			g.leader = *v.Leader
		}
	}
	g.readTopics()
	if len(g.members) > c.config.MaxSize {
		c.prepareRebalance(g, "it has more members than group.max.size allows")
	}
}
