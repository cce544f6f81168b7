package host

import (
	"math/bits"
	"sync/atomic"
)

// Snapshot publishes immutable values from one writer to any number of readers.
type Snapshot[T any] struct {
	tasks Tasks
	value atomic.Pointer[T]
}

// NewSnapshot returns a snapshot that holds v. What v points to must never change again.
func NewSnapshot[T any](tasks Tasks, v *T) *Snapshot[T] {
	s := &Snapshot[T]{tasks: tasks}
	s.value.Store(v)
	return s
}

// Load returns the value last stored.
func (s *Snapshot[T]) Load() *T {
	s.tasks.Yield()
	return s.value.Load()
}

// Store publishes v. Only the writer calls it.
func (s *Snapshot[T]) Store(v *T) {
	s.tasks.Yield()
	s.value.Store(v)
}

// Counter is a number that any task may change and read: a total or a level.
type Counter struct {
	tasks Tasks
	value atomic.Int64
}

// NewCounter returns a counter at zero.
func NewCounter(tasks Tasks) *Counter { return &Counter{tasks: tasks} }

// Add adds d, which may be negative, and returns the new value.
func (c *Counter) Add(d int64) int64 {
	c.tasks.Yield()
	return c.value.Add(d)
}

// Load returns the value.
func (c *Counter) Load() int64 {
	c.tasks.Yield()
	return c.value.Load()
}

// HistogramBuckets is the number of buckets of a Histogram; bucket i counts values v with 2^(i-1) <= v < 2^i.
const HistogramBuckets = 64

// Histogram counts values in buckets of powers of two.
type Histogram struct {
	tasks   Tasks
	sum     atomic.Int64
	buckets [HistogramBuckets]atomic.Int64
}

// NewHistogram returns an empty histogram.
func NewHistogram(tasks Tasks) *Histogram { return &Histogram{tasks: tasks} }

// Observe counts v; negative values count as zero.
func (h *Histogram) Observe(v int64) {
	h.tasks.Yield()
	if v < 0 {
		v = 0
	}
	h.sum.Add(v)
	h.buckets[bits.Len64(uint64(v))].Add(1)
}

// HistogramCounts is what a histogram held at about one moment.
type HistogramCounts struct {
	Sum     int64
	Buckets [HistogramBuckets]int64
}

// Load returns the counts.
func (h *Histogram) Load() HistogramCounts {
	h.tasks.Yield()
	var c HistogramCounts
	c.Sum = h.sum.Load()
	for i := range h.buckets {
		c.Buckets[i] = h.buckets[i].Load()
	}
	return c
}

// Ref is a counted lifetime. It starts at one, held by its owner; readers acquire it only while it lives.
type Ref struct {
	tasks Tasks
	count atomic.Int64
	end   func()
}

// NewRef returns a ref held once. end runs in the task whose Release brings the count to zero.
func NewRef(tasks Tasks, end func()) *Ref {
	r := &Ref{tasks: tasks, end: end}
	r.count.Store(1)
	return r
}

// Acquire holds the ref once more, or returns false when it has ended. A load of a pointer followed by Acquire is safe;
// a load followed by use is not: the owner may have let go between the two.
func (r *Ref) Acquire() bool {
	r.tasks.Yield()
	for {
		n := r.count.Load()
		if n == 0 {
			return false
		}
		if r.count.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives up one hold.
func (r *Ref) Release() {
	r.tasks.Yield()
	n := r.count.Add(-1)
	if n < 0 {
		panic("host: Ref released more often than held")
	}
	if n == 0 && r.end != nil {
		r.end()
	}
}
