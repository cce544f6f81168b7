package node

import "millrace/net/wire"

// offsetForLeaderEpoch answers where a leader epoch ends, so that a client can tell whether the log it has read is still
// this one (KIP-320): the largest epoch at most as large as asked for, and the offset at which the next one begins. A
// leader that may have been deposed does not answer, since the client would take its end for a truncation.
//
// Versions: 3 names the replica that asks; 4 has tagged fields.
func (b *Broker) offsetForLeaderEpoch(c *call, q *wire.OffsetForLeaderEpochRequest) wire.Message {
	a := wire.NewOffsetForLeaderEpochResponse()
	image := b.set.Catalog()
	var asked confirmations
	for i := range q.Topics {
		for _, p := range q.Topics[i].Partitions {
			if at, code := b.partition(image, q.Topics[i].Topic, p.Partition, p.CurrentLeaderEpoch); code == wire.ErrNone {
				asked.ask(at.Shard)
			}
		}
	}
	c.confirm(asked, c.now().Add(readTimeout(0, false)))
	for i := range q.Topics {
		t := &q.Topics[i]
		ends := make([]wire.OffsetForLeaderEpochResponseEpochEndOffset, len(t.Partitions))
		for j, p := range t.Partitions {
			e := &ends[j]
			e.SetDefaults()
			e.Partition, e.LeaderEpoch, e.EndOffset = p.Partition, -1, -1
			at, code := b.partition(image, t.Topic, p.Partition, p.CurrentLeaderEpoch)
			if code == wire.ErrNone && !asked.done(at.Shard) {
				code = wire.ErrNotLeaderOrFollower // or so it seems
			}
			if e.ErrorCode = code; code == wire.ErrNone && p.LeaderEpoch >= 0 {
				e.LeaderEpoch, e.EndOffset = epochEnd(at, p.LeaderEpoch)
			}
		}
		a.Topics = append(a.Topics, wire.OffsetForLeaderEpochResponseOffsetForLeaderTopicResult{Topic: t.Topic, Partitions: ends})
	}
	return a
}
