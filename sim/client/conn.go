package client

import (
	"errors"
	"fmt"
	"io"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
)

// frameLimit bounds what a broker may answer.
const frameLimit = 64 << 20

// ErrUnanswered says that a request may or may not have had its effect.
var ErrUnanswered = errors.New("no answer")

// Answer is what became of a request. Err wraps ErrUnanswered when it was sent, or may have been, and no answer came.
type Answer struct {
	Message wire.Message
	Err     error
}

// Call is a request under way.
type Call struct {
	done        *host.Future[Answer]
	conn        *conn
	key         int16
	version     int16
	correlation int32
	deadline    host.Instant
}

// Wait returns the answer. It comes at the latest soon after the request's deadline.
func (c *Call) Wait() Answer { return c.done.Get() }

// conn is a connection to a broker. Requests are answered in order.
type conn struct {
	h           host.Host
	c           host.Conn
	name        string
	number      int // counts the connections of its client
	lazy        time.Duration
	stall       func() time.Duration
	produces    func(string, int32)
	calls       *host.Queue[*Call]
	versions    map[int16]wire.Range
	correlation int32
	broken      bool // as far as the sending task knows
	lost        *host.Future[error]
}

// dial connects and asks for the versions.
func dial(h host.Host, addr string, o Options, deadline host.Instant) (*conn, error) {
	c, err := h.Transport.Dial(addr, deadline)
	if err != nil {
		return nil, err
	}
	x := &conn{h: h, c: c, name: o.Name, lazy: o.Lazy, stall: o.Stall, produces: o.Produces, calls: host.NewQueue[*Call](h.Tasks, 64, nil), lost: host.NewFuture[error](h.Tasks)}
	h.Tasks.Go(o.Name+" reads", x.read)
	m := wire.NewApiVersionsRequest()
	m.ClientSoftwareName, m.ClientSoftwareVersion = "millrace-sim", "1"
	answer := x.send(m, 3, deadline, true).Wait()
	if answer.Err != nil {
		x.close()
		return nil, answer.Err
	}
	r := answer.Message.(*wire.ApiVersionsResponse)
	if r.ErrorCode != wire.ErrNone {
		x.close()
		return nil, fmt.Errorf("ApiVersions: %w", r.ErrorCode)
	}
	x.versions = make(map[int16]wire.Range)
	for _, k := range r.ApiKeys {
		x.versions[k.ApiKey] = wire.Range{Key: k.ApiKey, Min: k.MinVersion, Max: k.MaxVersion}
	}
	return x, nil
}

// send sends a request. answered is false for a Produce with acks=0.
func (x *conn) send(m wire.Message, version int16, deadline host.Instant, answered bool) *Call {
	x.correlation++
	call := &Call{conn: x, done: host.NewFuture[Answer](x.h.Tasks), key: m.APIKey(), version: version, correlation: x.correlation, deadline: deadline}
	header := wire.RequestHeader{APIKey: m.APIKey(), APIVersion: version, CorrelationID: x.correlation, ClientID: &x.name}
	parts, err := wire.EncodeRequest(nil, header, m)
	if err != nil {
		panic(fmt.Sprintf("sim/client: cannot encode %s version %d: %v", wire.Name(m.APIKey()), version, err))
	}
	if answered && !x.calls.Put(call) {
		call.done.Set(Answer{Err: fmt.Errorf("%w: connection lost", ErrUnanswered)})
		return call
	}
	if x.produces != nil && answered && call.key == wire.KeyProduce {
		x.produces(x.c.LocalAddr(), call.correlation)
	}
	x.c.SetSendDeadline(deadline)
	if _, err := x.c.Send(parts...); err != nil {
		x.lose(err)
	}
	if !answered {
		call.done.Set(Answer{})
	}
	return call
}

// lose ends the connection; the reader answers what is under way.
func (x *conn) lose(err error) {
	x.broken = true
	x.lost.Set(err)
	x.calls.Close()
	x.c.Close()
}

// close ends the connection.
func (x *conn) close() { x.lose(errors.New("closed")) }

// alive says whether the connection can be used, as far as is known.
func (x *conn) alive() bool {
	if x.broken {
		return false
	}
	_, lost := x.lost.Try()
	return !lost
}

// read is the task that reads answers.
func (x *conn) read() {
	var err error
	for {
		calls, more := x.calls.Take(nil)
		if !more {
			return
		}
		for _, call := range calls {
			var m wire.Message
			if err == nil {
				m, err = x.answer(call)
			}
			if err != nil {
				x.lost.Set(err)
				x.calls.Close()
				x.c.Close()
				call.done.Set(Answer{Err: fmt.Errorf("%s: %w: %w", wire.Name(call.key), ErrUnanswered, err)})
				continue
			}
			call.done.Set(Answer{Message: m})
		}
	}
}

// lazyPiece is how much a lazy client reads at a time.
const lazyPiece = 500

// answer reads one answer.
func (x *conn) answer(call *Call) (wire.Message, error) {
	if x.stall != nil {
		if d := x.stall(); d > 0 {
			x.h.Clock.Sleep(d)
		}
	}
	x.c.SetReadDeadline(call.deadline)
	var prefix [wire.FrameSizeBytes]byte
	if _, err := io.ReadFull(x.c, prefix[:]); err != nil {
		return nil, err
	}
	n, err := wire.ResponseFrameSize(prefix[:], frameLimit)
	if err != nil {
		return nil, &Violation{fmt.Sprintf("answer to %s: %v", wire.Name(call.key), err)}
	}
	frame := make([]byte, n)
	for rest := frame; len(rest) > 0; {
		piece := rest
		if x.lazy > 0 && n > lazyPiece {
			x.h.Clock.Sleep(x.lazy)
			piece = rest[:min(len(rest), lazyPiece)]
		}
		if _, err := io.ReadFull(x.c, piece); err != nil {
			return nil, err
		}
		rest = rest[len(piece):]
	}
	version := call.version
	correlation, m, err := wire.DecodeResponse(frame, call.key, version)
	if err == nil && correlation != call.correlation {
		err = fmt.Errorf("correlation id %d instead of %d", correlation, call.correlation)
	}
	if err != nil {
		return nil, &Violation{fmt.Sprintf("answer to %s version %d: %v", wire.Name(call.key), version, err)}
	}
	return m, nil
}

// Violation is what a broker must never do, whatever breaks.
type Violation struct{ What string }

func (v *Violation) Error() string { return "violation: " + v.What }

// backoff is the time between attempts.
func backoff(attempt int) time.Duration {
	return min(500*time.Millisecond, 5*time.Millisecond<<min(attempt, 10))
}
