package trial

import (
	"slices"
	"time"

	"millrace/sim"
)

// The load of a cluster comes in waves, as that of people and of jobs does: now and then all clients have nothing to ask for a
// while, so that shards come to rest, and what strikes then strikes nodes at rest. Then everybody is back at once.

// LullPlan is a time without load.
type LullPlan struct {
	After int // acknowledged records since the load began
	For   time.Duration
}

// choreTimes is how much more rarely a cluster with lulls does its chores, which are done by the clock: about as often for the
// record as one without.
const choreTimes = 5

// drawLulls gives half of the clusters lulls; the others are under load all the time.
func (p *Plan) drawLulls(d *sim.Draws) {
	if p.Nodes == 1 || !d.Chance(0.5) {
		return
	}
	p.Lulls = make([]LullPlan, d.Between(9, 13))
	for i := range p.Lulls {
		p.Lulls[i] = LullPlan{After: int(d.Below(int64(p.Target))), For: time.Duration(d.Skewed(1500, 11500)) * time.Millisecond}
	}
	slices.SortFunc(p.Lulls, func(a, b LullPlan) int { return a.After - b.After })
	for _, b := range []*BrokerPlan{&p.Broker, p.Other} {
		if b != nil {
			b.RetentionInterval *= choreTimes
			b.ScrubInterval *= choreTimes
			b.CleanInterval *= choreTimes
		}
	}
}

// lull keeps an actor from asking for anything while there is one; false when there is none.
func (t *trial) lull(a ActorPlan) bool {
	if len(t.plan.Lulls) == 0 || t.stop {
		return false
	}
	now := t.host.Clock.Now()
	if t.lulls < len(t.plan.Lulls) && now >= t.busy && t.oracle.acked >= t.plan.Lulls[t.lulls].After {
		t.busy = now.Add(t.plan.Lulls[t.lulls].For)
		t.lulls++
		t.world.Reach("(load) a lull")
		t.world.Note("oracle: nobody asks for anything until %v", t.busy)
	}
	rest := t.busy.Sub(now)
	if a.Kind == kindMember {
		rest = min(rest, a.Member.Session/10) // it goes on telling that it lives
	}
	if rest <= 0 {
		return false
	}
	t.host.Clock.Sleep(rest)
	return true
}
