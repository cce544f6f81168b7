package node

import (
	"slices"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/ordered"
)

// describeTopicPartitions lists topics with their partitions, page by page (KIP-966). Topics come by name; an answer
// holds at most as many partitions as the client or max.request.partition.size.limit allows, and says where to go on.
// There are no eligible leaders outside the replicas in sync: with a majority that must hold every record, whoever may
// lead has them all.
func (b *Broker) describeTopicPartitions(c *call, q *wire.DescribeTopicPartitionsRequest) wire.Message {
	image := c.newestCatalog()
	d := describing{broker: b, image: image, present: b.present(image), answer: wire.NewDescribeTopicPartitionsResponse()}
	d.left = max(int(min(int64(q.ResponsePartitionLimit), b.layers(image).Int("max.request.partition.size.limit"))), 1)
	var names []string
	for i := range q.Topics {
		names = append(names, q.Topics[i].Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	from, index := "", int32(0)
	if q.Cursor != nil {
		from, index = q.Cursor.TopicName, q.Cursor.PartitionIndex
		if index < 0 || len(names) > 0 && !slices.Contains(names, from) {
			return refuseDescription(names)
		}
	}
	if len(names) == 0 {
		image.Topics.From(topicName(from), func(_ ordered.String, t *catalog.Topic) bool {
			return d.add(t.Name, t, from, index)
		})
		return d.answer
	}
	for _, name := range names {
		t, _ := image.Topic(name)
		if name >= from && !d.add(name, t, from, index) {
			break
		}
	}
	return d.answer
}

func refuseDescription(names []string) wire.Message {
	a := wire.NewDescribeTopicPartitionsResponse()
	for i := range names {
		t := wire.NewDescribeTopicPartitionsResponseTopic()
		t.Name, t.ErrorCode = &names[i], wire.ErrInvalidRequest
		a.Topics = append(a.Topics, t)
	}
	return a
}

// describing is a page on its way.
type describing struct {
	broker  *Broker
	image   *catalog.Image
	present []int32
	answer  *wire.DescribeTopicPartitionsResponse
	left    int
}

// add describes a topic, from partition index on if it is the cursor's. It returns false when the page is full, with the
// cursor set.
func (d *describing) add(name string, t *catalog.Topic, from string, index int32) bool {
	first := 0
	if name == from {
		first = int(index)
	}
	if d.left == 0 {
		d.answer.NextCursor = &wire.DescribeTopicPartitionsResponseCursor{TopicName: name, PartitionIndex: int32(first)}
		return false
	}
	a := wire.NewDescribeTopicPartitionsResponseTopic()
	a.Name, a.TopicAuthorizedOperations = &name, topicOperations
	switch {
	case t != nil:
		a.TopicId, a.IsInternal = wire.UUID(t.ID), isInternal(t.Name)
	case topicNameFault(name) != "":
		a.ErrorCode = wire.ErrInvalidTopicException
	default:
		a.ErrorCode = wire.ErrUnknownTopicOrPartition
	}
	next := first
	for ; t != nil && next < len(t.Partitions) && d.left > 0; next++ {
		l := d.broker.leadership(d.present, t, next)
		p := wire.NewDescribeTopicPartitionsResponsePartition()
		p.PartitionIndex, p.ErrorCode, p.LeaderId, p.LeaderEpoch = int32(next), l.code, l.leader, l.epoch
		p.ReplicaNodes, p.IsrNodes, p.OfflineReplicas = t.Partitions[next].Replicas, l.inSync, l.offline
		p.EligibleLeaderReplicas, p.LastKnownElr = []int32{}, []int32{}
		a.Partitions = append(a.Partitions, p)
		d.left--
	}
	d.answer.Topics = append(d.answer.Topics, a)
	if t != nil && next < len(t.Partitions) {
		d.answer.NextCursor = &wire.DescribeTopicPartitionsResponseCursor{TopicName: name, PartitionIndex: int32(next)}
		return false
	}
	return true
}
