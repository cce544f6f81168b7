package group

import (
	"time"

	"millrace/net/wire"
	"millrace/node/host/mutant"
)

// rebalanceOrComplete starts a rebalance if none gathers members; if one does, it may be complete now. cause says why, empty
// when somebody comes that the rebalance waits for.
func (c *Coordinator) rebalanceOrComplete(g *classic, cause string) {
	if g.state != preparingRebalance {
		c.prepareRebalance(g, cause)
		return
	}
	if cause != "" {
		c.because(g.id, typeClassic, g.generation+1, cause)
	}
	c.maybeCompleteJoin(g)
}

// maybeCompleteJoin ends the join phase when everybody is there. An initial rebalance waits for its delay in any case.
func (c *Coordinator) maybeCompleteJoin(g *classic) {
	if g.state == preparingRebalance && g.previous != empty && (g.allJoined() || mutant.On("group-rebalance-does-not-wait")) {
		c.completeJoin(g)
	}
}

// maybeCompleteGathering is maybeCompleteJoin for when somebody has gone: then an initial rebalance is not delayed
// either, which matters when nobody is left.
func (c *Coordinator) maybeCompleteGathering(g *classic) {
	if g.state == preparingRebalance && g.allJoined() {
		c.completeJoin(g)
	}
}

// prepareRebalance starts to gather members for the next generation. cause says why; empty when that is noted already.
func (c *Coordinator) prepareRebalance(g *classic, cause string) {
	if cause != "" {
		c.because(g.id, typeClassic, g.generation+1, cause)
	}
	if g.state == completingRebalance {
		c.dropAssignments(g, wire.ErrRebalanceInProgress)
	}
	for _, m := range g.members {
		m.syncDue = false
	}
	c.timers.cancel(timerKey{kind: timerSync, group: g.id})
	initial := g.state == empty
	g.transition(preparingRebalance, c.now.WallMillis)
	switch {
	case initial:
		g.newMember = false
		g.initialRemaining = max(g.rebalanceTimeout()-c.config.InitialRebalanceDelay, 0)
		c.timers.schedule(timerKey{kind: timerInitialJoin, group: g.id}, c.now.Instant.Add(c.config.InitialRebalanceDelay))
	case g.allJoined():
		c.completeJoin(g)
	default:
		c.timers.schedule(timerKey{kind: timerJoin, group: g.id}, c.now.Instant.Add(g.rebalanceTimeout()))
	}
}

// expireInitialJoin ends the delay of an initial rebalance, or extends it when somebody came meanwhile, up to the
// rebalance timeout in all.
func (c *Coordinator) expireInitialJoin(g *classic) {
	if !g.newMember || g.initialRemaining == 0 {
		c.completeJoin(g)
		return
	}
	g.newMember = false
	delay := min(c.config.InitialRebalanceDelay, g.initialRemaining)
	g.initialRemaining -= delay
	c.timers.schedule(timerKey{kind: timerInitialJoin, group: g.id}, c.now.Instant.Add(delay))
}

// completeJoin ends the join phase: dynamic members that did not come are out, static ones stay, and the others learn
// of the next generation.
func (c *Coordinator) completeJoin(g *classic) {
	if g.state != preparingRebalance {
		return
	}
	c.timers.cancel(timerKey{kind: timerJoin, group: g.id})
	c.timers.cancel(timerKey{kind: timerInitialJoin, group: g.id})
	for _, m := range g.absent() {
		c.removeMember(g, m, wire.ErrUnknownMemberId)
		c.because(g.id, typeClassic, g.generation+1, m.called()+" did not join again in time")
	}
	if len(g.members) == 0 {
		c.becomeEmpty(g)
		return
	}
	if !g.electJoined() {
		// Only silent static members: until their sessions end nobody could lead. The pause keeps a timeout of zero
		// from turning this into a loop.
		pause := max(g.rebalanceTimeout(), time.Second)
		c.timers.schedule(timerKey{kind: timerJoin, group: g.id}, c.now.Instant.Add(pause))
		return
	}
	g.generation++
	g.protocolName = g.choose()
	g.readTopics()
	g.transition(completingRebalance, c.now.WallMillis)
	for _, m := range g.members {
		c.answerJoin(g, m, c.joined(g, m))
		c.session(g, m)
		m.fresh, m.syncDue = false, true
	}
	c.timers.schedule(timerKey{kind: timerSync, group: g.id}, c.now.Instant.Add(g.rebalanceTimeout()))
}

// absent returns the dynamic members that do not wait for the next generation.
func (g *classic) absent() []*member {
	var out []*member
	for _, m := range g.members {
		if m.instanceID == "" && m.joinTag == 0 {
			out = append(out, m)
		}
	}
	return out
}

// becomeEmpty starts a generation without members and stores it. If that fails, a successor finds the last stored
// generation, whose members will time out there too.
func (c *Coordinator) becomeEmpty(g *classic) {
	g.generation++
	g.protocolName = ""
	g.readTopics()
	g.transition(empty, c.now.WallMillis)
	if record, err := g.record(nil); err == nil {
		c.append([]string{g.id}, []Record{record}, nil, nil)
	}
}

// expireSync ends the sync phase: who has not asked for an assignment is out, and the others start again.
func (c *Coordinator) expireSync(g *classic) {
	if g.state != completingRebalance && g.state != stable {
		return
	}
	var late []*member
	for _, m := range g.members {
		if m.syncDue {
			late = append(late, m)
		}
	}
	if len(late) == 0 {
		return
	}
	for _, m := range late {
		c.removeMember(g, m, wire.ErrUnknownMemberId)
		c.because(g.id, typeClassic, g.generation+1, m.called()+" did not ask in time what to read")
	}
	c.prepareRebalance(g, "")
}
