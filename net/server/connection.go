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

	// What the registry looks at when memory is short: the bytes charged for requests in flight and for the answer that is
	// being sent, and since when the rest of a frame, and the client to take its answer, is waited for; 0 when it is not.
	charged, answering, receiving, sending *host.Counter

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
	counter := func() *host.Counter { return host.NewCounter(s.host.Tasks) }
	c.charged, c.answering, c.receiving, c.sending = counter(), counter(), counter(), counter()
	c.answers = host.NewQueue[inFlight](s.host.Tasks, s.options.InFlightRequests, c.writer)
	return c
}

// Answers is the budget of what answers hold in memory, of all connections.
func (c *Connection) Answers() *Budget { return c.server.Answers }

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
		frame, charge, err := c.readFrame()
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
			c.refund(charge)
			s.Numbers.Malformed.Add(1)
			return fmt.Errorf("request of API %d version %d: %w", r.Key, r.Version, err)
		}
		c.waiting.Add(1)
		c.answers.Put(inFlight{finisher, charge})
	}
}

// plainCharge is how much memory a frame is taken to need, together with what is decoded from it, in times its size.
const plainCharge = 16

// charge is what a frame of that size takes of the budget of requests; ok is false when it is larger than its API's may be.
func (c *Connection) charge(size int64, key int16) (charge int64, ok bool) {
	o := &c.server.options
	switch {
	case size < 8 || size > int64(o.MaxFrameBytes):
		return 0, false
	case o.Bulky == nil || o.Bulky(key):
		return size, true
	}
	return size * plainCharge, size <= int64(o.MaxPlainBytes)
}

// refund gives back what a frame took of the budget.
func (c *Connection) refund(charge int64) {
	c.charged.Add(-charge)
	c.server.Requests.giveFrame(charge)
}

// readFrame reads the size and then exactly that many bytes, charged to the budget. The frame has the time that a slow
// client needs for it, and no more: who sends a byte now and then to keep it would keep its memory.
func (c *Connection) readFrame() (frame *host.Buffer, charge int64, err error) {
	s := c.server
	if err := c.fill(); err != nil {
		return nil, 0, err
	}
	size := int64(int32(binary.BigEndian.Uint32(c.ahead[:])))
	charge, ok := c.charge(size, int16(binary.BigEndian.Uint16(c.ahead[4:])))
	if !ok {
		s.Numbers.Malformed.Add(1)
		return nil, 0, fmt.Errorf("%w: %d", errFrameSize, size)
	}
	if !s.Requests.takeFrame(charge, c.Closing) {
		return nil, 0, errDraining
	}
	c.charged.Add(charge)
	frame = s.host.Buffers.Get(int(size))
	at := copy(frame.Bytes(), c.ahead[4:c.length])
	c.length = copy(c.ahead[:], c.ahead[4+at:c.length])
	if at == int(size) {
		return frame, charge, nil
	}
	if err := c.readRest(frame.Bytes(), at); err != nil {
		frame.Release()
		c.refund(charge)
		return nil, 0, err
	}
	return frame, charge, nil
}

// readRest reads a frame to its end.
func (c *Connection) readRest(frame []byte, at int) error {
	s := c.server
	began := s.host.Clock.Now()
	c.receiving.Add(int64(began))
	defer c.receiving.Add(-int64(began))
	deadline := began.Add(s.timeFor(int64(len(frame))))
	for at < len(frame) {
		c.conn.SetReadDeadline(min(deadline, s.host.Clock.Now().Add(s.options.StallTimeout)))
		if c.Closing() { // set before the deadline was overwritten
			c.conn.SetReadDeadline(s.host.Clock.Now())
		}
		n, err := c.conn.Read(frame[at:])
		if at += n; err != nil && at < len(frame) {
			return fmt.Errorf("frame of %d bytes ends after %d: %w", len(frame), at, err)
		}
	}
	return nil
}

// fill reads until the size and the API of the next frame are there, which may take as long as a connection may be idle.
func (c *Connection) fill() error {
	s := c.server
	for c.length < 6 {
		if c.length >= 4 {
			if size := int32(binary.BigEndian.Uint32(c.ahead[:])); size < 8 || int(size) > s.options.MaxFrameBytes {
				return nil // no frame, and nothing more may come
			}
		}
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
			c.refund(request.bytes)
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

// heavy is the weight from which an answer waits for room.
const heavy = 64 << 10

func (c *Connection) answer(f Finisher) error {
	s := c.server
	weight := int64(0)
	if w, ok := f.(Weighed); ok && w.Weight() >= heavy {
		if weight = w.Weight(); !s.Answers.take(weight, c.Closing) {
			weight = 0 // the connection ends: whatever it holds is soon given back
		}
	}
	response := f.Finish(c.writer)
	if len(response.Parts) == 0 {
		s.Answers.Give(weight + response.Charged)
		return closeAfter(response)
	}
	memory, size := int64(0), int64(0)
	for _, p := range response.Parts {
		memory += int64(len(p.Bytes))
		size += p.Size()
	}
	s.Answers.Give(weight + response.Charged - memory)
	began := s.host.Clock.Now()
	c.answering.Add(memory)
	c.sending.Add(int64(began))
	c.conn.SetSendDeadline(began.Add(s.timeFor(size)))
	n, err := c.conn.Send(response.Parts...)
	s.Numbers.BytesOut.Add(n)
	c.sending.Add(-int64(began))
	c.answering.Add(-memory)
	s.Answers.Give(memory)
	if err != nil {
		return err
	}
	return closeAfter(response)
}

func closeAfter(r Response) error {
	if r.Close {
		return errAnswered
	}
	return nil
}

// slowest is the rate, in bytes a second, below which a client that sends a frame or takes an answer is given up.
const slowest = 64 << 10

// timeFor is how long so many bytes may be on their way.
func (s *Server) timeFor(size int64) time.Duration {
	return s.options.StallTimeout + time.Duration(size)*time.Second/slowest
}
