package shard

import (
	"slices"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/ordered"
	"millrace/partition"
)

// Leader is who leads a shard, as it was announced. It never changes.
type Leader struct {
	Shard uint64
	// Node leads in Term.
	Node int32
	Term uint64
	// InSync are the nodes whose replicas are in sync, in order of node ids.
	InSync []int32
	// Offline says that the leader cannot be heard: another one will follow.
	Offline bool
}

// Leader returns who leads a shard as far as this node has heard: the announcement of the highest term.
func (s *Set) Leader(shard uint64) (Leader, bool) {
	var announced Leader
	known := false
	if s.cluster != nil {
		now := s.cluster.view.Load()
		if a, ok := now.leaders.Get(ordered.Int(shard)); ok {
			announced, known = a.Leader, true
		}
	}
	if local, here := s.shards.Load().Get(ordered.Int(shard)); here {
		status := local.Status()
		if status.Serving && status.Term >= announced.Term {
			return Leader{Shard: shard, Node: s.o.Node, Term: status.Term, InSync: status.InSync}, true
		}
	}
	if !known || announced.Node < 0 || announced.Node == s.o.Node { // it leads no more, and nobody else does yet
		return Leader{}, false
	}
	announced.Offline = !s.Alive(announced.Node)
	return announced, true
}

// PartitionLeader returns the leader of a partition with its leader epoch, and the replicas in sync in the order of the
// partition's replicas. ok is false when no leader is known that can be heard, or the partition is not there yet.
func (s *Set) PartitionLeader(t *catalog.Topic, index int) (node int32, epoch int32, isr []int32, ok bool) {
	shard := t.Partitions[index].Shard
	leader, ok := s.Leader(shard)
	if !ok || leader.Offline {
		return -1, -1, nil, false
	}
	base := int32(0)
	if local, here := s.shards.Load().Get(ordered.Int(shard)); here {
		place, has := local.places.Load().Get(key{Topic: t.ID, Index: int32(index)})
		if has {
			base = place.base
		} else if slices.Contains(leader.InSync, s.o.Node) { // what is in sync and has it not: it is not there yet
			return -1, -1, nil, false
		}
	}
	for _, r := range t.Partitions[index].Replicas {
		if slices.Contains(leader.InSync, r) {
			isr = append(isr, r)
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
	found, epoch, ok := shard.held(id)
	if !ok {
		return Partition{}, wire.ErrUnknownTopicOrPartition
	}
	return Partition{ID: id, Log: found.log, Shard: shard, LeaderEpoch: epoch, Traffic: found.traffic}, wire.ErrNone
}

// Controller is the node that leads the catalog, -1 when none is known.
func (s *Set) Controller() int32 {
	if leader, ok := s.Leader(0); ok && !leader.Offline {
		return leader.Node
	}
	return -1
}

// Alive says whether a node has been heard of lately; this node is alive.
func (s *Set) Alive(node int32) bool {
	if node == s.o.Node {
		return true
	}
	if s.cluster == nil {
		return false
	}
	_, alive := s.cluster.view.Load().alive.Get(ordered.Int(node))
	return alive
}
