package shard

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/partition"
	"millrace/sim"
)

// storm is a cluster with clients, nodes that die and pause, and ways that are cut. It knows what clients know.
type storm struct {
	*clusterWorld
	draws *sim.Draws
	// topics are those that were made and not deleted; acked are the values that were acknowledged, by topic and partition.
	topics []*catalog.Topic
	acked  map[string][]string
	// epochs is the newest leader epoch that a node has named of a partition, in its present life.
	epochs []map[string]int32
	// held are the partitions that a node has had in its present life: true when it has dropped them.
	held   []map[partition.ID]bool
	failed error
	calm   bool
}

const (
	stormLasts     = 15 * time.Second
	stormNodes     = 3
	stormPartition = 3
)

var (
	stormFirst = flag.Uint64("storm-first", 0, "the first seed of TestStorm")
	stormSeeds = flag.Uint64("storm-seeds", 12, "how many seeds TestStorm runs")
)

// TestStorm runs clusters through storms.
func TestStorm(t *testing.T) {
	first, seeds := *stormFirst, *stormSeeds
	if testing.Short() {
		seeds = 3
	}
	for seed := first; seed < first+seeds; seed++ {
		if err := runStorm(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func runStorm(seed uint64) error {
	st := &storm{clusterWorld: newClusterWorld(seed, stormNodes, 10*time.Minute), acked: map[string][]string{}}
	st.draws = st.world.Draws("storm")
	st.epochs, st.held = make([]map[string]int32, stormNodes), make([]map[partition.ID]bool, stormNodes)
	st.options = func(_ int, o *SetOptions) { o.SessionTimeout, o.PreferredEvery = 2*time.Second, time.Second }
	return st.drive(st.run)
}

func (st *storm) run(h host.Host) error {
	for i := range stormNodes {
		st.start(i)
	}
	if err := until(h, 30*time.Second, "a cluster", func() bool {
		return st.all(func(_ int, s *Set) bool { return s.Catalog().Brokers.Len() == stormNodes }) && st.running() == stormNodes
	}); err != nil {
		return err
	}
	for i := range stormNodes {
		st.client(i)
	}
	next := time.Duration(0)
	for end := h.Clock.Now().Add(stormLasts); h.Clock.Now() < end && st.failed == nil; h.Clock.Sleep(20 * time.Millisecond) {
		st.watch()
		if st.world.Now() >= next {
			next = st.world.Now() + time.Duration(st.draws.Between(100, 1500))*time.Millisecond
			st.strike()
		}
	}
	st.heal()
	err := until(h, 60*time.Second, "a cluster that is whole", func() bool {
		st.watch()
		return st.failed != nil || st.whole()
	})
	st.calm = true
	h.Clock.Sleep(2 * time.Second)
	return errors.Join(st.failed, err, st.check())
}

// start boots a node, which registers.
func (st *storm) start(i int) {
	st.epochs[i], st.held[i] = map[string]int32{}, map[partition.ID]bool{}
	st.boot(i, func(h host.Host, s *Set) {
		if err := register(h, s); err != nil && st.failed == nil {
			st.failed = err
		}
	})
}

func (st *storm) running() int {
	n := 0
	for _, s := range st.sets {
		if s != nil {
			n++
		}
	}
	return n
}

// strike does something bad, or lifts it again.
func (st *storm) strike() {
	i := int(st.draws.Below(stormNodes))
	other := (i + 1 + int(st.draws.Below(stormNodes-1))) % stormNodes
	node := st.nodes[i]
	switch st.draws.Below(6) {
	case 0:
		if node.Running() {
			st.crash(i, sim.Pick(st.draws, sim.Kill, sim.Power))
		}
		st.world.After(time.Duration(st.draws.Between(50, 3000))*time.Millisecond, func() {
			if !node.Running() {
				st.start(i)
			}
		})
	case 1:
		if node.Running() {
			node.Pause(time.Duration(st.draws.Between(200, 2500)) * time.Millisecond)
		}
	case 2:
		st.world.Cut(node, st.nodes[other])
	case 3:
		st.world.Cut(node, st.nodes[other])
		st.world.Cut(st.nodes[other], node)
	default:
		st.mend()
	}
}

func (st *storm) mend() {
	for _, a := range st.nodes {
		for _, b := range st.nodes {
			if a != b && st.world.Cuts(a, b) {
				st.world.Heal(a, b)
			}
		}
	}
}

// heal lets everything run again.
func (st *storm) heal() {
	st.mend()
	for i, n := range st.nodes {
		if !n.Running() {
			st.start(i)
		}
	}
}

// watch looks at what every node says of the leaders, the epochs that it names never go back, and at what it has: what it has
// dropped never comes back.
func (st *storm) watch() {
	for i, s := range st.sets {
		if s == nil || st.nodes[i].Paused() {
			continue
		}
		for _, t := range st.topics {
			for p := range t.Partitions {
				_, epoch, _, ok := s.PartitionLeader(t, p)
				at := fmt.Sprint(t.Name, "-", p)
				if ok && epoch < st.epochs[i][at] && st.failed == nil {
					st.failed = fmt.Errorf("node %d names epoch %d of %s after %d", i+1, epoch, at, st.epochs[i][at])
				}
				if ok {
					st.epochs[i][at] = epoch
				}
			}
		}
		if err := st.errs[i]; err != nil && st.failed == nil {
			st.failed = fmt.Errorf("node %d does not start: %w", i+1, err)
		}
		st.watchDrops(i, s)
	}
}

func (st *storm) watchDrops(i int, s *Set) {
	has := map[partition.ID]bool{}
	for _, shard := range s.shards.Load().All {
		for k := range shard.places.Load().All {
			id := partition.ID(k)
			has[id] = true
			if st.held[i][id] && st.failed == nil {
				st.failed = fmt.Errorf("node %d has adopted %v again, which it had dropped", i+1, id)
			}
			st.held[i][id] = false
		}
	}
	for id := range st.held[i] {
		st.held[i][id] = !has[id]
	}
}

// whole says whether the storm is forgotten.
func (st *storm) whole() bool {
	if st.running() < stormNodes {
		return false
	}
	for _, t := range st.topics {
		if !st.settledAt(t, true) {
			return false
		}
	}
	for n := range int32(stormNodes) {
		if !st.fenced(n+1, false) {
			return false
		}
	}
	return true
}

// client makes and deletes topics by way of a node, and writes to what the node leads, over all lives of the node.
func (st *storm) client(i int) {
	name := "client-" + strconv.Itoa(i+1)
	st.world.AddNode(name).Boot(func(h host.Host) {
		for n := 0; !st.calm; n++ {
			h.Clock.Sleep(time.Duration(20+h.Random.Uint64("pause")%100) * time.Millisecond)
			if s := st.sets[i]; s != nil && !st.nodes[i].Paused() {
				switch {
				case n%20 == 0:
					st.create(h, i, fmt.Sprint(name, "-", n))
				case n%5 == 0:
					st.change(h, i, createOf(fmt.Sprint(name, "-", n)))
					st.change(h, i, catalog.DeleteTopic{Name: fmt.Sprint(name, "-", n)})
				default:
					st.write(h, i, s, n)
				}
			}
		}
	})
}

func createOf(name string) catalog.CreateTopic {
	c := catalog.CreateTopic{Name: name, Partitions: stormPartition, Replication: stormNodes}
	copy(c.ID[:], name)
	return c
}

// change has a node change the catalog; false when the node did not live to see it done.
func (st *storm) change(h host.Host, i int, c catalog.Command) (result catalog.Result, done bool) {
	s, nh := st.sets[i], st.hosts[i]
	if s == nil {
		return result, false
	}
	st.nodes[i].Go("change", func() {
		result = s.Change(c, nh.Clock.Now().Add(10*time.Second))
		done = true
	})
	_ = until(h, 10*time.Second, "", func() bool { return done || st.sets[i] != s })
	return result, done
}

// create makes a topic that stays.
func (st *storm) create(h host.Host, i int, name string) {
	s := st.sets[i]
	result, done := st.change(h, i, createOf(name))
	switch {
	case !done:
	case result.Error == wire.ErrNone:
		st.topics = append(st.topics, result.Topic)
		if _, ok := s.Catalog().TopicByID(result.Topic.ID); !ok {
			st.failed = fmt.Errorf("node %d does not see the topic that it has made", i+1)
		}
	case result.Error != wire.ErrRequestTimedOut:
		st.failed = fmt.Errorf("create %s: %d %s", name, result.Error, result.Message)
	}
}

// write appends a value to a partition that the node leads, if it does.
func (st *storm) write(h host.Host, i int, s *Set, n int) {
	if len(st.topics) == 0 {
		return
	}
	t := st.topics[h.Random.Uint64("topic")%uint64(len(st.topics))]
	p := int(h.Random.Uint64("partition") % stormPartition)
	value := fmt.Sprint(i, ".", n)
	pending, err := send(s, t, int32(p), -1, sequenced{}, value)
	if err != nil {
		return
	}
	var r Result
	_ = until(h, 5*time.Second, "", func() (done bool) {
		r, done = pending.Try()
		return done || st.sets[i] != s
	})
	if _, done := pending.Try(); done && r.Error == wire.ErrNone {
		at := fmt.Sprint(t.Name, "-", p)
		st.acked[at] = append(st.acked[at], value)
	}
}

// check reads all partitions from their leaders: what was acknowledged is there, once.
func (st *storm) check() error {
	total := 0
	for _, t := range st.topics {
		for p := range t.Partitions {
			node, _, _, ok := st.sets[0].PartitionLeader(t, p)
			if !ok {
				return fmt.Errorf("%s-%d has no leader", t.Name, p)
			}
			got, err := values(st.sets[node-1], t, int32(p))
			if err != nil {
				return err
			}
			for _, v := range st.acked[fmt.Sprint(t.Name, "-", p)] {
				at := slices.Index(got, v)
				if at < 0 || slices.Contains(got[at+1:], v) {
					return fmt.Errorf("%s-%d has the acknowledged value %s not once: %v", t.Name, p, v, got)
				}
				total++
			}
		}
	}
	if total < 10 {
		return fmt.Errorf("only %d values were acknowledged", total)
	}
	return nil
}
