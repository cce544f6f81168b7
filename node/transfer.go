package node

import "millrace/net/wire"

// Transfer moves the leadership of a partition, and of all that share its shard, from this node to another one, or with -1 to
// the one that is nearest to have everything. It returns false when this node does not lead it. Nothing waits for it.
func (b *Broker) Transfer(topic wire.UUID, index, to int32) bool {
	found, code := b.set.Lookup(topic, index)
	if code != wire.ErrNone {
		return false
	}
	found.Shard.Transfer(to)
	return true
}
