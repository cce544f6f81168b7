package group

import (
	"fmt"
	"slices"
	"testing"

	"millrace/net/wire"
	"pgregory.net/rapid"
)

// drawnGroup is a group for assignors, with targets that an assignor may have made once, or not.
type drawnGroup struct {
	topics  []Topic
	members []subscriber
}

func (g drawnGroup) count(id wire.UUID) int32 {
	for _, t := range g.topics {
		if t.ID == id {
			return t.Partitions
		}
	}
	return 0
}

func drawGroup(t *rapid.T, alike bool) drawnGroup {
	var g drawnGroup
	for i := range rapid.IntRange(0, 4).Draw(t, "topics") {
		name := fmt.Sprintf("t%d", i)
		g.topics = append(g.topics, Topic{ID: topicID(name, 1), Name: name, Partitions: int32(rapid.IntRange(0, 9).Draw(t, "partitions"))})
	}
	all := make([]wire.UUID, len(g.topics))
	for i, topic := range g.topics {
		all[i] = topic.ID
	}
	var owned []partitionID
	for _, topic := range g.topics {
		for i := range topic.Partitions + 1 { // one that is no more
			owned = append(owned, partitionID{topic.ID, i})
		}
	}
	owned = append(owned, partitionID{topicID("gone", 1), 0})
	n := rapid.IntRange(1, 6).Draw(t, "members")
	sets := make([][]partitionID, n)
	for _, p := range owned {
		if i := rapid.IntRange(-1, n-1).Draw(t, "owner"); i >= 0 {
			sets[i] = append(sets[i], p)
		}
	}
	for i := range n {
		m := subscriber{id: fmt.Sprintf("m%d", i), topics: all, target: slices.SortedFunc(slices.Values(sets[i]), partitionID.compare)}
		if rapid.Bool().Draw(t, "static") {
			m.instance = fmt.Sprintf("i%d", n-i)
		}
		if !alike {
			m.topics = nil
			for _, id := range all {
				if rapid.Bool().Draw(t, "subscribes") {
					m.topics = append(m.topics, id)
				}
			}
		}
		g.members = append(g.members, m)
	}
	return g
}

// owners checks that every partition with a subscriber has one owner, who subscribes, and returns them.
func (g drawnGroup) owners(t *rapid.T, sets []partitions) map[partitionID]int {
	if len(sets) != len(g.members) {
		t.Fatalf("%d sets for %d members", len(sets), len(g.members))
	}
	owners := map[partitionID]int{}
	for i, set := range sets {
		if !slices.IsSortedFunc(set, partitionID.compare) {
			t.Fatalf("the set of member %d is not sorted: %v", i, set)
		}
		for _, p := range set {
			if o, ok := owners[p]; ok {
				t.Fatalf("%s belongs to %d and %d", printPartition(p), o, i)
			}
			owners[p] = i
			if !containsID(g.members[i].topics, p.topic) || p.index >= g.count(p.topic) {
				t.Fatalf("member %d gets %s", i, printPartition(p))
			}
		}
	}
	for _, topic := range g.topics {
		if !slices.ContainsFunc(g.members, func(m subscriber) bool { return containsID(m.topics, topic.ID) }) {
			continue
		}
		for i := range topic.Partitions {
			if _, ok := owners[partitionID{topic.ID, i}]; !ok {
				t.Fatalf("%s/%d has no owner", topic.Name, i)
			}
		}
	}
	return owners
}

func TestAssignUniform(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		alike := rapid.Bool().Draw(t, "alike")
		g := drawGroup(t, alike)
		sets := assignUniform(g.members, g.count)
		owners := g.owners(t, sets)
		for p, o := range owners {
			for i, m := range g.members {
				if containsID(m.topics, p.topic) && len(sets[o])-len(sets[i]) > 1 {
					t.Fatalf("member %d has %d, one of which member %d could have, that has %d", o, len(sets[o]), i, len(sets[i]))
				}
			}
		}
		// What was kept: with members that are alike, all but what balance forbids.
		if alike {
			total, moved, must := 0, 0, 0
			for _, topic := range g.topics {
				total += int(topic.Partitions)
			}
			least, extra := total/len(g.members), total%len(g.members)
			for i, kept := range keep(g.members, g.count) {
				for _, p := range kept {
					if owners[p] != i {
						moved++
					}
				}
				if len(kept) > least && extra > 0 {
					extra--
					must += len(kept) - least - 1
				} else {
					must += max(0, len(kept)-least)
				}
			}
			if moved > must {
				t.Fatalf("%d partitions are moved, %d would do", moved, must)
			}
		}
		for i := range g.members {
			g.members[i].target = sets[i]
		}
		if again := assignUniform(g.members, g.count); !slices.EqualFunc(again, sets, slices.Equal[partitions]) {
			t.Fatalf("it is\n%v\nand the next time\n%v", sets, again)
		}
	})
}

func TestAssignRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroup(t, rapid.Bool().Draw(t, "alike"))
		sets := assignRange(g.members, g.count)
		g.owners(t, sets)
		for _, topic := range g.topics {
			least, most := int32(1<<30), int32(0)
			for i, m := range g.members {
				if !containsID(m.topics, topic.ID) {
					continue
				}
				var run []int32
				for _, p := range sets[i] {
					if p.topic == topic.ID {
						run = append(run, p.index)
					}
				}
				if n := len(run); n > 0 && run[n-1]-run[0] != int32(n-1) {
					t.Fatalf("member %d has no run of %s: %v", i, topic.Name, run)
				}
				least, most = min(least, int32(len(run))), max(most, int32(len(run)))
			}
			if most-least > 1 && least < 1<<30 {
				t.Fatalf("of %s one has %d, another %d", topic.Name, least, most)
			}
		}
	})
}
