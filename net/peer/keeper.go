package peer

import (
	"errors"
	"slices"
	"time"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// vitals say how a node does; readers write them, the keeper looks at them now and then.
type vitals struct {
	heard *host.Counter // frames
	quiet *host.Counter // not zero: nothing was heard for too long
}

// verdict is the answer to a greeting.
type verdict struct {
	vitals *vitals
	err    error
}

// event is something that the keeper hears of; happen runs in its task.
type event interface{ happen(k *keeper) }

// The events. Connections are named by a number of their own.
type (
	opened struct {
		id   uint64
		conn host.Conn
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

// keeper is the one task that knows all connections. It decides who is let in, and who is up.
type keeper struct {
	l         *Links
	listener  host.Listener
	nodes     []*node // by number
	conns     []*tracked
	senders   []*sender
	complains map[string]complaint
	closing   bool
	done      bool
	looked    host.Instant
}

// node is what the keeper knows of a peer.
type node struct {
	id     int32
	known  known
	vitals *vitals
	// in and out are the control connections that it has dialled and that were dialled to it; nil when there is none.
	in, out *tracked
	up      bool
	count   int64 // of vitals.heard, when it was looked at last
	heardAt host.Instant
}

// tracked is a connection.
type tracked struct {
	id       uint64
	conn     host.Conn
	node     *node // nil before the handshake has said so
	hello    Hello
	outbound bool
	stream   stream
	joined   bool
	dropped  bool
}

type complaint struct {
	text string
	at   host.Instant
}

func (k *keeper) run() {
	var batch []event
	w := k.l.keeping
	k.looked = k.l.host.Clock.Now()
	for !k.done {
		batch, _ = k.l.events.Drain(batch[:0])
		for i, e := range batch {
			e.happen(k)
			batch[i] = nil
		}
		switch {
		case len(batch) > 0 || k.done:
		case len(k.conns) == 0:
			w.Wait()
			k.looked = k.l.host.Clock.Now()
		case w.WaitUntil(k.looked.Add(k.tick())):
		}
		if now := k.l.host.Clock.Now(); now >= k.looked.Add(k.tick()) {
			k.look(now)
		}
	}
	k.l.events.Close()
	k.l.ended.Set(struct{}{})
}

func (k *keeper) tick() time.Duration { return k.l.options.Silence / 8 }

// After how many times Silence everything that belongs to a silent node is closed, so that it is dialled anew: a
// connection can be dead at the other end without this one being told. patientAfter counts when the node has no
// connection on which it could be heard.
const (
	abandonAfter = 5
	patientAfter = 25
)

// look finds who has fallen silent.
func (k *keeper) look(now host.Instant) {
	paused := now > k.looked.Add(4*k.tick()) // this process did not run: what was sent meanwhile is still to be read
	k.looked = now
	silence := k.l.options.Silence
	for _, n := range k.nodes {
		if c := n.vitals.heard.Load(); c != n.count || paused {
			n.count, n.heardAt = c, now
		}
		still := now.Sub(n.heardAt)
		if still >= silence-k.tick() && n.vitals.quiet.Load() == 0 && n.in != nil {
			n.vitals.quiet.Add(1)
			k.l.host.Log.Warn("peer is silent", "peer", n.id)
			k.judge(n)
		}
		if still > abandonAfter*silence && n.in != nil || still > patientAfter*silence {
			k.abandon(n, nil)
			n.heardAt = now
		}
	}
}

// abandon closes the connections of a node; if h is not nil, only those of other incarnations.
func (k *keeper) abandon(n *node, h *Hello) {
	for _, c := range k.conns {
		if c.node == n && (h == nil || c.hello.Incarnation != h.Incarnation) {
			k.drop(c)
		}
	}
	k.judge(n)
}

// drop closes a connection. Its tasks find out and report its end.
func (k *keeper) drop(c *tracked) {
	c.conn.Close()
	c.dropped = true
	k.forget(c)
}

// forget notes that a connection is none any more.
func (k *keeper) forget(c *tracked) {
	if n := c.node; n != nil {
		if n.in == c {
			n.in = nil
		}
		if n.out == c {
			n.out = nil
		}
	}
}

// judge tells the handler when a node has become up or down.
func (k *keeper) judge(n *node) {
	up := n.in != nil && n.out != nil && n.vitals.quiet.Load() == 0
	if up == n.up || k.closing {
		return
	}
	n.up = up
	if up {
		k.l.host.Log.Info("peer is up", "peer", n.id, "boots", n.in.hello.Boots)
		k.l.handler.Up(n.id, n.in.hello)
	} else {
		k.l.host.Log.Info("peer is down", "peer", n.id)
		k.l.handler.Down(n.id)
	}
}

func (k *keeper) node(id int32) *node {
	i, found := slices.BinarySearchFunc(k.nodes, id, func(n *node, id int32) int { return int(n.id) - int(id) })
	if !found {
		tasks := k.l.host.Tasks
		n := &node{id: id, vitals: &vitals{host.NewCounter(tasks), host.NewCounter(tasks)}, heardAt: k.l.host.Clock.Now()}
		k.nodes = slices.Insert(k.nodes, i, n)
	}
	return k.nodes[i]
}

func (k *keeper) tracked(id uint64) *tracked {
	for _, c := range k.conns {
		if c.id == id {
			return c
		}
	}
	return nil
}

func (e opened) happen(k *keeper) {
	k.conns = append(k.conns, &tracked{id: e.id, conn: e.conn})
	if k.closing {
		e.conn.Close()
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
	n.heardAt = k.l.host.Clock.Now()
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
	n.heardAt = k.l.host.Clock.Now()
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
