package server

import (
	"errors"
	"math"
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
	// Charged is how much of what the parts hold in memory is charged to the budget of answers already.
	Charged int64
}

// Weighed is a Finisher that knows beforehand about how much memory its answer will take. One that takes much waits until
// the budget of answers has room.
type Weighed interface{ Weight() int64 }

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
	MaxFrameBytes    int   // 104857600, Kafka's socket.request.max.bytes
	InFlightBytes    int64 // 268435456 over all connections
	InFlightRequests int   // 64 per connection
	AnswerBytes      int64 // 268435456 of answers in memory, over all connections
	MaxConnections   int   // 100000; more are closed at once
	MaxPerAddress    int   // no bound; of connections from one address
	// PerAddress are bounds for single addresses, instead of MaxPerAddress.
	PerAddress map[string]int
	// AcceptRate is how many connections are taken in a second; those above wait in the kernel's queue. It is asked for
	// each. Nil: no bound.
	AcceptRate func() int64
	// Bulky says of an API that its requests are mostly bytes which are used as they lie, like Produce. The others are
	// decoded into something larger: their frames are bound by MaxPlainBytes and charged plainCharge times. Nil: all are.
	Bulky         func(key int16) bool
	MaxPlainBytes int           // 16777216
	IdleTimeout   time.Duration // 10 minutes, Kafka's connections.max.idle.ms
	StallTimeout  time.Duration // 30 seconds without a byte inside a frame or an answer
	Patience      time.Duration // 5 seconds: how long a client may keep this end waiting when memory is short
	// Closed, if set, is told of every connection's end, in its write task, when nothing of it runs any more.
	Closed func(*Connection)
}

func (o Options) withDefaults() Options {
	orInt(&o.MaxFrameBytes, 104857600)
	orInt(&o.InFlightBytes, 256<<20)
	orInt(&o.InFlightRequests, 64)
	orInt(&o.AnswerBytes, 256<<20)
	orInt(&o.MaxConnections, 100000)
	orInt(&o.MaxPerAddress, math.MaxInt)
	orInt(&o.MaxPlainBytes, 16<<20)
	orInt(&o.IdleTimeout, 10*time.Minute)
	orInt(&o.StallTimeout, 30*time.Second)
	orInt(&o.Patience, 5*time.Second)
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
	events   *host.Queue[event]
	stopped  *host.Future[struct{}]
	// Requests bounds the frames in flight, Answers what answers hold in memory until they have been sent.
	Requests, Answers *Budget
	Numbers           Numbers
}

// Numbers are what a server counts, for the metrics.
type Numbers struct {
	Connections *host.Counter // open now
	Accepted    *host.Counter
	// Refused were closed at once because there were too many, RefusedAddress because there were too many from one address.
	Refused, RefusedAddress *host.Counter
	Paced                   *host.Counter // after which the next had to wait, for Options.AcceptRate
	Malformed               *host.Counter // closed because of a frame or request that cannot be
	Relieved                *host.Counter // closed because others waited for what they held
	AcceptFailed            *host.Counter // say for lack of file descriptors
	BytesIn                 *host.Counter
	BytesOut                *host.Counter
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
			Connections: counter(), Accepted: counter(), Refused: counter(), RefusedAddress: counter(), Paced: counter(), Malformed: counter(),
			Relieved: counter(), AcceptFailed: counter(), BytesIn: counter(), BytesOut: counter(),
		},
	}
	tight := func() { s.events.Post(event{tight: true}) }
	s.Requests, s.Answers = newBudget(h, o.InFlightBytes, tight), newBudget(h, o.AnswerBytes, tight)
	r := &registry{Server: s, open: map[int64]*Connection{}, from: map[string]int{}}
	h.Tasks.Go("server.registry", r.run)
	h.Tasks.Go("server.accept", s.accept)
	return s
}

// Addr is the address that clients dial.
func (s *Server) Addr() string { return s.listener.Addr() }

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

// accept takes connections until the listener is closed. When that fails, for lack of file descriptors say, those who dial
// wait in the kernel's queue.
func (s *Server) accept() {
	defer s.events.Post(event{accepted: true})
	pause, warned := shortestPause, host.Instant(0)
	var p pace
	for {
		conn, err := s.listener.Accept()
		switch {
		case errors.Is(err, host.ErrClosed):
			return
		case err == nil:
			pause = shortestPause
			s.Numbers.Accepted.Add(1)
			s.events.Put(event{dialled: conn})
			if s.options.AcceptRate == nil {
				continue
			}
			if wait := p.took(s.host.Clock.Now(), s.options.AcceptRate()); wait > 0 {
				s.Numbers.Paced.Add(1)
				s.host.Clock.Sleep(wait)
			}
			continue
		}
		s.Numbers.AcceptFailed.Add(1)
		if now := s.host.Clock.Now(); warned == 0 || now.Sub(warned) >= complainEvery {
			warned = now
			s.host.Log.Warn("connections cannot be accepted now", "error", err)
		}
		s.host.Clock.Sleep(pause)
		pause = min(2*pause, longestPause)
	}
}

// The time between two attempts to accept.
const (
	shortestPause = 10 * time.Millisecond
	longestPause  = time.Second
)
