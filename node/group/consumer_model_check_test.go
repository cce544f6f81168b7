package group

import (
	"maps"
	"slices"
	"time"

	"millrace/net/wire"
	"pgregory.net/rapid"
)

func (m *consumerModel) check(t *rapid.T) {
	m.t = t
	owner := map[partitionID]*consumer{}
	for _, c := range m.consumers {
		for p := range c.owned {
			if !c.owns(p, m.w.now) {
				continue
			}
			if o := owner[p]; o != nil && !(c.instance != nil && o.instance != nil) {
				t.Fatalf("%s belongs to consumer %d (%s) and to consumer %d (%s)", printPartition(p), o.n, o.id, c.n, c.id)
			}
			owner[p] = c
		}
	}
	again, err := replay(m.w.config, m.w.random, m.w.log)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := printImage(&again.image), printImage(&m.w.c.image); got != want {
		t.Fatalf("the log says\n%s\nthe coordinator has\n%s", got, want)
	}
	for _, id := range sortedKeys(m.w.c.image.consumers) {
		if live := m.w.c.consumers[id]; !m.w.c.busy(id) && (live == nil || printConsumer(live) != printConsumer(m.w.c.image.consumers[id])) {
			t.Fatalf("stored is\n%s\nthe leader has\n%s", printConsumer(m.w.c.image.consumers[id]), printConsumer(live))
		}
	}
	for _, id := range sortedKeys(m.w.c.consumers) {
		if m.w.c.image.consumers[id] == nil && !m.w.c.busy(id) {
			t.Fatalf("the leader has a group %s that is not stored", id)
		}
		if m.w.c.groups[id] != nil {
			t.Fatalf("group %s is of both kinds", id)
		}
		for member := range m.w.c.consumers[id].members {
			if m.w.c.timers.byKey[timerKey{timerConsumer, id, member}] == nil && !m.w.c.busy(id) {
				t.Fatalf("nothing ends the session of member %s", member)
			}
		}
	}
	m.checkEpochs(t)
}

// checkEpochs checks that the group's epochs in the log never go back.
func (m *consumerModel) checkEpochs(t *rapid.T) {
	epoch := int32(0)
	for _, r := range m.w.log {
		key, err := decodeKey(r.Key)
		if err != nil {
			t.Fatal(err)
		}
		if key.kind != keyConsumerGroup {
			continue
		}
		var v wire.ConsumerGroupMetadataValue
		if r.Value == nil {
			epoch = 0
		} else if err := decodeConsumerValue("", r.Value, v.Decode); err != nil {
			t.Fatal(err)
		} else if v.Epoch <= epoch {
			t.Fatalf("group epoch %d after %d", v.Epoch, epoch)
		} else {
			epoch = v.Epoch
		}
	}
}

// quiet lets the consumers do as they are told until nothing changes.
func (m *consumerModel) quiet() {
	m.w.hold = false
	m.w.commitAll()
	if len(m.w.asked) > 0 {
		m.t.Fatalf("%d requests have no answer", len(m.w.asked))
	}
	for round := range 40 {
		for _, c := range m.consumers[:4] { // the last is the same as the one before
			if c.id == "" {
				m.begin(c)
			} else {
				m.send(c, true)
			}
		}
		if round < 20 {
			m.consumers[4].owned = nil
		}
		m.w.advance(700 * time.Millisecond)
		m.check(m.t)
	}
	g := m.w.c.consumers["g"]
	if g == nil || g.empty() {
		m.t.Fatalf("there is no group")
	}
	if state := g.stateName(); state != "Stable" {
		m.t.Fatalf("the group is %s\n%s", state, printConsumer(g))
	}
	want := map[partitionID]bool{}
	for _, id := range sortedKeys(g.members) {
		for _, name := range g.topicsOf(g.members[id]) {
			if t, ok := m.cluster.Topic(name); ok {
				for i := range t.Partitions {
					want[partitionID{t.ID, i}] = true
				}
			}
		}
	}
	got := map[partitionID]bool{}
	for _, c := range m.consumers[:4] {
		if c.joined {
			maps.Copy(got, c.owned)
		}
	}
	if !maps.Equal(got, want) {
		m.t.Fatalf("assigned are %v, subscribed to are %v\n%s", sortedPartitions(got), sortedPartitions(want), printConsumer(g))
	}
}

// checkTimers checks that nothing of what waited for members of a consumer group is left of it in a classic one: it
// would strike them when the group is a consumer group again. The session of a static member that was replaced may be
// left; it ends nothing.
func checkTimers(t *rapid.T, c *Coordinator, group string) {
	for key := range c.timers.byKey {
		is := func(m *member) bool { return m.id == key.member }
		if key.group == group && key.kind >= timerConsumer && slices.ContainsFunc(c.groups[group].members, is) {
			t.Fatalf("the classic group has a timer of kind %d of member %s", key.kind, key.member)
		}
	}
}
