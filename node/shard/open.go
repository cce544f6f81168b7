package shard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/ordered"
	"millrace/partition"
	"millrace/wal"
)

// OpenSet locks the data directory, recovers everything in it and starts the shards. A new directory becomes a new
// cluster, or, with peers, part of one that is formed when all of them are there.
//
// In a cluster of one node it returns when every partition can be looked up. With peers it returns when the catalog has
// everything that was acknowledged before, which takes a majority of the nodes; shards may still be without a leader.
func OpenSet(h host.Host, o SetOptions) (*Set, error) {
	s := &Set{
		host: h, o: o.withDefaults(),
		shards:   host.NewSnapshot(h.Tasks, &running{}),
		changes:  host.NewWatchers(h.Tasks),
		space:    host.NewSnapshot(h.Tasks, &Space{Produce: true, Grow: true}),
		written:  host.NewCounter(h.Tasks),
		room:     newRoom(h.Tasks),
		held:     host.NewCounter(h.Tasks),
		leaving:  host.NewCounter(h.Tasks),
		numbers:  NewNumbers(h.Tasks),
		failed:   host.NewFuture[error](h.Tasks),
		stopping: host.NewFuture[struct{}](h.Tasks),
	}
	if err := s.open(); err != nil {
		s.abandon()
		return nil, err
	}
	return s, nil
}

func (s *Set) open() error {
	var err error
	if s.identity, s.lock, err = openDirectory(s.host, s.o); err != nil {
		return err
	}
	if err := s.host.Disk.Mkdir(partitionsDir); err != nil {
		return fmt.Errorf("make the directory of partitions: %w", err)
	}
	o, err := s.fitLog(s.o.WAL)
	if err != nil {
		return err
	}
	o.Directory, o.Existing = s.identity.Directory, s.identity.Used
	var recovered []wal.RecoveredShard
	if s.wal, recovered, err = wal.Open(s.host, o); err != nil {
		return fmt.Errorf("open the write-ahead log: %w", err)
	}
	s.prepareTasks()
	po := s.o.Partitions
	po.Damaged = s.suspected
	s.partitions = partition.NewShared(s.host, po)
	if err := s.removeStrangers(recovered); err != nil {
		return err
	}
	own, recovered, err := s.splitRecovered(recovered)
	if err != nil {
		return err
	}
	if s.metadata, err = newMetadata(s.host.Tasks, own.State); err != nil {
		return err
	}
	if !s.o.alone() {
		if err := s.startCluster(); err != nil {
			return fmt.Errorf("listen for peers: %w", err)
		}
		if !s.identity.formed() {
			if err := s.form(); err != nil {
				return err
			}
		}
	}
	if err := s.startRecovered(own, recovered); err != nil {
		return err
	}
	s.watchSpace()
	s.startTasks()
	if err := s.awaitReady(); err != nil {
		return err
	}
	if s.identity.Used {
		return nil
	}
	s.identity.Used = true
	return writeMeta(s.host.Disk, s.identity)
}

// splitRecovered takes the catalog out of the recovered shards. A directory that belongs to no cluster has none.
func (s *Set) splitRecovered(recovered []wal.RecoveredShard) (own wal.RecoveredShard, others []wal.RecoveredShard, err error) {
	if len(recovered) == 0 {
		return own, nil, nil
	}
	if recovered[0].ID != 0 || !s.identity.formed() {
		return own, nil, errors.New("the write-ahead log has shards but no catalog: it is damaged, restore the data directory from a backup")
	}
	return recovered[0], recovered[1:], nil
}

// awaitReady starts the reconciler and waits until it says that the node can be used.
func (s *Set) awaitReady() error {
	ready := host.NewFuture[error](s.host.Tasks)
	s.task("reconciler", func(w host.Waiter) { newReconciler(s, w, ready).run() })
	w := s.host.Tasks.NewWaiter()
	ready.Watch(w)
	s.failed.Watch(w)
	defer s.failed.Unwatch(w) // it lives as long as the node
	if s.o.Cancel != nil {
		s.o.Cancel.Watch(w)
		defer s.o.Cancel.Unwatch(w)
	}
	remind := s.host.Clock.Now().Add(remindEvery)
	for {
		if err, ok := ready.Try(); ok {
			return err
		}
		if _, failed := s.failed.Try(); failed || s.cancelled() {
			return s.reason()
		}
		if !w.WaitUntil(remind) {
			s.host.Log.Warn("still waiting for the catalog: a majority of the nodes must be running", "controller", s.Controller())
			remind = s.host.Clock.Now().Add(remindEvery)
		}
	}
}

// prepareTasks makes the queues through which shards and peers reach tasks that start later.
func (s *Set) prepareTasks() {
	s.checkpointerWaiter = s.host.Tasks.NewWaiter()
	s.checkpoints = host.NewQueue[*host.Future[error]](s.host.Tasks, 1, s.checkpointerWaiter)
	s.prepareFilling()
	s.prepareCleaning()
}

// startTasks starts what runs beside the shards.
func (s *Set) startTasks() {
	ended := host.NewFuture[struct{}](s.host.Tasks)
	s.ended = append(s.ended, ended)
	s.host.Tasks.Go("checkpointer", func() {
		s.checkpointer(s.checkpointerWaiter)
		ended.Set(struct{}{})
	})
	s.task("partitions", s.watchPartitions)
	s.taskOf("space", s.room.waiter, s.tendSpace)
	s.every("retention", s.o.RetentionEvery, s.retainAll)
	s.startFilling()
	s.startCleaning()
	if s.o.alone() {
		return
	}
	s.task("ticker", s.tickShards)
	if s.o.PreferredEvery > 0 {
		s.every("preferred", s.o.PreferredEvery, s.preferLeaders)
	}
}

// startRecovered starts the catalog and all shards that the write-ahead log knows.
func (s *Set) startRecovered(own wal.RecoveredShard, recovered []wal.RecoveredShard) error {
	members := make([]Member, len(s.identity.Controllers))
	for i, m := range s.identity.Controllers {
		members[i] = Member{Replica: m.Replica, Node: m.Node, Directory: m.Directory}
	}
	self, _ := s.identity.controller(s.o.Node)
	o := s.shardOptions(0, self.Replica, members)
	o.Preferred = self.Replica == members[0].Replica
	var err error
	if s.catalog, err = Start(s.host, s.wal, o, own, s.metadata); err != nil {
		return err
	}
	s.publish(s.shards.Load().Set(0, s.catalog))
	for _, r := range recovered {
		i := slices.IndexFunc(r.State, func(state wal.State) bool { return state.Key == stateShard })
		if i < 0 {
			return fmt.Errorf("the write-ahead log has no record of shard %d: it is damaged, restore the data directory from a backup", r.ID)
		}
		state, err := decodeShard(r.State[i].Value)
		if err != nil {
			return fmt.Errorf("recover shard %d: %w", r.ID, err)
		}
		for i := range state.members { // a record of an older release, of a cluster of one node
			if m := &state.members[i]; m.Node < 0 && m.Replica == state.replica {
				m.Node, m.Directory = s.o.Node, s.identity.Directory
			}
		}
		shard, err := Start(s.host, s.wal, s.shardOptions(r.ID, state.replica, state.members), r, nil)
		if err != nil {
			return err
		}
		s.publish(s.shards.Load().Set(ordered.Int(r.ID), shard))
	}
	return nil
}

// start starts a shard that the catalog has made.
func (s *Set) start(shard *catalog.Shard, own catalog.Member) error {
	o := s.shardOptions(shard.ID, own.Replica, inTurn(shard))
	o.Preferred = shard.Preferred == s.o.Node
	started, err := Start(s.host, s.wal, o, wal.RecoveredShard{ID: shard.ID}, nil)
	if err != nil {
		return err
	}
	s.publish(s.shards.Load().Set(ordered.Int(shard.ID), started))
	return nil
}

// inTurn are the members of a shard in the order in which they are to lead: the preferred one first; the others begin at
// another one in every shard, so that when a node is lost the shards that it led spread over those that are left.
func inTurn(shard *catalog.Shard) []Member {
	var preferred, others []Member
	for _, m := range shard.Members {
		member := Member{Replica: m.Replica, Node: m.Node, Directory: m.Directory}
		if m.Node == shard.Preferred {
			preferred = append(preferred, member)
		} else {
			others = append(others, member)
		}
	}
	if len(others) == 0 {
		return preferred
	}
	first := int(shard.ID) % len(others)
	return slices.Concat(preferred, others[first:], others[:first])
}

func (s *Set) publish(shards running) {
	s.shards.Store(&shards)
	s.changes.Wake()
}

func (s *Set) shardOptions(id, replica uint64, members []Member) Options {
	var peers Peers
	if len(members) > 1 {
		peers = carrier{s}
	}
	return Options{
		ID: id, Replica: replica, Members: members, Partitions: s.partitions, Peers: peers, Space: s.space, Room: s.room, Changes: s.changes,
		Wrote: s.wrote, Full: s.full, Checkpoint: s.checkpointSoon, Fill: s.fill, Fail: s.fail,
		Numbers: s.numbers, EntryBytes: s.o.EntryBytes,
	}
}

// removeStrangers deletes the directories of partitions that no checkpoint names: they were adopted after the last one,
// and are made again when their entries are applied.
func (s *Set) removeStrangers(recovered []wal.RecoveredShard) error {
	known := map[string]bool{}
	for _, r := range recovered {
		for _, state := range r.State {
			if name, ok := strings.CutPrefix(state.Key, statePartition); ok {
				known[name+"/"] = true
			}
		}
	}
	names, err := s.host.Disk.List(partitionsDir)
	if err != nil {
		return fmt.Errorf("list the partitions: %w", err)
	}
	for _, name := range names {
		if known[name] || !strings.HasSuffix(name, "/") {
			continue
		}
		if err := s.partitions.RemoveDir(partitionsDir + "/" + strings.TrimSuffix(name, "/")); err != nil {
			return fmt.Errorf("remove what is left of a partition: %w", err)
		}
	}
	return nil
}

// lastCheckpoint is how long Close waits for the last checkpoint.
const lastCheckpoint = 30 * time.Second

// Close stops everything in order: what was accepted becomes durable, a checkpoint makes the next start quick, and the
// directory is unlocked. Who still waits for a result may get none. On a full disk there may be no room for the checkpoint:
// then the next start has more to apply.
func (s *Set) Close() error {
	err := s.checkpoint(s.host.Clock.Now().Add(lastCheckpoint))
	return errors.Join(err, s.abandon())
}

// abandon stops everything as it is.
func (s *Set) abandon() error {
	s.stopping.Set(struct{}{})
	if s.checkpoints != nil {
		s.checkpoints.Close()
	}
	for _, f := range s.ended {
		f.Get()
	}
	if s.links != nil {
		s.links.Close()
	}
	for _, shard := range s.shards.Load().All {
		shard.stop()
	}
	var err error
	if s.partitions != nil {
		s.partitions.Close()
	}
	if s.wal != nil {
		err = s.wal.Close()
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}
