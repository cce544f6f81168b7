package node

import (
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/ordered"
)

// ensureOffsetsTopic makes the topic of groups and their offsets if there is none, and waits until it can be used. The
// error code is what a client that looks for its coordinator is told.
func (b *Broker) ensureOffsetsTopic(c *call) wire.ErrorCode {
	image, deadline := b.set.Catalog(), c.now().Add(10*time.Second)
	topic, ok := image.Topic(offsetsTopic)
	if !ok {
		layers := b.layers(image)
		result := b.createTopic(catalog.CreateTopic{
			Name:        offsetsTopic,
			Partitions:  int32(layers.Int("offsets.topic.num.partitions")),
			Replication: b.replication(image, "offsets.topic.replication.factor", true),
			Configs: catalog.Configs{
				{Name: "cleanup.policy", Value: "compact"},
				{Name: "compression.type", Value: "producer"},
				{Name: "segment.bytes", Value: layers.String("offsets.topic.segment.bytes")},
			},
		}, deadline)
		if topic, ok = result.Topic, result.Error == wire.ErrNone; result.Error == wire.ErrTopicAlreadyExists {
			topic, ok = b.set.Catalog().Topic(offsetsTopic)
		}
		if !ok {
			b.host.Log.Warn("the offsets topic cannot be created", "error", result.Error, "message", result.Message)
			return wire.ErrCoordinatorNotAvailable
		}
	}
	if !b.set.AwaitTopic(topic, deadline) || !b.groups.awaitStart(c, topic.ID, deadline) {
		return wire.ErrCoordinatorNotAvailable
	}
	return wire.ErrNone
}

// deletedTopics are the topics that are in one image and not, or as another topic, in a later one.
func deletedTopics(before, after *catalog.Image) []string {
	var names []string
	ordered.Diff(before.Topics, after.Topics, func(name ordered.String, was, is **catalog.Topic) {
		if was != nil && (is == nil || (*was).ID != (*is).ID) {
			names = append(names, string(name))
		}
	})
	return names
}
