package shard

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/net/peer"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/node/ordered"
	"millrace/wal"
)

// The kinds of calls between nodes. Numbers are never given twice. Those from callFill on are of filling.
const (
	callIntroduce = 1 // formation: an introduction for an introduction
	callPropose   = 2 // a command for the catalog's leader: see forward.go
	callTransfer  = 3 // a shard to be handed to the node that asks
	callQuorum    = 4 // what the catalog's leader knows of its replicas
	callAdopted   = 5 // whether the partitions of a topic are there: see await.go
	callPositions = 6 // where partitions start and end: see positions.go
	callFill      = 32
	callFillEnd   = 40
)

// The kinds of notes between nodes.
const (
	noteLeaders   = 1
	noteHeartbeat = 2
)

// handler is what the links call. It owns nothing: what it hears goes to the shards and to the cluster's task.
type handler struct{ set *Set }

// Admit implements peer.Handler.
func (h handler) Admit(hello peer.Hello) error {
	c := h.set.cluster
	return admit(c.self.Load(), h.set.o.peerNodes(), h.set.Catalog(), hello)
}

// admit decides whether a node is let in. It is a pure function.
func admit(self *Identity, peers []int32, image *catalog.Image, hello peer.Hello) error {
	if !slices.Contains(peers, hello.Node) {
		return fmt.Errorf("node %d is not among the peers %s with which node %d was started", hello.Node, listNodes(peers), self.Node)
	}
	if !self.formed() {
		return nil
	}
	if hello.Cluster != "" && hello.Cluster != self.ClusterID {
		return fmt.Errorf("node %d belongs to cluster %s, node %d to cluster %s: check the list of peers and the data directories",
			hello.Node, hello.Cluster, self.Node, self.ClusterID)
	}
	member, ok := self.controller(hello.Node)
	if !ok {
		return fmt.Errorf("node %d is not a member of cluster %s, which was formed of the nodes %s: nodes cannot be added yet",
			hello.Node, self.ClusterID, listNodes(self.nodes()))
	}
	if member.Directory != hello.Directory && !mutant.On("wiped-node-votes") {
		return fmt.Errorf("%s", wiped(hello.Node, self.ClusterID, member.Directory))
	}
	if b, ok := image.Broker(hello.Node); ok && b.Directory == hello.Directory && b.Boots > 0 {
		switch {
		case hello.Boots < b.Boots:
			return peer.OldCopyError(fmt.Sprintf("the data directory of node %d is an old copy, or a copy of it was started meanwhile: this is its start %d, "+
				"but the cluster has seen start %d; %s", hello.Node, hello.Boots, b.Boots, peer.AdviceOnCopies))
		case hello.Boots == b.Boots && b.Incarnation != catalog.ID{} && hello.Incarnation != b.Incarnation:
			return fmt.Errorf("the data directory of node %d is a copy, and another process runs on the original: stop one of the two, and delete its copy", hello.Node)
		}
	}
	return nil
}

// Receive implements peer.Handler. Messages for shards that do not run here are dropped: they start when the catalog says
// so, and raft sends again.
func (h handler) Receive(from int32, m peer.Message) {
	shard, ok := h.set.shards.Load().Get(ordered.Int(m.Shard))
	if !ok {
		return
	}
	speaks := func(member Member) bool {
		return member.Replica == m.Raft.GetFrom() && (member.Node == from || member.Node < 0)
	}
	if !slices.ContainsFunc(shard.Members(), speaks) { // a node speaks for its own replicas only
		return
	}
	var payloads []wal.Payload
	if m.Raft.GetType() == raftpb.MsgApp { // the links have a place for one beside every entry
		payloads = make([]wal.Payload, len(m.Payloads))
		for i, p := range m.Payloads {
			payloads[i] = wal.Payload{Parts: p.Parts, Sums: p.Sums, Holds: p.Holds}
		}
	}
	shard.Receive(m.Raft, payloads)
}

// Serve implements peer.Handler.
func (h handler) Serve(from int32, kind uint8, request []byte) ([]host.Part, func(), error) {
	switch {
	case kind == callIntroduce:
		if _, err := decodeIntroduction(request); err != nil {
			return nil, nil, err
		}
		return []host.Part{{Bytes: introduce(h.set.cluster.self.Load(), &h.set.o)}}, nil, nil
	case kind == callPropose:
		answer, err := h.set.servePropose(request)
		return []host.Part{{Bytes: answer}}, nil, err
	case kind == callQuorum:
		answer, err := h.set.serveQuorum()
		return []host.Part{{Bytes: answer}}, nil, err
	case kind >= callFill && kind < callFillEnd:
		return h.set.serveFill(kind, request)
	case kind == callAdopted:
		answer, err := h.set.serveAdopted(request)
		return []host.Part{{Bytes: answer}}, nil, err
	case kind == callPositions:
		answer, err := h.set.servePositions(request)
		return []host.Part{{Bytes: answer}}, nil, err
	case kind == callTransfer:
		return nil, nil, h.set.serveTransfer(request)
	}
	return nil, nil, fmt.Errorf("this release does not know calls of kind %d", kind)
}

// Told implements peer.Handler.
func (h handler) Told(from int32, kind uint8, note []byte) {
	var err error
	switch kind {
	case noteLeaders:
		var t told
		if t.leaving, t.full, t.leaders, err = decodeLeaders(note); err == nil {
			t.from = from
			h.set.cluster.inbox.Post(t)
		}
	case noteHeartbeat:
		var b beat
		if b, err = decodeBeat(note); err == nil {
			b.node, b.at = from, h.set.host.Clock.Now()
			h.set.beats.Post(b)
		}
	}
	if err != nil {
		h.set.host.Log.Warn("a note of a peer cannot be read", "peer", from, "kind", kind, "error", err)
	}
}

// Dropped implements peer.Handler.
func (h handler) Dropped(to int32, shard uint64, m *raftpb.Message) {
	if s, ok := h.set.shards.Load().Get(ordered.Int(shard)); ok {
		s.Unreachable(to)
	}
}

// Refused is called when a peer does not let this node in.
func (h handler) Refused(node int32, reason string, oldCopy bool) {
	h.set.cluster.inbox.Post(shutOut{node, reason, oldCopy})
}

// Up implements peer.Handler.
func (h handler) Up(node int32, _ peer.Hello) { h.set.cluster.inbox.Post(up{node}) }

// Down implements peer.Handler.
func (h handler) Down(node int32) { h.set.cluster.inbox.Post(down{node}) }

// carrier is how shards send to other nodes.
type carrier struct{ set *Set }

// Send implements Peers.
func (c carrier) Send(shard uint64, node int32, m *raftpb.Message, payloads []Carried) bool {
	out := peer.Message{Shard: shard, Raft: m}
	if len(payloads) > 0 {
		out.Payloads = make([]peer.Payload, len(payloads))
	}
	for i, p := range payloads {
		switch size := p.Payload.Size(); {
		case size > 0:
			out.Payloads[i] = peer.Payload{Size: size, Parts: p.Payload.Parts, Sums: p.Payload.Sums, Holds: p.Payload.Holds}
		case p.At.Size() > 0:
			at := p.At
			out.Payloads[i] = peer.Payload{Size: at.Size(), Load: func() (*host.Buffer, error) { return c.set.wal.ReadPayload(at) }}
		}
	}
	return c.set.links.Send(node, out)
}
