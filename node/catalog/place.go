package catalog

import (
	"cmp"
	"slices"

	"millrace/net/wire"
	"millrace/node/ordered"
)

// chooseReplicas takes the brokers with the least to lead: the preferred leader first. Fenced brokers are left out.
func (i *Image) chooseReplicas(replication int) ([]int32, Result) {
	load := map[int32]int32{} // read by key only
	for _, s := range i.Shards.All {
		load[s.Preferred] += s.Partitions
	}
	var nodes []int32
	for _, b := range i.Brokers.All {
		if !b.Fenced {
			nodes = append(nodes, b.Node)
		}
	}
	if replication < 1 || replication > len(nodes) {
		return nil, refuse(wire.ErrInvalidReplicationFactor,
			"Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached because only %d broker(s) are registered.",
			replication, replication, len(nodes))
	}
	slices.SortStableFunc(nodes, func(a, b int32) int { return cmp.Compare(load[a], load[b]) })
	return nodes[:replication:replication], Result{}
}

// chooseShard returns the shard for a partition with these replicas: among those that the preferred leader should lead
// over the same member set the one with the fewest partitions, or a new one while the leader has fewer such shards than
// it wants lanes.
func (i *Image) chooseShard(replicas []int32) uint64 {
	var best *Shard
	lanes := int32(0)
	for _, s := range i.Shards.All {
		if s.Preferred != replicas[0] || !s.has(replicas) {
			continue
		}
		lanes++
		if best == nil || s.Partitions < best.Partitions {
			best = s
		}
	}
	leader, _ := i.Broker(replicas[0])
	if best != nil && (best.Partitions == 0 || lanes >= leader.Lanes) {
		return best.ID
	}
	return i.createShard(replicas)
}

// has says whether the members are exactly these nodes.
func (s *Shard) has(nodes []int32) bool {
	if len(s.Members) != len(nodes) {
		return false
	}
	for _, m := range s.Members {
		if !slices.Contains(nodes, m.Node) {
			return false
		}
	}
	return true
}

// createShard makes an empty shard, with new replica numbers. Members are in order of node ids: they are a set.
func (i *Image) createShard(nodes []int32) uint64 {
	s := &Shard{ID: i.NextShard, Preferred: nodes[0]}
	i.NextShard++
	for _, node := range slices.Sorted(slices.Values(nodes)) {
		b, _ := i.Broker(node)
		s.Members = append(s.Members, Member{Node: node, Directory: b.Directory, Replica: i.NextReplica, Generation: 1})
		i.NextReplica++
	}
	i.Shards = i.Shards.Set(ordered.Int(s.ID), s)
	return s.ID
}
