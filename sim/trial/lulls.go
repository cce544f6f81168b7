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

// drawLulls draws them over the load.
func drawLulls(d *sim.Draws, target int) []LullPlan {
	lulls := make([]LullPlan, d.Between(6, 11))
	for i := range lulls {
		lulls[i] = LullPlan{After: int(d.Below(int64(target))), For: time.Duration(d.Skewed(800, 6000)) * time.Millisecond}
	}
	slices.SortFunc(lulls, func(a, b LullPlan) int { return a.After - b.After })
	return lulls
}

// The chores of a cluster, which are done by the clock and not by the record, come so much more rarely than those of a single
// node, which has no lulls.
const (
	choreTimes      = 5
	checkpointTimes = 2
)

// calm lets a cluster do its chores about as often for the record as one without lulls.
func (p *Plan) calm() {
	for _, b := range []*BrokerPlan{&p.Broker, p.Other} {
		if b != nil {
			b.CheckpointInterval *= checkpointTimes
			b.RetentionInterval *= choreTimes
			b.ScrubInterval *= choreTimes
			b.CleanInterval *= choreTimes
		}
	}
}

// lull keeps an actor from asking for anything while there is one.
func (t *trial) lull(a ActorPlan) {
	if len(t.plan.Lulls) == 0 || t.stop {
		return
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
	if rest > 0 {
		t.host.Clock.Sleep(rest)
	}
}
