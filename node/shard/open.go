package shard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/ordered"
	"millrace/partition"
	"millrace/wal"
)

// OpenSet locks the data directory, recovers everything in it and starts the shards. It returns when the catalog is
// recovered and every partition that it places here can be looked up. A new directory becomes a new cluster.
func OpenSet(h host.Host, o SetOptions) (*Set, error) {
	s := &Set{
		host: h, o: o.withDefaults(),
		shards:   host.NewSnapshot(h.Tasks, &running{}),
		changes:  host.NewWatchers(h.Tasks),
		space:    host.NewSnapshot(h.Tasks, &Space{Produce: true, Grow: true}),
		written:  host.NewCounter(h.Tasks),
		held:     host.NewCounter(h.Tasks),
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
	o := s.o.WAL
	o.Directory, o.Existing = s.identity.Directory, s.identity.Used
	var recovered []wal.RecoveredShard
	if s.wal, recovered, err = wal.Open(s.host, o); err != nil {
		return fmt.Errorf("open the write-ahead log: %w", err)
	}
	s.partitions = partition.NewShared(s.host, s.o.Partitions)
	if err := s.removeStrangers(recovered); err != nil {
		return err
	}
	if err := s.startRecovered(recovered); err != nil {
		return err
	}
	s.watchSpace()
	s.startTasks()
	ready := host.NewFuture[error](s.host.Tasks)
	s.task("reconciler", func(w host.Waiter) { newReconciler(s, w, ready).run() })
	if err, ok := await(s, ready); !ok {
		return s.reason()
	} else if err != nil {
		return err
	}
	if s.identity.Used {
		return nil
	}
	s.identity.Used = true
	return writeMeta(s.host.Disk, s.identity)
}

// startTasks starts what runs beside the shards.
func (s *Set) startTasks() {
	w := s.host.Tasks.NewWaiter()
	s.checkpoints = host.NewQueue[*host.Future[error]](s.host.Tasks, 1, w)
	ended := host.NewFuture[struct{}](s.host.Tasks)
	s.ended = append(s.ended, ended)
	s.host.Tasks.Go("checkpointer", func() {
		s.checkpointer(w)
		ended.Set(struct{}{})
	})
	s.task("partitions", s.watchPartitions)
	s.every("space", spaceEvery, s.watchSpace)
	s.every("retention", s.o.RetentionEvery, s.retainAll)
}

// startRecovered starts the catalog and all shards that the write-ahead log knows.
func (s *Set) startRecovered(recovered []wal.RecoveredShard) error {
	own := wal.RecoveredShard{}
	if len(recovered) > 0 && recovered[0].ID == 0 {
		own, recovered = recovered[0], recovered[1:]
	} else if len(recovered) > 0 {
		return errors.New("the write-ahead log has shards but no catalog: it is damaged, restore the data directory from a backup")
	}
	var err error
	if s.metadata, err = newMetadata(s.host.Tasks, own.State); err != nil {
		return err
	}
	s.catalog, err = Start(s.host, s.wal, s.shardOptions(0, catalogReplica, []Member{{Replica: catalogReplica, Node: s.o.Node, Directory: s.identity.Directory}}), own, s.metadata)
	if err != nil {
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
		for i := range state.members {
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
	members := make([]Member, len(shard.Members))
	for i, m := range shard.Members {
		members[i] = Member{Replica: m.Replica, Node: m.Node, Directory: m.Directory}
	}
	started, err := Start(s.host, s.wal, s.shardOptions(shard.ID, own.Replica, members), wal.RecoveredShard{ID: shard.ID}, nil)
	if err != nil {
		return err
	}
	s.publish(s.shards.Load().Set(ordered.Int(shard.ID), started))
	return nil
}

func (s *Set) publish(shards running) {
	s.shards.Store(&shards)
	s.changes.Wake()
}

func (s *Set) shardOptions(id, replica uint64, members []Member) Options {
	return Options{
		ID: id, Replica: replica, Members: members, Partitions: s.partitions, Space: s.space, Changes: s.changes,
		Wrote: s.wrote, Full: s.full, Fail: s.fail,
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

// format makes the catalog of a new cluster, and checks that an old one is the directory's.
func (s *Set) format() error {
	if s.Catalog().ClusterID == "" {
		result, ok := await(s, s.Propose(catalog.Format{ClusterID: s.identity.ClusterID}))
		switch {
		case !ok:
			return s.reason()
		case result.Error != wire.ErrNone:
			return fmt.Errorf("make the cluster: %s", result.Message)
		}
	}
	if have := s.Catalog().ClusterID; have != s.identity.ClusterID {
		return fmt.Errorf("the catalog is of cluster %s, but the data directory of cluster %s", have, s.identity.ClusterID)
	}
	return nil
}
