package machine

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"millrace/node/host"
)

type transport struct{ clock *clock }

func (t *transport) Listen(addr string) (host.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &listener{clock: t.clock, l: l.(*net.TCPListener)}, nil
}

func (t *transport) Dial(addr string, deadline host.Instant) (host.Conn, error) {
	d := net.Dialer{Deadline: t.clock.at(deadline)}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, translateNet(err)
	}
	return newConn(t.clock, c.(*net.TCPConn))
}

type listener struct {
	clock *clock
	l     *net.TCPListener
}

func (l *listener) Accept() (host.Conn, error) {
	c, err := l.l.AcceptTCP()
	if err != nil {
		return nil, translateNet(err)
	}
	return newConn(l.clock, c)
}

func (l *listener) Addr() string { return l.l.Addr().String() }
func (l *listener) Close() error { return l.l.Close() }

type conn struct {
	clock *clock
	c     *net.TCPConn
	raw   syscall.RawConn
}

func newConn(c *clock, tcp *net.TCPConn) (host.Conn, error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		tcp.Close()
		return nil, fmt.Errorf("reach the socket: %w", err)
	}
	return &conn{clock: c, c: tcp, raw: raw}, nil
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.c.Read(p)
	if err == io.EOF {
		return n, io.EOF
	}
	return n, translateNet(err)
}

func (c *conn) SetReadDeadline(t host.Instant) { c.c.SetReadDeadline(c.deadline(t)) }
func (c *conn) SetSendDeadline(t host.Instant) { c.c.SetWriteDeadline(c.deadline(t)) }

func (c *conn) deadline(t host.Instant) time.Time { return c.clock.at(t) }

func (c *conn) LocalAddr() string  { return c.c.LocalAddr().String() }
func (c *conn) RemoteAddr() string { return c.c.RemoteAddr().String() }
func (c *conn) Identity() string   { return "" }
func (c *conn) Close() error       { return c.c.Close() }

func translateNet(err error) error {
	var kind error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		kind = host.ErrTimeout
	case errors.Is(err, net.ErrClosed):
		kind = host.ErrClosed
	case errors.Is(err, syscall.ECONNREFUSED):
		kind = host.ErrRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		kind = host.ErrReset
	default:
		var t net.Error
		if errors.As(err, &t) && t.Timeout() {
			kind = host.ErrTimeout
			break
		}
		return err
	}
	return fmt.Errorf("%w (%w)", err, kind)
}
