package node

import "millrace/net/wire"

// HeldTo is where the replica of a partition ends that this node has, as far as it has applied it; -1 without one.
func (b *Broker) HeldTo(topic wire.UUID, index int32) int64 {
	found, code := b.set.Follow(topic, index)
	if code != wire.ErrNone {
		return -1
	}
	return found.Log.View().End
}
