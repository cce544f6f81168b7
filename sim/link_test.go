package sim

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"millrace/node/host"
)

// echo answers every byte with the same byte.
func echo(h host.Host) {
	l, err := h.Transport.Listen(":1")
	must(err)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		h.Tasks.Go("echo", func() {
			b := make([]byte, 4096)
			for {
				n, err := c.Read(b)
				if err != nil {
					c.Close()
					return
				}
				if _, err := c.Send(host.Part{Bytes: bytes.Clone(b[:n])}); err != nil {
					return
				}
			}
		})
	}
}

// ask sends a byte and waits for it to come back.
func ask(h host.Host, c host.Conn, wait time.Duration) error {
	if _, err := c.Send(host.Part{Bytes: []byte{7}}); err != nil {
		return err
	}
	c.SetReadDeadline(h.Clock.Now().Add(wait))
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// TestCutsHoldBackAndHealLosesNothing: in either direction nothing comes through, and everything does later, in order.
func TestCutsHoldBackAndHealLosesNothing(t *testing.T) {
	for seed := range uint64(20) {
		for _, there := range []bool{true, false} {
			var w *World
			var server *Node
			meet(t, seed, NetProfile{}, echo, func(h host.Host) {
				c := dialed(h)
				must(ask(h, c, time.Second))
				from, to := w.nodes[1], server
				if !there {
					from, to = to, from
				}
				w.Cut(from, to)
				if err := ask(h, c, time.Second); !errors.Is(err, host.ErrTimeout) {
					t.Errorf("seed %d: an answer over a cut link: %v", seed, err)
				}
				if _, err := h.Transport.Dial("s:1", h.Clock.Now().Add(time.Second)); !errors.Is(err, host.ErrTimeout) {
					t.Errorf("seed %d: a dial over a cut link: %v", seed, err)
				}
				for i := range byte(50) {
					_, err := c.Send(host.Part{Bytes: []byte{i}})
					must(err)
				}
				w.Heal(from, to)
				c.SetReadDeadline(h.Clock.Now().Add(10 * time.Second))
				got := make([]byte, 51)
				if _, err := io.ReadFull(c, got); err != nil {
					t.Fatalf("seed %d: after the healing: %v", seed, err)
				}
				for i := range byte(50) {
					if got[i+1] != i {
						t.Fatalf("seed %d: read %v", seed, got)
					}
				}
			}, func(world *World, s *Node) { w, server = world, s })
		}
	}
}

// TestCutStopsCredit: who sends into the direction that works stops when its window is full, since nothing comes back.
func TestCutStopsCredit(t *testing.T) {
	var w *World
	var server *Node
	meet(t, 1, NetProfile{Window: 1000}, listen, func(h host.Host) {
		c := dialed(h)
		w.Cut(server, w.nodes[1])
		c.SetSendDeadline(h.Clock.Now().Add(time.Second))
		if n, err := c.Send(host.Part{Bytes: make([]byte, 5000)}); !errors.Is(err, host.ErrTimeout) || n != 1000 {
			t.Errorf("sent %d: %v", n, err)
		}
	}, func(world *World, s *Node) { w, server = world, s })
}

// TestHalfOpen: one end is gone, and the other one learns it only when it sends.
func TestHalfOpen(t *testing.T) {
	var w *World
	var server *Node
	meet(t, 1, NetProfile{}, echo, func(h host.Host) {
		c := dialed(h)
		must(ask(h, c, time.Second))
		w.HalfOpen(server, w.nodes[1])
		c.SetReadDeadline(h.Clock.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, host.ErrTimeout) {
			t.Errorf("a silent half-open connection: %v", err)
		}
		if err := ask(h, c, time.Minute); !errors.Is(err, host.ErrReset) {
			t.Errorf("after a send: %v", err)
		}
	}, func(world *World, s *Node) { w, server = world, s })
}

// TestPause: tasks of a paused node stand still while the others, and time, go on.
func TestPause(t *testing.T) {
	for seed := range uint64(20) {
		var w *World
		var server *Node
		meet(t, seed, NetProfile{}, echo, func(h host.Host) {
			c := dialed(h)
			must(ask(h, c, time.Second))
			if seed%2 == 0 {
				server.Pause(3 * time.Second)
			} else {
				server.Arm(CrashPoint{Point: PointYield, Count: 1, How: Stall, Pause: 3 * time.Second})
			}
			began := h.Clock.Now()
			if err := ask(h, c, 2*time.Second); !errors.Is(err, host.ErrTimeout) {
				t.Errorf("seed %d: a paused node answers: %v", seed, err)
			}
			c.SetReadDeadline(host.Never)
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil || h.Clock.Now().Sub(began) < 2900*time.Millisecond {
				t.Errorf("seed %d: %v after %v", seed, err, h.Clock.Now().Sub(began))
			}
		}, func(world *World, s *Node) { w, server = world, s })
		_ = w
	}
}

// TestSlowLink takes longer.
func TestSlowLink(t *testing.T) {
	var w *World
	var server *Node
	meet(t, 1, NetProfile{}, echo, func(h host.Host) {
		c := dialed(h)
		w.SlowLink(w.nodes[1], server, 500*time.Millisecond, time.Minute)
		began := h.Clock.Now()
		for range 10 {
			must(ask(h, c, time.Second))
		}
		if d := h.Clock.Now().Sub(began); d < time.Second {
			t.Errorf("ten answers took %v", d)
		}
	}, func(world *World, s *Node) { w, server = world, s })
}
