package catalog

import (
	"cmp"
	"slices"

	"millrace/net/wire"
	"millrace/node/ordered"
)

// placer places the partitions of one command. It reads the image once, so that a partition costs about the number of
// brokers, and keeps up with what it places itself.
type placer struct {
	image *Image
	// lead is how many partitions a broker is to lead, in the cluster and of this topic. Read by key only.
	lead, own map[int32]int
	// sets are the member sets for one replication factor: see copysets. spare are those of the brokers that are not
	// fenced, for leaders who have none in sets.
	sets, spare [][]int32
	replication int
	// load is how many partitions a set has, by its key; shards are those that a node should lead over a set.
	load   map[string]int
	shards map[string][]uint64
}

// newPlacer prepares the placement of partitions of a topic that has some already.
func (i *Image) newPlacer(existing []Partition) *placer {
	p := &placer{
		image: i, lead: map[int32]int{}, own: map[int32]int{}, load: map[string]int{}, shards: map[string][]uint64{},
	}
	for _, s := range i.Shards.All {
		nodes := s.nodes()
		p.lead[s.Preferred] += int(s.Partitions)
		p.load[setKey(nodes)] += int(s.Partitions)
		key := leaderKey(s.Preferred, nodes)
		p.shards[key] = append(p.shards[key], s.ID)
	}
	for _, e := range existing {
		p.own[e.Replicas[0]]++
	}
	return p
}

// setKey names a set of nodes, in order of their ids.
func setKey(nodes []int32) string {
	w := &writer{}
	w.nodes(nodes)
	return string(w.b)
}

// leaderKey names a set of nodes with the one of them that should lead.
func leaderKey(leader int32, nodes []int32) string {
	w := &writer{}
	w.int(int64(leader))
	return string(w.b) + setKey(nodes)
}

// choose returns the replicas of one more partition, the preferred leader first. The leader is the broker that leads the
// fewest partitions of the topic, among those the one that leads the fewest of all, and is not fenced. Then the set with
// the fewest partitions is taken among the few that the leader is part of, first of all one without fenced brokers; but
// when there are not enough others, a fenced one is taken: it will be filled when it comes back.
func (p *placer) choose(replication int) ([]int32, Result) {
	if p.sets == nil || p.replication != replication {
		p.sets, p.spare, p.replication = copysets(p.image, true, replication), copysets(p.image, false, replication), replication
	}
	if replication < 1 || len(p.sets) == 0 {
		return nil, refuse(wire.ErrInvalidReplicationFactor,
			"Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached because only %d broker(s) are registered or some brokers have all their log directories cordoned.",
			replication, replication, p.image.Brokers.Len())
	}
	leader, first := int32(0), true
	for node, b := range p.image.Brokers.All {
		n := int32(node)
		if b.Fenced {
			continue
		}
		if first || cmp.Or(cmp.Compare(p.own[n], p.own[leader]), cmp.Compare(p.lead[n], p.lead[leader])) < 0 {
			leader, first = n, false
		}
	}
	if first {
		return nil, refuse(wire.ErrInvalidReplicationFactor,
			"Unable to replicate the partition %d time(s): All brokers are currently fenced.", replication)
	}
	best := p.best(p.sets, leader)
	if p.fenced(best) > 0 && len(p.spare) > 0 {
		best = p.best(p.spare, leader)
	}
	return inOrder(best, leader, p.own[leader]), Result{}
}

// best returns the set with a leader that has the fewest fenced brokers, among those the one with the fewest partitions.
func (p *placer) best(sets [][]int32, leader int32) []int32 {
	var best []int32
	for _, set := range sets {
		if !slices.Contains(set, leader) {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(p.fenced(set), p.fenced(best)), cmp.Compare(p.load[setKey(set)], p.load[setKey(best)])) < 0 {
			best = set
		}
	}
	return best
}

// fenced counts the fenced brokers of a set.
func (p *placer) fenced(set []int32) int {
	n := 0
	for _, node := range set {
		if b, ok := p.image.Broker(node); ok && b.Fenced {
			n++
		}
	}
	return n
}

// inOrder is a set as the replicas of a partition: the leader first, the others from another one on with every turn.
func inOrder(set []int32, leader int32, turn int) []int32 {
	at := slices.Index(set, leader)
	others := slices.Concat(set[at+1:], set[:at])
	replicas := []int32{leader}
	for n := range others {
		replicas = append(replicas, others[(n+turn)%len(others)])
	}
	return replicas
}

// copysets are the member sets (with fenced brokers or without) for a replication factor: few, so that the loss of so many nodes at once hardly ever hits
// all replicas of a partition, but enough that every broker shares partitions with about twice the factor of others, who
// take over from it and fill it together. The brokers stand in a ring in which racks alternate; the set of a place in the
// ring is the broker there and the next ones in racks that are not in the set yet, as long as there are such.
func copysets(image *Image, fenced bool, size int) [][]int32 {
	ring := rackRing(image, fenced)
	if size < 1 || size > len(ring) {
		return nil
	}
	var sets [][]int32
	for start := range ring {
		var set []int32
		racks := map[string]bool{}
		taken := make([]bool, len(ring))
		for _, again := range []bool{false, true} { // first other racks only, then whoever is there
			for n := range ring {
				at := (start + n) % len(ring)
				if b := ring[at]; len(set) < size && !taken[at] && (again || b.Rack == "" || !racks[b.Rack]) {
					taken[at] = true
					racks[b.Rack] = true
					set = append(set, b.Node)
				}
			}
		}
		slices.Sort(set)
		if !slices.ContainsFunc(sets, func(other []int32) bool { return slices.Equal(other, set) }) {
			sets = append(sets, set)
		}
	}
	return sets
}

// rackRing is the brokers, racks in turn: the first of each rack, then the second of each, ....
func rackRing(image *Image, fenced bool) []*Broker {
	type placed struct {
		broker *Broker
		round  int
	}
	var brokers []placed
	rounds := map[string]int{}
	for _, b := range image.Brokers.All {
		if fenced || !b.Fenced {
			brokers = append(brokers, placed{b, rounds[b.Rack]})
			rounds[b.Rack]++
		}
	}
	slices.SortStableFunc(brokers, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.round, b.round), cmp.Compare(a.broker.Rack, b.broker.Rack))
	})
	var ring []*Broker
	for _, b := range brokers {
		ring = append(ring, b.broker)
	}
	return ring
}

// put places a partition on its replicas and returns its shard: among those that the first of the replicas should lead
// over the same member set the one with the fewest partitions, or a new one while there are fewer than the lanes that the
// leader wants and none is empty.
func (p *placer) put(replicas []int32) uint64 {
	nodes := slices.Sorted(slices.Values(replicas))
	key := leaderKey(replicas[0], nodes)
	var best *Shard
	for _, id := range p.shards[key] {
		if s, _ := p.image.Shard(id); best == nil || s.Partitions < best.Partitions {
			best = s
		}
	}
	lanes := int32(1)
	if leader, ok := p.image.Broker(replicas[0]); ok {
		lanes = leader.Lanes
	}
	if best == nil || best.Partitions > 0 && len(p.shards[key]) < int(lanes) {
		best = p.image.createShard(replicas[0], nodes)
		p.shards[key] = append(p.shards[key], best.ID)
	}
	p.image.addLoad(best.ID, 1)
	p.lead[replicas[0]]++
	p.own[replicas[0]]++
	p.load[setKey(nodes)]++
	return best.ID
}

// nodes are the nodes of the members, in order.
func (s *Shard) nodes() []int32 {
	nodes := make([]int32, len(s.Members))
	for i, m := range s.Members {
		nodes[i] = m.Node
	}
	return nodes
}

// createShard makes an empty shard, with new replica numbers. Members are in order of node ids: they are a set.
func (i *Image) createShard(preferred int32, nodes []int32) *Shard {
	s := &Shard{ID: i.NextShard, Preferred: preferred}
	i.NextShard++
	for _, node := range nodes {
		b, _ := i.Broker(node)
		s.Members = append(s.Members, Member{Node: node, Directory: b.Directory, Replica: i.NextReplica, Generation: 1})
		i.NextReplica++
	}
	i.Shards = i.Shards.Set(ordered.Int(s.ID), s)
	return s
}
