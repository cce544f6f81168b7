package server

import (
	"strings"
	"time"

	"millrace/node/host"
)

// event is what the registry task hears about connections.
type event struct {
	dialled  host.Conn   // a new connection
	closed   *Connection // one that has ended
	stop     bool
	cut      bool // who still takes its answer has had its time
	accepted bool // the accept task has ended: nothing is opened any more
	tight    bool // a budget is used up
}

// registry is the task that knows the open connections: it lets new ones in, ends all when the server stops, and gives up
// those that hold memory which others wait for.
type registry struct {
	*Server
	open     map[int64]*Connection
	from     map[string]int // open connections by the client's address without its port
	last     int64          // id
	stopping bool
	// warned is when the log last had a line about refused connections, and about ones that were given up.
	warned, complained host.Instant
	// relieved is when somebody was last looked for who can be given up.
	relieved host.Instant
}

func (r *registry) run() {
	accepting := true
	var events []event
	for accepting || len(r.open) > 0 || !r.stopping {
		events, _ = r.events.Take(events[:0])
		for _, e := range events {
			switch {
			case e.dialled != nil:
				r.admit(e.dialled)
			case e.closed != nil:
				delete(r.open, e.closed.id)
				r.leave(addressOf(e.closed.RemoteAddr))
				r.Numbers.Connections.Add(-1)
			case e.accepted:
				accepting = false
			case e.stop:
				r.stopping = true
				for _, c := range inOrder(r.open) {
					c.drain()
				}
			case e.cut:
				for _, c := range inOrder(r.open) {
					c.conn.Close()
				}
			case e.tight:
				r.relieve()
				r.Requests.looked()
				r.Answers.looked()
			}
		}
		clear(events)
	}
	r.stopped.Set(struct{}{})
}

// admit lets a connection in, unless there are too many.
func (r *registry) admit(conn host.Conn) {
	from := addressOf(conn.RemoteAddr())
	limit, named := r.options.PerAddress[from]
	if !named {
		limit = r.options.MaxPerAddress
	}
	switch {
	case r.stopping:
		conn.Close()
		return
	case len(r.open) >= r.options.MaxConnections:
		r.refuse(conn, r.Numbers.Refused, "there are too many")
		return
	case r.from[from] >= limit:
		r.refuse(conn, r.Numbers.RefusedAddress, "there are too many from its address")
		return
	}
	r.last++
	c := newConnection(r.Server, r.last, conn)
	r.open[c.id] = c
	r.from[from]++
	r.Numbers.Connections.Add(1)
	r.host.Tasks.Go("server.read", c.readLoop)
	r.host.Tasks.Go("server.write", c.writeLoop)
}

// complainEvery is the time between two lines in the log about the same trouble with connections.
const complainEvery = 10 * time.Second

func (r *registry) refuse(conn host.Conn, counter *host.Counter, why string) {
	counter.Add(1)
	if now := r.host.Clock.Now(); r.warned == 0 || now.Sub(r.warned) >= complainEvery {
		r.warned = now
		r.host.Log.Warn("a connection is refused", "remote", conn.RemoteAddr(), "reason", why, "open", len(r.open))
	}
	conn.Close()
}

func (r *registry) leave(from string) {
	if r.from[from]--; r.from[from] <= 0 {
		delete(r.from, from)
	}
}

// addressOf is "host:port" without the port.
func addressOf(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i >= 0 {
		return strings.TrimSuffix(strings.TrimPrefix(addr[:i], "["), "]")
	}
	return addr
}

// relieve closes the connection that holds the most memory while it keeps this end waiting: it has not sent the rest of a
// frame, or not taken its answer, for Options.Patience. Others wait for that memory; without them it would have more time.
func (r *registry) relieve() {
	now := r.host.Clock.Now()
	if r.relieved != 0 && now.Sub(r.relieved) < relieveEvery {
		return
	}
	r.relieved = now
	var worst *Connection
	var most int64
	for _, c := range inOrder(r.open) {
		if held := c.holds(now); held > most {
			worst, most = c, held
		}
	}
	if worst == nil {
		return
	}
	r.Numbers.Relieved.Add(1)
	if r.complained == 0 || now.Sub(r.complained) >= complainEvery {
		r.complained = now
		r.host.Log.Warn("a client that neither sends nor takes what it began is given up, since others wait for its memory",
			"remote", worst.RemoteAddr, "bytes", most)
	}
	worst.conn.Close()
}

// relieveEvery is the time between two looks at all connections.
const relieveEvery = 100 * time.Millisecond

// holds is how much memory the connection holds by keeping this end waiting.
func (c *Connection) holds(now host.Instant) int64 {
	stalled := func(since int64) bool { return since != 0 && now.Sub(host.Instant(since)) >= c.server.options.Patience }
	if !stalled(c.receiving.Load()) && !stalled(c.sending.Load()) {
		return 0
	}
	return c.charged.Load() + c.answering.Load()
}
