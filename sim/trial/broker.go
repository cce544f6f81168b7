package trial

import (
	"fmt"
	"time"

	"millrace/node"
	"millrace/node/host"
	"millrace/sim"
)

// broker is a node under test from boot to boot.
type broker struct {
	trial   *trial
	id      int
	node    *sim.Node
	running *node.Broker
	h       host.Host

	down host.Instant    // it is not started before, on the clock of the clients
	arm  *sim.CrashPoint // of the next start
	// lost says that the node has lost its disk, or is gone, and why: it is not waited for any more.
	lost string
	disk sim.DiskFaults
	// image is what was synced on its disk when the load began.
	image    *sim.Image
	copied   int // how often it had been started then
	stopping bool
	// refused is why the node, that has another disk than it should have, did not start.
	refused error
}

// boot starts the process. A process that ends by itself after an injected I/O error is only down; any other end fails
// the trial.
func (b *broker) boot() {
	if b.node.Running() {
		return
	}
	b.running = nil
	b.node.Boot(func(h host.Host) {
		running, err := node.Start(h, b.options().config(b.id, b.trial.plan.Nodes))
		if err != nil {
			b.end(fmt.Errorf("start: %w", err))
			return
		}
		if b.lost != "" {
			b.trial.failf("%s takes part under its old name although %s", b.node.Name(), b.lost)
			return
		}
		b.running, b.h = running, h
		h.Tasks.Go(watchTask, func() {
			if err := running.Failed().Get(); err != nil {
				b.end(fmt.Errorf("failed: %w", err))
			}
		})
	})
	if b.arm != nil {
		b.node.Arm(*b.arm)
		b.arm = nil
	}
}

// options are what the broker is started with: every other start with the other ones, where the plan has such.
func (b *broker) options() *BrokerPlan {
	p := b.trial.plan
	if p.Other == nil || b.node.Boots()%2 == 1 {
		return &p.Broker
	}
	b.trial.world.Struck("start with other options")
	return p.Other
}

const watchTask = "harness: watch"

// end is the end of a process by its own decision.
func (b *broker) end(err error) {
	t := b.trial
	t.world.Note("%s ends: %v", b.node.Name(), err)
	switch {
	case b.lost != "":
		b.refused = err // a node without its disk may only refuse
	case b.node.Damaged() > 0 && (t.damagesLog() || t.lost):
		b.lost = fmt.Sprintf("its log is damaged: %v", err)
	case !b.node.Faulty():
		t.failf("%s, start %d: %w", b.node.Name(), b.node.Boots(), err)
		return
	}
	b.node.Crash(sim.Kill)
}

// up says whether the broker serves clients.
func (b *broker) up() bool { return b.node.Running() && b.running != nil }

// state describes the broker for reports.
func (b *broker) state() string {
	s := b.node.Name()
	switch {
	case b.lost != "":
		s += " is lost (" + b.lost + ")"
	case !b.node.Running():
		s += " is down"
	case b.running == nil:
		s += " is starting"
	default:
		s += " is up"
	}
	if b.node.Paused() {
		s += ", paused"
	}
	return s
}

// states describes all brokers.
func (t *trial) states() string {
	var s string
	for _, b := range t.brokers {
		s += b.state() + "\n"
	}
	return s
}

// keepRunning starts every broker that is down and should not be, except one.
func (t *trial) keepRunning(except *broker) {
	for _, b := range t.brokers {
		if b == except || b.node.Running() || b.lost != "" && !b.hopeful() {
			continue
		}
		now := t.host.Clock.Now()
		if b.down == 0 { // it ended by itself
			t.restarts++
			b.down = now.Add(20 * time.Millisecond)
		}
		if now >= b.down {
			b.down = 0
			b.boot()
		}
	}
}

// hopeful says that a node whose disk was replaced is to be started, to see what it does.
func (b *broker) hopeful() bool { return (b.lost == wiped || b.lost == stale) && b.refused == nil }

const (
	wiped = "its disk was replaced"
	stale = "its disk was replaced by an old copy"
)

// whole lists the brokers that have not lost anything.
func (t *trial) whole() []*broker {
	var list []*broker
	for _, b := range t.brokers {
		if b.lost == "" {
			list = append(list, b)
		}
	}
	return list
}

// stop ends the process in order and reports what it leaves behind.
func (b *broker) stop() bool {
	t := b.trial
	done, running := false, b.running
	if running == nil {
		t.failf("%s has not come up", b.node.Name())
		return false
	}
	b.node.Go("harness: stop", func() {
		if err := running.Stop(); err != nil {
			b.end(fmt.Errorf("stop: %w", err))
		}
		done = true
	})
	for end := t.host.Clock.Now().Add(time.Minute); !done; {
		if b.lost != "" {
			return true // it found only now that its log is damaged
		}
		if t.host.Clock.Now() > end || !b.node.Running() {
			t.failf("%s does not stop", b.node.Name())
			return false
		}
		t.host.Clock.Sleep(10 * time.Millisecond)
	}
	t.host.Clock.Sleep(time.Second) // tasks that were woken at the end may still be on their way out
	for _, leak := range b.node.Leaks() {
		if leak != "task "+watchTask {
			t.failf("%s: left behind after an orderly stop: %s", b.node.Name(), leak)
			return false
		}
	}
	return true
}
