package node

import (
	"errors"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/partition"
)

// Timestamps that ask for an offset by what it is.
const (
	latestOffset          int64 = -1
	earliestOffset        int64 = -2
	maxTimestampOffset    int64 = -3 // version 7
	earliestLocalOffset   int64 = -4 // version 8
	latestTieredOffset    int64 = -5 // version 9
	earliestPendingUpload int64 = -6 // version 11
)

// listOffsets finds offsets by time.
//
// Versions: 2 has isolation levels; 4 checks leader epochs and answers them; 7, 8, 9 and 11 bring special timestamps (see
// above). Without tiered storage the log is local from its start on, and nothing is tiered or waits to be: the answer to
// both is no offset. Only the leader answers, of its applied state, once it is known that every acknowledged record is
// part of that: OFFSET_NOT_AVAILABLE when that takes too long.
func (b *Broker) listOffsets(c *call, q *wire.ListOffsetsRequest) wire.Message {
	c.freeFrame()
	a := wire.NewListOffsetsResponse()
	image := b.set.Catalog()
	seen := make(map[fetchKey]bool)
	double := make(map[fetchKey]bool)
	for i := range q.Topics {
		for _, p := range q.Topics[i].Partitions {
			key := fetchKey{topic: q.Topics[i].Name, index: p.PartitionIndex}
			double[key] = double[key] || seen[key]
			seen[key] = true
		}
	}
	var asked confirmations
	for i := range q.Topics {
		for _, p := range q.Topics[i].Partitions {
			if p.Timestamp == earliestOffset || p.Timestamp == earliestLocalOffset {
				continue // log starts only grow, and what they leave behind is gone
			}
			if at, code := b.partition(image, q.Topics[i].Name, p.PartitionIndex, p.CurrentLeaderEpoch); code == wire.ErrNone {
				asked.ask(at.Shard)
			}
		}
	}
	c.confirm(asked, c.now().Add(readTimeout(q.TimeoutMs, c.Version >= 10)))
	for i := range q.Topics {
		t := &q.Topics[i]
		answers := make([]wire.ListOffsetsResponsePartitionResponse, 0, len(t.Partitions))
		for j := range t.Partitions {
			answer := wire.NewListOffsetsResponsePartitionResponse()
			answer.PartitionIndex = t.Partitions[j].PartitionIndex
			switch key := (fetchKey{topic: t.Name, index: answer.PartitionIndex}); {
			case double[key] && !seen[key]:
				continue // refused once
			case double[key]:
				answer.ErrorCode, seen[key] = wire.ErrInvalidRequest, false
			default:
				b.listOffset(c, asked, image, q, t.Name, &t.Partitions[j], &answer)
			}
			answers = append(answers, answer)
		}
		a.Topics = append(a.Topics, wire.ListOffsetsResponseTopicResponse{Name: t.Name, Partitions: answers})
	}
	return a
}

// readTimeout is how long a read waits to be the newest, given the client's timeout where it tells one.
func readTimeout(timeoutMs int32, told bool) time.Duration {
	if !told || timeoutMs <= 0 {
		return 5 * time.Second
	}
	return min(time.Duration(timeoutMs)*time.Millisecond, 30*time.Second)
}

// listOffset answers for one partition.
func (b *Broker) listOffset(c *call, asked confirmations, image *catalog.Image, q *wire.ListOffsetsRequest, topic string,
	p *wire.ListOffsetsRequestPartition, a *wire.ListOffsetsResponsePartitionResponse,
) {
	if !timestampKnown(p.Timestamp, c.Version) {
		a.ErrorCode = wire.ErrUnsupportedVersion
		return
	}
	at, code := b.partition(image, topic, p.PartitionIndex, p.CurrentLeaderEpoch)
	if a.ErrorCode = code; code != wire.ErrNone {
		return
	}
	if p.Timestamp != earliestOffset && p.Timestamp != earliestLocalOffset && !asked.done(at.Shard) {
		if a.ErrorCode = wire.ErrOffsetNotAvailable; c.Version < 5 {
			a.ErrorCode = wire.ErrLeaderNotAvailable
		}
		return
	}
	found, ok, err := offsetFor(at.Log, p.Timestamp, q.IsolationLevel == 1)
	switch {
	case errors.Is(err, partition.ErrDropped):
		a.ErrorCode = wire.ErrUnknownTopicOrPartition
	case errors.Is(err, partition.ErrMissing) && !b.alone(): // it is being filled
		a.ErrorCode = wire.ErrLeaderNotAvailable
	case err != nil:
		b.host.Log.Error("offset by time", "partition", at.ID, "error", err)
		a.ErrorCode = wire.ErrKafkaStorageError
	case ok:
		a.Offset, a.Timestamp, a.LeaderEpoch = found.Offset, found.Timestamp, found.Epoch
		if p.Timestamp == latestOffset {
			a.LeaderEpoch = at.LeaderEpoch // the next record's, also when the last one is of an older epoch
		}
	}
}

// timestampKnown says whether a version has the timestamp.
func timestampKnown(timestamp int64, version int16) bool {
	switch {
	case timestamp >= earliestOffset:
		return true
	case timestamp == maxTimestampOffset:
		return version >= 7
	case timestamp == earliestLocalOffset:
		return version >= 8
	case timestamp == latestTieredOffset:
		return version >= 9
	case timestamp == earliestPendingUpload:
		return version >= 11
	}
	return false
}

// offsetFor finds the offset that a timestamp stands for; false when there is none. With committed, nothing from the last
// stable offset on is found.
func offsetFor(log *partition.Log, timestamp int64, committed bool) (found partition.Position, ok bool, err error) {
	stable := log.View().LastStable
	switch timestamp {
	case latestOffset:
		found = log.Latest()
		if committed {
			found.Offset = min(found.Offset, stable)
		}
		return found, true, nil
	case earliestOffset, earliestLocalOffset:
		return log.Earliest(), true, nil
	case latestTieredOffset, earliestPendingUpload:
		return found, false, nil
	case maxTimestampOffset:
		found, ok, err = log.MaxTimestamp()
	default:
		found, ok, err = log.OffsetForTime(timestamp)
	}
	if committed && found.Offset >= stable {
		ok = false
	}
	return found, ok, err
}
