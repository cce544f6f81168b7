package peer

import (
	"slices"

	"millrace/node/host"
)

// vitals say how a node does; readers write them, the keeper looks at them now and then.
type vitals struct {
	heard *host.Counter // the instant at which the last frame came on the control stream
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
}

// node is what the keeper knows of a peer.
type node struct {
	id     int32
	known  known
	vitals *vitals
	// in and out are the control connections that it has dialled and that were dialled to it; nil when there is none.
	in, out *tracked
	up      bool
	// excused is when it was heard otherwise than vitals say; doubted when it will have been doubted for long enough.
	excused, doubted host.Instant
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
	for !k.done {
		batch, _ = k.l.events.Drain(batch[:0])
		for i, e := range batch {
			e.happen(k)
			batch[i] = nil
		}
		if len(batch) > 0 {
			continue
		}
		if due := k.look(k.l.host.Clock.Now()); due == host.Never {
			k.l.keeping.Wait()
		} else {
			k.l.keeping.WaitUntil(due)
		}
	}
	k.l.events.Close()
	k.l.ended.Set(struct{}{})
}

// After how many times Silence everything that belongs to a silent node is closed, so that it is dialled anew: a
// connection can be dead at the other end without this one being told. patientAfter counts when the node has no
// connection on which it could be heard.
const (
	abandonAfter = 5
	patientAfter = 25
	// doubtFor is the part of Silence for which a node is doubted before it is silent: when this process has not run for a
	// while, what came meanwhile is still to be read.
	doubtFor = 16
)

// look finds who has fallen silent, and returns when to look again.
func (k *keeper) look(now host.Instant) (due host.Instant) {
	due = host.Never
	silence := k.l.options.Silence
	for _, n := range k.nodes {
		if !slices.ContainsFunc(k.conns, func(c *tracked) bool { return c.node == n && !c.dropped }) {
			continue
		}
		last := max(n.excused, min(host.Instant(n.vitals.heard.Load()), now))
		end := last.Add(silence)
		if n.in != nil && n.vitals.quiet.Load() == 0 {
			switch {
			case now < end:
				n.doubted = host.Never
			case n.doubted == host.Never:
				n.doubted = now.Add(silence / doubtFor)
				end = n.doubted
			case now < n.doubted:
				end = n.doubted
			default:
				n.vitals.quiet.Add(1)
				k.l.host.Log.Warn("peer is silent", "peer", n.id)
				k.judge(n)
			}
		}
		if n.in == nil {
			end = last.Add(patientAfter * silence)
		} else if n.vitals.quiet.Load() != 0 {
			end = last.Add(abandonAfter * silence)
		}
		if now >= end {
			k.abandon(n, nil)
			n.excused = now
			continue
		}
		due = min(due, end)
	}
	return due
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
		n := &node{id: id, vitals: &vitals{host.NewCounter(tasks), host.NewCounter(tasks)}, excused: k.l.host.Clock.Now(), doubted: host.Never}
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
