package chaos

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// Clients is the node number of those who are no node.
const Clients = 0

// Network is the proxies in front of all links.
type Network struct {
	mu    sync.Mutex
	links []*link
}

// Detour opens a proxy in front of an address of the node to, for connections of the node from (Clients for clients, -1
// for nodes that cannot be told apart), and returns the proxy's address.
func (n *Network) Detour(from, to int, address string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("proxy for node %d: %w", to, err)
	}
	k := &link{from: from, to: to, target: address, listener: l, pairs: map[*pair]bool{}}
	k.changed = sync.NewCond(&k.mu)
	go k.accept()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links = append(n.links, k)
	return l.Addr().String(), nil
}

// Close closes all proxies with their connections.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, k := range n.links {
		k.listener.Close()
		k.set(func(c *condition) { c.closed = true })
	}
}

// each changes the conditions of all links.
func (n *Network) each(change func(from, to int, c *condition)) {
	n.mu.Lock()
	links := slices.Clone(n.links)
	n.mu.Unlock()
	for _, k := range links {
		k.set(func(c *condition) { change(k.from, k.to, c) })
	}
}

// heal makes all links as they were.
func (n *Network) heal() {
	n.each(func(_, _ int, c *condition) { *c = condition{closed: c.closed} })
}

// condition is what a link does to its connections. There and back are the directions away from who dialled and toward it.
type condition struct {
	cut       bool // connections are reset, new ones at once
	stopThere bool // bytes wait, as when packets are lost
	stopBack  bool
	delay     time.Duration // of every byte
	rate      int           // bytes a second in each direction; 0 is unbounded
	closed    bool
}

// link is one proxy.
type link struct {
	from, to int
	target   string
	listener net.Listener

	mu      sync.Mutex
	changed *sync.Cond // the condition has changed
	condition
	pairs map[*pair]bool
}

// pair is a connection with the one that continues it.
type pair struct {
	near, far *net.TCPConn
}

func (k *link) set(change func(*condition)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(&k.condition)
	if k.cut || k.closed {
		for p := range k.pairs {
			p.reset()
		}
	}
	k.changed.Broadcast()
}

// reset closes both connections in such a way that the other ends see a reset.
func (p *pair) reset() {
	for _, c := range []*net.TCPConn{p.near, p.far} {
		c.SetLinger(0) //nolint:errcheck // it is closed in any case
		c.Close()
	}
}

func (k *link) accept() {
	for {
		c, err := k.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go k.serve(c.(*net.TCPConn))
	}
}

func (k *link) serve(near *net.TCPConn) {
	k.mu.Lock()
	// A link that is stopped takes connections no further: their first packet is lost.
	for k.stopThere && !k.cut && !k.closed {
		k.changed.Wait()
	}
	refuse := k.cut || k.closed
	k.mu.Unlock()
	var far net.Conn
	err := net.ErrClosed
	if !refuse {
		far, err = net.DialTimeout("tcp", k.target, 5*time.Second)
	}
	if err != nil {
		near.SetLinger(0) //nolint:errcheck // it is closed in any case
		near.Close()
		return
	}
	p := &pair{near, far.(*net.TCPConn)}
	k.mu.Lock()
	k.pairs[p] = true
	if k.cut || k.closed {
		p.reset()
	}
	k.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { k.copy(p.far, p.near, func(c *condition) bool { return c.stopThere }) })
	both.Go(func() { k.copy(p.near, p.far, func(c *condition) bool { return c.stopBack }) })
	both.Wait()
	k.mu.Lock()
	delete(k.pairs, p)
	k.mu.Unlock()
	near.Close()
	far.Close()
}

// chunk is bytes on their way, with the time at which they arrive at the earliest.
type chunk struct {
	data []byte
	due  time.Time
}

// chunks that may be on their way in one direction of a connection; what does not fit stays with the sender.
const inFlight = 64

// copy carries one direction of a connection. An end is passed on as an end, an error as a reset of both.
func (k *link) copy(to, from *net.TCPConn, stopped func(*condition) bool) {
	way := make(chan chunk, inFlight)
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed := false
		for c := range way {
			if failed {
				continue
			}
			k.hold(c, stopped)
			if _, err := to.Write(c.data); err != nil {
				failed = true
				(&pair{to, from}).reset()
			}
		}
	}()
	var err error
	for {
		buf := make([]byte, 16<<10)
		var n int
		n, err = from.Read(buf)
		if n > 0 {
			way <- chunk{buf[:n], time.Now().Add(k.currentDelay())}
		}
		if err != nil {
			break
		}
	}
	close(way)
	<-done
	if err == io.EOF {
		to.CloseWrite() //nolint:errcheck // the other direction ends it
	} else {
		(&pair{to, from}).reset()
	}
}

func (k *link) currentDelay() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.delay
}

// hold returns when the chunk may go on.
func (k *link) hold(c chunk, stopped func(*condition) bool) {
	time.Sleep(time.Until(c.due))
	k.mu.Lock()
	for stopped(&k.condition) && !k.cut && !k.closed {
		k.changed.Wait()
	}
	rate := k.rate
	k.mu.Unlock()
	if rate > 0 {
		time.Sleep(time.Duration(len(c.data)) * time.Second / time.Duration(rate))
	}
}
