package node

import (
	"time"

	"millrace/net/wire"
)

// initProducerID gives an idempotent producer an id that nobody else has, with epoch 0.
//
// Versions: 3 may carry an id and epoch that the producer has had; without transactions they earn a new id, as in Kafka.
// With a transactional id the answer is UNSUPPORTED_VERSION, see findCoordinator.
func (b *Broker) initProducerID(c *call, q *wire.InitProducerIdRequest) wire.Message {
	a := wire.NewInitProducerIdResponse()
	a.ProducerId, a.ProducerEpoch = -1, -1
	switch {
	case q.TransactionalId != nil && *q.TransactionalId == "", (q.ProducerId < 0) != (q.ProducerEpoch < 0):
		a.ErrorCode = wire.ErrInvalidRequest
		return a
	case q.TransactionalId != nil:
		a.ErrorCode = wire.ErrUnsupportedVersion
		return a
	}
	id := b.producers.take(c, c.now().Add(10*time.Second))
	if a.ErrorCode = id.err; id.err == wire.ErrNone {
		a.ProducerId, a.ProducerEpoch = id.id, 0
	}
	return a
}
