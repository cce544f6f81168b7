package sim

import (
	"errors"
	"fmt"
	"io"

	"millrace/node/host"
)

// conn is one end of a connection. Its fields say what this end has received and how far what it sends has come.
type conn struct {
	world         *World
	inc           *incarnation
	peer          *conn
	id            uint64
	local, remote string
	out           *link // from here to the peer
	draws         Draws
	closed        bool
	broken        error // host.ErrReset

	inbox        [][]byte
	ended        bool // the peer has ended its stream
	reader       waiter
	readDeadline int64

	sent         int64 // bytes handed to the network
	unread       int64 // of those, not yet read by the peer
	window       int64 // bound of unread
	breakAt      int64 // the byte at which the connection breaks; -1 for never
	small        bool
	arrived      int64 // time at which the last chunk arrives
	again        int   // chunks that were held back and are on their way again
	sender       waiter
	sendDeadline int64
}

func (c *conn) state(op string) error {
	switch {
	case c.closed || c.inc.dead:
		return fmt.Errorf("%s %s: %w", op, c.remote, host.ErrClosed)
	case c.broken != nil:
		return fmt.Errorf("%s %s: %w", op, c.remote, c.broken)
	}
	return nil
}

// Read waits for bytes.
func (c *conn) Read(p []byte) (int, error) {
	w := c.world
	for {
		w.step()
		if err := c.state("read from"); err != nil {
			return 0, err
		}
		if len(p) == 0 {
			return 0, nil
		}
		if len(c.inbox) > 0 {
			n := copy(p, c.inbox[0])
			w.io("recv", c.local, c.id, c.sent, int64(n), p[:n])
			switch c.inbox[0] = c.inbox[0][n:]; {
			case len(c.inbox[0]) > 0:
			case len(c.inbox) == 1:
				c.inbox[0], c.inbox = nil, c.inbox[:0] // the next chunk takes its place
			default:
				c.inbox = c.inbox[1:]
			}
			c.credit(int64(n))
			return n, nil
		}
		if c.ended {
			return 0, io.EOF
		}
		if c.readDeadline <= w.now {
			return 0, fmt.Errorf("read from %s: %w", c.remote, host.ErrTimeout)
		}
		c.reader.wait(c.readDeadline)
	}
}

// Send hands the parts to the network, chunk by chunk, as the window allows. Files are read chunk by chunk too, and other
// tasks run in between.
func (c *conn) Send(parts ...host.Part) (int64, error) {
	w := c.world
	if w.options.Sends != nil {
		w.options.Sends(c.inc.node, c.remote, parts)
	}
	var total int64
	for _, part := range parts {
		size := part.Size()
		if part.File != nil {
			w.fired["sent/file range"]++
		}
		for done := int64(0); done < size; {
			n, err := c.room(size - done)
			if err != nil {
				return total, err
			}
			chunk := make([]byte, n)
			if part.File == nil {
				copy(chunk, part.Bytes[done:])
			} else if err := part.File.(*file).late(chunk, part.Off+done); errors.Is(err, host.ErrIO) {
				c.reset()
				return total, err
			} else if err != nil {
				// Who sends a range must keep it: on a machine the peer would wait for bytes that never come.
				w.Fail(fmt.Errorf("%s to %s: %w", c.inc.node.name, c.remote, err))
				return total, err
			}
			c.transmit(chunk)
			total += n
			if done += n; part.File != nil && done < size {
				w.sleep(c.draws.Between(1000, 50_000), "sends a file")
			}
		}
	}
	c.inc.reach(PointSend)
	return total, c.stateAfterSend()
}

func (c *conn) stateAfterSend() error {
	if c.broken != nil {
		return fmt.Errorf("send to %s: %w", c.remote, c.broken)
	}
	return nil
}

// room waits until something may be sent and returns how much of want it is this time.
func (c *conn) room(want int64) (int64, error) {
	w := c.world
	for {
		w.step()
		if err := c.state("send to"); err != nil {
			return 0, err
		}
		// Less than a quarter of the window is waited with, as TCP does: otherwise who once sent single bytes goes on so.
		if free := c.window - c.unread; free > 0 && (free >= want || 4*free >= c.window) {
			n := min(want, free)
			if c.small && c.draws.Chance(0.3) {
				n = min(n, c.draws.Skewed(1, 64))
			}
			return n, nil
		}
		if c.sendDeadline <= w.now {
			return 0, fmt.Errorf("send to %s: %w", c.remote, host.ErrTimeout)
		}
		c.sender.wait(c.sendDeadline)
	}
}

// transmit puts a chunk on its way.
func (c *conn) transmit(chunk []byte) {
	w := c.world
	w.io("send", c.local, c.id, c.sent, int64(len(chunk)), chunk)
	breaks := c.breakAt >= 0 && c.sent+int64(len(chunk)) > c.breakAt
	if breaks {
		chunk = chunk[:max(0, c.breakAt-c.sent)]
	}
	c.sent += int64(len(chunk))
	c.unread += int64(len(chunk))
	c.later(func() {
		if len(chunk) > 0 {
			c.deliver(chunk)
		}
		if breaks {
			w.fault("reset")
			c.reset()
		}
	})
}

// credit tells the peer that there is room again. On a link that carries nothing this way it stays unknown.
func (c *conn) credit(n int64) {
	if c.out.cut {
		c.out.held = append(c.out.held, held{c, func() { c.credit(n) }})
		return
	}
	c.peer.unread -= n
	c.peer.sender.wake()
}

// later does something at the other end, after everything that was sent before.
func (c *conn) later(what func()) {
	w := c.world
	l := c.out
	at := max(w.now, l.clogged) + c.draws.Between(15_000, 250_000) + l.delay()
	if p := w.network.profile.Slow; p > 0 && c.draws.Chance(p) {
		at += c.draws.Skewed(1_000_000, 50_000_000)
		w.fired["slow chunk"]++
	}
	c.arrived = max(c.arrived+1, at)
	w.timers.push(timer{at: c.arrived, run: what, conn: c})
}

// deliver is the arrival of a chunk at the peer.
func (c *conn) deliver(chunk []byte) {
	p := c.peer
	switch {
	case (p.closed || p.inc.dead) && p.inc.node.off: // nobody is there to answer
	case p.closed || p.inc.dead || p.broken != nil:
		p.later(c.lose)
	default:
		p.inbox = append(p.inbox, chunk)
		p.reader.wake()
	}
}

// lose breaks this end only. What had not been read is lost.
func (c *conn) lose() {
	if c.broken == nil {
		c.broken = host.ErrReset
		c.inbox = nil
		c.reader.wake()
		c.sender.wake()
	}
}

// reset breaks the connection for both ends.
func (c *conn) reset() {
	c.lose()
	c.peer.lose()
}

// hangUp ends this end's stream: the peer reads what was sent and then the end.
func (c *conn) hangUp() {
	c.closed = true
	c.later(func() {
		if p := c.peer; p.broken == nil {
			p.ended = true
			p.reader.wake()
		}
	})
}

// Close ends the connection. If something was received that nobody read, the peer sees it break.
func (c *conn) Close() error {
	c.world.step()
	if c.inc.dead || c.closed {
		return nil
	}
	unread := len(c.inbox) > 0
	c.inbox = nil
	if c.broken != nil {
		c.closed = true
	} else {
		c.hangUp()
	}
	if unread && c.broken == nil {
		c.later(func() { c.peer.reset() })
	}
	c.reader.wake()
	c.sender.wake()
	return nil
}

// SetReadDeadline sets the deadline of reads.
func (c *conn) SetReadDeadline(t host.Instant) {
	c.world.step()
	c.readDeadline = c.inc.worldTime(t)
	c.reader.wake()
}

// SetSendDeadline sets the deadline of sends.
func (c *conn) SetSendDeadline(t host.Instant) {
	c.world.step()
	c.sendDeadline = c.inc.worldTime(t)
	c.sender.wake()
}

// LocalAddr is this end's address.
func (c *conn) LocalAddr() string { return c.local }

// RemoteAddr is the other end's address.
func (c *conn) RemoteAddr() string { return c.remote }

// Identity is empty: nobody asks.
func (c *conn) Identity() string { return "" }
