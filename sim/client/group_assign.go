package client

import (
	"maps"
	"slices"

	"millrace/net/wire"
)

// claimant is a member as the leader sees it.
type claimant struct {
	id     string
	topics []string
	owned  []TopicPartition
	given  []TopicPartition
}

// assign is what the leader gives to whom.
func (m *Member) assign(joined *wire.JoinGroupResponse) ([]wire.SyncGroupRequestAssignment, error) {
	var members []*claimant
	m.counts = make(map[string]int)
	for _, j := range joined.Members {
		r := wire.NewReader(j.Metadata)
		version := r.Int16()
		s := wire.NewConsumerProtocolSubscription()
		s.Decode(r, min(version, 3))
		if r.Err() != nil {
			return nil, &Violation{"JoinGroup: the metadata of " + j.MemberId + " is not what it sent: " + r.Err().Error()}
		}
		c := &claimant{id: j.MemberId, topics: s.Topics}
		if j.GroupInstanceId != nil {
			c.id = "/" + *j.GroupInstanceId // static members come first, and keep their places
		}
		for _, t := range s.OwnedPartitions {
			for _, p := range t.Partitions {
				c.owned = append(c.owned, TopicPartition{t.Topic, p})
			}
		}
		members = append(members, c)
		for _, name := range s.Topics {
			m.counts[name] = 0
		}
	}
	if err := m.c.Refresh(slices.Sorted(maps.Keys(m.counts))...); err != nil {
		return nil, err
	}
	var all []TopicPartition
	for _, name := range slices.Sorted(maps.Keys(m.counts)) {
		m.counts[name] = len(m.c.Topic(name).Partitions)
		for p := range int32(m.counts[name]) {
			all = append(all, TopicPartition{name, p})
		}
	}
	order := slices.Clone(members)
	slices.SortFunc(order, func(a, b *claimant) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	switch name := joined.ProtocolName; {
	case name != nil && *name == "cooperative-sticky":
		assignSticky(order, all)
	case name != nil && *name == "roundrobin":
		assignRoundRobin(order, all)
	default:
		assignRange(order, all, m.counts)
	}
	var out []wire.SyncGroupRequestAssignment
	for i, j := range joined.Members {
		a := &wire.ConsumerProtocolAssignment{}
		for _, p := range members[i].given {
			a.AssignedPartitions = append(a.AssignedPartitions, wire.ConsumerProtocolAssignmentTopicPartition{Topic: p.Topic, Partitions: []int32{p.Partition}})
		}
		out = append(out, wire.SyncGroupRequestAssignment{MemberId: j.MemberId, Assignment: embedded(a, 0)})
	}
	return out, nil
}

// subscribers are the members that want a topic.
func subscribers(members []*claimant, topic string) []*claimant {
	return slices.DeleteFunc(slices.Clone(members), func(c *claimant) bool { return !slices.Contains(c.topics, topic) })
}

// assignRange gives each subscriber of a topic a run of its partitions.
func assignRange(members []*claimant, all []TopicPartition, counts map[string]int) {
	for _, p := range all {
		if list := subscribers(members, p.Topic); len(list) > 0 {
			c := list[int(p.Partition)*len(list)/counts[p.Topic]]
			c.given = append(c.given, p)
		}
	}
}

// assignRoundRobin deals the partitions out.
func assignRoundRobin(members []*claimant, all []TopicPartition) {
	for i, p := range all {
		if list := subscribers(members, p.Topic); len(list) > 0 {
			c := list[i%len(list)]
			c.given = append(c.given, p)
		}
	}
}

// assignSticky lets members keep what they have up to their share, gives the rest to who has least, and withholds what
// another member has not given back.
func assignSticky(members []*claimant, all []TopicPartition) {
	share := (len(all) + len(members) - 1) / len(members)
	var rest []TopicPartition
	for _, p := range all {
		i := slices.IndexFunc(members, func(c *claimant) bool {
			return slices.Contains(c.owned, p) && slices.Contains(c.topics, p.Topic) && len(c.given) < share
		})
		if i < 0 {
			rest = append(rest, p)
			continue
		}
		members[i].given = append(members[i].given, p)
	}
	for _, p := range rest {
		var least *claimant
		for _, c := range subscribers(members, p.Topic) {
			if least == nil || len(c.given) < len(least.given) {
				least = c
			}
		}
		if least != nil {
			least.given = append(least.given, p)
		}
	}
	for _, c := range members {
		c.given = slices.DeleteFunc(c.given, func(p TopicPartition) bool {
			return !slices.Contains(c.owned, p) && slices.ContainsFunc(members, func(o *claimant) bool { return slices.Contains(o.owned, p) })
		})
	}
}
