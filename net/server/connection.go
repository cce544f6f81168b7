package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"millrace/node/host"
)

// Connection is one client connection. The addresses and the identity are set before the first request and never
// change.
type Connection struct {
	// LocalAddr is the address that the client dialled, "host:port". RemoteAddr is the client's.
	LocalAddr, RemoteAddr string
	// Identity names the authenticated peer, "" when nobody asked.
	Identity string
	// State is the Handler's own, nil at first. The server does not touch it.
	State any

	id      int64
	server  *Server
	conn    host.Conn
	answers *host.Queue[inFlight]
	writer  host.Waiter
	waiting *host.Counter // requests not yet answered
	closing *host.Counter // not zero: the read task has ended

	// Of the read task.
	ahead  [4096]byte // bytes read and not yet part of a frame: a small request arrives with one read
	length int
}

// inFlight is a request that waits for its answer.
type inFlight struct {
	finisher Finisher
	bytes    int64
}

var (
	errFrameSize = errors.New("frame size out of range")
	errDraining  = errors.New("server is stopping")
)

func newConnection(s *Server, id int64, conn host.Conn) *Connection {
	c := &Connection{
		LocalAddr: conn.LocalAddr(), RemoteAddr: conn.RemoteAddr(), Identity: conn.Identity(),
		id: id, server: s, conn: conn,
		writer:  s.host.Tasks.NewWaiter(),
		waiting: host.NewCounter(s.host.Tasks),
		closing: host.NewCounter(s.host.Tasks),
	}
	c.answers = host.NewQueue[inFlight](s.host.Tasks, s.options.InFlightRequests, c.writer)
	return c
}

// ID is the connection's number, unique in a run of the server.
func (c *Connection) ID() int64 { return c.id }

// Closing reports that the peer has gone or the server is stopping: whoever waits for more should answer with what
// there is. The write task's waiter is woken when it becomes true.
func (c *Connection) Closing() bool { return c.closing.Load() != 0 }

// drain ends the read task at its next read; what is in flight will be answered.
func (c *Connection) drain() {
	c.closing.Add(1)
	c.writer.Wake()
	c.conn.SetReadDeadline(c.server.host.Clock.Now())
}

// readLoop reads frames and hands them to the handler until the stream ends.
func (c *Connection) readLoop() {
	err := c.read()
	if err != io.EOF && !errors.Is(err, errDraining) {
		c.server.host.Log.Debug("connection ends", "remote", c.RemoteAddr, "error", err)
	}
	c.closing.Add(1)
	c.answers.Close() // wakes the write task
}

func (c *Connection) read() error {
	s := c.server
	for {
		frame, err := c.readFrame()
		if err != nil {
			return err
		}
		r := Request{
			Key:         int16(binary.BigEndian.Uint16(frame.Bytes())),
			Version:     int16(binary.BigEndian.Uint16(frame.Bytes()[2:])),
			Correlation: int32(binary.BigEndian.Uint32(frame.Bytes()[4:])),
			Frame:       frame, Arrived: s.host.Clock.Now(), Connection: c,
		}
		size := int64(len(frame.Bytes()))
		s.Numbers.BytesIn.Add(size + 4)
		finisher, err := s.handler(r)
		if err != nil {
			frame.Release()
			s.budget.give(size)
			s.Numbers.Malformed.Add(1)
			return fmt.Errorf("request of API %d version %d: %w", r.Key, r.Version, err)
		}
		c.waiting.Add(1)
		c.answers.Put(inFlight{finisher, size})
	}
}

// readFrame reads the size and then exactly that many bytes, charged to the budget.
func (c *Connection) readFrame() (*host.Buffer, error) {
	s := c.server
	if err := c.fill(); err != nil {
		return nil, err
	}
	size := int64(int32(binary.BigEndian.Uint32(c.ahead[:])))
	if size < 8 || size > int64(s.options.MaxFrameBytes) {
		s.Numbers.Malformed.Add(1)
		return nil, fmt.Errorf("%w: %d", errFrameSize, size)
	}
	if !s.budget.take(size, c.Closing) {
		return nil, errDraining
	}
	frame := s.host.Buffers.Get(int(size))
	at := copy(frame.Bytes(), c.ahead[4:c.length])
	c.length = copy(c.ahead[:], c.ahead[4+at:c.length])
	for at < int(size) {
		c.conn.SetReadDeadline(s.host.Clock.Now().Add(s.options.StallTimeout))
		if c.Closing() { // set before the deadline was overwritten
			c.conn.SetReadDeadline(s.host.Clock.Now())
		}
		n, err := c.conn.Read(frame.Bytes()[at:])
		if at += n; err != nil && at < int(size) {
			frame.Release()
			s.budget.give(size)
			return nil, fmt.Errorf("frame of %d bytes ends after %d: %w", size, at, err)
		}
	}
	return frame, nil
}

// fill reads until the size of the next frame is there, which may take as long as a connection may be idle.
func (c *Connection) fill() error {
	s := c.server
	for c.length < 4 {
		timeout := s.options.IdleTimeout
		if c.length > 0 {
			timeout = s.options.StallTimeout
		}
		c.conn.SetReadDeadline(s.host.Clock.Now().Add(timeout))
		if c.Closing() {
			return errDraining
		}
		n, err := c.conn.Read(c.ahead[c.length:])
		c.length += n
		switch {
		case n > 0:
		case errors.Is(err, host.ErrTimeout) && c.length == 0 && c.waiting.Load() > 0 && !c.Closing():
			// Not idle: an answer is still awaited.
		case err != nil:
			return err
		}
	}
	return nil
}

// writeLoop answers the requests in order, then closes the connection.
func (c *Connection) writeLoop() {
	s := c.server
	var err error
	var batch []inFlight
	for more := true; more; {
		batch, more = c.answers.Take(batch[:0])
		for i, request := range batch {
			if err == nil {
				err = c.answer(request.finisher)
			} else {
				request.finisher.Drop()
			}
			request.finisher.Done()
			s.budget.give(request.bytes)
			c.waiting.Add(-1)
			batch[i] = inFlight{}
		}
		if err != nil {
			c.conn.Close() // ends the read task, which closes the queue
		}
		if cap(batch) > 64 {
			batch = nil
		}
	}
	c.conn.Close()
	if s.options.Closed != nil {
		s.options.Closed(c)
	}
	s.events.Post(event{closed: c})
}

var errAnswered = errors.New("closed after the answer")

func (c *Connection) answer(f Finisher) error {
	s := c.server
	response := f.Finish(c.writer)
	if len(response.Parts) > 0 {
		c.conn.SetSendDeadline(s.host.Clock.Now().Add(s.sendTimeout(response.Parts)))
		n, err := c.conn.Send(response.Parts...)
		s.Numbers.BytesOut.Add(n)
		if err != nil {
			return err
		}
	}
	if response.Close {
		return errAnswered
	}
	return nil
}

// slowest is the rate, in bytes a second, below which a client that takes an answer is given up.
const slowest = 64 << 10

func (s *Server) sendTimeout(parts []host.Part) time.Duration {
	var size int64
	for _, p := range parts {
		size += p.Size()
	}
	return s.options.StallTimeout + time.Duration(size)*time.Second/slowest
}
