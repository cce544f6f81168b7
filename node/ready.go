package node

import "fmt"

// Condition is something that readiness depends on, or that is told beside it.
type Condition struct {
	// Name is a word; Met says that all is well.
	Name string `json:"name"`
	Met  bool   `json:"met"`
	// Message says how it is.
	Message string `json:"message"`
	// Told says that readiness does not depend on it.
	Told bool `json:"told,omitempty"`
}

// String is a line for people.
func (c Condition) String() string {
	mark := "ok "
	switch {
	case !c.Met && c.Told:
		mark = "-- "
	case !c.Met:
		mark = "NO "
	}
	return fmt.Sprintf("%s %s: %s", mark, c.Name, c.Message)
}

// ReadyBy says whether conditions add up to readiness.
func ReadyBy(conditions []Condition) bool {
	for _, c := range conditions {
		if !c.Met && !c.Told {
			return false
		}
	}
	return true
}

// Ready reports that clients should be sent here.
func (b *Broker) Ready() bool { return ReadyBy(b.Conditions()) }

// Conditions are what readiness depends on. A node is ready when its data directory has not failed, it is not about to stop,
// it knows who leads the catalog and is not fenced, and has once since its start had everything that the leaders of its
// partitions had: so whoever restarts the nodes of a cluster one after the other by their readiness never has two that are
// behind. Being behind later is told, and is no reason to send clients elsewhere; neither is a full disk, since reads go on.
func (b *Broker) Conditions() []Condition {
	standing, space := b.set.Standing(), b.set.Space()
	err, failed := b.set.Failed().Try()
	list := []Condition{
		{Name: "healthy", Met: !failed, Message: "the data directory can be written"},
		{Name: "staying", Met: !standing.Leaving, Message: "the node is not about to stop"},
		{Name: "catalog", Met: standing.Controller >= 0, Message: fmt.Sprintf("led by node %d", standing.Controller)},
		{Name: "member", Met: !standing.Fenced, Message: "the cluster counts on this node"},
	}
	if failed {
		list[0].Message = err.Error()
	}
	if standing.Leaving {
		list[1].Message = "the node is about to stop"
	}
	if standing.Controller < 0 {
		list[2].Message = "no leader can be heard: a majority of the nodes must be running"
	}
	if standing.Fenced {
		list[3].Message = "the cluster takes this node for dead"
	}
	caughtUp := Condition{
		Name: "caught up", Met: standing.Behind == 0, Told: b.hasCaughtUp(standing.Behind == 0),
		Message: fmt.Sprintf("%d of %d shards in sync", standing.Shards-standing.Behind-standing.Retired, standing.Shards),
	}
	retired := Condition{Name: "whole", Met: standing.Retired == 0, Told: true, Message: "no replica here has lost its log"}
	if standing.Retired > 0 {
		retired.Message = fmt.Sprintf("%d shards have lost their log here, and are only on the other nodes", standing.Retired)
	}
	room := Condition{Name: "room", Met: space.Produce, Told: true, Message: "the disk has room"}
	if !space.Produce {
		room.Message = "the disk is nearly full: produces are refused"
	}
	return append(list, caughtUp, retired, room)
}

// hasCaughtUp remembers that the node has had everything since its start.
func (b *Broker) hasCaughtUp(now bool) bool {
	if now && b.caughtUp.Load() == 0 {
		b.caughtUp.Add(1)
	}
	return b.caughtUp.Load() > 0
}
