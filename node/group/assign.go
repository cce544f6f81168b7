package group

import (
	"cmp"
	"slices"

	"millrace/net/wire"
)

// subscriber is a member as an assignor sees it.
type subscriber struct {
	id       string
	instance string      // empty: dynamic
	topics   []wire.UUID // sorted; those that exist
	target   partitions  // as it is
}

// assignor gives every partition of the subscribed topics to one of the topic's subscribers. The members come sorted by
// id; count says how many partitions a topic has. The result has a set for each member, in their order, and depends on
// nothing else.
type assignor func(members []subscriber, count func(wire.UUID) int32) []partitions

// assignors are those that there are, under Kafka's names.
var assignors = map[string]assignor{"uniform": assignUniform, "range": assignRange}

// assignRange gives each subscriber of a topic a run of its partitions, the first ones those that are left over. Members
// with instance ids come first, by them, so that a static member that returns gets the same.
func assignRange(members []subscriber, count func(wire.UUID) int32) []partitions {
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := members[a].instance, members[b].instance
		switch {
		case x != "" && y != "":
			return cmp.Compare(x, y)
		case x != "":
			return -1
		case y != "":
			return 1
		}
		return cmp.Compare(members[a].id, members[b].id)
	})
	subscribers := map[wire.UUID]int32{}
	for _, m := range members {
		for _, t := range m.topics {
			subscribers[t]++
		}
	}
	out := make([]partitions, len(members))
	turn, next := map[wire.UUID]int32{}, map[wire.UUID]int32{}
	for _, i := range order {
		for _, t := range members[i].topics {
			n := count(t)
			share := n / subscribers[t]
			if turn[t] < n%subscribers[t] {
				share++
			}
			turn[t]++
			for range share {
				out[i] = append(out[i], partitionID{t, next[t]})
				next[t]++
			}
		}
	}
	return out
}

// assignUniform spreads partitions evenly over members and moves as few as that allows.
func assignUniform(members []subscriber, count func(wire.UUID) int32) []partitions {
	if len(members) == 0 {
		return nil
	}
	for _, m := range members[1:] {
		if !slices.Equal(m.topics, members[0].topics) {
			return assignMixed(members, count)
		}
	}
	return assignAlike(members, count)
}

// assignAlike is for members that subscribe to the same topics: with n partitions and m members each gets n/m, and n%m of
// them one more, those first that have more already.
func assignAlike(members []subscriber, count func(wire.UUID) int32) []partitions {
	topics := members[0].topics
	total := 0
	for _, t := range topics {
		total += int(count(t))
	}
	least, extra := total/len(members), total%len(members)
	kept := keep(members, count)
	taken := map[partitionID]bool{}
	for i := range kept {
		most := least
		if extra > 0 && len(kept[i]) > least {
			most++
			extra--
		}
		if len(kept[i]) > most {
			kept[i] = kept[i][:most]
		}
		for _, p := range kept[i] {
			taken[p] = true
		}
	}
	free := unassigned(topics, count, taken)
	for i := range kept {
		want := least
		if len(kept[i]) > least {
			continue // it has its extra one
		}
		if extra > 0 {
			want++
			extra--
		}
		n := want - len(kept[i])
		kept[i] = append(kept[i], free[:n]...)
		free = free[n:]
	}
	return inOrder(kept)
}

// keep returns what members have of what they subscribe to and what exists, each partition once.
func keep(members []subscriber, count func(wire.UUID) int32) []partitions {
	seen := map[partitionID]bool{}
	out := make([]partitions, len(members))
	for i, m := range members {
		for _, p := range m.target {
			if !seen[p] && p.index < count(p.topic) && containsID(m.topics, p.topic) {
				seen[p] = true
				out[i] = append(out[i], p)
			}
		}
	}
	return out
}

func containsID(ids []wire.UUID, id wire.UUID) bool {
	_, ok := slices.BinarySearchFunc(ids, id, func(a, b wire.UUID) int {
		return partitionID{topic: a}.compare(partitionID{topic: b})
	})
	return ok
}

func unassigned(topics []wire.UUID, count func(wire.UUID) int32, taken map[partitionID]bool) []partitionID {
	var free []partitionID
	for _, t := range topics {
		for i := range count(t) {
			if p := (partitionID{t, i}); !taken[p] {
				free = append(free, p)
			}
		}
	}
	return free
}

func inOrder(sets []partitions) []partitions {
	for _, s := range sets {
		slices.SortFunc(s, partitionID.compare)
	}
	return sets
}

// assignMixed is for members that subscribe to different topics. What is free goes, topic by topic, to the subscriber that
// has least; topics with most partitions for each of their subscribers come first. Then each topic is evened out between
// its subscribers until no move makes two of them more alike.
func assignMixed(members []subscriber, count func(wire.UUID) int32) []partitions {
	m := newMixed(members, count)
	for _, t := range m.topics {
		for i := range count(t) {
			if p := (partitionID{t, i}); !m.has(p) {
				m.give(p, m.least(t))
			}
		}
	}
	// Each move makes the sum of the squares of the sizes smaller, so that this ends; the bound is for the time it takes.
	for range len(members) {
		moved := false
		for _, t := range m.topics {
			moved = m.even(t) || moved
		}
		if !moved {
			break
		}
	}
	out := make([]partitions, len(members))
	for _, t := range m.topics {
		for i := range count(t) {
			p := partitionID{t, i}
			out[m.owner[p]] = append(out[m.owner[p]], p)
		}
	}
	return inOrder(out)
}

// mixed is an assignment under way.
type mixed struct {
	topics      []wire.UUID
	subscribers map[wire.UUID][]int
	count       func(wire.UUID) int32
	owner       map[partitionID]int
	sizes       []int
}

func newMixed(members []subscriber, count func(wire.UUID) int32) *mixed {
	m := &mixed{subscribers: map[wire.UUID][]int{}, count: count, owner: map[partitionID]int{}, sizes: make([]int, len(members))}
	for i, s := range members {
		for _, t := range s.topics {
			if m.subscribers[t] == nil {
				m.topics = append(m.topics, t)
			}
			m.subscribers[t] = append(m.subscribers[t], i)
		}
	}
	slices.SortFunc(m.topics, func(a, b wire.UUID) int {
		x, y := int64(len(m.subscribers[a])), int64(len(m.subscribers[b]))
		return cmp.Or(cmp.Compare(int64(count(b))*x, int64(count(a))*y), cmp.Compare(x, y),
			partitionID{topic: a}.compare(partitionID{topic: b}))
	})
	for i, kept := range keep(members, count) {
		for _, p := range kept {
			m.give(p, i)
		}
	}
	return m
}

func (m *mixed) has(p partitionID) bool {
	_, ok := m.owner[p]
	return ok
}

func (m *mixed) give(p partitionID, to int) {
	if from, ok := m.owner[p]; ok {
		m.sizes[from]--
	}
	m.owner[p] = to
	m.sizes[to]++
}

// least is the topic's subscriber that has least.
func (m *mixed) least(t wire.UUID) int {
	return slices.MinFunc(m.subscribers[t], func(a, b int) int { return cmp.Compare(m.sizes[a], m.sizes[b]) })
}

// even moves partitions of a topic from subscribers that have more to such that have less.
func (m *mixed) even(t wire.UUID) bool {
	moved := false
	for i := range m.count(t) {
		p := partitionID{t, i}
		if to := m.least(t); m.sizes[m.owner[p]]-m.sizes[to] > 1 {
			m.give(p, to)
			moved = true
		}
	}
	return moved
}
