package sim

import (
	"iter"
	"runtime/debug"
	"slices"

	"millrace/node/host"
)

// yieldCost is the virtual time that passes at a yield, in nanoseconds.
const yieldCost = 100

// killed is the panic that unwinds the tasks of a dead node.
var killed = new(int)

// task is one coroutine.
type task struct {
	world    *World
	inc      *incarnation
	name     string
	doing    string // what it waits for, when that is known
	id       uint64
	draws    Draws
	rank     uint64 // the runnable task with the smallest one runs
	runnable bool
	done     bool
	nap      waiter
	on       *coroutine
}

// coroutine runs tasks, one after the other: making one, and its stack, costs more than most tasks.
type coroutine struct {
	run   func()
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
}

// coroutine is one that runs nothing.
func (w *World) coroutine() *coroutine {
	if last := len(w.idle) - 1; last >= 0 {
		c := w.idle[last]
		w.idle = w.idle[:last]
		return c
	}
	c := new(coroutine)
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		for {
			c.run()
			c.run = nil
			if !yield(struct{}{}) {
				return
			}
		}
	})
	return c
}

// start makes a task of the incarnation, ready to run.
func (inc *incarnation) start(name string, run func()) {
	w := inc.node.world
	w.nextTask++
	t := &task{world: w, inc: inc, name: name, id: w.nextTask}
	inc.started[name]++
	t.draws.key = deriveNumber(derive(inc.key, name), uint64(inc.started[name]))
	if t.rank = t.draws.Uint64(); w.options.Changes > 0 {
		t.rank >>= 1
	}
	t.nap = waiter{inc: inc, owner: "task"}
	t.on = w.coroutine()
	t.on.run = func() { t.run(run) }
	inc.tasks = append(inc.tasks, t)
	w.ready(t)
}

// run is what the task does, from its first resumption on. One that is resumed only because its node died does nothing.
func (t *task) run(what func()) {
	defer t.ended()
	defer t.recovered()
	if !t.inc.dead {
		what()
	}
}

// recovered takes the panic that ended the task, if one did.
func (t *task) recovered() {
	r := recover()
	if r == nil || r == any(killed) || t.inc.dead {
		return
	}
	w := t.world
	if t.inc.mayDie {
		w.note("%s/%s dies: %v", t.inc.node.name, t.name, r)
		t.inc.node.Crash(Kill)
		return
	}
	w.Fail(&ErrPanic{Node: t.inc.node.name, Task: t.name, Value: r, Stack: string(debug.Stack())})
}

// ended forgets a task that returned or was unwound.
func (t *task) ended() {
	t.done = true
	if i := slices.Index(t.inc.tasks, t); i >= 0 {
		t.inc.tasks = slices.Delete(t.inc.tasks, i, i+1)
	}
}

// ready lets a task run again. Under random choice it draws its place anew.
func (w *World) ready(t *task) {
	if t.runnable || t.done || t.inc.dead {
		return
	}
	t.runnable = true
	if !w.options.Priorities {
		t.rank = t.draws.Uint64()
	}
	w.runnable = append(w.runnable, t)
}

// suspend gives control back to the scheduler until the task is resumed.
func (t *task) suspend() {
	if t.on.yield(struct{}{}); t.inc.dead {
		panic(killed)
	}
}

// step is a yield: time passes, the node may die here, another task may run.
func (w *World) step() {
	t := w.current
	if t == nil || t.inc.dead {
		return
	}
	w.now += yieldCost
	w.steps++
	t.inc.reach(PointYield)
	if t.inc.node.paused {
		w.ready(t)
		t.suspend()
		return
	}
	if w.options.Changes > 0 && w.steps > 2*w.options.Over {
		w.becomeFair()
	}
	if w.options.Priorities {
		if !w.overtaken(t) {
			return
		}
	} else if t.draws.Uint64() <= w.keep {
		w.trace.word(t.id)
		return
	}
	w.ready(t)
	if !w.goesOn(t) {
		t.suspend()
	}
}

// returnEvery is after how many yields a task goes back to Run in any case, which looks at the limits.
const returnEvery = 1 << 8

// goesOn makes the choice that Run would make, without leaving the task, which costs more than the rest of a yield: true
// when the task itself is chosen.
func (w *World) goesOn(t *task) bool {
	if w.steps%returnEvery == 0 || w.stopped || w.failure != nil {
		return false
	}
	w.current = nil
	w.fireDue()
	w.current = t
	if w.stopped || w.failure != nil || len(w.dying) > 0 {
		return false
	}
	if w.next = w.pick(); w.next != t {
		return false
	}
	w.next = nil
	w.chosen(t)
	return true
}

// becomeFair lets tasks be chosen anew at every switch from now on: with priorities alone, a task that yields and never waits
// would keep those below it from running for ever.
func (w *World) becomeFair() {
	if !w.options.Priorities {
		return
	}
	w.options.Priorities = false
	for _, t := range w.runnable {
		t.rank = t.draws.Uint64()
	}
}

// overtaken says whether another runnable task has a better priority, after moving the running task behind all at a
// change point.
func (w *World) overtaken(t *task) bool {
	for len(w.changes) > 0 && w.steps >= w.changes[0] {
		w.changes = w.changes[1:]
		if w.options.Changes > 0 {
			t.rank = 1<<63 | t.draws.Uint64()>>1
			w.fired["priority change"]++
		} else {
			t.rank |= 1<<63 | 1<<62
		}
	}
	if w.timers.len() > 0 && w.timers.next() <= w.now {
		return true // somebody with a better priority may be due
	}
	for _, other := range w.runnable {
		if other.rank < t.rank && !other.inc.node.paused {
			return true
		}
	}
	return false
}

// sleep parks the running task for a time of the world.
func (w *World) sleep(ns int64, doing string) {
	t := w.current
	if t == nil {
		return
	}
	if t.inc.dead {
		panic(killed)
	}
	t.doing = doing
	t.nap.waitUntil(w.now + max(ns, 0))
	t.doing = ""
}

// tasks is host.Tasks of an incarnation.
type tasks struct{ inc *incarnation }

// Go starts a task.
func (x tasks) Go(name string, run func()) {
	x.inc.node.world.step()
	if x.inc.dead {
		return
	}
	x.inc.start(name, run)
}

// NewWaiter returns a waiter.
func (x tasks) NewWaiter() host.Waiter { return &waiter{inc: x.inc} }

// Compute takes virtual time and then runs work in one piece. It reads its input late, so that a buffer given back too
// early is seen.
func (x tasks) Compute(name string, cost int, work func()) {
	w := x.inc.node.world
	w.step()
	if x.inc.dead {
		panic(killed)
	}
	w.sleep(x.inc.draws("compute").Between(500, 2000)+int64(cost)*2, "computes "+name)
	work()
}

// Yield is a scheduling choice.
func (x tasks) Yield() { x.inc.node.world.step() }

// waiter is host.Waiter. Times are the world's.
type waiter struct {
	inc    *incarnation
	owner  string
	parked *task
	woken  bool
	result bool
	// deadline is when the wait ends, timer the time of the first timer that looks at it, 0 when there is none.
	deadline, timer int64
}

// Wake lets the waiting task go on.
func (x *waiter) Wake() {
	x.inc.node.world.step()
	x.wake()
}

func (x *waiter) wake() {
	if x.inc.dead {
		return
	}
	if t := x.parked; t != nil {
		x.parked, x.result = nil, true
		x.inc.node.world.ready(t)
		return
	}
	x.woken = true
}

// expire ends a wait at its deadline.
func (x *waiter) expire() {
	t := x.parked
	x.parked, x.result = nil, false
	x.inc.node.world.ready(t)
}

// Wait parks the task until a wake.
func (x *waiter) Wait() { x.wait(never) }

// WaitUntil parks the task until a wake or a time of the node's clock.
func (x *waiter) WaitUntil(deadline host.Instant) bool {
	if deadline == host.Never {
		x.wait(never)
		return true
	}
	return x.wait(x.inc.worldTime(deadline))
}

func (x *waiter) wait(deadline int64) bool {
	w := x.inc.node.world
	w.step()
	if x.inc.dead {
		panic(killed)
	}
	if p := w.options.Spurious; p > 0 && x.inc.spurious.Chance(p) {
		x.woken = false
		return true
	}
	return x.waitUntil(deadline)
}

func (x *waiter) waitUntil(deadline int64) bool {
	w := x.inc.node.world
	if x.woken {
		x.woken = false
		return true
	}
	if deadline <= w.now {
		return false
	}
	if x.parked != nil {
		panic("sim: two tasks wait on one waiter")
	}
	t := w.current
	x.parked, x.deadline = t, deadline
	w.timers.wait(x)
	t.suspend()
	return x.result
}
