package node

import (
	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/shard"
)

// partition finds a partition by its topic's name and checks the leader epoch that the client knows, -1 for none.
func (b *Broker) partition(image *catalog.Image, topic string, index, knownEpoch int32) (shard.Partition, wire.ErrorCode) {
	t, ok := image.Topic(topic)
	if !ok {
		return shard.Partition{}, wire.ErrUnknownTopicOrPartition
	}
	at, code := b.cluster.Lookup(t.ID, index)
	if code == wire.ErrNone {
		code = checkEpoch(knownEpoch, at.LeaderEpoch)
	}
	if code == wire.ErrUnknownTopicId { // the request does not name ids
		code = wire.ErrUnknownTopicOrPartition
	}
	return at, code
}

// epochEnd answers where a leader epoch ends, as OffsetForLeaderEpoch wants it. Unlike the log it knows the present epoch
// also while that has no records: it begins where the log ends.
func epochEnd(at shard.Partition, epoch int32) (int32, int64) {
	v := at.Log.View()
	found, end := v.EpochEnd(epoch)
	switch {
	case epoch < 0 || epoch > at.LeaderEpoch || end >= 0:
		return found, end
	case epoch == at.LeaderEpoch || len(v.Epochs) == 0:
		return epoch, v.End
	}
	return v.Epochs[len(v.Epochs)-1].Epoch, v.End // between the last epoch with records and the present one
}

// confirm waits until every shard that was asked has applied what was committed at the time, or until the deadline. A
// leader that was deposed and does not know it yet is found out by that.
func (c *call) confirm(asked confirmations, deadline host.Instant) {
	for i := range asked {
		await(c, asked[i].pending, deadline)
	}
}
