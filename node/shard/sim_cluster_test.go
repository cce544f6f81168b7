package shard

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
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
	errs   []error
	driver host.Host
	// options changes what a node is started with; it may be nil.
	options func(node int, o *SetOptions)
}

// clusterLimit is the virtual time within which everything happens.
const clusterLimit = 10 * time.Minute

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

// drive runs a script in a node of its own, which boots and ends the others, and then ends the world.
func (c *clusterWorld) drive(script func(h host.Host) error) error {
	c.world.AddNode("driver").Boot(func(h host.Host) {
		c.driver = h
		if err := script(h); err != nil {
			c.world.Fail(err)
		}
		c.world.Stop()
	})
	err := c.world.Run()
	c.world.Close()
	return err
}

// up boots nodes and waits until they are registered.
func (c *clusterWorld) up(h host.Host, nodes ...int) error {
	done := 0
	var failed error
	for _, i := range nodes {
		c.boot(i, func(h host.Host, s *Set) {
			if err := register(h, s); err != nil {
				failed = err
			}
			done++
		})
	}
	err := until(h, time.Minute, "nodes are up", func() bool {
		for _, i := range nodes {
			if c.errs[i] != nil {
				failed = c.errs[i]
			}
		}
		return failed != nil || done == len(nodes)
	})
	return errors.Join(failed, err)
}

// refusedStart boots a node whose start must end with a sentence.
func (c *clusterWorld) refusedStart(h host.Host, i int, sentence string) error {
	c.boot(i, nil)
	err := until(h, 20*time.Second, "a start is refused", func() bool { return c.errs[i] != nil || c.sets[i] != nil })
	switch {
	case err != nil:
		return fmt.Errorf("want %q: %w", sentence, err)
	case c.errs[i] == nil:
		return fmt.Errorf("want %q, but the node starts", sentence)
	case !strings.Contains(c.errs[i].Error(), sentence):
		return fmt.Errorf("want %q, got %q", sentence, c.errs[i])
	}
	c.crash(i, sim.Kill)
	return nil
}

// TestRefusals starts nodes that must not be part of the cluster.
func TestRefusals(t *testing.T) {
	for seed := range uint64(5) {
		c := newClusterWorld(seed, 3, clusterLimit)
		err := c.drive(func(h host.Host) error { return c.refusals(h) })
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func (c *clusterWorld) refusals(h host.Host) error {
	if err := c.up(h, 0, 1, 2); err != nil {
		return err
	}
	cluster := c.sets[0].Identity().ClusterID
	old := c.nodes[2].CopyDisk()
	c.crash(2, sim.Kill)
	if err := c.up(h, 2); err != nil {
		return fmt.Errorf("a restart: %w", err)
	}

	// A second process on a copy of a running node's disk, taken before its start, is a clone or an old copy.
	clone := c.world.AddNode("n3b")
	clone.RestoreDisk(old)
	c.nodes = append(c.nodes, clone)
	c.sets, c.hosts, c.errs = append(c.sets, nil), append(c.hosts, host.Host{}), append(c.errs, nil)
	c.options = func(i int, o *SetOptions) {
		o.Peers = o.Peers[:3]
		if i == 3 {
			o.Node, o.PeerListen = 3, "n3b:19100"
		}
	}
	if err := c.refusedStart(h, 3, "runs twice on copies"); err != nil {
		return fmt.Errorf("a clone: %w", err)
	}
	c.crash(2, sim.Kill)
	if err := c.up(h, 2); err != nil {
		return fmt.Errorf("another restart: %w", err)
	}
	c.crash(2, sim.Kill)
	c.nodes[2].RestoreDisk(old)
	if err := c.refusedStart(h, 2, "is an old copy"); err != nil {
		return fmt.Errorf("an old copy: %w", err)
	}

	c.nodes[2].ReplaceDisk()
	if err := c.refusedStart(h, 2, "is a member of cluster "+cluster+" with the data directory"); err != nil {
		return fmt.Errorf("a wiped disk: %w", err)
	}

	wrong := c.options
	c.options = func(i int, o *SetOptions) {
		wrong(i, o)
		o.Node = 2
	}
	c.crash(0, sim.Kill)
	if err := c.refusedStart(h, 0, "belongs to node 1"); err != nil {
		return fmt.Errorf("a wrong node id: %w", err)
	}
	c.options = func(i int, o *SetOptions) {
		wrong(i, o)
		o.Peers = append(o.Peers[:2:2], peer.Address{Node: 4, Addr: "n4:19100"})
	}
	if err := c.refusedStart(h, 0, "formed of the nodes 1, 2, 3"); err != nil {
		return fmt.Errorf("other peers: %w", err)
	}
	c.options = func(i int, o *SetOptions) { wrong(i, o); o.Peers = nil }
	if err := c.refusedStart(h, 0, "formed of the nodes 1, 2, 3"); err != nil {
		return fmt.Errorf("no peers: %w", err)
	}
	c.options = wrong
	return c.up(h, 0)
}
