package node

import (
	"fmt"

	"millrace/net/wire"
	"millrace/node/catalog"
)

// unregisterBroker forgets a broker that has gone for good (KIP-500), so that it is neither listed nor chosen for replicas.
// One that is alive is refused, since it would register again at once.
func (b *Broker) unregisterBroker(c *call, q *wire.UnregisterBrokerRequest) wire.Message {
	a := wire.NewUnregisterBrokerResponse()
	result := b.set.Change(catalog.UnregisterBroker{Node: q.BrokerId}, c.changeDeadline(0))
	a.ErrorCode, a.ErrorMessage = result.Error, &result.Message
	if a.ErrorCode == wire.ErrBrokerIdNotRegistered {
		a.ErrorMessage = text(fmt.Sprintf("Broker ID %d is not currently registered", q.BrokerId))
	}
	return a
}
