package peer

import (
	"errors"
	"fmt"
	"time"

	"millrace/node/host"
)

// stream is one of the kinds of connections from one node to another.
type stream uint8

const (
	streamControl stream = iota
	streamAppend
	streamBulk
	streams
)

// Links are a node's connections to its peers. All methods may be called from any task.
type Links struct {
	host    host.Host
	options Options
	handler Handler
	addr    string
	self    *host.Snapshot[Hello]
	table   *host.Snapshot[[]*peer]
	events  *host.Queue[event]
	keeping host.Waiter // the keeper's
	running *host.Ref   // held by every task but the keeper
	ended   *host.Future[struct{}]
	numbers *host.Counter // of connections, as names
	strange *host.Counter // connections that have not proven who they are
}

// Connections that have not proven who they are: of more than patientStrangers the oldest one is closed for every new
// one, and more than maxStrangers are not let in at all.
const (
	patientStrangers = 128
	maxStrangers     = 512
)

func (o Options) withDefaults(h host.Host) Options {
	or(&o.Ping, 100*time.Millisecond)
	or(&o.Silence, 400*time.Millisecond)
	or(&o.QueueBytes, 64<<20)
	or(&o.SmallQueueBytes, 8<<20)
	or(&o.MaxFrameBytes, 128<<20)
	or(&o.Calls, 64)
	or(&o.BulkCalls, 8)
	if o.Transport == nil {
		o.Transport = h.Transport
	}
	return o
}

func or[T ~int | ~int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Start listens and begins to dial.
func Start(h host.Host, o Options, handler Handler) (*Links, error) {
	o = o.withDefaults(h)
	if len(o.Self.Cluster) > maxCluster {
		return nil, fmt.Errorf("the cluster's id is longer than %d bytes", maxCluster)
	}
	if len(o.Secret) == 0 && !o.Certified {
		if err := Exposed(o.Listen, o.Peers); err != nil {
			return nil, err
		}
	}
	t := h.Tasks
	l := &Links{
		host: h, options: o, handler: handler,
		self:    host.NewSnapshot(t, &o.Self),
		table:   host.NewSnapshot(t, new([]*peer)),
		keeping: t.NewWaiter(),
		ended:   host.NewFuture[struct{}](t),
		numbers: host.NewCounter(t),
		strange: host.NewCounter(t),
	}
	l.events = host.NewQueue[event](t, 1<<30, l.keeping)
	l.running = host.NewRef(t, func() { l.events.Post(stopped{}) })
	k := &keeper{l: l, complains: make(map[string]complaint)}
	if o.Listen != "" {
		listener, err := o.Transport.Listen(o.Listen)
		if err != nil {
			return nil, fmt.Errorf("listen for peers on %s: %w", o.Listen, err)
		}
		k.listener, l.addr = listener, listener.Addr()
		l.start("peer-accept", func() { l.accept(listener) })
	}
	l.events.Post(peers{o.Peers})
	t.Go("peer-keeper", k.run)
	return l, nil
}

// start starts a task that Close waits for; false says that the links have ended already.
func (l *Links) start(name string, run func()) bool {
	if !l.running.Acquire() {
		return false
	}
	l.host.Tasks.Go(name, func() {
		run()
		l.running.Release()
	})
	return true
}

// track makes a connection known to the keeper, which closes it when everything ends.
func (l *Links) track(c host.Conn, outbound bool) uint64 {
	id := uint64(l.numbers.Add(1))
	l.events.Post(opened{id, c, outbound})
	return id
}

// SetSelf changes what later connections say of this node. Those that are there go on.
func (l *Links) SetSelf(h Hello) { l.self.Store(&h) }

// SetPeers changes the peers and their addresses. Links to nodes that are not among them end; one whose address changed
// goes on where it is until it breaks.
func (l *Links) SetPeers(list []Address) { l.events.Post(peers{list}) }

// Addr is where it listens, "" when it does not.
func (l *Links) Addr() string { return l.addr }

// Close ends all connections and waits until the links' tasks have ended, which may take as long as a dial. No Handler
// method is called when it has returned, and neither Up nor Down once it has begun.
func (l *Links) Close() {
	l.events.Post(stop{})
	l.ended.Get()
}

// accept takes connections until the listener is closed.
func (l *Links) accept(listener host.Listener) {
	for {
		c, err := listener.Accept()
		switch {
		case errors.Is(err, host.ErrClosed):
			return
		case err != nil:
			l.host.Log.Error("accept a peer", "error", err)
			l.host.Clock.Sleep(100 * time.Millisecond)
			continue
		}
		if l.strange.Add(1) > maxStrangers {
			l.strange.Add(-1)
			c.Close()
			continue
		}
		if !l.start("peer-receive", func() { l.receive(c) }) {
			c.Close()
			return
		}
	}
}

func (l *Links) peer(node int32) *peer {
	for _, p := range *l.table.Load() {
		if p.node == node {
			return p
		}
	}
	return nil
}
