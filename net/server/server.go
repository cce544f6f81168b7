package server

import (
	"errors"
	"time"

	"millrace/node/host"
)

// Handler takes one request in the order of arrival, in the connection's read task, and returns what will answer it.
// It takes over one hold of r.Frame, unless it returns an error. An error closes the connection once the requests
// before have been answered.
type Handler func(r Request) (Finisher, error)

// Finisher answers one request.
type Finisher interface {
	// Finish runs in the connection's write task, after the requests before were answered, and may wait. It uses w for
	// that, the write task's waiter: w is woken when the connection is closing, and may be woken without reason.
	Finish(w host.Waiter) Response
	// Drop is called instead of Finish when the answer cannot be sent any more. It must not wait.
	Drop()
	// Done is called after Finish, when the answer has been sent or given up, and releases what the answer's parts
	// need, the request's frame among it.
	Done()
}

// Response is what goes out for one request.
type Response struct {
	// Parts are the whole frame with its size. None means that the request has no answer (acks=0).
	Parts []host.Part
	// Close ends the connection after the parts have been sent.
	Close bool
}

// Request is one request as it came.
type Request struct {
	Key, Version int16
	Correlation  int32
	// Frame holds everything after the size: key, version, correlation and the rest.
	Frame *host.Buffer
	// Arrived is when the frame was complete.
	Arrived    host.Instant
	Connection *Connection
}

// Options bound a server. The zero value of a field means its default.
type Options struct {
	MaxFrameBytes    int           // 104857600, Kafka's socket.request.max.bytes
	InFlightBytes    int64         // 268435456 over all connections
	InFlightRequests int           // 64 per connection
	MaxConnections   int           // 100000; more are closed at once
	IdleTimeout      time.Duration // 10 minutes, Kafka's connections.max.idle.ms
	StallTimeout     time.Duration // 30 seconds without a byte inside a frame or an answer
	// Closed, if set, is told of every connection's end, in its write task, when nothing of it runs any more.
	Closed func(*Connection)
}

func (o Options) withDefaults() Options {
	orInt(&o.MaxFrameBytes, 104857600)
	orInt(&o.InFlightBytes, 256<<20)
	orInt(&o.InFlightRequests, 64)
	orInt(&o.MaxConnections, 100000)
	orInt(&o.IdleTimeout, 10*time.Minute)
	orInt(&o.StallTimeout, 30*time.Second)
	return o
}

func orInt[T ~int | ~int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Server accepts connections on one listener. Its methods may be called from any task.
type Server struct {
	host     host.Host
	options  Options
	handler  Handler
	listener host.Listener
	budget   budget
	events   *host.Queue[event]
	stopped  *host.Future[struct{}]
	Numbers  Numbers
}

// Numbers are what a server counts, for the metrics.
type Numbers struct {
	Connections   *host.Counter // open now
	Accepted      *host.Counter
	Refused       *host.Counter // closed at once because there were too many
	Malformed     *host.Counter // closed because of a frame or request that cannot be
	BytesIn       *host.Counter
	BytesOut      *host.Counter
	InFlightBytes *host.Counter // frames read and not yet answered
}

// event is what the registry task hears about connections.
type event struct {
	opened, closed *Connection
	stop           bool
	cut            bool // who still takes its answer has had its time
	accepted       bool // the accept task has ended: nothing is opened any more
}

// Start serves the listener until Stop.
func Start(h host.Host, l host.Listener, o Options, handler Handler) *Server {
	o = o.withDefaults()
	counter := func() *host.Counter { return host.NewCounter(h.Tasks) }
	s := &Server{
		host: h, options: o, handler: handler, listener: l,
		events:  host.NewQueue[event](h.Tasks, 1024, nil),
		stopped: host.NewFuture[struct{}](h.Tasks),
		Numbers: Numbers{
			Connections: counter(), Accepted: counter(), Refused: counter(), Malformed: counter(),
			BytesIn: counter(), BytesOut: counter(), InFlightBytes: counter(),
		},
	}
	s.budget = budget{clock: h.Clock, used: s.Numbers.InFlightBytes, limit: o.InFlightBytes}
	h.Tasks.Go("server.registry", s.registry)
	h.Tasks.Go("server.accept", s.accept)
	return s
}

// Addr is the address that clients dial.
func (s *Server) Addr() string { return s.listener.Addr() }

// InFlightLimit bounds the bytes of requests in flight.
func (s *Server) InFlightLimit() int64 { return s.options.InFlightBytes }

// Stop refuses new connections and requests, lets the requests that are in flight be answered until the deadline, closes
// every connection and returns when all are closed: at the deadline or soon after it, unless a handler does not end.
func (s *Server) Stop(deadline host.Instant) {
	s.listener.Close()
	s.events.Post(event{stop: true})
	if _, ok := s.stopped.GetUntil(deadline); !ok {
		s.events.Post(event{cut: true})
		s.stopped.GetUntil(deadline.Add(cutPatience))
	}
}

// cutPatience is how long Stop waits for connections that it has cut.
const cutPatience = 2 * time.Second

// accept takes connections until the listener is closed.
func (s *Server) accept() {
	defer s.events.Post(event{accepted: true})
	for id := int64(1); ; id++ {
		conn, err := s.listener.Accept()
		if errors.Is(err, host.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, or a connection lost before it was accepted
			s.host.Log.Warn("accept failed", "error", err)
			s.host.Clock.Sleep(50 * time.Millisecond)
			continue
		}
		s.Numbers.Accepted.Add(1)
		if s.Numbers.Connections.Load() >= int64(s.options.MaxConnections) {
			s.Numbers.Refused.Add(1)
			conn.Close()
			continue
		}
		s.Numbers.Connections.Add(1)
		c := newConnection(s, id, conn)
		if !s.events.Put(event{opened: c}) { // stopped meanwhile
			s.Numbers.Connections.Add(-1)
			conn.Close()
			return
		}
		s.host.Tasks.Go("server.read", c.readLoop)
		s.host.Tasks.Go("server.write", c.writeLoop)
	}
}

// registry knows the open connections, so that Stop can end them.
func (s *Server) registry() {
	open := make(map[int64]*Connection)
	stopping, accepting := false, true
	var events []event
	for accepting || len(open) > 0 || !stopping {
		events, _ = s.events.Take(events[:0])
		for _, e := range events {
			switch {
			case e.opened != nil:
				open[e.opened.id] = e.opened
				if stopping {
					e.opened.drain()
				}
			case e.closed != nil:
				delete(open, e.closed.id)
				s.Numbers.Connections.Add(-1)
			case e.accepted:
				accepting = false
			case e.stop:
				stopping = true
				for _, c := range inOrder(open) {
					c.drain()
				}
			case e.cut:
				for _, c := range inOrder(open) {
					c.conn.Close()
				}
			}
		}
		clear(events)
	}
	s.stopped.Set(struct{}{})
}
