package node

import (
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

// turnedAway are the batches of idempotent producers that were refused on a connection because their partition is not
// served here, or not yet. Producers send several batches without waiting: the next one may come when the partition is
// served. The partition does not know the producer then, lets it begin at any sequence, and the retry of the first batch
// would be out of order for ever. So what comes after a refused batch is refused, too, by a partition that does not know
// its producer, until that one has come again. It may have come again elsewhere, and leadership may be here by now: then the
// partition knows the producer, and its sequence decides.
//
// It belongs to the read task.
type turnedAway map[turnedAwayKey]turnedAwayBatch

type turnedAwayKey struct {
	topic    string
	id       wire.UUID
	index    int32
	producer int64
	epoch    int16
}

type turnedAwayBatch struct {
	sequence int32
	until    host.Instant
}

const (
	// turnedAwayTime bounds how long a refusal stands: a producer that gives a batch up goes on with another epoch, but
	// one that does not must not be refused for ever.
	turnedAwayTime = 10 * time.Second
	// mostTurnedAway bounds how many are remembered for a connection.
	mostTurnedAway = 1024
)

// turnsAway says that a refused batch will be sent again.
func turnsAway(code wire.ErrorCode) bool {
	switch code {
	case wire.ErrNotLeaderOrFollower, wire.ErrLeaderNotAvailable, wire.ErrUnknownTopicOrPartition, wire.ErrUnknownTopicId:
		return true
	}
	return false
}

// noteTurnedAway remembers a refused batch.
func (k *client) noteTurnedAway(key turnedAwayKey, records []byte, now host.Instant) {
	h, err := batch.Parse(records)
	if err != nil || !h.Idempotent() || mutant.On("produce-after-refused") {
		return
	}
	key.producer, key.epoch = h.ProducerID, h.ProducerEpoch
	was, ok := k.turnedAway[key]
	if ok && was.until > now && was.sequence < h.BaseSequence {
		return
	}
	if k.turnedAway == nil || len(k.turnedAway) >= mostTurnedAway {
		k.turnedAway = make(turnedAway)
	}
	k.turnedAway[key] = turnedAwayBatch{h.BaseSequence, now.Add(turnedAwayTime)}
}

// followsTurnedAway says that a batch comes after one that was refused and has not come again.
func (k *client) followsTurnedAway(key turnedAwayKey, h *batch.Header, now host.Instant) bool {
	if len(k.turnedAway) == 0 || !h.Idempotent() {
		return false
	}
	key.producer, key.epoch = h.ProducerID, h.ProducerEpoch
	was, ok := k.turnedAway[key]
	if !ok {
		return false
	}
	if was.until > now && was.sequence < h.BaseSequence {
		return true
	}
	delete(k.turnedAway, key)
	return false
}
