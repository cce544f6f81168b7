package group

import (
	"bytes"
	"cmp"
	"slices"

	"millrace/net/wire"
)

// partitionID names a partition by the id of its topic.
type partitionID struct {
	topic wire.UUID
	index int32
}

func (p partitionID) compare(o partitionID) int {
	return cmp.Or(bytes.Compare(p.topic[:], o.topic[:]), cmp.Compare(p.index, o.index))
}

// partitions is a set, sorted.
type partitions []partitionID

func (s partitions) has(p partitionID) bool {
	_, ok := slices.BinarySearchFunc(s, p, partitionID.compare)
	return ok
}

// holding is a partition that a member has, since that member epoch.
type holding struct {
	partitionID
	epoch int32
}

// holdings is a set, sorted by partition.
type holdings []holding

func (s holdings) find(p partitionID) (holding, bool) {
	i, ok := slices.BinarySearchFunc(s, p, func(h holding, p partitionID) int { return h.compare(p) })
	if !ok {
		return holding{}, false
	}
	return s[i], true
}

func (s holdings) has(p partitionID) bool {
	_, ok := s.find(p)
	return ok
}

func (s holdings) sort() {
	slices.SortFunc(s, func(a, b holding) int { return a.compare(b.partitionID) })
}

// union returns both, an element that is in both as b has it.
func (s holdings) union(b holdings) holdings {
	out := slices.Clone(b)
	for _, h := range s {
		if !b.has(h.partitionID) {
			out = append(out, h)
		}
	}
	out.sort()
	return out
}

// since gives all partitions the same epoch.
func (s partitions) since(epoch int32) holdings {
	out := make(holdings, len(s))
	for i, p := range s {
		out[i] = holding{p, epoch}
	}
	return out
}

func (s holdings) partitions() partitions {
	out := make(partitions, len(s))
	for i, h := range s {
		out[i] = h.partitionID
	}
	return out
}

// TopicPartitions are partitions of one topic, by its id.
type TopicPartitions struct {
	TopicID    [16]byte
	Partitions []int32
}

// fromTopics makes a set of what a request or a record says.
func fromTopics(topics []TopicPartitions) partitions {
	out := partitions{}
	for _, t := range topics {
		for _, p := range t.Partitions {
			out = append(out, partitionID{t.TopicID, p})
		}
	}
	slices.SortFunc(out, partitionID.compare)
	return slices.Compact(out)
}

// byTopic groups a set.
func (s partitions) byTopic() []TopicPartitions {
	out := []TopicPartitions{}
	for _, p := range s {
		if n := len(out); n == 0 || out[n-1].TopicID != p.topic {
			out = append(out, TopicPartitions{TopicID: p.topic})
		}
		last := &out[len(out)-1]
		last.Partitions = append(last.Partitions, p.index)
	}
	return out
}
