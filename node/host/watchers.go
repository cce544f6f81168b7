package host

import "sync"

// Watchers is a set of waiters that any task may join and leave and any task may wake: who waits for a log to grow, for
// an image to change. A watcher first joins, then looks at what it waits for, then waits; so it cannot miss a change
// that is published before Wake.
type Watchers struct {
	tasks   Tasks
	mu      sync.Mutex
	waiting []Waiter
}

// NewWatchers returns an empty set.
func NewWatchers(tasks Tasks) *Watchers { return &Watchers{tasks: tasks} }

// Add joins w. A waiter that joins twice must leave twice.
func (s *Watchers) Add(w Waiter) {
	s.tasks.Yield()
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
}

// Remove makes w leave; nothing happens when it is not in the set. A wake that is under way may still reach it.
func (s *Watchers) Remove(w Waiter) {
	s.tasks.Yield()
	s.mu.Lock()
	for i, have := range s.waiting {
		if have == w {
			last := len(s.waiting) - 1
			copy(s.waiting[i:], s.waiting[i+1:])
			s.waiting[last] = nil
			s.waiting = s.waiting[:last]
			break
		}
	}
	s.mu.Unlock()
}

// Wake wakes everybody in the set, in the order in which they joined. They stay in it.
func (s *Watchers) Wake() {
	s.tasks.Yield()
	s.mu.Lock()
	if len(s.waiting) == 0 {
		s.mu.Unlock()
		return
	}
	waiting := append([]Waiter(nil), s.waiting...)
	s.mu.Unlock()
	for _, w := range waiting {
		w.Wake()
	}
}

// Spares keeps values that are costly to make, such as codecs, between uses. Any task may take and give back; a value
// belongs to the task that took it. What Get returns must not depend on its earlier uses.
type Spares[T any] struct {
	tasks Tasks
	mu    sync.Mutex
	free  []T
	bound int
	fresh func() T
}

// NewSpares returns an empty store that keeps up to bound values and makes new ones with fresh.
func NewSpares[T any](tasks Tasks, bound int, fresh func() T) *Spares[T] {
	return &Spares[T]{tasks: tasks, bound: bound, fresh: fresh}
}

// Get takes a spare value, or makes one.
func (s *Spares[T]) Get() T {
	s.tasks.Yield()
	s.mu.Lock()
	if l := len(s.free); l > 0 {
		v := s.free[l-1]
		var none T
		s.free[l-1] = none
		s.free = s.free[:l-1]
		s.mu.Unlock()
		return v
	}
	s.mu.Unlock()
	return s.fresh()
}

// Put gives v back. The caller must not use it any more.
func (s *Spares[T]) Put(v T) {
	s.tasks.Yield()
	s.mu.Lock()
	if len(s.free) < s.bound {
		s.free = append(s.free, v)
	}
	s.mu.Unlock()
}

// Trim leaves all spare values to the garbage collector.
func (s *Spares[T]) Trim() {
	s.tasks.Yield()
	s.mu.Lock()
	s.free = nil
	s.mu.Unlock()
}
