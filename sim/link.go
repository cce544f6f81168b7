package sim

import "time"

// link is one direction between two nodes. The two ends of a connection use the links of both directions.
type link struct {
	world   *World
	cut     bool
	held    []held // what arrived while it was cut
	clogged int64  // nothing is sent on before
	slow    int64  // up to which time it is slow
	most    int64  // how much longer a chunk takes then, at most
	draws   Draws
}

// held is something on its way for a connection.
type held struct {
	conn *conn
	what func()
}

// link is the link between two nodes in one direction.
func (n *network) link(from, to string) *link {
	name := from + ">" + to
	l := n.links[name]
	if l == nil {
		l = &link{world: n.world, draws: Draws{key: derive(derive(n.world.key, "link"), name)}}
		n.links[name] = l
	}
	return l
}

// pass does what is due for a connection, or keeps it until the link is whole and what is kept has passed.
func (l *link) pass(c *conn, what func()) {
	switch {
	case l.cut:
		l.held = append(l.held, held{c, what})
	case c.again > 0:
		l.again(c, what)
	default:
		what()
	}
}

// again lets something that was held back, or must not overtake it, arrive after everything that was sent before.
func (l *link) again(c *conn, what func()) {
	c.again++
	c.arrived = max(c.arrived, l.world.now) + 1
	l.world.timers.push(timer{at: c.arrived, run: func() {
		c.again--
		if l.cut {
			l.held = append(l.held, held{c, what})
			return
		}
		what()
	}})
}

// delay is how much longer a chunk takes while the link is slow.
func (l *link) delay() int64 {
	if l.slow <= l.world.now {
		return 0
	}
	return l.draws.Below(l.most)
}

// reaches waits until a node could reach another one and get an answer, or until last, and returns when that is.
func (n *network) reaches(from, to string, last int64, doing string) int64 {
	w := n.world
	there, back := n.link(from, to), n.link(to, from)
	for (there.cut || back.cut) && w.now < last {
		// A lost packet is sent again after a while.
		w.sleep(min(last-w.now, there.draws.Between(5_000_000, 200_000_000)), doing)
	}
	if there.cut || back.cut {
		return last + 1
	}
	return max(w.now, there.clogged, back.clogged) + there.delay() + back.delay()
}

// Cut stops what a node sends to another one, in this direction only. Nothing is lost in connections that last until
// Heal: as TCP would, they send it again. What the other one sends arrives as long as its windows last.
func (w *World) Cut(from, to *Node) {
	if l := w.network.link(from.name, to.name); !l.cut {
		l.cut = true
		w.fault("cut")
	}
}

// Heal ends Cut.
func (w *World) Heal(from, to *Node) {
	l := w.network.link(from.name, to.name)
	if !l.cut {
		return
	}
	l.cut = false
	w.note("heal %s to %s", from.name, to.name)
	list := l.held
	l.held = nil
	l.clogged = max(l.clogged, w.now+l.draws.Between(100_000, 5_000_000))
	for _, h := range list {
		h.conn.arrived = max(h.conn.arrived, l.clogged)
		l.again(h.conn, h.what)
	}
}

// Cuts says whether the link is cut.
func (w *World) Cuts(from, to *Node) bool { return w.network.link(from.name, to.name).cut }

// Clog holds back everything between two nodes for a time.
func (w *World) Clog(a, b *Node, d time.Duration) {
	for _, l := range []*link{w.network.link(a.name, b.name), w.network.link(b.name, a.name)} {
		l.clogged = max(l.clogged, w.now+int64(d))
	}
	w.fault("clog")
}

// ClogWay holds back what a node sends to another one for a time.
func (w *World) ClogWay(from, to *Node, d time.Duration) {
	l := w.network.link(from.name, to.name)
	l.clogged = max(l.clogged, w.now+int64(d))
	w.fault("clog one way")
}

// SlowLink makes everything that a node sends to another one take up to so much longer, for a time.
func (w *World) SlowLink(from, to *Node, most, d time.Duration) {
	l := w.network.link(from.name, to.name)
	l.slow, l.most = w.now+int64(d), int64(most)
	w.fault("slow link")
}

// between lists the connections between two nodes that are open for both, by the ends that a holds.
func (n *network) between(a, b *Node) []*conn {
	if a.inc == nil {
		return nil
	}
	var list []*conn
	for _, c := range a.inc.conns {
		if c.peer.inc == b.inc && b.inc != nil && !c.closed && !c.peer.closed && c.broken == nil && c.peer.broken == nil {
			list = append(list, c)
		}
	}
	return list
}

// ResetAll breaks every connection between two nodes.
func (w *World) ResetAll(a, b *Node) {
	for _, c := range w.network.between(a, b) {
		c.reset()
		w.fault("reset of a pair")
	}
}

// HalfOpen breaks every connection between two nodes for a alone. b learns it when it sends something.
func (w *World) HalfOpen(a, b *Node) {
	for _, c := range w.network.between(a, b) {
		c.lose()
		w.fault("half-open")
	}
}
