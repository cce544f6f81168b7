package shard

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"millrace/net/peer"
	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/sim"
)

// clusterWorld is nodes that are started in any order and killed again and again. Its fields survive the crashes.
type clusterWorld struct {
	world *sim.World
	nodes []*sim.Node
	// sets are the sets of the running nodes, by node id - 1; nil while one starts or is down.
	sets  []*Set
	hosts []host.Host
	// errs are the errors with which a start ended, by node.
	errs []error
	// options changes what a node is started with; it may be nil.
	options func(node int, o *SetOptions)
}

func newClusterWorld(seed uint64, nodes int, limit time.Duration) *clusterWorld {
	o := sim.Options{Limit: limit}
	if testing.Verbose() {
		o.Log = os.Stderr
	}
	c := &clusterWorld{world: sim.New(seed, o)}
	for i := range nodes {
		c.nodes = append(c.nodes, c.world.AddNode("n"+strconv.Itoa(i+1)))
	}
	c.sets, c.hosts, c.errs = make([]*Set, nodes), make([]host.Host, nodes), make([]error, nodes)
	return c
}

// peers are the addresses of all nodes.
func (c *clusterWorld) peers() []peer.Address {
	var peers []peer.Address
	for i, n := range c.nodes {
		peers = append(peers, peer.Address{Node: int32(i + 1), Addr: n.Name() + ":19100"})
	}
	return peers
}

// boot starts a node; then runs in it when its set is open.
func (c *clusterWorld) boot(i int, then func(h host.Host, s *Set)) {
	c.sets[i], c.errs[i] = nil, nil
	c.nodes[i].Boot(func(h host.Host) {
		c.hosts[i] = h
		o := smallOptions()
		o.Node, o.Peers, o.Secret = int32(i+1), c.peers(), []byte("secret")
		if c.options != nil {
			c.options(i, &o)
		}
		s, err := OpenSet(h, o)
		if err != nil {
			c.errs[i] = err
			return
		}
		c.sets[i] = s
		if then != nil {
			then(h, s)
		}
	})
}

// crash ends a node's process.
func (c *clusterWorld) crash(i int, how sim.End) {
	c.sets[i] = nil
	c.nodes[i].Crash(how)
}

// register registers the node of a set.
func register(h host.Host, s *Set) error {
	id := s.Identity()
	r := s.Change(catalog.RegisterBroker{
		Node: id.Node, Directory: id.Directory, Incarnation: id.Incarnation, Boots: id.Boots, Lanes: 2, Rack: "r" + strconv.Itoa(int(id.Node)),
	}, deadline(h))
	if r.Error != wire.ErrNone {
		return fmt.Errorf("register node %d: %d %s", id.Node, r.Error, r.Message)
	}
	return nil
}

// until waits in a node's task until what holds.
func until(h host.Host, limit time.Duration, what string, holds func() bool) error {
	end := h.Clock.Now().Add(limit)
	for !holds() {
		if h.Clock.Now() >= end {
			return errors.New("in vain: " + what)
		}
		h.Clock.Sleep(10 * time.Millisecond)
	}
	return nil
}

// TestFormation starts three nodes in any order, with crashes in the middle, and waits for one cluster that works.
func TestFormation(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		if err := runFormation(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func runFormation(seed uint64) error {
	c := newClusterWorld(seed, 3, 5*time.Minute)
	d := c.world.Draws("formation")
	done := 0
	for i := range c.nodes {
		start := time.Duration(d.Uint64()%3000) * time.Millisecond
		for n := d.Uint64() % 3; n > 0; n-- { // lives that end early
			lives := time.Duration(d.Uint64()%600) * time.Millisecond
			how := []sim.End{sim.Kill, sim.Power}[d.Uint64()%2]
			c.world.After(start, func() { c.boot(i, nil) })
			start += lives
			c.world.After(start, func() { c.crash(i, how) })
			start += time.Duration(1+d.Uint64()%500) * time.Millisecond
		}
		c.world.After(start, func() {
			c.boot(i, func(h host.Host, s *Set) {
				if err := c.useCluster(h, s); err != nil {
					c.world.Fail(fmt.Errorf("node %d: %w", i+1, err))
				}
				if done++; done == len(c.nodes) {
					c.world.Stop()
				}
			})
		})
	}
	err := c.world.Run()
	c.world.Close()
	for i, e := range c.errs {
		if e != nil && err == nil {
			err = fmt.Errorf("node %d: %w", i+1, e)
		}
	}
	return err
}

// useCluster registers, and waits until the cluster is complete, and a topic that the first node makes is written to.
func (c *clusterWorld) useCluster(h host.Host, s *Set) error {
	if err := register(h, s); err != nil {
		return err
	}
	complete := func() bool { return s.Catalog().Brokers.Len() == len(c.nodes) }
	if err := until(h, 30*time.Second, "all brokers registered", complete); err != nil {
		return err
	}
	name := "of-" + strconv.Itoa(int(s.Identity().Node))
	create := catalog.CreateTopic{Name: name, Partitions: 6, Replication: 3}
	copy(create.ID[:], name)
	r := s.Change(create, deadline(h))
	if r.Error != wire.ErrNone {
		return fmt.Errorf("create %s: %d %s", name, r.Error, r.Message)
	}
	if !s.AwaitTopic(r.Topic, deadline(h)) {
		return fmt.Errorf("topic %s has no leaders", name)
	}
	for p := range r.Topic.Partitions {
		for n := range 3 {
			if err := c.produce(h, s, r.Topic, p, strconv.Itoa(n)); err != nil {
				return err
			}
		}
	}
	if id := s.Identity(); id.ClusterID != s.Catalog().ClusterID || len(s.Catalog().Controllers) != 3 {
		return fmt.Errorf("the catalog says %s, the directory %s", s.Catalog().ClusterID, id.ClusterID)
	}
	return nil
}

// produce appends a value by way of whatever node leads the partition, with retries.
func (c *clusterWorld) produce(h host.Host, s *Set, topic *catalog.Topic, p int, value string) error {
	end := deadline(h)
	var last any = "no leader"
	for h.Clock.Now() < end {
		node, _, _, ok := s.PartitionLeader(topic, p)
		if !ok || c.sets[node-1] == nil {
			h.Clock.Sleep(20 * time.Millisecond)
			continue
		}
		pending, err := send(c.sets[node-1], topic, int32(p), -1, sequenced{}, value)
		if err == nil {
			var r Result // of another node, whose waiters are not for this one's tasks
			ok := until(h, 5*time.Second, "", func() (done bool) { r, done = pending.Try(); return done }) == nil
			if ok && r.Error == wire.ErrNone {
				return nil
			}
			last = r
		} else {
			last = err
		}
		h.Clock.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("partition %d of %s takes nothing: %v", p, topic.Name, last)
}
