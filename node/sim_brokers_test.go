package node_test

import (
	"fmt"
	"time"

	"millrace/net/wire"
	"millrace/node"
	"millrace/node/host"
	"millrace/sim"
	"millrace/sim/client"
)

// simBrokers are simulated brokers and a client, for tests of the node that need no plan. All tasks are in one thread.
type simBrokers struct {
	world   *sim.World
	brokers []*sim.Node
	listens []string
	config  node.Config // of each, but for who and where it is
	h       host.Host   // the client's
	c       *client.Client
}

// newSimBrokers makes a world with so many brokers, which begin as they are configured. It may last so long.
func newSimBrokers(seed uint64, limit time.Duration, nodes int, c node.Config) *simBrokers {
	w := sim.New(seed, sim.Options{Limit: limit})
	x := &simBrokers{world: w, config: c}
	for i := range nodes {
		name := fmt.Sprint("n", i+1)
		x.brokers, x.listens = append(x.brokers, w.AddNode(name)), append(x.listens, name+":9092")
	}
	for i := range nodes {
		x.boot(i)
	}
	return x
}

// drive has the client run, and ends the world.
func (x *simBrokers) drive(timeout time.Duration, run func() error) error {
	w := x.world
	w.AddNode("c").Boot(func(h host.Host) {
		x.h = h
		x.c = client.New(h, client.Options{Name: "c", Brokers: x.listens, Timeout: timeout, Violated: w.Fail})
		if err := run(); err != nil {
			w.Fail(err)
		}
		x.c.Close()
		w.Stop()
	})
	err := w.Run()
	w.Close()
	return err
}

func (x *simBrokers) boot(i int) {
	c := x.config
	c.Listen, c.NodeID = x.listens[i], int32(i+1)
	if len(x.brokers) > 1 {
		c.Secret = []byte("a secret")
		for k := range x.brokers {
			c.Peers = append(c.Peers, node.Peer{Node: int32(k + 1), Addr: fmt.Sprint("n", k+1, ":9192")})
		}
	}
	x.brokers[i].Boot(func(h host.Host) {
		if _, err := node.Start(h, c); err != nil {
			x.world.Fail(fmt.Errorf("start: %w", err))
		}
	})
}

// blackout takes the power from all brokers at once and boots them again.
func (x *simBrokers) blackout() {
	for i := range x.brokers {
		x.brokers[i].Crash(sim.Power)
	}
	for i := range x.brokers {
		x.boot(i)
	}
}

// eventually tries something until it works, for two minutes.
func (x *simBrokers) eventually(what string, attempt func() error) error {
	if err := x.c.Retry(x.h.Clock.Now().Add(2*time.Minute), attempt); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (x *simBrokers) createTopic(name string, partitions int32) error {
	return x.eventually("create the topic", func() error {
		if err := x.c.CreateTopic(name, partitions); err != nil && !client.IsCode(err, wire.ErrTopicAlreadyExists) {
			return err
		}
		return x.c.Refresh(name)
	})
}
