package hosttest

import (
	"fmt"
	"time"

	"millrace/node/host"
)

var taskChecks = []check{
	{"wake before wait is kept", func(h host.Host, _ string) error {
		w := h.Tasks.NewWaiter()
		w.Wake()
		w.Wake()
		w.Wait() // must return
		if w.WaitUntil(h.Clock.Now().Add(time.Millisecond)) {
			return fmt.Errorf("two wakes before a wait counted twice")
		}
		return nil
	}},
	{"wait ends at its deadline", func(h host.Host, _ string) error {
		w, start := h.Tasks.NewWaiter(), h.Clock.Now()
		if w.WaitUntil(start.Add(5 * time.Millisecond)) {
			return fmt.Errorf("woken by nobody")
		}
		if d := h.Clock.Now().Sub(start); d < 5*time.Millisecond {
			return fmt.Errorf("waited only %v", d)
		}
		return same("wait until the past", w.WaitUntil(start), false)
	}},
	{"wait is woken by another task", func(h host.Host, _ string) error {
		w := h.Tasks.NewWaiter()
		h.Tasks.Go("waker", func() {
			h.Clock.Sleep(2 * time.Millisecond)
			w.Wake()
		})
		return same("woken", w.WaitUntil(h.Clock.Now().Add(10*time.Second)), true)
	}},
	{"sleep lasts", func(h host.Host, _ string) error {
		start := h.Clock.Now()
		h.Clock.Sleep(3 * time.Millisecond)
		if d := h.Clock.Now().Sub(start); d < 3*time.Millisecond {
			return fmt.Errorf("slept %v", d)
		}
		return nil
	}},
	{"compute runs once and is finished at return", func(h host.Host, _ string) error {
		n := 0
		h.Tasks.Compute("count", 1000, func() { n++ })
		return same("runs", n, 1)
	}},
	{"queue carries everything in order per producer", func(h host.Host, _ string) error {
		q := host.NewQueue[int](h.Tasks, 3, nil)
		left := host.NewCounter(h.Tasks)
		left.Add(4)
		for p := range 4 {
			h.Tasks.Go("producer", func() {
				for i := range 50 {
					q.Put(p*1000 + i)
				}
				if left.Add(-1) == 0 {
					q.Close()
				}
			})
		}
		next := make([]int, 4)
		for {
			got, more := q.Take(nil)
			for _, v := range got {
				if next[v/1000] != v%1000 {
					return fmt.Errorf("producer %d: got %d, want %d", v/1000, v%1000, next[v/1000])
				}
				next[v/1000]++
			}
			if !more {
				return same("values of the last producer", next[3], 50)
			}
		}
	}},
	{"future is set once", func(h host.Host, _ string) error {
		f := host.NewFuture[int](h.Tasks)
		_, ok := f.GetUntil(h.Clock.Now().Add(time.Millisecond))
		if ok {
			return fmt.Errorf("set by nobody")
		}
		h.Tasks.Go("setter", func() { f.Set(7) })
		v := f.Get()
		return first(same("value", v, 7), same("second set", f.Set(8), false), same("value", f.Get(), 7))
	}},
	{"buffers are aligned", func(h host.Host, _ string) error {
		for _, n := range []int{1, 4096, 5000, 1 << 20} {
			b := h.Buffers.Get(n)
			if err := same("length", len(b.Bytes()), n); err != nil {
				return err
			}
			b.Release()
		}
		return same("bytes out", h.Buffers.Out(), 0)
	}},
	{"random sites are streams", func(h host.Host, _ string) error {
		if first, second := h.Random.Uint64("a"), h.Random.Uint64("a"); first == second {
			return fmt.Errorf("two draws are equal")
		}
		b := make([]byte, 32)
		if n, err := h.Secure.Read(b); n != 32 || err != nil {
			return fmt.Errorf("secure source read %d: %v", n, err)
		}
		return nil
	}},
}
