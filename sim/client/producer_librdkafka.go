package client

import (
	"math"
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/partition/batch"
)

// Rules say whose conclusions a producer draws.
type Rules string

// The rules that there are. They differ in what brokers get to see.
const (
	// Java is the client of Apache Kafka: one request for all partitions of a broker, what is sent again goes alone, a new epoch
	// is asked for.
	Java Rules = ""
	// Librdkafka has a request for each batch. What failed goes back to its place, and when nothing of its partition is under way
	// any more it goes again together with what follows it. After a gap, which a batch that was not sent in time makes too, it waits
	// for all that is under way and then counts its epoch up by itself. A plain producer sends again what may be there already.
	Librdkafka Rules = "librdkafka"
)

// librdkafka is what a producer by its rules knows of partitions besides.
type librdkafka struct {
	draining map[lane]bool  // nothing is sent as long as something is under way
	expected map[lane]int32 // the sequence that is to be acknowledged next
	fatal    bool           // nothing can be said of its batches any more: an application makes a new producer
}

func newLibrdkafka() librdkafka {
	return librdkafka{draining: make(map[lane]bool), expected: make(map[lane]int32)}
}

func (r *librdkafka) renew() {
	clear(r.expected)
	r.fatal = false
}

// bump counts the epoch up after a gap, without asking anybody; false when an id is to be asked for.
func (p *Producer) bump() bool {
	if p.o.Rules != Librdkafka || p.id < 0 || !p.stale {
		return false
	}
	if p.rd.fatal || p.epoch == math.MaxInt16 {
		p.id, p.epoch = -1, -1
		return false
	}
	p.epoch++
	p.reached("epoch counted up")
	p.c.h.Log.Debug("producer id", "client", p.c.o.Name, "id", p.id, "epoch", p.epoch)
	p.renew()
	return true
}

// pickOne chooses the first batch that may be sent.
func (p *Producer) pickOne(now host.Instant) (addr string, take []*Batch) {
	blocked := make(map[lane]bool)
	for _, b := range p.queue {
		l, leader := b.lane(), p.c.Leader(b.Topic, b.Partition)
		if blocked[l] {
			continue
		}
		flying := p.o.Idempotent && p.isFlying(l)
		if !flying {
			delete(p.rd.draining, l)
		}
		switch {
		case leader == "":
			p.unchecked[b.Topic] = true
		case b.retryAt > now, p.rd.draining[l], flying && p.fliesElsewhere(l, leader):
		case p.flyingTo(leader) >= p.o.InFlight, p.interrupted(leader):
		default:
			return leader, []*Batch{b}
		}
		blocked[l] = true // nothing behind it overtakes
	}
	return "", nil
}

// The time between attempts: retry.backoff.ms, retry.backoff.max.ms, and a fifth more or less.
const (
	leastBackoff  = 20 * time.Millisecond
	mostBackoff   = time.Second
	backoffJitter = 20
)

// backoff is the time before a batch is sent again.
func (p *Producer) backoff(b *Batch) time.Duration {
	if p.o.Rules != Librdkafka {
		return backoff(b.Attempts)
	}
	percent := 100 - backoffJitter + p.c.h.Random.Uint64("backoff/"+p.c.o.Name)%(2*backoffJitter+1)
	return min(mostBackoff, leastBackoff<<min(max(b.Attempts-1, 0), 10)*time.Duration(percent)/100)
}

// retry puts batches back to their places. Those of a plain producer that may be there already go as copies.
func (p *Producer) retry(batches []*Batch, err error, ambiguous bool) {
	for _, b := range batches {
		if p.o.Idempotent {
			p.rd.draining[b.lane()] = true
		} else if ambiguous {
			b.ambiguous = true
			attempts := b.Attempts
			if b = p.again(b, err); b == nil {
				continue
			}
			b.Attempts = attempts // for the backoff
			b.renewed = true
		}
		p.requeue([]*Batch{b}, err, p.o.Idempotent && ambiguous)
	}
}

// again ends a batch of which nobody knows, and returns the copy that takes its place, nil without one.
func (p *Producer) again(b *Batch, err error) *Batch {
	var copied *Batch
	if p.o.Again != nil {
		copied = p.o.Again(b)
		copied.order, copied.created, copied.retryAt, copied.Err = b.order, b.created, b.retryAt, err
		copied.Offset, copied.Time, copied.first, copied.producer, copied.epoch = -1, -1, -1, -1, -1
		copied.sequence = batch.NoSequence
		p.reached("sent again as a copy")
	}
	p.finish(b, Unknown, err)
	return copied
}

// conclude takes the answer for one batch, as rd_kafka_handle_Produce_error and its idempotent sisters do.
func (p *Producer) conclude(b *Batch, r *wire.ProduceResponsePartitionProduceResponse) {
	code := r.ErrorCode
	switch {
	case code == wire.ErrNone:
		b.Offset, b.Time = r.BaseOffset, r.LogAppendTimeMs
		p.succeeded(b)
	case code == wire.ErrDuplicateSequenceNumber && p.o.Idempotent:
		p.succeeded(b)
	case code == wire.ErrOutOfOrderSequenceNumber && p.o.Idempotent && b.sequence != p.rd.expected[b.lane()]:
		// It overtook one that failed. It certainly is not there.
		if !p.waitsBefore(b) {
			p.checkState(b, code)
		}
		p.stale = true
		p.retry([]*Batch{b}, code, false)
	case code == wire.ErrUnknownProducerId && p.o.Idempotent && b.Attempts == 1 && !p.waitsBefore(b):
		p.checkState(b, code)
		p.stale = true
		p.retry([]*Batch{b}, code, false)
	case (code == wire.ErrOutOfOrderSequenceNumber || code == wire.ErrUnknownProducerId) && p.o.Idempotent:
		p.checkState(b, code)
		p.reached("cannot go on")
		p.stale, p.rd.fatal = true, true
		b.ambiguous = true
		p.giveUp(b, code)
	case retried(code):
		p.retry([]*Batch{b}, code, !definite(code))
	default:
		p.checkState(b, code)
		p.stale = p.stale || p.o.Idempotent
		b.ambiguous = b.ambiguous || !definite(code)
		p.giveUp(b, code)
	}
}

// succeeded acknowledges a batch, and with it those before it whose sequences the broker must have, since it took this one.
func (p *Producer) succeeded(b *Batch) {
	if p.o.Idempotent {
		p.rd.expected[b.lane()] = batch.AddSequence(b.sequence, int32(len(b.Records)))
		p.queue = slices.DeleteFunc(p.queue, func(o *Batch) bool {
			if o.lane() != b.lane() || o.order > b.order || !o.sequenced || o.producer != b.producer || o.epoch != b.epoch || p.tooLarge(o) {
				return false
			}
			p.reached("acknowledged by a later one")
			p.finish(o, Acked, nil)
			return true
		})
	}
	p.finish(b, Acked, nil)
}

func (p *Producer) reached(what string) {
	if p.o.Reached != nil {
		p.o.Reached(what)
	}
}

// tooLarge says that some brokers refuse a batch for good.
func (p *Producer) tooLarge(b *Batch) bool { return p.o.Refused > 0 && len(b.bytes) > p.o.Refused }

// retried are the codes after which librdkafka sends again.
func retried(code wire.ErrorCode) bool {
	switch code {
	case wire.ErrLeaderNotAvailable, wire.ErrNotLeaderOrFollower, wire.ErrBrokerNotAvailable, wire.ErrReplicaNotAvailable,
		wire.ErrCoordinatorNotAvailable, wire.ErrNotCoordinator, wire.ErrUnknownTopicOrPartition, wire.ErrUnknownTopicId, wire.ErrKafkaStorageError, // after new metadata
		wire.ErrRequestTimedOut, wire.ErrNotEnoughReplicas, wire.ErrNotEnoughReplicasAfterAppend, wire.ErrCorruptMessage,
		wire.ErrCoordinatorLoadInProgress:
		return true
	}
	return false
}
