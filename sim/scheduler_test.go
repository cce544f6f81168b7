package sim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/node/host"
)

// pingPong is a run with a bit of everything: queues, futures, timers, files, connections, a crash.
func pingPong(seed uint64, o Options) (*World, error) {
	w := New(seed, o)
	defer w.Close()
	w.SetNet(NetProfile{Small: 0.5, Reset: 0.2, ResetWithin: 3000})
	server, client := w.AddNode("s"), w.AddNode("c")
	serve := func(h host.Host) {
		l, err := h.Transport.Listen(":9")
		if err != nil {
			panic(err)
		}
		f, err := h.Disk.Open("log", host.Mode{})
		if err != nil {
			f, _ = h.Disk.Create("log", 0, host.Mode{})
		}
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.Tasks.Go("echo", func() {
				defer c.Close()
				buf := make([]byte, 100)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					size, _ := f.Size()
					if f.WriteAt(size, buf[:n]) != nil || f.Sync() != nil {
						return
					}
					if _, err := c.Send(host.Part{Bytes: buf[:n]}); err != nil {
						return
					}
				}
			})
		}
	}
	server.Boot(serve)
	client.Boot(func(h host.Host) {
		done := host.NewQueue[int](h.Tasks, 2, nil)
		for i := range 3 {
			h.Tasks.Go(fmt.Sprint("client", i), func() {
				for j := range 5 {
					talk(h, fmt.Sprintf("hello %d %d", i, j))
					done.Put(j)
				}
			})
		}
		for n := 0; n < 15; {
			got, _ := done.Take(nil)
			if n < 7 && n+len(got) >= 7 {
				server.Crash(Power)
				h.Clock.Sleep(time.Millisecond)
				server.Boot(serve)
			}
			n += len(got)
		}
		w.Stop()
	})
	return w, w.Run()
}

func talk(h host.Host, s string) {
	c, err := h.Transport.Dial("s:9", h.Clock.Now().Add(time.Second))
	if err != nil {
		h.Clock.Sleep(time.Millisecond)
		return
	}
	defer c.Close()
	c.SetReadDeadline(h.Clock.Now().Add(100 * time.Millisecond))
	if _, err := c.Send(host.Part{Bytes: []byte(s)}); err != nil {
		return
	}
	buf := make([]byte, 100)
	for n := 0; n < len(s); {
		k, err := c.Read(buf)
		if err != nil {
			return
		}
		n += k
	}
}

func TestSameSeedSameHash(t *testing.T) {
	hashes := make(map[uint64]bool)
	for seed := range uint64(40) {
		o := Options{Priorities: seed%4 == 0, Spurious: float64(seed%3) / 100}
		a, err := pingPong(seed, o)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		b, _ := pingPong(seed, o)
		if a.Hash() != b.Hash() || a.Events() != b.Events() {
			t.Fatalf("seed %d: hash %x after %d events, then %x after %d", seed, a.Hash(), a.Events(), b.Hash(), b.Events())
		}
		hashes[a.Hash()] = true
	}
	if len(hashes) != 40 {
		t.Errorf("40 seeds gave %d hashes", len(hashes))
	}
}

func TestSameSeedSameHashInOtherProcess(t *testing.T) {
	if os.Getenv("SIM_PRINT_HASHES") != "" {
		for seed := range uint64(10) {
			w, _ := pingPong(seed, Options{})
			fmt.Printf("hash %x\n", w.Hash())
		}
		return
	}
	var outputs []string
	for _, env := range [][]string{{"GOGC=5", "GOMAXPROCS=1"}, {"GOGC=400", "GOMAXPROCS=4"}} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSameSeedSameHashInOtherProcess$")
		cmd.Env = append(append(os.Environ(), env...), "SIM_PRINT_HASHES=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.DeleteFunc(strings.Split(string(out), "\n"), func(s string) bool { return !strings.HasPrefix(s, "hash") })
		if len(lines) != 10 {
			t.Fatalf("%d hashes", len(lines))
		}
		outputs = append(outputs, strings.Join(lines, "\n"))
	}
	if outputs[0] != outputs[1] {
		t.Errorf("two processes differ:\n%s\n%s", outputs[0], outputs[1])
	}
}

func TestDeadlockNamesTheTasks(t *testing.T) {
	w := New(1, Options{})
	defer w.Close()
	w.AddNode("n").Boot(func(h host.Host) {
		f := host.NewFuture[int](h.Tasks)
		h.Tasks.Go("forgotten", func() { f.Get() })
	})
	err := w.Run()
	if !errors.Is(err, ErrDeadlock) || !strings.Contains(err.Error(), "forgotten") {
		t.Errorf("got %v", err)
	}
}

// TestLostWakeupIsFound: a task that looks, and only then watches, misses what comes in between. Some seed must show it.
func TestLostWakeupIsFound(t *testing.T) {
	found := 0
	for seed := range uint64(200) {
		w := New(seed, Options{Keep: 0.9})
		w.AddNode("n").Boot(func(h host.Host) {
			var waiter host.Waiter
			ready := host.NewCounter(h.Tasks)
			h.Tasks.Go("sleeper", func() {
				if ready.Load() == 0 {
					waiter = h.Tasks.NewWaiter()
					h.Tasks.Yield()
					waiter.Wait()
				}
				w.Stop()
			})
			h.Tasks.Go("waker", func() {
				if waiter != nil {
					waiter.Wake()
				}
				ready.Add(1)
			})
		})
		if errors.Is(w.Run(), ErrDeadlock) {
			found++
		}
		w.Close()
	}
	if found == 0 || found == 200 {
		t.Errorf("%d of 200 seeds found it", found)
	}
}

func TestLimits(t *testing.T) {
	run := func(o Options, main func(h host.Host)) error {
		w := New(1, o)
		defer w.Close()
		w.AddNode("n").Boot(main)
		return w.Run()
	}
	if err := run(Options{Limit: time.Second}, func(h host.Host) {
		for {
			h.Clock.Sleep(time.Millisecond)
		}
	}); !errors.Is(err, ErrLimit) {
		t.Errorf("got %v", err)
	}
	if err := run(Options{Steps: 1000, Keep: 0.5}, func(h host.Host) {
		for {
			h.Tasks.Yield()
		}
	}); !errors.Is(err, ErrLivelock) {
		t.Errorf("got %v", err)
	}
	var p *ErrPanic
	if err := run(Options{}, func(h host.Host) { panic("oh") }); !errors.As(err, &p) || p.Value != "oh" {
		t.Errorf("got %v", err)
	}
}

// TestCrashAtAnyYield ends a node at each of its yields in turn: everything unwinds, deferred code has no effect on the
// disk or the network, and the next process starts.
func TestCrashAtAnyYield(t *testing.T) {
	crashed := 0
	for at := uint64(1); at < 400; at++ {
		w := New(7, Options{Keep: 0.7})
		n := w.AddNode("n")
		unwound, tasks := 0, 0
		n.Boot(func(h host.Host) {
			f, _ := h.Disk.Create("f", 0, host.Mode{})
			h.Disk.SyncDir("")
			q := host.NewQueue[int](h.Tasks, 1, nil)
			for i := range 3 {
				h.Tasks.Go("put", func() {
					tasks++
					defer func() {
						unwound++
						if n.inc == nil { // must not count
							f.WriteAt(0, []byte("after death"))
							f.Sync()
							h.Tasks.Go("ghost", func() { t.Error("a dead node started a task") })
						}
					}()
					for j := range 10 {
						q.Put(i*10 + j)
					}
				})
			}
			for k := 0; k < 30; {
				got, _ := q.Take(nil)
				k += len(got)
			}
		})
		n.Arm(CrashPoint{Point: PointYield, Count: at, How: Power})
		w.After(time.Second, func() {
			n.Disarm()
			if n.Running() {
				n.Crash(Power)
			} else {
				crashed++
			}
			w.After(0, w.Stop)
		})
		if err := w.Run(); err != nil {
			t.Fatal(err)
		}
		if unwound != tasks {
			t.Fatalf("crash at yield %d: %d of %d tasks unwound", at, unwound, tasks)
		}
		n.Boot(func(h host.Host) {
			if f, err := h.Disk.Open("f", host.Mode{}); err == nil {
				if size, _ := f.Size(); size != 0 {
					t.Errorf("crash at yield %d: a dead node wrote %d bytes", at, size)
				}
			}
			w.Stop()
		})
		w.stopped = false
		if err := w.Run(); err != nil {
			t.Fatal(err)
		}
		w.Close()
	}
	if crashed < 100 {
		t.Errorf("only %d runs crashed at their yield", crashed)
	}
}

func TestReaderIsGivenBack(t *testing.T) {
	before := rand.Reader
	draw := func() (b [8]byte) {
		w := New(5, Options{})
		defer w.Close()
		w.AddNode("n").Boot(func(host.Host) {
			_, _ = io.ReadFull(rand.Reader, b[:])
			w.Stop()
		})
		if err := w.Run(); err != nil {
			t.Fatal(err)
		}
		return b
	}
	if first, second := draw(), draw(); first != second {
		t.Error("crypto/rand.Reader is not the world's")
	}
	if rand.Reader != before {
		t.Error("crypto/rand.Reader is still a world's")
	}
}

func TestClocksAreApart(t *testing.T) {
	w := New(3, Options{})
	defer w.Close()
	n := w.AddNode("n")
	n.Drift, n.WallOffset = 5000, -time.Hour
	n.Boot(func(h host.Host) {
		a, wall := h.Clock.Now(), h.Clock.Wall()
		h.Clock.Sleep(10 * time.Second)
		if d := h.Clock.Now().Sub(a); d < 10*time.Second || d > 10*time.Second+time.Millisecond {
			t.Errorf("slept %v of the node's time", d)
		}
		if d := h.Clock.Wall().Sub(wall); d > 9960*time.Millisecond || d < 9940*time.Millisecond {
			t.Errorf("slept %v of the wall's time", d)
		}
		w.Stop()
	})
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
}
