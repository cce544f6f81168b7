package sim

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"millrace/node/host"
)

// NetProfile is how the network of a world behaves. Probabilities are per connection unless said otherwise.
type NetProfile struct {
	Refuse float64 // a dial is refused
	Reset  float64 // the connection breaks at a random byte, in the middle of whatever it carries
	// ResetWithin is the number of bytes, in one direction, within which it breaks.
	ResetWithin int64
	Small       float64 // chunks are small, down to single bytes
	Slow        float64 // per chunk: it takes up to 50 ms longer
	// Window bounds the bytes that are under way in one direction; 0 draws a bound for each connection.
	Window int64
}

// SetNet sets the behaviour of connections made from now on.
func (w *World) SetNet(p NetProfile) { w.network.profile = p }

type network struct {
	world     *World
	profile   NetProfile
	listeners map[string]*listener // by node and port
	links     map[string]*link     // by sender and receiver
	conns     uint64
	ports     int
}

func (n *network) init(w *World) {
	*n = network{world: w, listeners: make(map[string]*listener), links: make(map[string]*link), ports: 40000}
}

func (n *network) node(name string) *Node {
	for _, x := range n.world.nodes {
		if x.name == name {
			return x
		}
	}
	return nil
}

// ended is the end of a process: its listeners go, and its connections as the operating system or the silence ends them.
func (n *network) ended(inc *incarnation, how End) {
	var mine []string
	for key, l := range n.listeners {
		if l.inc == inc {
			mine = append(mine, key)
		}
	}
	slices.Sort(mine)
	for _, key := range mine {
		l := n.listeners[key]
		delete(n.listeners, key)
		l.closed = true
		for _, c := range l.backlog {
			c.reset()
		}
	}
	draws := n.world.Draws("net.end." + inc.node.name + strconv.Itoa(inc.number))
	for _, c := range inc.conns {
		if c.closed || c.broken != nil {
			continue
		}
		switch {
		case how == Power:
			c.closed = true
		case draws.Chance(0.5):
			c.hangUp()
		default:
			c.closed = true
			c.later(c.peer.lose)
		}
	}
}

// transport is host.Transport of an incarnation.
type transport struct{ inc *incarnation }

// Listen opens a listener on a port of the node.
func (t transport) Listen(addr string) (host.Listener, error) {
	w := t.inc.node.world
	w.step()
	if t.inc.dead {
		return nil, host.ErrClosed
	}
	name, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if name == "" || name == "0.0.0.0" || name == "127.0.0.1" || name == "localhost" {
		name = t.inc.node.name
	}
	if name != t.inc.node.name {
		return nil, fmt.Errorf("listen on %s: not an address of %s", addr, t.inc.node.name)
	}
	if port == "0" {
		w.network.ports++
		port = strconv.Itoa(w.network.ports)
	}
	key := net.JoinHostPort(name, port)
	if w.network.listeners[key] != nil {
		return nil, fmt.Errorf("listen on %s: address already in use", addr)
	}
	l := &listener{inc: t.inc, addr: key, accepting: waiter{inc: t.inc}}
	w.network.listeners[key] = l
	return l, nil
}

// Dial connects to a node by its name.
func (t transport) Dial(addr string, deadline host.Instant) (host.Conn, error) {
	w := t.inc.node.world
	w.step()
	if t.inc.dead {
		return nil, host.ErrClosed
	}
	name, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	if name == "127.0.0.1" || name == "localhost" {
		name = t.inc.node.name
	}
	draws := t.inc.draws("net.dial")
	last := min(t.inc.worldTime(deadline), w.now+int64(time.Minute))
	arrives := w.network.reaches(t.inc.node.name, name, last, "dials "+addr) + draws.Between(20_000, 300_000)
	target := w.network.node(name)
	w.sleep(min(arrives, last)-w.now, "dials "+addr)
	if target == nil || target.off || arrives > last {
		w.sleep(last-w.now, "dials "+addr)
		return nil, fmt.Errorf("dial %s: %w", addr, host.ErrTimeout)
	}
	l := w.network.listeners[net.JoinHostPort(name, port)]
	if l == nil {
		return nil, fmt.Errorf("dial %s: %w", addr, host.ErrRefused)
	}
	if draws.Chance(w.network.profile.Refuse) {
		w.fault("refused")
		return nil, fmt.Errorf("dial %s: %w", addr, host.ErrRefused)
	}
	w.network.ports++
	local := net.JoinHostPort(t.inc.node.name, strconv.Itoa(w.network.ports))
	c := w.network.pair(t.inc, l.inc, local, net.JoinHostPort(name, port))
	w.io("dial", addr, c.id, 0, 0)
	l.backlog = append(l.backlog, c.peer)
	l.accepting.wake()
	return c, nil
}

// pair makes the two ends of a connection; the first one belongs to who dialled.
func (n *network) pair(from, to *incarnation, local, remote string) *conn {
	n.conns++
	a := &conn{world: n.world, inc: from, id: n.conns * 2, local: local, remote: remote}
	b := &conn{world: n.world, inc: to, id: n.conns*2 + 1, local: remote, remote: local}
	a.peer, b.peer = b, a
	for _, c := range []*conn{a, b} {
		c.inc.connected++
		c.out = n.link(c.inc.node.name, c.peer.inc.node.name)
		c.draws = Draws{key: deriveNumber(derive(c.inc.key, "conn"), c.inc.connected)}
		c.reader, c.sender = waiter{inc: c.inc}, waiter{inc: c.inc}
		c.readDeadline, c.sendDeadline = 1<<63-1, 1<<63-1
		c.window = c.draws.Skewed(1<<10, 256<<10)
		if n.profile.Window > 0 {
			c.window = n.profile.Window
		}
		c.breakAt = -1
		if c.draws.Chance(n.profile.Reset) {
			c.breakAt = c.draws.Below(n.profile.ResetWithin)
		}
		c.small = c.draws.Chance(n.profile.Small)
		c.inc.conns = append(slices.DeleteFunc(c.inc.conns, func(c *conn) bool { return c.closed }), c)
	}
	return a
}

// listener is host.Listener.
type listener struct {
	inc       *incarnation
	addr      string
	backlog   []*conn
	accepting waiter
	closed    bool
}

// Accept waits for a connection.
func (l *listener) Accept() (host.Conn, error) {
	for {
		l.inc.node.world.step()
		if l.inc.dead || l.closed {
			return nil, fmt.Errorf("accept on %s: %w", l.addr, host.ErrClosed)
		}
		if len(l.backlog) > 0 {
			c := l.backlog[0]
			l.backlog = l.backlog[1:]
			return c, nil
		}
		l.accepting.wait(1<<63 - 1)
	}
}

// Addr is where it listens.
func (l *listener) Addr() string { return l.addr }

// Close ends the listener and the connections that nobody accepted.
func (l *listener) Close() error {
	w := l.inc.node.world
	w.step()
	if l.inc.dead || l.closed {
		return nil
	}
	l.closed = true
	delete(w.network.listeners, l.addr)
	for _, c := range l.backlog {
		c.reset()
	}
	l.backlog = nil
	l.accepting.wake()
	return nil
}
