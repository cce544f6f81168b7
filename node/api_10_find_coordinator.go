package node

import (
	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/group"
)

// Kinds of coordinators.
const (
	groupCoordinator       int8 = 0
	transactionCoordinator int8 = 1
	shareCoordinator       int8 = 2
)

// noTransactions is what clients are told who ask for transactions.
const noTransactions = "transactions are not supported by this broker"

// findCoordinator answers which broker coordinates a group: the one that leads the group's partition of the topic of
// committed offsets. It makes that topic when it is not there yet, and answers only when that can be used.
//
// Versions: 1 asks for kinds of coordinators, 4 for many keys at once, 6 for share groups. To who asks for a transaction
// coordinator the answer is UNSUPPORTED_VERSION with a sentence: clients take that as final, where
// COORDINATOR_NOT_AVAILABLE would make a transactional producer try for a minute for nothing. The same is answered by
// InitProducerId. Other kinds are INVALID_REQUEST, as in Kafka.
func (b *Broker) findCoordinator(c *call, q *wire.FindCoordinatorRequest) wire.Message {
	a := wire.NewFindCoordinatorResponse()
	code, message := b.coordinatorReady(c, q.KeyType)
	image := b.set.Catalog()
	present := b.present(image)
	one := func(key string) wire.FindCoordinatorResponseCoordinator {
		f := wire.NewFindCoordinatorResponseCoordinator()
		f.Key, f.ErrorCode, f.NodeId, f.Port, f.ErrorMessage = key, code, -1, -1, &message
		if code != wire.ErrNone {
			return f
		}
		e, ok := c.coordinator(image, present, key)
		if f.NodeId, f.Host, f.Port = e.node, e.host, e.port; !ok {
			f.ErrorCode, f.NodeId, f.Port = wire.ErrCoordinatorNotAvailable, -1, -1
		}
		return f
	}
	if c.Version >= 4 {
		for _, key := range q.CoordinatorKeys {
			a.Coordinators = append(a.Coordinators, one(key))
		}
		return a
	}
	f := one(q.Key)
	a.ErrorCode, a.ErrorMessage, a.NodeId, a.Host, a.Port = f.ErrorCode, f.ErrorMessage, f.NodeId, f.Host, f.Port
	if f.ErrorCode == wire.ErrNone {
		a.ErrorMessage = text("NONE") // as Kafka's brokers say
	}
	return a
}

func (b *Broker) coordinatorReady(c *call, kind int8) (wire.ErrorCode, string) {
	switch kind {
	case groupCoordinator:
	case transactionCoordinator:
		return wire.ErrUnsupportedVersion, noTransactions
	case shareCoordinator:
		return wire.ErrInvalidRequest, ""
	default:
		return wire.ErrInvalidRequest, malformedRequest
	}
	return b.ensureOffsetsTopic(c), ""
}

// coordinator is the broker that coordinates a group; false when none does now.
func (c *call) coordinator(image *catalog.Image, present []int32, groupID string) (endpoint, bool) {
	b := c.broker
	topic, ok := image.Topic(offsetsTopic)
	n := b.groups.partitions()
	if !ok || n == 0 || n > len(topic.Partitions) {
		return endpoint{}, false
	}
	l := b.leadership(present, topic, int(group.PartitionOf(groupID, int32(n))))
	registered, ok := image.Broker(l.leader)
	if !ok {
		return endpoint{}, false
	}
	return c.endpoint(registered), true
}
