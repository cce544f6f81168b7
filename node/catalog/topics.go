package catalog

import (
	"slices"
	"strings"

	"millrace/net/wire"
	"millrace/node/ordered"
)

// MaxPartitions bounds the partitions of one topic, so that one command stays small.
const MaxPartitions = 100_000

func (i *Image) createTopic(c CreateTopic) Result {
	if t, ok := i.Topic(c.Name); ok {
		if t.ID == c.ID && c.ID != (ID{}) { // an earlier try, whose answer was lost
			return Result{Topic: t}
		}
		return refuse(wire.ErrTopicAlreadyExists, "Topic '%s' already exists.", c.Name)
	}
	if other, ok := i.byMetric.Get(metricName(c.Name)); ok {
		return refuse(wire.ErrInvalidTopicException, "Topic '%s' collides with existing topic: %s", c.Name, other.Name)
	}
	if _, ok := i.byID.Get(c.ID); ok || c.ID == (ID{}) {
		return refuse(wire.ErrInvalidRequest, "topic id %s is taken", c.ID)
	}
	count := int(c.Partitions)
	if len(c.Assignments) > 0 {
		count = len(c.Assignments)
	}
	t := &Topic{ID: c.ID, Name: c.Name, Configs: c.Configs}
	partitions, result := i.place(nil, count, int(c.Replication), c.Assignments)
	if result.Error != wire.ErrNone {
		return result
	}
	t.Partitions = partitions
	i.setTopic(t)
	return Result{Topic: t}
}

func (i *Image) createPartitions(c CreatePartitions) Result {
	was, ok := i.Topic(c.Name)
	if !ok {
		return refuse(wire.ErrUnknownTopicOrPartition, "There is no topic '%s'.", c.Name)
	}
	have := len(was.Partitions)
	if int(c.Count) <= have {
		return refuse(wire.ErrInvalidPartitions,
			"The topic %s currently has %d partition(s); %d would not be an increase.", c.Name, have, c.Count)
	}
	if n := len(c.Assignments); n > 0 && n != int(c.Count)-have {
		return refuse(wire.ErrInvalidReplicaAssignment,
			"Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", int(c.Count)-have, n)
	}
	replication := len(was.Partitions[0].Replicas)
	partitions, result := i.place(was.Partitions, int(c.Count)-have, replication, c.Assignments)
	if result.Error != wire.ErrNone {
		return result
	}
	t := *was
	t.Partitions = partitions
	i.setTopic(&t)
	return Result{Topic: &t}
}

func (i *Image) deleteTopic(c DeleteTopic) Result {
	t, ok := i.TopicByID(c.ID)
	if c.ID == (ID{}) {
		t, ok = i.Topic(c.Name)
	}
	switch {
	case !ok && c.ID != (ID{}):
		return refuse(wire.ErrUnknownTopicId, "There is no topic with id %s.", c.ID)
	case !ok:
		return refuse(wire.ErrUnknownTopicOrPartition, "There is no topic '%s'.", c.Name)
	}
	i.Topics = i.Topics.Delete(ordered.String(t.Name))
	i.byID = i.byID.Delete(t.ID)
	i.byMetric = i.byMetric.Delete(metricName(t.Name))
	for _, p := range t.Partitions {
		i.addLoad(p.Shard, -1)
	}
	return Result{Topic: t}
}

// setTopic puts a topic into all maps that list it.
func (i *Image) setTopic(t *Topic) {
	i.Topics = i.Topics.Set(ordered.String(t.Name), t)
	i.byID = i.byID.Set(t.ID, t)
	i.byMetric = i.byMetric.Set(metricName(t.Name), t)
}

func metricName(topic string) ordered.String {
	return ordered.String(strings.ReplaceAll(topic, ".", "_"))
}

// addLoad changes the number of partitions of a shard.
func (i *Image) addLoad(shard uint64, d int32) {
	was, _ := i.Shard(shard)
	s := *was
	s.Partitions += d
	i.Shards = i.Shards.Set(ordered.Int(shard), &s)
}

// place appends count new partitions to a topic's, on the replicas that assignments list or on chosen ones.
func (i *Image) place(existing []Partition, count, replication int, assignments [][]int32) ([]Partition, Result) {
	if count < 1 {
		return nil, refuse(wire.ErrInvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	if len(existing)+count > MaxPartitions {
		return nil, refuse(wire.ErrPolicyViolation, "Excessively large number of partitions per request.")
	}
	partitions := slices.Clip(existing)
	placer := i.newPlacer(existing)
	for n := range count {
		var replicas []int32
		var result Result
		if len(assignments) > 0 {
			if len(existing) == 0 {
				replication = len(assignments[0])
			}
			replicas, result = assignments[n], i.checkAssignment(assignments[n], replication)
		} else {
			replicas, result = placer.choose(replication)
		}
		if result.Error != wire.ErrNone {
			return nil, result
		}
		partitions = append(partitions, Partition{Shard: placer.put(replicas), Replicas: replicas})
	}
	return partitions, Result{}
}

// checkAssignment says whether a list of replicas is a set of registered brokers, as many as the partitions before have.
// The words are Kafka's.
func (i *Image) checkAssignment(replicas []int32, replication int) Result {
	if len(replicas) == 0 {
		return refuse(wire.ErrInvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
	}
	sorted := slices.Sorted(slices.Values(replicas))
	for k, node := range sorted {
		if _, ok := i.Broker(node); !ok {
			return refuse(wire.ErrInvalidReplicaAssignment,
				"The manual partition assignment includes broker %d, but no such broker is registered.", node)
		}
		if k > 0 && sorted[k-1] == node {
			return refuse(wire.ErrInvalidReplicaAssignment, "The manual partition assignment includes the broker %d more than once.", node)
		}
	}
	if len(replicas) != replication {
		return refuse(wire.ErrInvalidReplicaAssignment, "The manual partition assignment includes a partition with %d replica(s), "+
			"but this is not consistent with previous partitions, which have %d replica(s).", len(replicas), replication)
	}
	if !slices.ContainsFunc(replicas, func(node int32) bool { b, _ := i.Broker(node); return !b.Fenced }) {
		return refuse(wire.ErrInvalidReplicaAssignment, "All brokers specified in the manual partition assignment are fenced.")
	}
	return Result{}
}
