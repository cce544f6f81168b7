package shard

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/partition"
	"millrace/partition/batch"
)

// turnedAway are the batches of idempotent producers that this leader refused and that will come again. Producers send
// several batches without waiting: the next one may come when what the refusal was for is over. A partition that does not
// know the producer lets it begin at any sequence, and the first batch would be out of order for ever. So what comes behind
// a refused batch is refused, too, by a partition that does not know its producer, until that one has come again. (What is
// refused before it reaches a shard is remembered by its connection: see package node.)
type turnedAway map[turnedAwayKey]turnedAwayBatch

type turnedAwayKey struct {
	partition partition.ID
	producer  int64
	epoch     int16
}

type turnedAwayBatch struct {
	sequence int32
	until    host.Instant
}

const (
	// turnedAwayTime bounds how long a refusal stands: a producer that gives a batch up goes on with another epoch, but one
	// that does not must not be refused for ever.
	turnedAwayTime = 10 * time.Second
	// mostTurnedAway bounds how many are remembered in a shard.
	mostTurnedAway = 1024
)

// turnAway remembers a batch that is refused.
func (r *replica) turnAway(p partition.ID, producer int64, epoch int16, sequence int32) {
	if mutant.On("shard-takes-after-refused") {
		return
	}
	now := r.host.Clock.Now()
	key := turnedAwayKey{p, producer, epoch}
	was, ok := r.turned[key]
	if ok && was.until > now && was.sequence < sequence {
		return
	}
	if r.turned == nil || len(r.turned) >= mostTurnedAway {
		r.turned = make(turnedAway)
	}
	r.turned[key] = turnedAwayBatch{sequence, now.Add(turnedAwayTime)}
}

// turnAwayRequest is turnAway for the batch of a request, if it is one that has a sequence.
func (r *replica) turnAwayRequest(q *request) {
	if b := &q.batch; q.kind == kindBatch && b.Idempotent() {
		r.turnAway(q.partition, b.ProducerID, b.ProducerEpoch, b.BaseSequence)
	}
}

// turnAwayEntry is turnAway for the batches of an entry that another leader's replaced: this node may lead again before the
// producer hears of it.
func (r *replica) turnAwayEntry(e *raftpb.Entry) {
	entry, err := readEntry(e.GetData())
	if err != nil || mutant.On("shard-takes-after-superseded") {
		return
	}
	var rec record
	for more := true; more; {
		if more, err = entry.next(&rec); err != nil || !more {
			return
		}
		if rec.kind == kindBatch && rec.producerID != batch.NoProducer {
			r.turnAway(rec.partition, rec.producerID, rec.producerEpoch, rec.baseSequence)
		}
	}
}

// followsTurnedAway says that a batch comes behind one that was refused and has not come again.
func (r *replica) followsTurnedAway(q *request) bool {
	if len(r.turned) == 0 {
		return false
	}
	key := turnedAwayKey{q.partition, q.batch.ProducerID, q.batch.ProducerEpoch}
	was, ok := r.turned[key]
	if !ok {
		return false
	}
	if was.until > r.host.Clock.Now() && was.sequence < q.batch.BaseSequence {
		return true
	}
	delete(r.turned, key)
	return false
}
