package node

import (
	"fmt"
	"time"

	"millrace/net/server"
	"millrace/net/wire"
	"millrace/node/host"
)

// Broker is a running node. Its exported methods may be called from any task.
type Broker struct {
	host   host.Host
	config Config
	server *server.Server

	// byKey finds the route of an API key, served says which versions are. Neither changes after Start.
	byKey  []*route
	served wire.Served
}

// Start opens the data directory, recovers what it holds, and serves clients. It returns once the node answers. The
// node dies with its process: an error of the disk in a running node is final, see Broker.Failed.
func Start(h host.Host, c Config) (*Broker, error) {
	c = c.withDefaults()
	b := &Broker{host: h, config: c}
	if err := b.setRoutes(routes()); err != nil {
		return nil, fmt.Errorf("table of routes: %w", err)
	}
	listener, err := h.Transport.Listen(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	b.server = server.Start(h, listener, c.Server, b.handle)
	return b, nil
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
		ranges[i] = wire.Range{Key: r.api.Key, Min: r.api.Min, Max: r.api.Max}
	}
	served, err := wire.NewServed(ranges...)
	b.served = served
	return err
}

// Addr is the address of the Kafka listener.
func (b *Broker) Addr() string { return b.server.Addr() }

// Stop ends the node in order: no new connections and requests, answers to what is in flight, a last checkpoint. It
// returns when everything is closed.
func (b *Broker) Stop() error {
	b.server.Stop(b.host.Clock.Now().Add(10 * time.Second))
	return nil
}
