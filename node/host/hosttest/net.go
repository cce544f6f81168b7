package hosttest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"time"

	"millrace/node/host"
)

// connect makes a pair of connected ends.
func connect(h host.Host, name string) (client, server host.Conn, l host.Listener, err error) {
	l, err = h.Transport.Listen(net.JoinHostPort(name, "0"))
	if err != nil {
		return nil, nil, nil, err
	}
	accepted := host.NewFuture[host.Conn](h.Tasks)
	h.Tasks.Go("accept", func() {
		c, err := l.Accept()
		if err != nil {
			c = nil
		}
		accepted.Set(c)
	})
	client, err = h.Transport.Dial(l.Addr(), h.Clock.Now().Add(5*time.Second))
	if err != nil {
		return nil, nil, nil, err
	}
	return client, accepted.Get(), l, nil
}

// readFull reads exactly n bytes.
func readFull(c host.Conn, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return b, err
}

var netChecks = []check{
	{"bytes and file ranges arrive in order", func(h host.Host, name string) error {
		c, s, l, err := connect(h, name)
		if err != nil {
			return err
		}
		p := pattern(300_000)
		f, err := h.Disk.Create("f", 0, host.Mode{})
		if err != nil {
			return err
		}
		if err := f.WriteAt(0, p); err != nil {
			return err
		}
		sent := host.NewFuture[error](h.Tasks)
		h.Tasks.Go("send", func() {
			n, err := s.Send(host.Part{Bytes: p[:1000]}, host.Part{File: f, Off: 1000, Len: 250_000}, host.Part{Bytes: p[251_000:]})
			sent.Set(first(err, same("sent", n, 300_000)))
		})
		got, err := readFull(c, 300_000)
		if !bytes.Equal(got, p) {
			return fmt.Errorf("other bytes arrived (%v)", err)
		}
		return first(err, sent.Get(), same("addresses", c.RemoteAddr(), s.LocalAddr()), same("addresses", c.LocalAddr(), s.RemoteAddr()),
			c.Close(), s.Close(), l.Close(), f.Close())
	}},
	{"the end of a stream", func(h host.Host, name string) error {
		c, s, l, err := connect(h, name)
		if err != nil {
			return err
		}
		if _, err := s.Send(host.Part{Bytes: []byte("last words")}); err != nil {
			return err
		}
		if err := s.Close(); err != nil {
			return err
		}
		got, err := readFull(c, 10)
		if err != nil {
			return err
		}
		_, err = c.Read(make([]byte, 1))
		return first(same("got", string(got), "last words"), wants("read at the end", err, io.EOF), c.Close(), l.Close())
	}},
	{"reads end at their deadline", func(h host.Host, name string) error {
		c, s, l, err := connect(h, name)
		if err != nil {
			return err
		}
		c.SetReadDeadline(h.Clock.Now().Add(3 * time.Millisecond))
		_, timeout := c.Read(make([]byte, 1))
		c.SetReadDeadline(host.Never)
		h.Tasks.Go("set", func() {
			h.Clock.Sleep(2 * time.Millisecond)
			c.SetReadDeadline(h.Clock.Now().Add(-time.Millisecond))
		})
		_, pending := c.Read(make([]byte, 1))
		c.SetReadDeadline(host.Never)
		_, sendErr := s.Send(host.Part{Bytes: []byte("x")})
		got, err := readFull(c, 1)
		return first(wants("read", timeout, host.ErrTimeout), wants("pending read", pending, host.ErrTimeout), sendErr, err,
			same("got", string(got), "x"), c.Close(), s.Close(), l.Close())
	}},
	{"sends end at their deadline when nobody reads", func(h host.Host, name string) error {
		c, s, l, err := connect(h, name)
		if err != nil {
			return err
		}
		s.SetSendDeadline(h.Clock.Now().Add(20 * time.Millisecond))
		_, err = s.Send(host.Part{Bytes: make([]byte, 32<<20)})
		return first(wants("send", err, host.ErrTimeout), c.Close(), s.Close(), l.Close())
	}},
	{"close ends a pending read", func(h host.Host, name string) error {
		c, s, l, err := connect(h, name)
		if err != nil {
			return err
		}
		h.Tasks.Go("close", func() {
			h.Clock.Sleep(2 * time.Millisecond)
			c.Close()
		})
		_, err = c.Read(make([]byte, 1))
		return first(wants("read", err, host.ErrClosed), s.Close(), l.Close())
	}},
	{"close ends a pending accept", func(h host.Host, name string) error {
		l, err := h.Transport.Listen(net.JoinHostPort(name, "0"))
		if err != nil {
			return err
		}
		h.Tasks.Go("close", func() {
			h.Clock.Sleep(2 * time.Millisecond)
			l.Close()
		})
		_, err = l.Accept()
		return wants("accept", err, host.ErrClosed)
	}},
	{"nobody listens", func(h host.Host, name string) error {
		l, err := h.Transport.Listen(net.JoinHostPort(name, "0"))
		if err != nil {
			return err
		}
		addr := l.Addr()
		if err := l.Close(); err != nil {
			return err
		}
		_, err = h.Transport.Dial(addr, h.Clock.Now().Add(5*time.Second))
		return wants("dial", err, host.ErrRefused)
	}},
}
