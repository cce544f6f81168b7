package sim

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"millrace/node/host"
)

// listen accepts connections for ever and reads from them whatever comes.
func listen(h host.Host) {
	l, err := h.Transport.Listen(":1")
	must(err)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		h.Tasks.Go("sink", func() {
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		})
	}
}

// meet boots a server and a client in a world and lets the client run.
func meet(t *testing.T, seed uint64, p NetProfile, serve, use func(h host.Host), before func(w *World, server *Node)) *World {
	t.Helper()
	w := New(seed, Options{})
	w.SetNet(p)
	server := w.AddNode("s")
	server.Boot(serve)
	if before != nil {
		before(w, server)
	}
	w.AddNode("c").Boot(func(h host.Host) {
		h.Clock.Sleep(time.Millisecond)
		use(h)
		w.Stop()
	})
	if err := w.Run(); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	w.Close()
	return w
}

func dialed(h host.Host) host.Conn {
	c, err := h.Transport.Dial("s:1", h.Clock.Now().Add(time.Second))
	must(err)
	return c
}

// TestConnectionsBreakInTheMiddle: the peer sees a part of what was sent and then the break.
func TestConnectionsBreakInTheMiddle(t *testing.T) {
	parts := 0
	for seed := range uint64(50) {
		var got int64
		var end error
		meet(t, seed, NetProfile{Reset: 1, ResetWithin: 10_000}, func(h host.Host) {
			l, err := h.Transport.Listen(":1")
			must(err)
			c, err := l.Accept()
			must(err)
			got, end = io.Copy(io.Discard, c)
		}, func(h host.Host) {
			c := dialed(h)
			_, _ = c.Send(host.Part{Bytes: make([]byte, 10_000)})
			h.Clock.Sleep(time.Second)
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, host.ErrReset) {
				t.Errorf("seed %d: the sender sees %v", seed, err)
			}
		}, nil)
		if !errors.Is(end, host.ErrReset) || got >= 10_000 {
			t.Errorf("seed %d: read %d bytes and then %v", seed, got, end)
		}
		if got > 0 {
			parts++
		}
	}
	if parts == 0 {
		t.Error("nothing ever arrived before a break")
	}
}

// TestPowerOffIsSilence: the peer of a machine without power learns nothing until its own deadline, and a reset when it
// sends to the machine after another start.
func TestPowerOffIsSilence(t *testing.T) {
	meet(t, 1, NetProfile{}, listen, func(h host.Host) {
		c := dialed(h)
		h.Clock.Sleep(10 * time.Millisecond) // the power goes
		c.SetReadDeadline(h.Clock.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, host.ErrTimeout) {
			t.Errorf("read: %v", err)
		}
		c.SetReadDeadline(host.Never)
		if _, err := h.Transport.Dial("s:1", h.Clock.Now().Add(time.Second)); !errors.Is(err, host.ErrTimeout) {
			t.Errorf("dial: %v", err)
		}
		h.Clock.Sleep(5 * time.Second) // it is on again
		_, _ = c.Send(host.Part{Bytes: []byte("hello")})
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, host.ErrReset) {
			t.Errorf("read after the start: %v", err)
		}
	}, func(w *World, server *Node) {
		w.After(5*time.Millisecond, func() { server.Crash(Power) })
		w.After(4*time.Second, func() { server.Boot(listen) })
	})
}

// TestKillEndsConnections: the operating system closes what a process leaves behind.
func TestKillEndsConnections(t *testing.T) {
	ends := make(map[string]int)
	for seed := range uint64(20) {
		meet(t, seed, NetProfile{}, listen, func(h host.Host) {
			c := dialed(h)
			_, err := c.Read(make([]byte, 1))
			switch {
			case errors.Is(err, io.EOF):
				ends["end"]++
			case errors.Is(err, host.ErrReset):
				ends["reset"]++
			default:
				t.Errorf("seed %d: %v", seed, err)
			}
			if _, err := h.Transport.Dial("s:1", h.Clock.Now().Add(time.Second)); !errors.Is(err, host.ErrRefused) {
				t.Errorf("dial: %v", err)
			}
		}, func(w *World, server *Node) {
			w.After(5*time.Millisecond, func() { server.Crash(Kill) })
		})
	}
	if ends["end"] == 0 || ends["reset"] == 0 {
		t.Errorf("ends seen: %v", ends)
	}
}

func TestClogsHoldEverythingBack(t *testing.T) {
	meet(t, 1, NetProfile{}, listen, func(h host.Host) {
		start := h.Clock.Now()
		dialed(h)
		if d := h.Clock.Now().Sub(start); d < 400*time.Millisecond {
			t.Errorf("a dial over a clogged link took %v", d)
		}
	}, func(w *World, server *Node) {
		w.After(time.Millisecond/2, func() { w.Clog(server, w.nodes[1], 500*time.Millisecond) })
	})
}

// TestFilesAreReadWhileTheyAreSent: what changes under a send is seen, and a range that goes away fails the run.
func TestFilesAreReadWhileTheyAreSent(t *testing.T) {
	changed, gone := 0, 0
	for seed := range uint64(40) {
		w := New(seed, Options{})
		w.AddNode("s").Boot(func(h host.Host) {
			l, err := h.Transport.Listen(":1")
			must(err)
			c, err := l.Accept()
			must(err)
			got, _ := io.ReadAll(c)
			if bytes.IndexByte(got, 1) >= 0 && len(got) == 1<<20 {
				changed++
			}
			w.Stop()
		})
		w.AddNode("c").Boot(func(h host.Host) {
			h.Clock.Sleep(time.Millisecond)
			f, err := h.Disk.Create("f", 1<<20, host.Mode{})
			must(err)
			c := dialed(h)
			h.Tasks.Go("change", func() {
				h.Clock.Sleep(time.Millisecond)
				if seed%2 == 0 {
					must(f.Truncate(1000))
				} else {
					must(f.WriteAt(1<<20-10, bytes.Repeat([]byte{1}, 10)))
				}
			})
			_, _ = c.Send(host.Part{File: f, Len: 1 << 20})
			must(c.Close())
		})
		if w.Run() != nil {
			gone++
		}
		w.Close()
	}
	if changed == 0 || gone == 0 {
		t.Errorf("%d of 20 sends met the write, %d of 20 the truncation", changed, gone)
	}
}
