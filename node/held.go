package node

import (
	"slices"

	"millrace/net/peer"
	"millrace/net/wire"
)

// HeldTo is where the replica of a partition ends that this node has, as far as it has applied it; -1 without one.
func (b *Broker) HeldTo(topic wire.UUID, index int32) int64 {
	found, code := b.set.Follow(topic, index)
	if code != wire.ErrNone {
		return -1
	}
	return found.Log.View().End
}

// Reached says that another node has let this one in since it started, and so knows of this start.
func (b *Broker) Reached(node int32) bool {
	links := b.set.Links()
	return links != nil && slices.ContainsFunc(links.Numbers(), func(n peer.Numbers) bool {
		return n.Node == node && slices.ContainsFunc(n.Streams, func(s peer.StreamNumbers) bool { return s.Connections > 0 })
	})
}
