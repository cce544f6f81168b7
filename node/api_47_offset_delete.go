package node

import (
	"millrace/net/wire"
	"millrace/node/group"
)

// offsetDelete removes committed offsets of topics that no member of the group subscribes to.
func (b *Broker) offsetDelete(c *call, q *wire.OffsetDeleteRequest) wire.Message {
	image := c.newestCatalog()
	r := &group.OffsetDeleteRequest{GroupID: q.GroupId}
	a := wire.NewOffsetDeleteResponse()
	for _, t := range q.Topics {
		topic, ok := image.Topic(t.Name)
		asked := group.FetchTopic{Topic: t.Name}
		answer := wire.OffsetDeleteResponseTopic{Name: t.Name}
		for _, p := range t.Partitions {
			if !ok || p.PartitionIndex < 0 || int(p.PartitionIndex) >= len(topic.Partitions) {
				answer.Partitions = append(answer.Partitions, wire.OffsetDeleteResponsePartition{
					PartitionIndex: p.PartitionIndex, ErrorCode: wire.ErrUnknownTopicOrPartition,
				})
				continue
			}
			asked.Partitions = append(asked.Partitions, p.PartitionIndex)
		}
		r.Topics, a.Topics = append(r.Topics, asked), append(a.Topics, answer)
	}
	deleted := groupWrite[*group.OffsetDeleteResponse](c, q.GroupId, r)
	if a.ErrorCode = deleted.Error; a.ErrorCode != wire.ErrNone {
		a.Topics = nil
		return a
	}
	for i, t := range deleted.Topics {
		for _, p := range t.Partitions {
			a.Topics[i].Partitions = append(a.Topics[i].Partitions, wire.OffsetDeleteResponsePartition{
				PartitionIndex: p.Partition, ErrorCode: p.Error,
			})
		}
	}
	return a
}
