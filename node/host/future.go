package host

import "sync"

// Future is a value that is set once and awaited by any number of tasks.
type Future[T any] struct {
	tasks   Tasks
	mu      sync.Mutex
	value   T
	set     bool
	waiting []Waiter
}

// NewFuture returns a future that is not set.
func NewFuture[T any](tasks Tasks) *Future[T] { return &Future[T]{tasks: tasks} }

// Done returns a future that is set already.
func Done[T any](tasks Tasks, v T) *Future[T] { return &Future[T]{tasks: tasks, value: v, set: true} }

// Set gives the future its value and wakes who waits. Only the first Set counts; it returns whether this was the first.
func (f *Future[T]) Set(v T) bool {
	f.tasks.Yield()
	f.mu.Lock()
	if f.set {
		f.mu.Unlock()
		return false
	}
	f.value, f.set = v, true
	waiting := f.waiting
	f.waiting = nil
	f.mu.Unlock()
	for _, w := range waiting {
		w.Wake()
	}
	return true
}

// Try returns the value if there is one.
func (f *Future[T]) Try() (T, bool) {
	f.tasks.Yield()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.value, f.set
}

// Watch wakes w when the future is set, or at once if it is.
func (f *Future[T]) Watch(w Waiter) {
	f.tasks.Yield()
	f.mu.Lock()
	set := f.set
	if !set {
		f.waiting = append(f.waiting, w)
	}
	f.mu.Unlock()
	if set {
		w.Wake()
	}
}

// Unwatch ends a Watch. Whoever watches a future that outlives the wait calls it.
func (f *Future[T]) Unwatch(w Waiter) {
	f.tasks.Yield()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, other := range f.waiting {
		if other == w {
			last := len(f.waiting) - 1
			f.waiting[i], f.waiting[last] = f.waiting[last], nil
			f.waiting = f.waiting[:last]
			return
		}
	}
}

// Get waits for the value.
func (f *Future[T]) Get() T {
	v, _ := f.GetUntil(Never)
	return v
}

// GetUntil waits for the value until the deadline; false says that it did not come.
func (f *Future[T]) GetUntil(deadline Instant) (T, bool) {
	if v, ok := f.Try(); ok {
		return v, true
	}
	w := f.tasks.NewWaiter()
	f.Watch(w)
	for {
		if v, ok := f.Try(); ok {
			return v, true
		}
		if deadline == Never {
			w.Wait()
		} else if !w.WaitUntil(deadline) {
			return f.Try()
		}
	}
}
