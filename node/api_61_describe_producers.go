package node

import (
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/partition"
)

// describeProducers tells which idempotent producers partitions remember (KIP-664). Every replica answers what it has
// applied: on the leader, everything that was acknowledged with acks=all.
func (b *Broker) describeProducers(c *call, q *wire.DescribeProducersRequest) wire.Message {
	a := wire.NewDescribeProducersResponse()
	image := b.set.Catalog()
	deadline := c.now().Add(5 * time.Second)
	asked := map[partition.ID]*host.Future[[]partition.ProducerState]{} // a small request must not earn a large answer
	for i := range q.Topics {
		t := &q.Topics[i]
		answer := wire.NewDescribeProducersResponseTopicResponse()
		answer.Name = t.Name
		for _, index := range t.PartitionIndexes {
			p := wire.NewDescribeProducersResponsePartitionResponse()
			p.PartitionIndex = index
			id, code, why := b.findProducers(image, t.Name, index, asked)
			p.ErrorCode, p.ErrorMessage = code, text(why)
			if code == wire.ErrNone {
				c.fillProducers(&p, asked[id], deadline)
			}
			answer.Partitions = append(answer.Partitions, p)
		}
		a.Topics = append(a.Topics, answer)
	}
	return a
}

// findProducers asks for the producers of a partition that has a replica here. A partition that the request names again is
// refused.
func (b *Broker) findProducers(image *catalog.Image, topic string, index int32,
	asked map[partition.ID]*host.Future[[]partition.ProducerState],
) (partition.ID, wire.ErrorCode, string) {
	if why := topicNameFault(topic); why != "" {
		return partition.ID{}, wire.ErrInvalidTopicException, why
	}
	t, ok := image.Topic(topic)
	if !ok {
		return partition.ID{}, wire.ErrUnknownTopicOrPartition, notHosted
	}
	at, code := b.cluster.Follow(t.ID, index)
	switch {
	case code == wire.ErrUnknownTopicId:
		return at.ID, wire.ErrUnknownTopicOrPartition, notHosted
	case code == wire.ErrUnknownTopicOrPartition:
		return at.ID, code, notHosted
	case code != wire.ErrNone:
		return at.ID, code, ""
	case asked[at.ID] != nil:
		return at.ID, wire.ErrInvalidRequest, "The request names the partition more than once."
	}
	asked[at.ID] = at.Shard.Producers(at.ID)
	return at.ID, wire.ErrNone, ""
}

func (c *call) fillProducers(p *wire.DescribeProducersResponsePartitionResponse, f *host.Future[[]partition.ProducerState], deadline host.Instant) {
	list, ok := await(c, f, deadline)
	if !ok {
		p.ErrorCode = wire.ErrNotLeaderOrFollower // it is just ending
		return
	}
	for _, s := range list {
		p.ActiveProducers = append(p.ActiveProducers, wire.DescribeProducersResponseProducerState{
			ProducerId: s.ID, ProducerEpoch: int32(s.Epoch), LastSequence: s.LastSequence, LastTimestamp: s.LastTimestamp,
			CoordinatorEpoch: s.CoordinatorEpoch, CurrentTxnStartOffset: s.TransactionStart,
		})
	}
}
