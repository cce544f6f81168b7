package node

import (
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/shard"
)

// cluster is what the broker asks about the other nodes and who leads. *shard.Set answers it; tests make answers up.
type cluster interface {
	// PartitionLeader is who leads a partition as far as this node has heard: with its epoch and the replicas in sync.
	// False when nobody is known to, or who was known is gone.
	PartitionLeader(t *catalog.Topic, index int) (node, epoch int32, inSync []int32, ok bool)
	// Alive says that a node was heard of lately; this one always is.
	Alive(node int32) bool
	// Controller is the node that leads the catalog, -1 when none is known.
	Controller() int32
	// Lookup finds a partition that this node leads, Follow one that it has a replica of, leading or not.
	Lookup(topic [16]byte, index int32) (shard.Partition, wire.ErrorCode)
	Follow(topic [16]byte, index int32) (shard.Partition, wire.ErrorCode)
	// Watch wakes w when who leads, who is alive or what is here may have changed, until Unwatch.
	Watch(w host.Waiter)
	Unwatch(w host.Waiter)
	// ReadCatalog is the catalog with every change that was answered before the call.
	ReadCatalog(deadline host.Instant) (*catalog.Image, wire.ErrorCode)
	// Quorum tells how far the replicas of the catalog are.
	Quorum(deadline host.Instant) (shard.Quorum, wire.ErrorCode)
	// ElectPreferred makes the first of a partition's replicas lead it, with all partitions of its shard.
	ElectPreferred(t *catalog.Topic, index int, deadline host.Instant) (wire.ErrorCode, string)
}

// leadership is who leads a partition and which replicas are in sync or gone, as clients are told.
type leadership struct {
	leader, epoch   int32
	inSync, offline []int32
	code            wire.ErrorCode
}

// leadership asks what is known here: it is never waited for. present is what the function of that name says.
func (b *Broker) leadership(present []int32, t *catalog.Topic, index int) leadership {
	replicas := t.Partitions[index].Replicas
	l := leadership{leader: -1, epoch: -1, code: wire.ErrLeaderNotAvailable}
	node, epoch, inSync, ok := b.cluster.PartitionLeader(t, index)
	if ok && slices.Contains(present, node) {
		l.leader, l.epoch, l.code = node, epoch, wire.ErrNone
	} else {
		inSync = present // without a leader nobody decides who is in sync: those that could lead are shown
	}
	for _, node := range replicas { // in the order in which Kafka lists them
		if !slices.Contains(present, node) {
			l.offline = append(l.offline, node)
		}
		if node == l.leader || slices.Contains(inSync, node) {
			l.inSync = append(l.inSync, node)
		}
	}
	return l
}

// findLeader bounds how long an answer that tells who leads waits for that to be known. An election is quicker, and a
// client that is told nothing looks for the leader itself, with pauses that are longer.
const findLeader = 500 * time.Millisecond

// awaitLeader is leadership that waits until somebody leads, or until the deadline.
func (c *call) awaitLeader(image *catalog.Image, t *catalog.Topic, index int, deadline host.Instant) leadership {
	b := c.broker
	b.cluster.Watch(c.waiter)
	defer b.cluster.Unwatch(c.waiter)
	for {
		l := b.leadership(b.present(image), t, index)
		if l.leader >= 0 || b.alone() || c.ending() || !c.waiter.WaitUntil(deadline) {
			return l
		}
	}
}

// present lists the nodes that clients may be sent to, by id: they are registered, not fenced, and were heard of lately.
func (b *Broker) present(image *catalog.Image) []int32 {
	var list []int32
	for _, r := range image.Brokers.All {
		if r.Node == b.config.NodeID || !r.Fenced && b.cluster.Alive(r.Node) {
			list = append(list, r.Node)
		}
	}
	return list
}

// freshRead bounds how long a read waits to be the newest.
const freshRead = time.Second

// newestCatalog is the catalog with every change that was answered before, by whichever node. When its leader does not
// say so in time it is what is known here, which is more use to who asks than no answer.
func (c *call) newestCatalog() *catalog.Image {
	b := c.broker
	if !b.alone() {
		image, code := b.cluster.ReadCatalog(c.now().Add(freshRead))
		if code == wire.ErrNone {
			return image
		}
	}
	return b.set.Catalog()
}

// decidingCatalog is the catalog for who decides on it whether a change can be made: with every change that was answered
// before. Unlike newestCatalog it does not do with less.
func (c *call) decidingCatalog(deadline host.Instant) (*catalog.Image, catalog.Result) {
	b := c.broker
	if b.alone() {
		return b.set.Catalog(), catalog.Result{}
	}
	image, code := b.cluster.ReadCatalog(deadline)
	if code != wire.ErrNone {
		return nil, catalog.Result{Error: code, Message: "the leader of the catalog did not answer in time"}
	}
	return image, catalog.Result{}
}

// controller is the node that clients are told to send changes to. Any does, since all forward them.
func (b *Broker) controller() int32 {
	if node := b.cluster.Controller(); node >= 0 {
		return node
	}
	return b.config.NodeID
}

// alone says that the cluster is this node, which then needs no address of its own: each client knows one.
func (b *Broker) alone() bool { return len(b.config.Peers) <= 1 }

// address is what a client on this connection is told to connect to for this node.
func (c *call) address() (name string, port int32) {
	addr := c.Connection.LocalAddr
	if c.broker.config.Advertise != "" {
		addr = c.broker.config.Advertise
	}
	name, port, err := splitAddress(addr)
	if err != nil {
		return addr, 0
	}
	return name, port
}

// endpoint is a broker as clients see it.
type endpoint struct {
	node   int32
	host   string
	port   int32
	rack   string
	fenced bool
}

// endpoints lists the brokers, by id.
func (c *call) endpoints(image *catalog.Image) []endpoint {
	var list []endpoint
	for _, b := range image.Brokers.All {
		list = append(list, c.endpoint(b))
	}
	return list
}

func (c *call) endpoint(b *catalog.Broker) endpoint {
	e := endpoint{node: b.Node, rack: b.Rack, fenced: b.Fenced}
	if b.Node == c.broker.config.NodeID && c.broker.alone() {
		e.host, e.port = c.address()
	} else if len(b.Listeners) > 0 {
		e.host, e.port = b.Listeners[0].Host, int32(b.Listeners[0].Port)
	}
	return e
}

// leaders collects the brokers that an answer names as leaders, each once (KIP-951).
type leaders []endpoint

// add notes a leader and says whether clients may be told.
func (l *leaders) add(c *call, image *catalog.Image, node int32) bool {
	if node < 0 {
		return false
	}
	if slices.ContainsFunc(*l, func(e endpoint) bool { return e.node == node }) {
		return true
	}
	registered, ok := image.Broker(node)
	if ok {
		*l = append(*l, c.endpoint(registered))
	}
	return ok
}

// readReplica is the node that a client of a rack should read a partition from, -1 when that is the leader, which asks. As
// Kafka's RackAwareReplicaSelector does, it stays with the leader when that is in the rack, or nobody in sync is.
func (b *Broker) readReplica(image *catalog.Image, t *catalog.Topic, index int32, rack string) int32 {
	if !b.rackAware || rack == b.config.Rack {
		return -1
	}
	_, _, inSync, ok := b.cluster.PartitionLeader(t, int(index))
	if !ok {
		return -1
	}
	var list []int32
	for _, node := range t.Partitions[index].Replicas {
		r, registered := image.Broker(node)
		if registered && node != b.config.NodeID && r.Rack == rack && !r.Fenced && slices.Contains(inSync, node) && b.cluster.Alive(node) {
			list = append(list, node)
		}
	}
	if len(list) == 0 {
		return -1
	}
	return list[int(index)%len(list)] // so that the replicas of one rack share the work
}
