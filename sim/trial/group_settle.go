package trial

import (
	"fmt"
	"slices"
	"strings"

	"millrace/net/wire"
	"millrace/sim/client"
)

// settles says whether the group has settled after everything else has ended. As long as a member is not where it shall be,
// all of them go on; if that lasts for too long the trial has failed.
func (g *groupState) settles(x *memberState) bool {
	t := g.t
	if g.settled || !t.stop {
		return g.settled
	}
	down := slices.ContainsFunc(t.whole(), func(b *broker) bool { return !b.up() })
	now := t.host.Clock.Now()
	if t.working > t.members || t.faulting > 0 || down {
		g.since = 0
		return false
	}
	if g.since == 0 {
		g.since = now
	}
	why := g.unsettled()
	if why == "" {
		why = g.described(x)
	}
	switch {
	case g.settled:
	case why == "":
		g.settled = true
		g.reached["settled"]++
		t.world.Note("oracle: group %s has settled", g.name)
		t.changed.Wake()
	case now.Sub(g.since) > convergence:
		t.failf("liveness: group %s has not settled %v after the healing: %s%s", g.name, convergence, why, g.states())
	}
	return g.settled
}

// states tells what each member knows.
func (g *groupState) states() string {
	var s string
	for _, x := range g.members {
		s += fmt.Sprintf("\n%v", x)
		switch {
		case x.retired:
			s += " is gone"
		case !x.m.Joined:
			s += " is not in"
		default:
			s += fmt.Sprintf(" has %v", x.m.Owned)
		}
	}
	return s
}

// live are the members that will not go away.
func (g *groupState) live() []*memberState {
	return slices.DeleteFunc(slices.Clone(g.members), func(x *memberState) bool { return x.retired })
}

// unsettled says what is missing: every member is in, every partition of what they subscribe to has one of them as its
// owner, who has read it to its end and committed that.
func (g *groupState) unsettled() string {
	live := g.live()
	for _, x := range live {
		if x.m == nil || !x.m.Joined {
			return fmt.Sprintf("%v is not in", x)
		}
	}
	for _, s := range g.t.topics {
		wanted := slices.ContainsFunc(live, func(x *memberState) bool { return slices.Contains(x.m.Topics(), s.plan.Name) })
		for i := range s.partitions {
			p := client.TopicPartition{Topic: s.plan.Name, Partition: i}
			var owner *memberState
			for _, x := range live {
				switch {
				case !x.m.Holds(p):
				case owner != nil:
					return fmt.Sprintf("%v belongs to %v and to %v", p, owner, x)
				default:
					owner = x
				}
			}
			switch {
			case wanted && owner == nil:
				return fmt.Sprintf("%v belongs to nobody", p)
			case owner != nil:
				if why := owner.behind(p, s.logs[i]); why != "" {
					return why
				}
			}
		}
	}
	return ""
}

// behind says that the member has not read a partition to its end, or has not committed that.
func (x *memberState) behind(p client.TopicPartition, l *partitionLog) string {
	i := x.r.find(p)
	if i < 0 {
		return fmt.Sprintf("%v does not read %v", x, p)
	}
	at, end := x.r.list[i].position.Offset, max(l.high, l.ends)
	if at < end {
		return fmt.Sprintf("%v has read %v up to %d, it ends at %d", x, p, at, end)
	}
	if x.r.list[i].committed != at {
		return fmt.Sprintf("%v has read %v up to %d and has committed %d", x, p, at, x.r.list[i].committed)
	}
	return ""
}

// described compares what the coordinator says of the group with what its members know. It is asked last.
func (g *groupState) described(x *memberState) string {
	c := x.r.client
	addr, err := c.Coordinator(g.name)
	if err != nil {
		return fmt.Sprint("find coordinator: ", err)
	}
	state, ids, err := c.DescribeGroup(addr, g.name)
	if err != nil {
		return fmt.Sprint("describe: ", err)
	}
	live := g.live()
	if state != "Stable" || len(ids) != len(live) {
		return fmt.Sprintf("the coordinator says that it is %s and has the members %v", state, ids)
	}
	for _, y := range live {
		if !slices.Contains(ids, y.m.ID) {
			return fmt.Sprintf("the coordinator does not know %v, but %v", y, ids)
		}
	}
	return ""
}

// groupStates are the states that a group may be said to have.
const groupStates = " Empty PreparingRebalance CompletingRebalance Stable Dead Assigning Reconciling "

// describe looks at what a broker says of a group.
func (t *trial) describe(c *client.Client, g *groupState, addr string) {
	state, ids, err := c.DescribeGroup(addr, g.name)
	if client.IsCode(err, wire.ErrGroupIdNotFound) {
		return
	}
	t.check(g.name, "describe group", err)
	if err != nil {
		return
	}
	slices.Sort(ids)
	if !strings.Contains(groupStates, " "+state+" ") || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.failf("group %s: described as %s, with the members %v", g.name, state, ids)
	}
}
