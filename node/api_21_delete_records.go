package node

import (
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/node/shard"
)

// deleteRecords moves the log start of partitions up, and answers the new log starts once that is durable. Offset -1 is
// the end of the log. The partitions are put in line first and awaited then.
func (b *Broker) deleteRecords(c *call, q *wire.DeleteRecordsRequest) wire.Message {
	image := b.set.Catalog()
	deadline := c.changeDeadline(q.TimeoutMs)
	a := wire.NewDeleteRecordsResponse()
	var pending []*shard.Pending
	for i := range q.Topics {
		t := &q.Topics[i]
		results := make([]wire.DeleteRecordsResponsePartitionResult, len(t.Partitions))
		topic, ok := image.Topic(t.Name)
		for j, p := range t.Partitions {
			r := &results[j]
			r.SetDefaults()
			r.PartitionIndex, r.LowWatermark = p.PartitionIndex, -1
			switch {
			case isInternal(t.Name) && ok:
				r.ErrorCode = wire.ErrInvalidTopicException
			case ok && !b.topicConfig(image, topic).Delete:
				r.ErrorCode = wire.ErrPolicyViolation
			}
			pending = append(pending, b.deleteBelow(c, t.Name, p, r))
		}
		a.Topics = append(a.Topics, wire.DeleteRecordsResponseTopicResult{Name: t.Name, Partitions: results})
	}
	for i := range a.Topics {
		for j := range a.Topics[i].Partitions {
			if pending[0] != nil {
				awaitDelete(c, pending[0], deadline, &a.Topics[i].Partitions[j])
			}
			pending = pending[1:]
		}
	}
	return a
}

// deleteBelow puts one partition in line; nil when it was refused.
func (b *Broker) deleteBelow(c *call, topic string, p wire.DeleteRecordsRequestPartition, r *wire.DeleteRecordsResponsePartitionResult) *shard.Pending {
	if r.ErrorCode != wire.ErrNone {
		return nil
	}
	at, code := b.partition(b.set.Catalog(), topic, p.PartitionIndex, -1)
	if r.ErrorCode = code; code != wire.ErrNone {
		return nil
	}
	if p.Offset < -1 || p.Offset > at.Log.View().End {
		r.ErrorCode = wire.ErrOffsetOutOfRange
		return nil
	}
	pending := at.Shard.DeleteRecords(at.ID, p.Offset)
	if mutant.On("delete-records-answered-early") {
		r.LowWatermark = p.Offset
		return nil
	}
	return pending
}

func awaitDelete(c *call, pending *shard.Pending, deadline host.Instant, r *wire.DeleteRecordsResponsePartitionResult) {
	result, ok := outlast(c, pending, min(deadline, c.now().Add(time.Minute)))
	if !ok {
		r.ErrorCode = wire.ErrRequestTimedOut
		return
	}
	if r.ErrorCode = result.Error; r.ErrorCode == wire.ErrNone {
		r.LowWatermark = result.LogStart
	}
}
