package group

import (
	"hash/fnv"
	"slices"

	"millrace/net/wire"
)

// Cluster is what the coordinator sees of the cluster's metadata: one version of it, that never changes.
type Cluster interface {
	// Version grows from one version to the next.
	Version() int64
	Topic(name string) (Topic, bool)
	TopicByID(id [16]byte) (Topic, bool)
	// TopicNames calls f with the names of all topics, sorted, until it says false.
	TopicNames(f func(name string) bool)
	// GroupConfig returns a config that was set for a group, in milliseconds.
	GroupConfig(groupID, name string) (ms int64, ok bool)
}

// Topic is a topic.
type Topic struct {
	ID         [16]byte
	Name       string
	Partitions int32
}

// noCluster is a cluster without topics, which is what a coordinator knows before it is told better.
type noCluster struct{}

func (noCluster) Version() int64                        { return 0 }
func (noCluster) Topic(string) (Topic, bool)            { return Topic{}, false }
func (noCluster) TopicByID([16]byte) (Topic, bool)      { return Topic{}, false }
func (noCluster) TopicNames(func(string) bool)          {}
func (noCluster) GroupConfig(_, _ string) (int64, bool) { return 0, false }

// SetCluster tells the coordinator of a new version of the metadata; created says whether topics came to be since the
// last one that it was told of. Groups look at it with their members' next heartbeats.
func (c *Coordinator) SetCluster(cluster Cluster, created bool) {
	c.cluster = cluster
	if created {
		c.topicsVersion = cluster.Version()
	}
}

// metadataHash is a hash of what of these topics matters to assignments, 0 if none of them exists. Records keep it, so
// that a successor knows whether a target assignment was made for the topics as they are. Kafka's hash is another one:
// who changes between the two assigns once more.
func metadataHash(cluster Cluster, topics []string) int64 {
	h := fnv.New64a()
	found := false
	for _, name := range topics {
		t, ok := cluster.Topic(name)
		if !ok {
			continue
		}
		found = true
		h.Write(t.ID[:])
		h.Write([]byte{byte(t.Partitions >> 24), byte(t.Partitions >> 16), byte(t.Partitions >> 8), byte(t.Partitions)})
	}
	if !found {
		return 0
	}
	return int64(h.Sum64())
}

// topicIDs returns the ids of those of the topics that exist, sorted.
func topicIDs(cluster Cluster, names []string) []wire.UUID {
	ids := make([]wire.UUID, 0, len(names))
	for _, name := range names {
		if t, ok := cluster.Topic(name); ok {
			ids = append(ids, t.ID)
		}
	}
	slices.SortFunc(ids, func(a, b wire.UUID) int { return partitionID{topic: a}.compare(partitionID{topic: b}) })
	return slices.Compact(ids)
}
