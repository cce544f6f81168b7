package shard

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/partition"
)

// TestRestsAgain lets a cluster become idle again and again, and gives it one batch each time: its clocks turn then, so
// that it soon rests again, and nobody takes a leader for dead whose clock stands.
func TestRestsAgain(t *testing.T) {
	for seed := range uint64(4) {
		c := newClusterWorld(seed, 3, clusterLimit)
		if err := c.drive(func(h host.Host) error { return c.restAgain(h) }); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func (c *clusterWorld) restAgain(h host.Host) error {
	topic, err := c.settled(h, 0, 3)
	if err != nil {
		return err
	}
	rest := func() bool { return c.all(func(_ int, s *Set) bool { return s.quiet() }) }
	if err := until(h, 20*time.Second, "all shards rest", rest); err != nil {
		return err
	}
	terms := c.terms()
	for i := range 40 {
		// A leader that has nothing to do rests after some ticks, unless it learns that somebody does not; half a second more
		// is for what other tasks of the nodes do at their own times.
		const soon = (2*restAfter+silence)*TickEvery + 500*time.Millisecond
		node := i % 3
		if err := c.produceAt(node, topic); err != nil {
			return err
		}
		if err := until(h, soon, fmt.Sprintf("all shards rest again after batch %d", i), rest); err != nil {
			return err
		}
		h.Clock.Sleep(time.Duration(h.Random.Uint64("pause") % uint64(100*time.Millisecond)))
	}
	for id, term := range c.terms() {
		if terms[id] != term {
			return fmt.Errorf("shard %d was in term %d and is in term %d, though nothing happened to its leader", id, terms[id], term)
		}
	}
	return nil
}

// produceAt sends a batch to a partition that a node leads, in a task of that node.
func (c *clusterWorld) produceAt(node int, topic *catalog.Topic) error {
	done := host.NewFuture[error](c.hosts[node].Tasks)
	c.nodes[node].Go("produce", func() {
		for p := range topic.Partitions {
			if topic.Partitions[p].Replicas[0] == int32(node+1) {
				done.Set(c.produce(c.hosts[node], c.sets[node], topic, p, "a batch"))
				return
			}
		}
		done.Set(nil)
	})
	return c.wait(node, done)
}

// terms are the terms of all shards, as the first node knows them.
func (c *clusterWorld) terms() map[uint64]uint64 {
	terms := map[uint64]uint64{}
	for id, shard := range c.sets[0].shards.Load().All {
		terms[uint64(id)] = shard.Status().Term
	}
	return terms
}

// TestRetentionWakes has retention propose something in a shard that rests.
func TestRetentionWakes(t *testing.T) {
	if err := inGroups(restful, retainAtRest); err != nil {
		t.Error(err)
	}
}

// restful takes no checkpoints.
func restful(o *groupOptions) { o.checkpointEvery = 0 }

func retainAtRest(s *scripted) error {
	leader := s.leader()
	if code := s.append(leader, -1, time.Second); code != wire.ErrNone {
		return fmt.Errorf("a batch: error %d", code)
	}
	if err := s.awaitRest(); err != nil {
		return err
	}
	last := leader.shard.Status().Last
	leader.tell("retain", func(shard *Shard) {
		shard.Configure(groupPartition(1), Settings{Retention: partition.RetentionConfig{RetentionMs: 0, RetentionBytes: -1}})
		shard.inbox.Post(retain{1 << 40})
	})
	return s.await("an awake leader that has proposed something", 2*TickEvery, func() error {
		switch now := leader.shard.Status(); {
		case now.Quiet:
			return errors.New("it rests")
		case now.Last == last:
			return errors.New("it has proposed nothing")
		}
		return nil
	})
}

func (s *scripted) awaitRest() error {
	return s.await("rest", 20*time.Second, func() error {
		for _, n := range s.nodes {
			if !n.shard.status.Load().Quiet {
				return fmt.Errorf("node %d does not rest", n.index+1)
			}
		}
		return nil
	})
}

// TestCutOffLeaderStepsDown cuts a leader off that rests.
func TestCutOffLeaderStepsDown(t *testing.T) {
	if err := inGroups(restful, cutOffAtRest); err != nil {
		t.Error(err)
	}
}

func cutOffAtRest(s *scripted) error {
	if err := s.awaitRest(); err != nil {
		return err
	}
	leader := s.leader()
	s.isolate(leader, true)
	// The others are suspected after at most half a second, and raft looks twice whether a majority has been heard.
	return s.await("the end of its leadership", 500*time.Millisecond+3*electionTicks*TickEvery, func() error {
		if now := leader.shard.Status(); now.Serving {
			return fmt.Errorf("it leads in term %d, at rest: %v", now.Term, now.Quiet)
		}
		return nil
	})
}
