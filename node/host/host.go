package host

import (
	"io"
	"log/slog"
	"time"
)

// Instant is a point of a node's monotonic clock, in nanoseconds from an arbitrary origin. Instants of two nodes, or
// of one node before and after a restart, cannot be compared.
type Instant int64

// Never is later than every instant that a clock shows.
const Never Instant = 1<<63 - 1

// Add returns the instant d later; it saturates at Never.
func (t Instant) Add(d time.Duration) Instant {
	if s := t + Instant(d); s >= t || d < 0 {
		return s
	}
	return Never
}

// Sub returns the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// Host is the world as one node sees it. It is passed by value; constructors take the narrowest part that they need.
type Host struct {
	Clock     Clock
	Tasks     Tasks
	Disk      Disk
	Transport Transport
	Random    Random
	// Secure gives bytes that nobody can guess (ids, secrets). Nothing that decides a schedule may read it.
	Secure  io.Reader
	Buffers *Pool
	Log     *slog.Logger
}

// Clock tells time. The two clocks are skewed apart by the simulator, so nothing may mix them.
type Clock interface {
	// Now is the monotonic clock, for timeouts and measures.
	Now() Instant
	// Wall is the wall clock, for record timestamps and retention only; it may jump both ways.
	Wall() time.Time
	// Sleep parks the calling task for at least d.
	Sleep(d time.Duration)
}

// Tasks starts and parks tasks.
type Tasks interface {
	// Go starts a task. The name appears in traces. A panic in a task is the node's death; nothing catches it.
	Go(name string, run func())
	// NewWaiter returns a waiter whose Wait methods only one task may call.
	NewWaiter() Waiter
	// Compute runs pure CPU work of about cost bytes (recompression, scrubbing, compaction) and returns when it is
	// done. On the machine a bounded number run at once; in the simulator it takes virtual time. work must touch
	// nothing that another task may touch meanwhile.
	Compute(name string, cost int, work func())
	// Yield is a point where the simulator may run another task or kill the node. It costs nothing on the machine.
	Yield()
}

// Waiter is the only way for a task to block until something happens. Any task may wake it; one task waits. A wake that
// comes while nobody waits is kept: the next Wait returns at once. Several wakes before a Wait count as one. After a
// return the waiting task looks at every source that it waits for: a wake says only that something may have changed.
type Waiter interface {
	Wake()
	Wait()
	// WaitUntil is Wait with a deadline; it returns false when the deadline came first.
	WaitUntil(deadline Instant) bool
}

// Random is the seeded source. Draws are keyed by the name of the place that draws, so that in the simulator a new
// place, or one fewer, does not shift the draws of the others.
type Random interface {
	Uint64(site string) uint64
}
