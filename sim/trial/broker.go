package trial

import (
	"fmt"
	"time"

	"millrace/node"
	"millrace/node/host"
	"millrace/sim"
)

// broker is the node under test from boot to boot.
type broker struct {
	trial   *trial
	node    *sim.Node
	running *node.Broker
	h       host.Host
}

// boot starts the process. A process that ends by itself after an injected I/O error is only down; any other end fails
// the trial.
func (b *broker) boot() {
	if b.node.Running() {
		return
	}
	b.running = nil
	b.node.Boot(func(h host.Host) {
		running, err := node.Start(h, b.trial.plan.Broker.config())
		if err != nil {
			b.end(fmt.Errorf("start: %w", err))
			return
		}
		b.running, b.h = running, h
		h.Tasks.Go(watchTask, func() {
			if err := running.Failed().Get(); err != nil {
				b.end(fmt.Errorf("failed: %w", err))
			}
		})
	})
}

const watchTask = "harness: watch"

// end is the end of a process by its own decision.
func (b *broker) end(err error) {
	if !b.node.Faulty() {
		b.trial.failf("broker, start %d: %w", b.node.Boots(), err)
		return
	}
	b.node.Crash(sim.Kill)
}

// state describes the broker for reports.
func (b *broker) state() string {
	if !b.node.Running() {
		return "the broker is down"
	}
	if b.running == nil {
		return "the broker is starting"
	}
	return "the broker is up"
}

// stop ends the process in order and reports what it leaves behind.
func (b *broker) stop() bool {
	t := b.trial
	done, running := false, b.running
	b.node.Go("harness: stop", func() {
		if err := running.Stop(); err != nil {
			b.end(fmt.Errorf("stop: %w", err))
		}
		done = true
	})
	for end := t.host.Clock.Now().Add(time.Minute); !done; {
		if t.host.Clock.Now() > end || !b.node.Running() {
			t.failf("the broker does not stop")
			return false
		}
		t.host.Clock.Sleep(10 * time.Millisecond)
	}
	t.host.Clock.Sleep(time.Second) // tasks that were woken at the end may still be on their way out
	for _, leak := range b.node.Leaks() {
		if leak != "task "+watchTask {
			t.failf("left behind after an orderly stop: %s", leak)
			return false
		}
	}
	return true
}
