package shard

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/sim"
)

// newTopic makes a topic by way of a node and waits for its leaders.
func (c *clusterWorld) newTopic(i int, name string, partitions int32) (*catalog.Topic, error) {
	h, s := c.hosts[i], c.sets[i]
	create := catalog.CreateTopic{Name: name, Partitions: partitions, Replication: 3}
	copy(create.ID[:], name)
	done := host.NewFuture[error](h.Tasks)
	var topic *catalog.Topic
	c.nodes[i].Go("create", func() {
		r := s.Change(create, deadline(h))
		topic = r.Topic
		switch {
		case r.Error != wire.ErrNone:
			done.Set(fmt.Errorf("create %s: %d %s", name, r.Error, r.Message))
		case !s.AwaitTopic(r.Topic, deadline(h)):
			done.Set(fmt.Errorf("topic %s has no leaders", name))
		default:
			done.Set(nil)
		}
	})
	return topic, c.wait(i, done)
}

// wait waits for a task of a node, from the driver.
func (c *clusterWorld) wait(i int, done *host.Future[error]) error {
	for {
		if err, ok := done.Try(); ok {
			return err
		}
		if c.sets[i] == nil {
			return fmt.Errorf("node %d has died", i+1)
		}
		c.driver.Clock.Sleep(5 * time.Millisecond)
	}
}

// all says whether something holds at every running node.
func (c *clusterWorld) all(holds func(i int, s *Set) bool) bool {
	for i, s := range c.sets {
		if s != nil && !holds(i, s) {
			return false
		}
	}
	return true
}

// settledAt says whether every running node knows the same leaders for a topic, the preferred ones if asked for.
func (c *clusterWorld) settledAt(topic *catalog.Topic, preferred bool) bool {
	return c.all(func(_ int, s *Set) bool {
		for p := range topic.Partitions {
			node, epoch, isr, ok := s.PartitionLeader(topic, p)
			if !ok || c.sets[node-1] == nil || preferred && (node != topic.Partitions[p].Replicas[0] || len(isr) < 3) {
				return false
			}
			at, code := c.sets[node-1].Lookup(topic.ID, int32(p))
			if code != wire.ErrNone || at.LeaderEpoch != epoch {
				return false
			}
		}
		return true
	})
}

// fenced says whether the catalog shows a broker as fenced, at every running node.
func (c *clusterWorld) fenced(node int32, want bool) bool {
	return c.all(func(_ int, s *Set) bool {
		b, ok := s.Catalog().Broker(node)
		return ok && b.Fenced == want
	})
}

// soon makes fencing and the way back of leadership happen soon.
func soon(_ int, o *SetOptions) { o.SessionTimeout, o.PreferredEvery = 3*time.Second, 2*time.Second }

// TestFailover kills the node that leads the catalog, brings it back, and stops one in order.
func TestFailover(t *testing.T) {
	for seed := range uint64(8) {
		c := newClusterWorld(seed, 3, clusterLimit)
		c.options = soon
		if err := c.drive(func(h host.Host) error { return c.failover(h) }); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// settled starts three nodes, makes a topic at one of them, and waits until the preferred ones lead its partitions.
func (c *clusterWorld) settled(h host.Host, i int, partitions int32) (*catalog.Topic, error) {
	if err := c.up(h, 0, 1, 2); err != nil {
		return nil, err
	}
	topic, err := c.newTopic(i, "events", partitions)
	if err != nil {
		return nil, err
	}
	return topic, until(h, 20*time.Second, "preferred leaders lead", func() bool { return c.settledAt(topic, true) })
}

func (c *clusterWorld) failover(h host.Host) error {
	topic, err := c.settled(h, 2, 6)
	if err != nil {
		return err
	}
	preferred := func() bool { return c.settledAt(topic, true) }
	dead := int(c.sets[0].Controller()) - 1
	other := (dead + 1) % 3
	c.crash(dead, []sim.End{sim.Kill, sim.Power}[h.Random.Uint64("how")%2])
	died, alive := h.Clock.Now(), true
	if err := until(h, 3*time.Second, "other leaders", func() bool {
		alive = alive && c.fenced(int32(other+1), false)
		return c.settledAt(topic, false)
	}); err != nil {
		return err
	}
	if _, err := c.newTopic(other, "more", 3); err != nil {
		return err
	}
	for p := range topic.Partitions {
		if err := c.produce(h, c.sets[other], topic, p, "after"); err != nil {
			return err
		}
	}
	if err := until(h, 6*time.Second, "the dead node is fenced", func() bool {
		alive = alive && c.fenced(int32(other+1), false) && c.fenced(int32(3-dead-other+1), false)
		return c.fenced(int32(dead+1), true)
	}); err != nil {
		return err
	}
	if !alive {
		return errors.New("a broker that is alive is fenced")
	}
	if after := h.Clock.Now().Sub(died); after < 3*time.Second {
		return fmt.Errorf("a broker is fenced after %v", after)
	}
	if err := c.up(h, dead); err != nil {
		return err
	}
	if err := until(h, 3*time.Second, "the node is unfenced", func() bool { return c.fenced(int32(dead+1), false) }); err != nil {
		return err
	}
	if err := until(h, 20*time.Second, "leadership goes back", preferred); err != nil {
		return err
	}
	return c.stepDown(h, other, topic)
}

// stepDown stops a node in order: when it has stepped down, others lead, and nobody gives leadership back to it.
func (c *clusterWorld) stepDown(h host.Host, i int, topic *catalog.Topic) error {
	s, done := c.sets[i], host.NewFuture[error](c.hosts[i].Tasks)
	c.nodes[i].Go("stop", func() {
		s.StepDown(deadline(c.hosts[i]))
		done.Set(nil)
	})
	if err := c.wait(i, done); err != nil {
		return err
	}
	for end := h.Clock.Now().Add(5 * time.Second); h.Clock.Now() < end; h.Clock.Sleep(50 * time.Millisecond) {
		for id, shard := range s.shards.Load().All {
			if shard.Status().Serving {
				return fmt.Errorf("shard %d is led by the node that has stepped down", id)
			}
		}
		if b, _ := s.Catalog().Broker(int32(i + 1)); !b.Fenced {
			return errors.New("a node that has stepped down is not fenced")
		}
	}
	if !c.settledAt(topic, false) {
		return errors.New("the leaders are not known")
	}
	stopped := host.NewFuture[error](c.hosts[i].Tasks)
	c.nodes[i].Go("close", func() { stopped.Set(s.Close()) })
	return c.wait(i, stopped)
}
