package host

import "sync"

// Queue carries values from many tasks to one. It is bounded: Put waits while it is full. The consumer takes all that
// waits at once, so work groups itself under load. A queue may wake a Waiter of the consumer's own, so that one task can
// wait for several queues and a deadline.
type Queue[T any] struct {
	tasks    Tasks
	mu       sync.Mutex
	items    []T
	capacity int
	closed   bool
	consumer Waiter
	waiting  []Waiter
}

// NewQueue returns a queue that holds up to capacity values. consumer is the waiter of the one task that takes; nil
// makes one.
func NewQueue[T any](tasks Tasks, capacity int, consumer Waiter) *Queue[T] {
	if consumer == nil {
		consumer = tasks.NewWaiter()
	}
	return &Queue[T]{tasks: tasks, capacity: capacity, consumer: consumer}
}

// Put appends v, waiting while the queue is full. It returns false when the queue is closed.
func (q *Queue[T]) Put(v T) bool {
	var w Waiter
	for {
		q.tasks.Yield()
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return false
		}
		if len(q.items) < q.capacity {
			q.items = append(q.items, v)
			first := len(q.items) == 1
			q.mu.Unlock()
			if first {
				q.consumer.Wake()
			}
			return true
		}
		if w == nil {
			w = q.tasks.NewWaiter()
		}
		q.waiting = append(q.waiting, w)
		q.mu.Unlock()
		w.Wait()
	}
}

// Post appends v even when the queue is full. It never waits, and is meant for what is bounded elsewhere: completions,
// ticks, answers. It returns false when the queue is closed.
func (q *Queue[T]) Post(v T) bool {
	q.tasks.Yield()
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.items = append(q.items, v)
	q.mu.Unlock()
	q.consumer.Wake()
	return true
}

// TryPut appends v and returns true, or returns false at once when the queue is full or closed.
func (q *Queue[T]) TryPut(v T) bool {
	q.tasks.Yield()
	q.mu.Lock()
	if q.closed || len(q.items) >= q.capacity {
		q.mu.Unlock()
		return false
	}
	q.items = append(q.items, v)
	q.mu.Unlock()
	q.consumer.Wake()
	return true
}

// Drain takes what waits, without blocking, appended to into. more is false when the queue is closed and empty.
func (q *Queue[T]) Drain(into []T) (got []T, more bool) {
	q.tasks.Yield()
	q.mu.Lock()
	got = append(into, q.items...)
	clear(q.items)
	q.items = q.items[:0]
	more = !q.closed || len(got) > len(into)
	blocked := q.waiting
	q.waiting = nil
	q.mu.Unlock()
	for _, w := range blocked {
		w.Wake()
	}
	return got, more
}

// Take waits until something is there and takes all of it, appended to into. It returns false when the queue is closed
// and empty. Only for consumers that wait for nothing else.
func (q *Queue[T]) Take(into []T) ([]T, bool) {
	for {
		got, more := q.Drain(into)
		if len(got) > len(into) || !more {
			return got, more
		}
		q.consumer.Wait()
	}
}

// Len is the number of values that wait.
func (q *Queue[T]) Len() int {
	q.tasks.Yield()
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// Close refuses further values and wakes everybody. What was put before can still be taken.
func (q *Queue[T]) Close() {
	q.tasks.Yield()
	q.mu.Lock()
	q.closed = true
	blocked := q.waiting
	q.waiting = nil
	q.mu.Unlock()
	q.consumer.Wake()
	for _, w := range blocked {
		w.Wake()
	}
}
