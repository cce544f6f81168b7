package host_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"millrace/node/host"
	"millrace/node/host/machine"
)

func newHost(t *testing.T) host.Host {
	t.Helper()
	h, _, err := machine.New(machine.Options{Dir: t.TempDir(), Poison: true})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestQueueKeepsOrderAndBound has four producers on a queue of two: each producer's values arrive once and in order,
// and the consumer never finds more waiting than the bound.
func TestQueueKeepsOrderAndBound(t *testing.T) {
	const producers, each, bound = 4, 2000, 2
	h := newHost(t)
	q := host.NewQueue[[2]int](h.Tasks, bound, nil)
	var running sync.WaitGroup
	for p := range producers {
		running.Add(1)
		h.Tasks.Go("producer", func() {
			defer running.Done()
			for i := range each {
				if !q.Put([2]int{p, i}) {
					t.Error("put on an open queue was refused")
				}
			}
		})
	}
	h.Tasks.Go("closer", func() { running.Wait(); q.Close() })
	next := [producers]int{}
	var got [][2]int
	for more := true; more; {
		got, more = q.Take(got[:0])
		if len(got) > bound {
			t.Fatalf("%d values waited in a queue of %d", len(got), bound)
		}
		for _, v := range got {
			if v[1] != next[v[0]] {
				t.Fatalf("producer %d: value %d came when %d was due", v[0], v[1], next[v[0]])
			}
			next[v[0]]++
		}
	}
	for p, n := range next {
		if n != each {
			t.Errorf("producer %d: %d of %d values arrived", p, n, each)
		}
	}
	if q.Put([2]int{}) || q.TryPut([2]int{}) || q.Post([2]int{}) {
		t.Error("a closed queue took a value")
	}
}

func TestQueueCloseFreesBlockedProducer(t *testing.T) {
	h := newHost(t)
	q := host.NewQueue[int](h.Tasks, 1, nil)
	q.Put(1)
	if q.TryPut(2) {
		t.Error("a full queue took a value at once")
	}
	refused := host.NewFuture[bool](h.Tasks)
	h.Tasks.Go("blocked", func() { refused.Set(!q.Put(2)) })
	time.Sleep(time.Millisecond)
	q.Close()
	if v, ok := refused.GetUntil(h.Clock.Now().Add(5 * time.Second)); !ok || !v {
		t.Error("the blocked producer was not freed by Close")
	}
	if got, more := q.Drain(nil); len(got) != 1 || !more {
		t.Errorf("what was put before Close: %v, more %v", got, more)
	}
	if _, more := q.Drain(nil); more {
		t.Error("a closed and empty queue promises more")
	}
}

func TestFutureIsSetOnce(t *testing.T) {
	h := newHost(t)
	f := host.NewFuture[int](h.Tasks)
	if _, ok := f.GetUntil(h.Clock.Now().Add(time.Millisecond)); ok {
		t.Error("a future that nobody set has a value")
	}
	var seen atomic.Int64
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Add(1)
		h.Tasks.Go("waits", func() { defer waiting.Done(); seen.Add(int64(f.Get())) })
	}
	if !f.Set(7) || f.Set(8) {
		t.Error("only the first Set counts")
	}
	waiting.Wait()
	if seen.Load() != 21 {
		t.Errorf("three waiters saw %d together, want 21", seen.Load())
	}
}

// TestRefEndsOnce races readers that acquire against the owner's release: the end runs once, and nobody holds the ref
// after it.
func TestRefEndsOnce(t *testing.T) {
	h := newHost(t)
	for range 200 {
		var ended atomic.Bool
		r := host.NewRef(h.Tasks, func() {
			if ended.Swap(true) {
				t.Error("the ref ended twice")
			}
		})
		var running sync.WaitGroup
		for range 3 {
			running.Add(1)
			h.Tasks.Go("reader", func() {
				defer running.Done()
				for r.Acquire() {
					if ended.Load() {
						t.Error("held after its end")
					}
					r.Release()
				}
			})
		}
		r.Release()
		running.Wait()
		if !ended.Load() || r.Acquire() {
			t.Error("the ref lives on after its last release")
		}
	}
}

func TestPool(t *testing.T) {
	h := newHost(t)
	for _, n := range []int{0, 1, 4096, 4097, 1 << 20, 5 << 20} {
		b := h.Buffers.Get(n)
		if len(b.Bytes()) != n {
			t.Errorf("asked for %d bytes, got %d", n, len(b.Bytes()))
		}
		if at := uintptr(unsafe.Pointer(unsafe.SliceData(b.Bytes()[:1:b.Cap()][:1]))); at%host.Align != 0 {
			t.Errorf("%d bytes begin at %x, not aligned", n, at)
		}
		b.Retain()
		b.Release()
		copy(b.Bytes(), "still held")
		b.Release()
	}
	if out := h.Buffers.Out(); out != 0 {
		t.Errorf("%d bytes are out though all was released", out)
	}
	b := h.Buffers.Get(100)
	kept := b.Bytes()
	copy(kept, "secret")
	b.Release()
	if string(kept[:6]) == "secret" {
		t.Error("a pool that poisons left the contents of what was given back")
	}
}

func TestPoolKeepsNoMoreThanItsBound(t *testing.T) {
	h := newHost(t)
	p := host.NewPool(h.Tasks, 8192, false)
	first, second, third := p.Get(4096), p.Get(4096), p.Get(4096)
	memory := unsafe.SliceData(third.Bytes())
	first.Release()
	second.Release()
	third.Release()
	for range 2 {
		if unsafe.SliceData(p.Get(4096).Bytes()) == memory {
			t.Error("the third buffer was kept above the bound")
		}
	}
}

func TestHistogram(t *testing.T) {
	h := newHost(t)
	g := host.NewHistogram(h.Tasks)
	for _, v := range []int64{-5, 0, 1, 2, 3, 1023, 1024} {
		g.Observe(v)
	}
	c := g.Load()
	if c.Sum != 2053 || c.Buckets[0] != 2 || c.Buckets[1] != 1 || c.Buckets[2] != 2 || c.Buckets[10] != 1 || c.Buckets[11] != 1 {
		t.Errorf("counts %v", c)
	}
}
