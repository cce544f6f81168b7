package sim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"millrace/node/host"
)

// Options are what a world needs besides its seed. The zero value works.
type Options struct {
	// Keep is the probability that a task runs on at a yield; 0 draws it from the seed.
	Keep float64
	// Priorities runs the task of the highest priority always, with a few seeded points at which the running one falls
	// behind all others (probabilistic concurrency testing), instead of choosing anew at every switch.
	Priorities bool
	// Changes, if not 0, makes Priorities a schedule as Burckhardt and others describe it (A Randomized Scheduler with
	// Probabilistic Guarantees of Finding Bugs): every task has a random priority from its start, and at each of Changes points,
	// drawn evenly over Over yields, the running task gets a new one that is below those of all tasks that had no change yet.
	// After twice as many yields tasks are chosen as without Priorities, so that none waits for ever.
	Changes int
	Over    uint64
	// Spurious is the probability that a Wait returns without a wake.
	Spurious float64
	// Limit is the virtual time after which Run gives up; 0 means an hour.
	Limit time.Duration
	// Steps bounds the number of yields of a run; 0 means 50 million.
	Steps uint64
	// Patience, if not nil, is called now and then during a run, and its error ends it: for a bound of real time.
	Patience func() error
	// Trace, if not nil, gets a line for every event from the number TraceFrom on; Log gets what nodes log.
	Trace     io.Writer
	TraceFrom uint64
	Log       io.Writer
	// Sends, if not nil, is told when a process hands bytes to the network, before they leave, and the address that they
	// go to. It must not touch the world.
	Sends func(from *Node, to string, parts []host.Part)
	// Watch, if not nil, is told what is noted. It must not touch the world.
	Watch func(Happening)
}

// World is a number of nodes under one scheduler. It belongs to one goroutine.
type World struct {
	options  Options
	key      uint64
	now      int64
	wallBase time.Time
	steps    uint64
	nextTask uint64

	current  *task
	runnable []*task
	next     *task // was chosen already
	idle     []*coroutine
	timers   timers
	dying    []*incarnation

	nodes   []*Node
	network network
	disk    diskProfile
	trace   trace
	fired   map[string]int
	reached map[string]int

	keep    uint64
	changes []uint64 // steps at which the running task loses its priority
	stopped bool
	failure error
}

// patienceEvery is after how many resumed tasks real time is looked at.
const patienceEvery = 1 << 14

// Errors of Run.
var (
	ErrDeadlock = errors.New("deadlock: every task waits and nothing is to come")
	ErrLimit    = errors.New("the run did not end in its virtual time")
	ErrLivelock = errors.New("the run did not end in its number of steps")
)

// ErrPanic wraps the panic of a task.
type ErrPanic struct {
	Node, Task string
	Value      any
	Stack      string
}

func (e *ErrPanic) Error() string {
	return fmt.Sprintf("%s: task %s panicked: %v\n%s", e.Node, e.Task, e.Value, e.Stack)
}

// New returns an empty world. A process has at most one at a time.
func New(seed uint64, o Options) *World {
	if o.Limit == 0 {
		o.Limit = time.Hour
	}
	if o.Steps == 0 {
		o.Steps = 50e6
	}
	w := &World{options: o, key: finish(seed + 1), fired: make(map[string]int), reached: make(map[string]int),
		wallBase: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.trace.out, w.trace.from = o.Trace, o.TraceFrom
	d := w.Draws("world")
	if o.Keep == 0 {
		o.Keep = Pick(d, 0.6, 0.8, 0.9, 0.9, 0.95, 0.99)
	}
	w.keep = uint64(o.Keep * (1 << 63) * 2)
	if o.Keep >= 1 {
		w.keep = ^uint64(0)
	}
	w.drawChanges(d)
	w.disk = defaultDiskProfile()
	w.network.init(w)
	if active == nil {
		realReader = rand.Reader
	}
	rand.Reader = secureReader{}
	active, salt = w, 0
	return w
}

// drawChanges draws the yields at which the running task falls behind.
func (w *World) drawChanges(d *Draws) {
	if o := w.options; o.Changes > 0 {
		pct := w.Draws("world/changes")
		for range o.Changes {
			w.changes = append(w.changes, 1+uint64(pct.Below(int64(max(1, o.Over)))))
		}
	} else {
		for range 20 {
			w.changes = append(w.changes, uint64(d.Skewed(1, 1<<20)))
		}
	}
	slices.Sort(w.changes)
}

// active is the world that crypto/rand.Reader belongs to, as long as it is not closed: raft reads that variable and offers
// no other way. realReader is what it was before.
var (
	active     *World
	realReader io.Reader
)

// Draws is a stream of random numbers for the harness, keyed by its name.
func (w *World) Draws(site string) *Draws { return &Draws{key: derive(w.key, site)} }

// Now is the time since the world began.
func (w *World) Now() time.Duration { return time.Duration(w.now) }

// Hash is the hash of everything that has happened.
func (w *World) Hash() uint64 { return finish(w.trace.sum) }

// Events is the number of scheduling choices and I/Os that the hash covers.
func (w *World) Events() uint64 { return w.trace.events }

// Trail is the hash after every 1,000 events: where two runs begin to differ.
func (w *World) Trail() []uint64 { return w.trace.trail }

// Steps is the number of yields.
func (w *World) Steps() uint64 { return w.steps }

// Fired counts the faults that struck, by kind.
func (w *World) Fired() map[string]int { return w.fired }

// Reached counts the lines that the nodes logged, by their message: the states in which they say that they were.
func (w *World) Reached() map[string]int { return w.reached }

// Stop makes Run return after the current step.
func (w *World) Stop() { w.stopped = true }

// Fail makes Run return an error; the first one counts.
func (w *World) Fail(err error) {
	if w.failure == nil {
		w.failure = err
		w.note("failed: %v", err)
	}
}

// After runs what in the scheduler after a virtual time. It must not block.
func (w *World) After(d time.Duration, what func()) {
	w.timers.push(timer{at: w.now + int64(d), run: what})
}

// Run lets tasks run until Stop, a failure, a deadlock or a limit.
func (w *World) Run() error {
	limit, rounds := w.now+int64(w.options.Limit), 0
	for !w.stopped && w.failure == nil {
		t := w.next
		if w.next = nil; t == nil {
			w.reap()
			w.fireDue()
			if w.stopped || w.failure != nil {
				break
			}
			t = w.pick()
		}
		if t != nil {
			w.resume(t)
		} else if !w.advance() {
			w.Fail(fmt.Errorf("%w:\n%s", ErrDeadlock, w.Parked()))
		}
		switch {
		case w.now > limit:
			w.Fail(fmt.Errorf("%w (%v):\n%s", ErrLimit, w.options.Limit, w.Parked()))
		case w.steps > w.options.Steps:
			w.Fail(fmt.Errorf("%w (%d):\n%s", ErrLivelock, w.options.Steps, w.Parked()))
		}
		if rounds++; rounds%patienceEvery == 0 && w.options.Patience != nil {
			if err := w.options.Patience(); err != nil {
				w.Fail(fmt.Errorf("after %v and %d yields: %w:\n%s", w.Now(), w.steps, err, w.Parked()))
			}
		}
	}
	w.reap()
	return w.failure
}

// Close ends every node, unwinds every task and gives crypto/rand.Reader back. The world cannot run again.
func (w *World) Close() {
	for _, n := range w.nodes {
		n.Crash(Kill)
	}
	w.reap()
	for _, c := range w.idle {
		c.stop()
	}
	w.runnable, w.timers, w.idle = nil, timers{}, nil
	if active == w {
		active, salt, rand.Reader = nil, 0, realReader
	}
}

// fireDue runs the timers whose time has come.
func (w *World) fireDue() {
	for w.timers.len() > 0 && w.timers.next() <= w.now {
		if e := w.timers.pop(); w.timers.due(e) {
			e.fire()
		}
	}
}

// advance moves time to the next timer that still means something; false when there is none.
func (w *World) advance() bool {
	for w.timers.len() > 0 {
		if e := w.timers.pop(); w.timers.due(e) {
			w.now = max(w.now, e.at)
			e.fire()
			return true
		}
	}
	return false
}

// fire does what is due.
func (e timer) fire() {
	switch {
	case e.conn != nil:
		e.conn.out.pass(e.conn, e.run)
	case e.run != nil:
		e.run()
	default:
		e.waiter.expire()
	}
}

// pick takes the runnable task with the smallest rank of those whose node is not paused.
func (w *World) pick() *task {
	best := -1
	for i, t := range w.runnable {
		if (best < 0 || t.rank < w.runnable[best].rank) && !t.inc.node.paused {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	t := w.runnable[best]
	last := len(w.runnable) - 1
	w.runnable[best] = w.runnable[last]
	w.runnable[last] = nil
	w.runnable = w.runnable[:last]
	return t
}

// resume lets a task run to its next suspension.
func (w *World) resume(t *task) {
	w.chosen(t)
	w.current = t
	t.on.next()
	w.current = nil
	if t.done {
		w.idle = append(w.idle, t.on)
		t.on = nil
	}
}

// chosen notes that a task is the next one to run.
func (w *World) chosen(t *task) {
	w.trace.choice(w, t.id)
	if w.trace.out != nil {
		w.note("run %s/%s", t.inc.node.name, t.name)
	}
	t.runnable = false
}

// reap unwinds the tasks of incarnations that died.
func (w *World) reap() {
	for len(w.dying) > 0 {
		inc := w.dying[0]
		w.dying = w.dying[1:]
		w.runnable = slices.DeleteFunc(w.runnable, func(t *task) bool { return t.inc == inc })
		for len(inc.tasks) > 0 {
			t := inc.tasks[len(inc.tasks)-1]
			inc.tasks = inc.tasks[:len(inc.tasks)-1]
			w.current = t
			t.on.next()
			w.current = nil
			if !t.done {
				panic("sim: a task of a dead node goes on")
			}
			w.idle = append(w.idle, t.on)
			t.on = nil
		}
	}
}

// Parked lists the tasks that are not finished, for reports.
func (w *World) Parked() string {
	var b strings.Builder
	for _, n := range w.nodes {
		if n.inc == nil {
			continue
		}
		var names []string
		for _, t := range n.inc.tasks {
			state := "waits"
			if t.runnable {
				state = "could run"
			}
			if t.doing != "" {
				state = t.doing
			}
			names = append(names, t.name+" ("+state+")")
		}
		slices.Sort(names)
		fmt.Fprintf(&b, "  %s: %s\n", n.name, strings.Join(names, ", "))
	}
	return b.String()
}

// Stacks is the stack of every task and goroutine of the process, for reports that only people read.
func Stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// Reach counts a state that the harness has seen.
func (w *World) Reach(state string) { w.reached[state]++ }

// Struck counts a fault of the harness.
func (w *World) Struck(kind string) { w.fault(kind) }

// fault counts a fault that struck.
func (w *World) fault(kind string) {
	w.fired[kind]++
	w.trace.word(derive(0, kind))
	w.note("fault %s", kind)
}

// secureReader replaces crypto/rand.Reader. Bytes are keyed by the node that reads.
type secureReader struct{}

func (secureReader) Read(p []byte) (int, error) {
	w := active
	if w == nil {
		panic("sim: crypto/rand read outside a world")
	}
	if t := w.current; t != nil {
		return t.inc.secure.Read(p)
	}
	panic("sim: crypto/rand read outside a task")
}
