package shard

import (
	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/ordered"
	"millrace/partition"
)

// Leader is who leads a shard, as it was announced. It never changes.
type Leader struct {
	// Node leads in Term.
	Node int32
	Term uint64
	// InSync are the nodes whose replicas are in sync, in order of node ids.
	InSync []int32
	// Offline says that the leader has not been heard of lately.
	Offline bool
}

// Leader returns who leads a shard as far as this node has heard: the announcement of the highest term.
func (s *Set) Leader(shard uint64) (Leader, bool) {
	local, ok := s.shards.Load().Get(ordered.Int(shard))
	if !ok {
		return Leader{}, false
	}
	status := local.Status()
	return Leader{Node: s.o.Node, Term: status.Term, InSync: []int32{s.o.Node}}, status.Serving
}

// PartitionLeader returns the leader of a partition with its leader epoch, and the replicas in sync in the order of the
// partition's replicas. ok is false when no leader is known.
func (s *Set) PartitionLeader(t *catalog.Topic, index int) (node int32, epoch int32, isr []int32, ok bool) {
	shard := t.Partitions[index].Shard
	leader, ok := s.Leader(shard)
	if !ok {
		return -1, -1, nil, false
	}
	base := int32(0)
	if local, here := s.shards.Load().Get(ordered.Int(shard)); here {
		if place, has := local.places.Load().Get(key{Topic: t.ID, Index: int32(index)}); has {
			base = place.base
		}
	}
	for _, r := range t.Partitions[index].Replicas {
		for _, n := range leader.InSync {
			if n == r {
				isr = append(isr, r)
			}
		}
	}
	return leader.Node, leaderEpoch(base, leader.Term), isr, true
}

// Follow finds a partition that has a replica here, whether it leads or not. LeaderEpoch is that of the newest term that
// the replica knows. Errors: as Lookup, NOT_LEADER_OR_FOLLOWER when there is no replica here.
func (s *Set) Follow(topic [16]byte, index int32) (Partition, wire.ErrorCode) {
	t, ok := s.Catalog().TopicByID(topic)
	if !ok {
		return Partition{}, wire.ErrUnknownTopicId
	}
	if index < 0 || int(index) >= len(t.Partitions) {
		return Partition{}, wire.ErrUnknownTopicOrPartition
	}
	shard, ok := s.shards.Load().Get(ordered.Int(t.Partitions[index].Shard))
	if !ok {
		return Partition{}, wire.ErrNotLeaderOrFollower
	}
	id := partition.ID{Topic: topic, Index: index}
	place, ok := shard.places.Load().Get(key(id))
	if !ok {
		return Partition{}, wire.ErrUnknownTopicOrPartition
	}
	return Partition{ID: id, Log: place.log, Shard: shard, LeaderEpoch: leaderEpoch(place.base, shard.Status().Term)}, wire.ErrNone
}

// Controller is the node that leads the catalog, -1 when none is known.
func (s *Set) Controller() int32 {
	if leader, ok := s.Leader(0); ok {
		return leader.Node
	}
	return -1
}

// Alive says whether a node has been heard of lately; this node is alive.
func (s *Set) Alive(node int32) bool { return node == s.o.Node }

// ReadCatalog returns an image that has everything that was acknowledged before the call.
func (s *Set) ReadCatalog(deadline host.Instant) (*catalog.Image, wire.ErrorCode) {
	if !s.catalog.Status().Serving {
		return nil, wire.ErrNotController
	}
	return s.Catalog(), wire.ErrNone
}

// StepDown moves the leadership of all shards away from this node, as far as other replicas can take it, before it stops.
// It returns when nothing is led here any more, or at the deadline.
func (s *Set) StepDown(deadline host.Instant) {}

// ElectPreferred makes the first of a partition's replicas lead it. Errors: ELECTION_NOT_NEEDED when it does already,
// PREFERRED_LEADER_NOT_AVAILABLE when it cannot.
func (s *Set) ElectPreferred(t *catalog.Topic, index int, deadline host.Instant) (wire.ErrorCode, string) {
	node, _, _, ok := s.PartitionLeader(t, index)
	if ok && node == t.Partitions[index].Replicas[0] {
		return wire.ErrElectionNotNeeded, ""
	}
	return wire.ErrPreferredLeaderNotAvailable, "the preferred leader is not in sync"
}
