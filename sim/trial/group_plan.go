package trial

import (
	"fmt"
	"time"

	"millrace/sim"
	"millrace/sim/client"
)

// MemberPlan is a member of a group.
type MemberPlan struct {
	Group    string
	Protocol string // client.Eager, client.Cooperative, client.Consumer
	// Migrates says that each life of the member speaks either Protocol or the consumer protocol.
	Migrates bool   `json:",omitempty"`
	Instance string `json:",omitempty"` // of a static member
	Topics   []string
	// Pattern is the subscription of a member of the consumer protocol instead of Topics, which are what it matches.
	Pattern  string `json:",omitempty"`
	Assignor string `json:",omitempty"`
	// Session and Rebalance are the timeouts; Slow is how long it takes at most to give partitions back.
	Session, Rebalance time.Duration
	Slow               time.Duration `json:",omitempty"`
	// Restless is the probability that it does something else after a poll than go on.
	Restless float64
}

// The groups that a plan may have.
const (
	groupEager       = "eager"
	groupCooperative = "cooperative"
	groupConsumer    = "consumer"
	groupMixed       = "mixed" // whose members change their protocol
)

// drawGroups gives about half of the plans a group with members, a zombie that repeats what they said, and somebody who
// looks at it.
func drawGroups(d *sim.Draws, p *Plan) {
	if !d.Chance(0.5) {
		return
	}
	kind := sim.Pick(d, groupEager, groupCooperative, groupConsumer, groupConsumer, groupMixed)
	pauses := p.has(faultPause)
	var names []string
	for _, t := range p.Topics {
		names = append(names, t.Name)
	}
	group := "members-" + kind
	session := time.Duration(d.Skewed(1500, 4000)) * time.Millisecond
	if pauses { // a coordinator that stands still may answer as one for as long as it did
		session += 6 * time.Second
	}
	rebalance := time.Duration(d.Between(2500, 5000)) * time.Millisecond
	if pauses {
		rebalance += 5 * time.Second
	}
	count := d.Between(2, 4)
	assignor := sim.Pick(d, "", "", "uniform", "range")
	static := d.Chance(0.4)
	for i := range count {
		m := &MemberPlan{Group: group, Protocol: kind, Topics: names, Session: session, Rebalance: rebalance,
			Restless: float64(d.Between(10, 200)) / 1000}
		switch kind {
		case groupEager:
			m.Assignor = sim.Pick(d, "range", "roundrobin")
		case groupMixed:
			m.Migrates, m.Protocol = true, client.Cooperative
		}
		if kind == groupConsumer || kind == groupMixed {
			m.Assignor = assignor
			m.Slow = time.Duration(d.Skewed(1, m.Rebalance.Milliseconds()/3)) * time.Millisecond
		}
		if kind == groupConsumer && d.Chance(0.3) {
			m.Pattern = "t[0-9]+"
		}
		if static && d.Chance(0.7) {
			m.Instance = fmt.Sprint("i", i)
			if i > 0 && d.Chance(0.15) {
				m.Instance = "i0" // two want to be the same
			}
		}
		p.Actors = append(p.Actors, ActorPlan{Kind: kindMember, Pause: time.Duration(d.Skewed(3_000, 60_000)) * time.Microsecond,
			OldVersion: d.Chance(0.3), First: int(d.Below(int64(p.Nodes))), Epochs: d.Chance(0.5), Sessions: d.Chance(0.5), Member: m})
	}
	if d.Chance(0.6) {
		p.Actors = append(p.Actors, ActorPlan{Kind: kindZombie, Pause: time.Duration(d.Skewed(10_000, 300_000)) * time.Microsecond,
			OldVersion: d.Chance(0.3), First: int(d.Below(int64(p.Nodes)))})
	}
	p.Actors = append(p.Actors, ActorPlan{Kind: kindWatcher, Pause: time.Duration(d.Skewed(10_000, 200_000)) * time.Microsecond,
		OldVersion: d.Chance(0.3), First: int(d.Below(int64(p.Nodes))), Member: &MemberPlan{Group: group}})
	p.Broker.Properties = map[string]string{
		"group.min.session.timeout.ms":              "1000",
		"group.initial.rebalance.delay.ms":          fmt.Sprint(d.Skewed(1, 1000)),
		"group.consumer.min.session.timeout.ms":     "1000",
		"group.consumer.session.timeout.ms":         fmt.Sprint(session.Milliseconds()),
		"group.consumer.min.heartbeat.interval.ms":  "50",
		"group.consumer.heartbeat.interval.ms":      fmt.Sprint(d.Between(100, 500)),
		"group.consumer.assignment.interval.ms":     fmt.Sprint(d.Skewed(1, 1000)),
		"group.consumer.min.assignment.interval.ms": "0",
		// More than all jumps of the wall clock together: no offset may expire.
		"offsets.retention.minutes":           "180",
		"offsets.retention.check.interval.ms": fmt.Sprint(d.Skewed(200, 5000)),
	}
}

// has says whether the plan has a fault of a kind.
func (p *Plan) has(kind string) bool {
	for _, f := range p.Faults {
		if f.Kind == kind {
			return true
		}
	}
	return false
}
