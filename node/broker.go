package node

import (
	"fmt"
	"strconv"
	"time"

	"millrace/net/server"
	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/config"
	"millrace/node/host"
	"millrace/node/ordered"
	"millrace/node/shard"
)

// Broker is a running node. Its exported methods may be called from any task.
type Broker struct {
	host   host.Host
	config Config
	static config.Map // broker configs from the command line and the properties file
	set    *shard.Set
	// cluster is set, seen as what answers about the other nodes.
	cluster cluster
	server  *server.Server

	// byKey finds the route of an API key, served says which versions are. Neither changes after Start.
	byKey  []*route
	served wire.Served

	// brokerResource and clusterResource find the dynamic configs of this broker and of all; fetchMaxBytes is
	// fetch.max.bytes.
	brokerResource, clusterResource ordered.String
	fetchMaxBytes                   int64
	// rackAware says that consumers are sent to replicas in their rack.
	rackAware bool

	rooms     *rooms
	producers *producerIDs
	sessions  *sessionSlots
	groups    *groups
	metrics   *metrics
	// perAddress bounds the connections from single addresses.
	perAddress map[string]int
	// caughtUp is not zero once the node has had all that the leaders of its partitions had.
	caughtUp *host.Counter
}

// Start opens the data directory, recovers what it holds, and serves clients. It returns once the node answers. The
// node ends itself when its disk fails: see Failed.
func Start(h host.Host, c Config) (*Broker, error) {
	c = c.withDefaults()
	static, err := c.properties(h)
	if err != nil {
		return nil, err
	}
	b := &Broker{host: h, config: c, static: static}
	b.rooms = newRooms(h)
	b.brokerResource = catalog.ResourceKey(catalog.ResourceBroker, strconv.Itoa(int(c.NodeID)))
	b.clusterResource = catalog.ResourceKey(catalog.ResourceBroker, "")
	b.fetchMaxBytes = config.Layers{Static: static}.Int("fetch.max.bytes")
	if b.perAddress, err = perAddress(config.Layers{Static: static}.String("max.connections.per.ip.overrides")); err != nil {
		return nil, err
	}
	b.rackAware = config.Layers{Static: static}.String("replica.selector.class") == config.RackAwareReplicaSelector
	b.metrics, b.caughtUp = newMetrics(h.Tasks), host.NewCounter(h.Tasks)
	if err := b.setRoutes(routes()); err != nil {
		return nil, fmt.Errorf("table of routes: %w", err)
	}
	if b.set, err = shard.OpenSet(h, b.setOptions()); err != nil {
		return nil, fmt.Errorf("open the data directory: %w", err)
	}
	b.cluster = b.set
	if err := b.serve(); err != nil {
		b.set.Close()
		return nil, err
	}
	return b, nil
}

// serve registers the node and begins to answer clients.
func (b *Broker) serve() error {
	listener, err := b.host.Transport.Listen(b.config.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", b.config.Listen, err)
	}
	if err := b.register(listener.Addr()); err != nil {
		listener.Close()
		return err
	}
	b.producers = startProducerIDs(b)
	b.sessions = startSessionSlots(b.host, int(b.layers(b.set.Catalog()).Int("max.incremental.fetch.session.cache.slots")))
	b.groups = startGroups(b)
	b.server = server.Start(b.host, listener, b.serverOptions(), b.handle)
	return nil
}

// register announces this start of the node in the catalog.
func (b *Broker) register(addr string) error {
	id := b.set.Identity()
	c := catalog.RegisterBroker{
		Node: b.config.NodeID, Incarnation: id.Incarnation, Boots: id.Boots, Directory: id.Directory,
		Rack: b.config.Rack, Lanes: int32(b.config.Lanes),
	}
	if b.config.Advertise != "" {
		addr = b.config.Advertise
	}
	name, port, err := splitAddress(addr)
	if err != nil {
		return err
	}
	c.Listeners = []catalog.Listener{{Name: "PLAINTEXT", Host: name, Port: uint16(port)}}
	result := b.set.Change(c, b.host.Clock.Now().Add(time.Minute))
	if result.Error != wire.ErrNone {
		return fmt.Errorf("register node %d: %v: %s", c.Node, result.Error, result.Message)
	}
	return nil
}

// setRoutes makes the table by key. A route for which wire has no codec is a mistake in the table.
func (b *Broker) setRoutes(all []route) error {
	ranges := make([]wire.Range, len(all))
	for i := range all {
		r := &all[i]
		for len(b.byKey) <= int(r.api.Key) {
			b.byKey = append(b.byKey, nil)
		}
		b.byKey[r.api.Key] = r
		r.numbers = b.metrics.api(r.api.Name, r.begin != nil)
		ranges[i] = wire.Range{Key: r.api.Key, Min: r.api.Min, Max: r.api.Max}
	}
	served, err := wire.NewServed(ranges...)
	b.served = served
	return err
}

// NodeID is the broker's id.
func (b *Broker) NodeID() int32 { return b.config.NodeID }

// Addr is the address of the Kafka listener.
func (b *Broker) Addr() string { return b.server.Addr() }

// Failed is set when the node cannot go on, with the reason: a disk that failed, a log that cannot be written. Whoever
// started the node must then end it; nothing more is acknowledged.
func (b *Broker) Failed() *host.Future[error] { return b.set.Failed() }

// stepDownTime bounds how long a node that stops waits for others to take over what it leads.
const stepDownTime = 5 * time.Second

// Who still comes to a node that leads no more is told where to go, which is quicker than finding out that it is gone:
// redirectPause has to pass without anybody, and the node stops after redirectTime in any case.
const (
	redirectPause = 200 * time.Millisecond
	redirectTime  = 2 * time.Second
)

func (b *Broker) redirect() {
	told := func() int64 { return b.metrics.errors[int(wire.ErrNotLeaderOrFollower)+1].Load() }
	deadline := b.host.Clock.Now().Add(redirectTime)
	for last := int64(-1); last != told() && b.host.Clock.Now() < deadline; {
		last = told()
		b.host.Clock.Sleep(redirectPause)
	}
}

// Stop ends the node in order: leadership goes to other nodes first, while requests are still answered, so that clients
// hear from this node where to go; then no new connections and requests, answers to what is in flight, a last checkpoint.
// It returns when everything is closed.
func (b *Broker) Stop() error {
	if _, failed := b.set.Failed().Try(); !failed && !b.alone() {
		b.set.StepDown(b.host.Clock.Now().Add(stepDownTime))
		b.redirect()
	}
	return b.Close()
}

// Close is Stop without handing over: for when the whole cluster ends.
func (b *Broker) Close() error {
	b.server.Stop(b.host.Clock.Now().Add(10 * time.Second))
	b.groups.stop()
	b.sessions.stop()
	b.producers.stop()
	return b.set.Close()
}
