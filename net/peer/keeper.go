package peer

import (
	"slices"
	"time"

	"millrace/node/host"
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
