package peer

import (
	"errors"
	"slices"
	"time"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// event is something that the keeper hears of; happen runs in its task.
type event interface{ happen(k *keeper) }

// The events. Connections are named by a number of their own.
type (
	opened struct {
		id       uint64
		conn     host.Conn
		outbound bool
	}
	greeted struct {
		id       uint64
		hello    Hello
		outbound bool
		stream   stream
		result   *host.Future[verdict]
	}
	joined  struct{ id uint64 }
	ended   struct{ id uint64 }
	heard   struct{ node int32 }
	refused struct {
		who string
		err error
	}
	peers   struct{ list []Address }
	stop    struct{}
	stopped struct{}
)

func (e opened) happen(k *keeper) {
	k.conns = append(k.conns, &tracked{id: e.id, conn: e.conn, outbound: e.outbound})
	if k.closing {
		e.conn.Close()
		return
	}
	// A peer needs a moment to prove who it is. Whoever only holds a place has had it for longer than that.
	strangers, oldest := 0, (*tracked)(nil)
	for _, c := range k.conns {
		if c.node != nil || c.outbound || c.dropped {
			continue
		}
		if strangers++; oldest == nil {
			oldest = c
		}
	}
	if strangers > patientStrangers {
		k.drop(oldest)
	}
}

func (e *greeted) happen(k *keeper) {
	if k.closing {
		e.result.Set(verdict{err: host.ErrClosed})
		return
	}
	var n *node
	if i := slices.IndexFunc(k.nodes, func(n *node) bool { return n.id == e.hello.Node }); i >= 0 {
		n = k.nodes[i]
		n.known.connected = n.in != nil || n.out != nil
		if err := n.known.refusal(e.hello); err != nil {
			e.result.Set(verdict{n.vitals, err})
			return
		}
	}
	if err := k.l.handler.Admit(e.hello); err != nil && !mutant.On("peer-refused-admitted") {
		e.result.Set(verdict{nil, err})
		return
	}
	n = k.node(e.hello.Node)
	n.known.hello, n.known.seen = e.hello, true
	n.excused = k.l.host.Clock.Now()
	if !mutant.On("peer-old-incarnation-kept") {
		k.abandon(n, &e.hello)
	}
	c := k.tracked(e.id)
	c.node, c.hello, c.outbound, c.stream = n, e.hello, e.outbound, e.stream
	e.result.Set(verdict{n.vitals, nil})
	if !e.outbound {
		for _, s := range k.senders {
			if s.node == n.id {
				s.kick()
			}
		}
	}
}

// A connection joins when both sides have let each other in. It replaces the one of its kind that was there before.
func (e joined) happen(k *keeper) {
	c := k.tracked(e.id)
	n := c.node
	if k.closing || c.dropped { // among the reasons: a newer incarnation has come meanwhile
		return
	}
	for _, o := range k.conns {
		if o != c && o.node == n && o.joined && o.outbound == c.outbound && o.stream == c.stream {
			k.drop(o)
		}
	}
	c.joined = true
	if c.stream == streamControl {
		if c.outbound {
			n.out = c
		} else {
			n.in = c
			k.hear(n)
		}
	}
	k.judge(n)
}

func (e ended) happen(k *keeper) {
	c := k.tracked(e.id)
	k.conns = slices.DeleteFunc(k.conns, func(o *tracked) bool { return o == c })
	k.forget(c)
	if c.node != nil {
		k.judge(c.node)
	}
}

func (e heard) happen(k *keeper) {
	n := k.node(e.node)
	if n.in != nil {
		k.hear(n)
		k.judge(n)
	}
}

// hear notes that a node is not silent.
func (k *keeper) hear(n *node) {
	n.excused, n.doubted = k.l.host.Clock.Now(), host.Never
	n.vitals.quiet.Add(-n.vitals.quiet.Load())
}

// complaintEvery is how often the same refusal is logged.
const complaintEvery = 30 * time.Second

func (e refused) happen(k *keeper) {
	now := k.l.host.Clock.Now()
	text := e.err.Error()
	if away(e.err) {
		text = "away" // the text of the error differs from time to time
	}
	if was, ok := k.complains[e.who]; ok && was.text == text && now.Sub(was.at) < complaintEvery {
		return
	}
	if len(k.complains) > 1000 { // strangers have as many addresses as they like
		clear(k.complains)
	}
	k.complains[e.who] = complaint{text, now}
	if errors.Is(e.err, host.ErrClosed) {
		return
	}
	if away(e.err) {
		k.l.host.Log.Info("peer cannot be reached", "peer", e.who, "reason", e.err)
		return
	}
	k.l.host.Log.Warn("no connection with a peer", "peer", e.who, "reason", e.err)
}

func (e peers) happen(k *keeper) {
	if k.closing {
		return
	}
	var table []*peer
	for _, a := range e.list {
		if a.Node == k.l.self.Load().Node || slices.ContainsFunc(table, func(p *peer) bool { return p.node == a.Node }) {
			continue
		}
		old := *k.l.table.Load()
		i := slices.IndexFunc(old, func(p *peer) bool { return p.node == a.Node })
		if i < 0 {
			p := newPeer(k.l, a)
			table = append(table, p)
			for _, s := range p.streams {
				k.senders = append(k.senders, s)
				k.l.start("peer-send", s.run)
			}
			continue
		}
		p := old[i]
		table = append(table, p)
		if *p.addr.Load() != a.Addr {
			p.addr.Store(&a.Addr)
			p.streams[streamControl].kick()
		}
	}
	for _, p := range *k.l.table.Load() {
		if !slices.Contains(table, p) {
			k.dismiss(p)
		}
	}
	k.l.table.Store(&table)
}

// dismiss ends the streams to a peer.
func (k *keeper) dismiss(p *peer) {
	for _, s := range p.streams {
		s.stop.Add(1)
		s.queue.Close()
	}
	k.senders = slices.DeleteFunc(k.senders, func(s *sender) bool { return s.peer == p })
	for _, c := range k.conns {
		if c.outbound && c.node != nil && c.node.id == p.node {
			k.drop(c)
			k.judge(c.node)
		}
	}
}

func (e stop) happen(k *keeper) {
	if k.closing {
		return
	}
	for _, p := range *k.l.table.Load() {
		k.dismiss(p)
	}
	k.closing = true
	if k.listener != nil {
		k.listener.Close()
	}
	for _, c := range k.conns {
		c.conn.Close()
	}
	k.l.running.Release()
}

func (e stopped) happen(k *keeper) { k.done = true }
