package shard

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/sim"
	"millrace/wal"
)

// group is the replicas of one shard, each on a simulated node of its own, and a network of its own between them: messages
// are late, lost, doubled and overtake each other; ways are cut. It holds what a client and a reader of all logs know.
type group struct {
	world   *sim.World
	draws   *sim.Draws
	members []Member
	nodes   []*groupNode
	o       groupOptions
	// lost and doubled are the probabilities of a message, stripped that one with entries loses their payloads, slow is
	// the longest delay.
	lost, doubled, stripped float64
	slow                    time.Duration
	// cut[a][b] says that nothing comes from a to b.
	cut [][]bool
	// truth is what was ever visible anywhere, by partition and offset.
	truth [groupPartitions][]visible
	// told are the leader epochs that were known when a batch of partition 0 was sent first, by its first offset.
	told map[int64]int32
	// served is the node that served in a term.
	served map[uint64]int
	// clients start a node's clients.
	clients func(*groupNode, host.Host, *Shard)
	// over ends the tasks of the nodes.
	over bool
	// sent counts messages by type.
	sent map[raftpb.MessageType]int
	// swallowed is the type of messages that are taken and never arrive; the zero value, MsgHup, is none.
	swallowed raftpb.MessageType
}

type groupOptions struct {
	wal       wal.Options
	settings  Settings
	preferred bool
	// checkpointEvery is how often each node takes a checkpoint.
	checkpointEvery time.Duration
	// lag is Options.MaxLag.
	lag time.Duration
}

const groupPartitions = 2

type visible struct {
	value string
	epoch int32
}

// groupNode is one node; shard is nil while it is down.
type groupNode struct {
	g      *group
	index  int
	node   *sim.Node
	host   host.Host
	shard  *Shard
	wal    *wal.Log
	shared *partition.Shared
	lives  int
	// reached is when another node was last reached, suspected whether the shard was told otherwise.
	reached   []time.Duration
	suspected []bool
	checked   [groupPartitions]int64
	epochs    [groupPartitions]int32
}

func groupPartition(i int) partition.ID { return partition.ID{Topic: [16]byte{7}, Index: int32(i)} }

func newGroup(seed uint64, n int, o groupOptions, so sim.Options) *group {
	w := sim.New(seed, so)
	g := &group{
		world: w, draws: w.Draws("group"), o: o, served: map[uint64]int{}, told: map[int64]int32{}, sent: map[raftpb.MessageType]int{},
		slow: 2 * time.Millisecond,
	}
	for i := range n {
		g.members = append(g.members, Member{Replica: uint64(10 + i), Node: int32(i + 1), Directory: [16]byte{byte(i + 1)}})
		g.nodes = append(g.nodes, &groupNode{
			g: g, index: i, node: w.AddNode(fmt.Sprintf("n%d", i+1)), reached: make([]time.Duration, n), suspected: make([]bool, n),
		})
		g.cut = append(g.cut, make([]bool, n))
	}
	g.detect()
	return g
}

// detect tells the shards which nodes are reached, as the links between nodes do.
func (g *group) detect() {
	for _, a := range g.nodes {
		for _, b := range g.nodes {
			if a == b || a.shard == nil {
				continue
			}
			if b.shard != nil && !b.node.Paused() && !g.cut[a.index][b.index] && !g.cut[b.index][a.index] {
				a.reached[b.index] = g.world.Now()
				if a.suspected[b.index] {
					a.suspected[b.index] = false
					a.tell("heard", func(s *Shard) { s.Heard(int32(b.index + 1)) })
				}
			} else if !a.suspected[b.index] && g.world.Now()-a.reached[b.index] > 400*time.Millisecond {
				a.suspect(b)
			}
		}
	}
	g.world.After(50*time.Millisecond, g.detect)
}

func (n *groupNode) suspect(b *groupNode) {
	n.suspected[b.index] = true
	n.tell("suspect", func(s *Shard) { s.Suspect(int32(b.index + 1)) })
}

// tell runs something with the shard in a task of the node.
func (n *groupNode) tell(name string, do func(*Shard)) {
	if s := n.shard; s != nil {
		n.node.Go(name, func() { do(s) })
	}
}

func (g *group) fail(format string, args ...any) { g.world.Fail(fmt.Errorf(format, args...)) }

// boot starts a node.
func (n *groupNode) boot() {
	n.lives++
	n.checked, n.epochs = [groupPartitions]int64{}, [groupPartitions]int32{}
	for i := range n.suspected {
		n.suspected[i], n.reached[i] = false, n.g.world.Now()
	}
	n.node.Boot(func(h host.Host) {
		if err := n.run(h); err != nil {
			n.g.fail("node %d: %w", n.index+1, err)
		}
	})
}

// crash ends a node; the others notice at once that its connections are gone, if it is the process alone.
func (n *groupNode) crash(how sim.End) {
	n.node.Crash(how)
	n.shard = nil
	for _, other := range n.g.nodes {
		if how == sim.Kill && other.shard != nil && !other.suspected[n.index] {
			n.g.world.After(time.Millisecond, func() {
				if n.shard == nil && other.shard != nil && !other.suspected[n.index] {
					other.suspect(n)
				}
			})
		}
	}
}

func (n *groupNode) run(h host.Host) error {
	if err := h.Disk.Mkdir(partitionsDir); err != nil {
		return err
	}
	o := n.g.o.wal
	o.Directory = [16]byte{byte(n.index + 1)}
	w, recovered, err := wal.Open(h, o)
	if err != nil {
		return err
	}
	own := wal.RecoveredShard{ID: 1}
	if len(recovered) > 0 {
		own = recovered[0]
	}
	shared := partition.NewShared(h, partition.Options{SmallestChunk: 4 << 10, LargestChunk: 16 << 10})
	s, err := Start(h, w, Options{
		ID: 1, Replica: n.g.members[n.index].Replica, Members: n.g.members, Preferred: n.g.o.preferred && n.index == 0,
		Partitions: shared,
		Peers:      &groupPeers{n, n.node.Boots()}, MaxLag: n.g.o.lag,
		Fail: func(err error) { n.g.fail("node %d: %w", n.index+1, err) },
	}, own, nil)
	if err != nil {
		return err
	}
	n.host, n.shard, n.wal, n.shared = h, s, w, shared
	for i := range groupPartitions {
		s.Configure(groupPartition(i), n.g.o.settings)
	}
	h.Tasks.Go("ticker", func() {
		for {
			h.Clock.Sleep(TickEvery)
			if n.g.over {
				return
			}
			if !s.Status().Quiet {
				s.Tick()
			}
		}
	})
	h.Tasks.Go("auditor", func() {
		for {
			h.Clock.Sleep(20 * time.Millisecond)
			if n.g.over {
				return
			}
			if err := n.audit(); err != nil {
				n.g.fail("node %d: %w", n.index+1, err)
			}
		}
	})
	if n.g.clients != nil {
		n.g.clients(n, h, s)
	}
	h.Tasks.Go("adopter", func() { n.adopt(h, s) })
	if every := n.g.o.checkpointEvery; every > 0 {
		h.Tasks.Go("checkpointer", func() {
			for {
				h.Clock.Sleep(every/2 + time.Duration(h.Random.Uint64("test-checkpoint")%uint64(every)))
				if n.g.over {
					return
				}
				if err := checkpointOne(h, s); err != nil {
					n.g.fail("node %d: checkpoint: %w", n.index+1, err)
				}
			}
		})
	}
	return nil
}

// adopt makes the partitions, as whoever leads does.
func (n *groupNode) adopt(h host.Host, s *Shard) {
	for {
		h.Clock.Sleep(30 * time.Millisecond)
		done := 0
		if n.g.over {
			return
		}
		for i := range groupPartitions {
			if _, _, ok := s.Held(groupPartition(i)); ok {
				done++
			} else if s.Status().Serving {
				s.Adopt(groupPartition(i), 0).GetUntil(h.Clock.Now().Add(time.Second))
			}
		}
		if done == groupPartitions {
			return
		}
	}
}

// checkpointOne takes a checkpoint of one shard, as Set does of all.
func checkpointOne(h host.Host, s *Shard) error {
	c := &capture{done: host.NewFuture[*captured](h.Tasks)}
	s.inbox.Post(c)
	got := c.done.Get()
	if got == nil {
		return nil
	}
	if err := got.collect(); err != nil {
		return err
	}
	if err := h.Disk.SyncAll(); err != nil {
		return err
	}
	s.inbox.Post(install{got})
	got.installed.Get()
	return nil
}

// audit reads what has become visible and compares it with what was visible anywhere before: the same offset is the same
// record for ever, epochs only grow, and one node serves in a term.
func (n *groupNode) audit() error {
	status := n.shard.Status()
	if status.Serving {
		if other, ok := n.g.served[status.Term]; ok && other != n.index {
			return fmt.Errorf("it serves in term %d, in which node %d served", status.Term, other+1)
		}
		n.g.served[status.Term] = n.index
	}
	for i := range groupPartitions {
		log, _, ok := n.shard.Held(groupPartition(i))
		if !ok {
			continue
		}
		for end := log.View().End; n.checked[i] < end; {
			if err := n.auditSome(i, log); err != nil {
				return fmt.Errorf("partition %d: %w", i, err)
			}
		}
	}
	return nil
}

func (n *groupNode) auditSome(i int, log *partition.Log) error {
	r, err := log.Read(n.checked[i], 64<<10, true)
	if err != nil {
		return err
	}
	defer r.Release()
	b, err := rangeBytes(r)
	for len(b) > 0 && err == nil {
		var h batch.Header
		if h, err = batch.Parse(b); err != nil {
			return err
		}
		if err = batch.CheckCRC(b[:h.Size()]); err != nil {
			return err
		}
		if h.LeaderEpoch < n.epochs[i] {
			return fmt.Errorf("epoch %d at offset %d follows epoch %d", h.LeaderEpoch, h.BaseOffset, n.epochs[i])
		}
		n.epochs[i] = h.LeaderEpoch
		var records *batch.Records
		if records, err = batch.Read(b[:h.Size()], nil, 1<<20); err != nil {
			return err
		}
		var record batch.Record
		for records.Next(&record) {
			if err := n.g.see(i, record.Offset, visible{string(record.Value), h.LeaderEpoch}); err != nil {
				return err
			}
		}
		n.checked[i] = h.LastOffset() + 1
		b = b[h.Size():]
	}
	return err
}

// see notes a record that is visible somewhere.
func (g *group) see(i int, offset int64, v visible) error {
	switch known := int64(len(g.truth[i])); {
	case offset > known:
		return fmt.Errorf("offset %d is visible, and nothing was visible from offset %d on", offset, known)
	case offset == known:
		g.truth[i] = append(g.truth[i], v)
	case g.truth[i][offset] != v:
		return fmt.Errorf("offset %d holds %.40q of epoch %d, and elsewhere or before %.40q of epoch %d", offset, v.value, v.epoch,
			g.truth[i][offset].value, g.truth[i][offset].epoch)
	}
	return nil
}

// leader is the node that serves, nil when none does.
func (g *group) leader() *groupNode {
	var found *groupNode
	for _, n := range g.nodes {
		if n.shard != nil && n.shard.status.Load().Serving && (found == nil || n.shard.status.Load().Term > found.shard.status.Load().Term) {
			found = n
		}
	}
	return found
}

// settled says whether all nodes are up, one of them serves, and all have applied the same.
func (g *group) settled() error {
	leader := g.leader()
	if leader == nil {
		return errors.New("nobody serves")
	}
	for _, n := range g.nodes {
		if n.shard == nil {
			return fmt.Errorf("node %d is down", n.index+1)
		}
		a, b := n.shard.status.Load(), leader.shard.status.Load()
		if a.Leader != b.Leader || a.Applied != b.Last {
			return fmt.Errorf("node %d has applied %d of %d and follows %d", n.index+1, a.Applied, b.Last, a.Leader)
		}
	}
	if n := len(leader.shard.status.Load().InSync); n != len(g.nodes) {
		return fmt.Errorf("%d of %d are in sync", n, len(g.nodes))
	}
	return nil
}

// isolate cuts a node off, or connects it again.
func (g *group) isolate(n *groupNode, cut bool) {
	for i := range g.nodes {
		if i != n.index {
			g.cut[i][n.index], g.cut[n.index][i] = cut, cut
		}
	}
}

// stop stops all nodes in order, says what they hold when all is over, and ends the world.
func (g *group) stop() {
	g.over = true
	g.world.After(2*time.Second, func() {
		for _, n := range g.nodes {
			n.tell("stop", func(s *Shard) {
				s.stop()
				n.shared.Close()
				n.wal.Close()
			})
		}
	})
	g.world.After(8*time.Second, func() {
		for _, n := range g.nodes {
			if leaks := n.node.Leaks(); n.shard != nil && len(leaks) > 0 {
				g.fail("node %d still holds %v", n.index+1, leaks)
			}
		}
		g.world.Stop()
	})
}

// heal ends all faults of the network.
func (g *group) heal() {
	g.lost, g.doubled, g.stripped, g.slow = 0, 0, 0, 2*time.Millisecond
	for i := range g.cut {
		clear(g.cut[i])
	}
}

// refused says whether an error means that the request never becomes visible.
func refused(e wire.ErrorCode) bool {
	return e != wire.ErrNone && e != wire.ErrRequestTimedOut && e != wire.ErrNotEnoughReplicasAfterAppend
}
