package shard

import (
	"errors"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
	"millrace/wal"
)

// groupPeers is the Peers of one life of a node.
type groupPeers struct {
	n     *groupNode
	boots int
}

func (p *groupPeers) Send(_ uint64, node int32, m *raftpb.Message, payloads []Carried) bool {
	g := p.n.g
	to := g.nodes[node-1]
	if p.n.suspected[to.index] {
		return false
	}
	g.sent[m.GetType()]++
	if g.swallowed != raftpb.MsgHup && m.GetType() == g.swallowed {
		return true
	}
	var bytes [][]byte
	for i, c := range payloads {
		if c.Payload.Size() == 0 && c.At.Size() > 0 {
			p.n.node.Go("load", func() { p.load(to, m, payloads, bytes, i) })
			return true
		}
		bytes = append(bytes, slices.Concat(c.Payload.Parts...))
	}
	g.carry(p.n, to, m, bytes)
	return true
}

// load reads the payloads that are in the write-ahead log only. Those in memory were copied before.
func (p *groupPeers) load(to *groupNode, m *raftpb.Message, payloads []Carried, bytes [][]byte, from int) {
	for _, c := range payloads[from:] {
		b, err := p.n.wal.ReadPayload(c.At)
		if err != nil {
			if !errors.Is(err, wal.ErrGone) {
				p.n.g.fail("node %d: read entry for a peer: %w", p.n.index+1, err)
			}
			p.n.shard.Unreachable(int32(to.index + 1))
			return
		}
		bytes = append(bytes, slices.Clone(b.Bytes()))
		b.Release()
	}
	p.n.g.carry(p.n, to, m, bytes)
}

// carry delivers a message at some time, perhaps.
func (g *group) carry(from, to *groupNode, m *raftpb.Message, bytes [][]byte) {
	times := 1
	if g.draws.Chance(g.doubled) {
		times = 2
	}
	for range times {
		if len(bytes) > 0 && g.draws.Chance(g.stripped) {
			bytes = make([][]byte, len(bytes))
		}
		delay := time.Duration(g.draws.Skewed(int64(50*time.Microsecond), int64(g.slow)))
		if g.draws.Chance(g.lost) {
			continue
		}
		g.world.After(delay, func() {
			if !g.cut[from.index][to.index] {
				to.tell("deliver", func(s *Shard) { to.receive(s, m, bytes) })
			}
		})
	}
}

func (n *groupNode) receive(s *Shard, m *raftpb.Message, bytes [][]byte) {
	var payloads []wal.Payload
	for _, b := range bytes {
		var p wal.Payload
		if len(b) > 0 {
			hold := n.host.Buffers.Get(len(b))
			copy(hold.Bytes(), b)
			p = wal.Payload{Parts: [][]byte{hold.Bytes()}, Holds: []*host.Buffer{hold}}
		}
		payloads = append(payloads, p)
	}
	s.Receive(m, payloads)
	release(payloads)
}
