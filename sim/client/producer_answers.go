package client

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"millrace/net/wire"
)

// identify gets a producer id, or a new epoch of it; false when that failed for now.
func (p *Producer) identify() bool {
	if len(p.flying) > 0 {
		return false
	}
	if p.bump() {
		return true
	}
	m := wire.NewInitProducerIdRequest()
	m.TransactionTimeoutMs = 60_000
	m.ProducerId, m.ProducerEpoch = p.id, p.epoch
	answer, err := p.c.Do(p.c.Any(), m)
	if err == nil {
		r := answer.(*wire.InitProducerIdResponse)
		if err = r.ErrorCode.Err(); err == nil {
			if r.ProducerId == p.id && r.ProducerEpoch <= p.epoch || r.ProducerId < 0 || r.ProducerEpoch < 0 {
				p.c.violated(&Violation{fmt.Sprintf("InitProducerId of %d/%d gave %d/%d", p.id, p.epoch, r.ProducerId, r.ProducerEpoch)})
			}
			p.id, p.epoch = r.ProducerId, r.ProducerEpoch
		} else if !r.ErrorCode.Retriable() {
			p.id, p.epoch = -1, -1 // begin anew
		}
	}
	if err != nil {
		p.attempt++
		p.c.h.Clock.Sleep(backoff(p.attempt))
		return false
	}
	p.c.h.Log.Debug("producer id", "client", p.c.o.Name, "id", p.id, "epoch", p.epoch)
	p.renew()
	return true
}

// renew lets sequences begin anew. What may have been appended under the old ones cannot be sent again under new ones, unless as
// a copy.
func (p *Producer) renew() {
	p.stale = false
	p.sessions++
	clear(p.sequences)
	p.rd.renew()
	var queue []*Batch
	for _, b := range p.queue {
		if b.sequenced && b.ambiguous {
			if b = p.again(b, b.Err); b == nil {
				continue
			}
		}
		b.sequenced, b.bytes, b.renewed = false, nil, p.o.Rules == Librdkafka
		queue = append(queue, b)
	}
	p.queue = queue
}

// requeue puts batches back into their places.
func (p *Producer) requeue(batches []*Batch, err error, ambiguous bool) {
	now := p.c.h.Clock.Now()
	for _, b := range batches {
		b.Err = err
		b.ambiguous = b.ambiguous || ambiguous
		b.retryAt = now.Add(p.backoff(b))
		p.unchecked[b.Topic] = true
		p.queue = append(p.queue, b)
	}
	slices.SortFunc(p.queue, func(a, b *Batch) int { return cmp.Compare(a.order, b.order) })
}

// settle takes the answer to a request.
func (p *Producer) settle(r *request, answer Answer) {
	if p.o.Acks == 0 {
		for _, b := range r.batches {
			b.ambiguous = true
			p.finish(b, Unknown, nil)
		}
		return
	}
	if answer.Err != nil {
		p.unanswered(r.batches, answer.Err)
		return
	}
	p.attempt = 0
	response := answer.Message.(*wire.ProduceResponse)
	for _, b := range r.batches {
		part := find(response, b)
		if part == nil {
			p.c.violated(&Violation{fmt.Sprintf("Produce: no answer for %s-%d", b.Topic, b.Partition)})
			p.unanswered([]*Batch{b}, ErrUnanswered)
			continue
		}
		b.Local, b.Correlation = r.call.conn.c.LocalAddr(), r.call.correlation
		p.settleOne(b, part)
	}
}

// unanswered is what follows a lost request: an idempotent producer sends it again, another one must not.
func (p *Producer) unanswered(batches []*Batch, err error) {
	if p.o.Rules == Librdkafka {
		p.retry(batches, err, true)
		return
	}
	if p.o.Idempotent {
		p.requeue(batches, err, true)
		return
	}
	for _, b := range batches {
		p.finish(b, Unknown, err)
	}
}

func find(m *wire.ProduceResponse, b *Batch) *wire.ProduceResponsePartitionProduceResponse {
	for i := range m.Responses {
		t := &m.Responses[i]
		if t.Name != b.Topic && (t.TopicId.IsZero() || t.TopicId != b.topic) {
			continue
		}
		for j := range t.PartitionResponses {
			if t.PartitionResponses[j].Index == b.Partition {
				return &t.PartitionResponses[j]
			}
		}
	}
	return nil
}

func (c *Client) topicID(name string) wire.UUID {
	if t := c.topics[name]; t != nil {
		return t.ID
	}
	return wire.UUID{}
}

// settleOne takes the answer for one batch.
func (p *Producer) settleOne(b *Batch, r *wire.ProduceResponsePartitionProduceResponse) {
	code := r.ErrorCode
	if code != wire.ErrNone {
		p.c.h.Log.Debug("produce", "client", p.c.o.Name, "topic", b.Topic, "partition", b.Partition, "sequence", b.sequence,
			"attempts", b.Attempts, "code", code.String())
	}
	if p.o.Rules == Librdkafka {
		p.conclude(b, r)
		return
	}
	switch {
	case code == wire.ErrNone:
		b.Offset, b.Time = r.BaseOffset, r.LogAppendTimeMs
		p.finish(b, Acked, nil)
	case code == wire.ErrDuplicateSequenceNumber && p.o.Idempotent:
		p.finish(b, Acked, nil)
	case code == wire.ErrOutOfOrderSequenceNumber && p.o.Idempotent && p.waitsBefore(b):
		p.requeue([]*Batch{b}, code, false) // it overtook one that is sent again
	case code.Retriable() && (p.o.Idempotent || p.o.Retries && definite(code)):
		p.requeue([]*Batch{b}, code, !definite(code))
	default:
		p.checkState(b, code)
		if p.o.Idempotent {
			p.stale = true // its sequence will never come
		}
		b.ambiguous = b.ambiguous || !definite(code)
		p.giveUp(b, code)
	}
}

// checkState: everything before it has its outcome, and no sequence was given up; if the broker does not know the sequence, it has
// forgotten.
func (p *Producer) checkState(b *Batch, code wire.ErrorCode) {
	refused := p.tooLarge(b) && b.Attempts > 1
	if p.o.Idempotent && !p.stale && aboutState(code) && !refused {
		p.c.violated(&Violation{fmt.Sprintf("Produce to %s-%d, producer %d/%d, sequence %d: %v", b.Topic, b.Partition, b.producer, b.epoch, b.sequence, code)})
	}
}

// waitsBefore says whether an earlier batch of the partition has no outcome yet.
func (p *Producer) waitsBefore(b *Batch) bool {
	earlier := func(o *Batch) bool { return o.lane() == b.lane() && o.order < b.order }
	return slices.ContainsFunc(p.queue, earlier) || slices.ContainsFunc(p.flying, func(r *request) bool {
		return slices.ContainsFunc(r.batches, earlier)
	})
}

// definite says that an error code promises that nothing was appended, and nothing will be.
func definite(code wire.ErrorCode) bool {
	switch code {
	case wire.ErrRequestTimedOut, wire.ErrNotEnoughReplicasAfterAppend, wire.ErrUnknownServerError, wire.ErrNetworkException,
		wire.ErrKafkaStorageError:
		return false
	}
	return true
}

// aboutState says that an error code is about what the broker knows of a producer.
func aboutState(code wire.ErrorCode) bool {
	return code == wire.ErrOutOfOrderSequenceNumber || code == wire.ErrUnknownProducerId || code == wire.ErrInvalidProducerEpoch
}

// IsCode says whether err is the code, or wraps it.
func IsCode(err error, code wire.ErrorCode) bool {
	var c wire.ErrorCode
	return errors.As(err, &c) && c == code
}
