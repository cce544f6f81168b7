package chaos

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Process is one broker process.
type Process interface {
	// Start starts it, WaitReady waits until it accepts clients.
	Start(context.Context) error
	WaitReady(context.Context) error
	// Kill ends it with SIGKILL, Stop with SIGTERM; both return when it is gone.
	Kill() error
	Stop() error
	Signal(syscall.Signal) error
	// Ended reports whether it has ended by itself.
	Ended() bool
	// LogTail is the end of what it printed.
	LogTail() string
}

// readyTime is how long a node may take from its start until it accepts clients.
const readyTime = 90 * time.Second

// evil strikes the nodes.
type evil struct {
	*history
	nodes   []Process
	network *Network
	admin   *kadm.Client
	say     func(format string, args ...any)
	mu      sync.Mutex
	data    []string
	rotten  int          // the node whose disk rots, 0 if none does
	struck  map[int]bool // nodes that a fault has taken away
	kinds   map[string]int
}

func newEvil(h *history, o Options, c *kgo.Client, say func(string, ...any)) *evil {
	e := &evil{history: h, nodes: o.Nodes, network: o.Network, admin: kadm.NewClient(c), say: say, data: o.Data, struck: map[int]bool{}, kinds: map[string]int{}}
	if len(o.Data) > 0 && len(o.Nodes) > 2 {
		e.rotten = 1 + int(o.Seed%uint64(len(o.Nodes)))
	}
	return e
}

// follow carries out the faults of a track until the context ends, and ends the last one then.
func (e *evil) follow(ctx context.Context, t track) error {
	for i := uint64(0); ; i++ {
		f := t.fault(i)
		wait(ctx, f.Gap)
		if ctx.Err() != nil {
			return nil
		}
		if err := e.inflict(ctx, f); err != nil {
			return fmt.Errorf("%v: %w", f, err)
		}
	}
}

// inflict strikes, waits and mends. Only one fault that takes nodes away may have a node at a time.
func (e *evil) inflict(ctx context.Context, f fault) error {
	node := f.Node
	if node == 0 {
		node = e.leader(ctx, f.Partition)
	}
	if f.Kind == rot {
		// Always the same node: of what rots there, the others have a majority of copies.
		if node = e.rotten; node == 0 {
			return nil
		}
	}
	if f.Kind == rot && !e.takeOne(node) || f.Kind != rot && takesAway(f.Kind) && !e.take(&node) {
		return nil
	}
	e.say("node %d: %v", node, f)
	e.mu.Lock()
	e.kinds[f.Kind]++
	e.mu.Unlock()
	began := time.Now()
	mend, err := e.strike(node, f)
	if err != nil {
		return err
	}
	wait(ctx, f.For)
	err = mend()
	e.say("node %d: %s over after %v", node, f.Kind, time.Since(began).Round(time.Millisecond))
	if takesAway(f.Kind) {
		e.give(node)
	}
	return err
}

func takesAway(kind string) bool {
	for _, k := range away {
		if k == kind {
			return true
		}
	}
	return false
}

// take reserves a node, the wanted one or the next that is free.
func (e *evil) take(node *int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for range e.nodes {
		if !e.struck[*node] {
			e.struck[*node] = true
			return true
		}
		*node = *node%len(e.nodes) + 1
	}
	return false
}

func (e *evil) give(node int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.struck[node] = false
}

// leader is the node that leads a partition of the small records, or 1 when nobody says.
func (e *evil) leader(ctx context.Context, partition int) int {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	m, err := e.admin.Metadata(kadm.WithAuthorizedOps(ctx), logTopic) // asked anew
	if err == nil {
		if p := m.Topics[logTopic].Partitions[int32(partition)]; p.Leader >= 1 && int(p.Leader) <= len(e.nodes) {
			return int(p.Leader)
		}
	}
	return 1
}

// strike begins a fault and returns what ends it.
func (e *evil) strike(node int, f fault) (mend func() error, err error) {
	p := e.nodes[node-1]
	switch f.Kind {
	case kill:
		return func() error { return e.start(node) }, p.Kill()
	case restart:
		if err := p.Stop(); err != nil {
			e.complain("node %d did not stop in order: %v", node, err)
		}
		return func() error { return nil }, e.start(node)
	case rot:
		if err := p.Stop(); err != nil {
			e.complain("node %d did not stop in order: %v", node, err)
		}
		what, err := spoil(e.data[node-1], f.Draw)
		if err != nil {
			return nil, err
		}
		e.say("node %d: %s", node, what)
		return func() error { return nil }, e.start(node)
	case pause:
		return func() error { return p.Signal(syscall.SIGCONT) }, p.Signal(syscall.SIGSTOP)
	}
	e.network.each(f.change(node, len(e.nodes), true))
	return func() error { e.network.each(f.change(node, len(e.nodes), false)); return nil }, nil
}

// change is what a fault of the network does to each link when it begins (on) and when it ends.
func (f fault) change(node, nodes int, on bool) func(from, to int, c *condition) {
	other := (node-1+f.Other)%nodes + 1
	delay, rate := f.Delay, f.Rate
	if !on {
		delay, rate = 0, 0
	}
	return func(from, to int, c *condition) {
		clients := from == Clients && to == node
		peers := from != Clients && (from == node || to == node)
		switch {
		case f.Kind == isolate && (peers || clients && f.Whole), f.Kind == blackHole && clients,
			f.Kind == severed && peers && (from == other || to == other):
			c.stopThere, c.stopBack = on, on
		// What comes to the node goes there on the connections that others dialled, and back on its own.
		case f.Kind == deaf && peers && to == node, f.Kind == mute && peers && from == node:
			c.stopThere = on
		case f.Kind == deaf && peers, f.Kind == mute && peers:
			c.stopBack = on
		case f.Kind == cut && peers, f.Kind == hangUp && clients:
			c.cut = on
		case f.Kind == slow && peers, f.Kind == lag && clients:
			c.delay = delay
		case f.Kind == narrow && peers:
			c.rate = rate
		}
	}
}

// start starts a node that is down, and waits until it accepts clients.
func (e *evil) start(node int) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	if err := e.nodes[node-1].Start(ctx); err != nil {
		return err
	}
	if err := e.nodes[node-1].WaitReady(ctx); err != nil {
		return fmt.Errorf("node %d after its start: %w", node, err)
	}
	return nil
}

// watch starts nodes that have ended by themselves, and complains of them.
func (e *evil) watch(ctx context.Context) error {
	for ctx.Err() == nil {
		for i, p := range e.nodes {
			if !p.Ended() || !e.takeOne(i+1) {
				continue
			}
			e.complain("node %d ended by itself; the end of what it printed:\n%s", i+1, p.LogTail())
			p.Kill() //nolint:errcheck // it is gone; this makes room for a start
			err := e.start(i + 1)
			e.give(i + 1)
			if err != nil {
				return err
			}
		}
		wait(ctx, 200*time.Millisecond)
	}
	return nil
}

// takeOne reserves this node and no other.
func (e *evil) takeOne(node int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.struck[node] {
		return false
	}
	e.struck[node] = true
	return true
}
