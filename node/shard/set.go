package shard

import (
	"errors"
	"fmt"
	"io"
	"time"

	"millrace/net/peer"
	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/ordered"
	"millrace/partition"
	"millrace/wal"
)

var errStopped = errors.New("the node is stopping")

// SetOptions are the options of a node's shards. Zero values mean the defaults.
type SetOptions struct {
	// Node is the node id. A data directory that belongs to another one is refused.
	Node int32
	// ClusterID names the cluster when the data directory is new; empty draws one.
	ClusterID string
	// Peers are the nodes of the cluster, this one among them, with the addresses by which this node reaches them: one,
	// three or five. All of them hold the catalog. None means a cluster of one node.
	Peers []peer.Address
	// PeerListen is the address on which this node listens for its peers. By default its own in Peers.
	PeerListen string
	// Secret is what the nodes prove to each other that they know. Without one all addresses must be of this machine.
	Secret []byte
	// PeerTransport, if not nil, connects the nodes instead of the host's transport, and tells them apart by certificates.
	PeerTransport host.Transport
	// SessionTimeout is broker.session.timeout.ms: for so long a broker may be silent before the catalog fences it; 9 s
	// when 0.
	SessionTimeout time.Duration
	// PreferredEvery is leader.imbalance.check.interval.seconds: how often leadership is moved to the preferred leaders;
	// 10 s when 0, never when negative.
	PreferredEvery time.Duration
	// Cancel, if not nil, makes an OpenSet that waits for other nodes give up when it is set.
	Cancel *host.Future[struct{}]
	// WAL are the options of the write-ahead log; Directory and Existing are filled in.
	WAL wal.Options
	// Partitions are the options of the partitions' machinery.
	Partitions partition.Options
	// Settings resolves a topic's configuration. It must be pure. Nil means Kafka's defaults.
	Settings func(*catalog.Image, *catalog.Topic) Settings
	// CheckpointBytes is how much the write-ahead log grows between checkpoints; 64 MiB when 0.
	CheckpointBytes int64
	// CheckpointEvery bounds the time that something dirty waits for a checkpoint; 30 s when 0.
	CheckpointEvery time.Duration
	// RetentionEvery is log.retention.check.interval.ms; 5 minutes when 0.
	RetentionEvery time.Duration
	// ProducerExpiration resolves producer.id.expiration.ms. Nil means a day.
	ProducerExpiration func(*catalog.Image) time.Duration
	// FillRate bounds in bytes per second how fast this node pulls from others what it lacks; 100 MiB when 0, no bound when
	// negative.
	FillRate int64
	// ScrubEvery is the time between two checks of everything that is held; a day when 0, never when negative. ScrubRate
	// bounds how many bytes a second are read for it; 8 MiB when 0, no bound when negative.
	ScrubEvery time.Duration
	ScrubRate  int64
	// CleanEvery is log.cleaner.backoff.ms: how often it is looked for what is to be compacted; 15 s when 0, never when
	// negative. CleanRate is log.cleaner.io.max.bytes.per.second, how much is read and written for it; no bound when 0.
	// CleanMemory is log.cleaner.dedupe.buffer.size, the memory for keys; 128 MiB when 0.
	CleanEvery  time.Duration
	CleanRate   int64
	CleanMemory int64
	// EntryBytes bounds a raft entry with more than one batch; a mebibyte when 0.
	EntryBytes int
	// ReserveHigh is the free space in bytes below which produces are refused, ReserveLow that below which only what
	// frees space is admitted. By default 1 GiB and 512 MiB, but at most a tenth and a twentieth of the disk.
	ReserveHigh, ReserveLow int64
}

func (o SetOptions) withDefaults() SetOptions {
	if o.Settings == nil {
		o.Settings = func(*catalog.Image, *catalog.Topic) Settings { return DefaultSettings() }
	}
	if o.SessionTimeout == 0 {
		o.SessionTimeout = 9 * time.Second
	}
	if o.PreferredEvery == 0 {
		o.PreferredEvery = 10 * time.Second
	}
	if o.CheckpointBytes == 0 {
		o.CheckpointBytes = 64 << 20
	}
	if o.CheckpointEvery == 0 {
		o.CheckpointEvery = 30 * time.Second
	}
	if o.FillRate == 0 {
		o.FillRate = 100 << 20
	}
	if o.ScrubEvery == 0 {
		o.ScrubEvery = 24 * time.Hour
	}
	if o.ScrubRate == 0 {
		o.ScrubRate = 8 << 20
	}
	if o.CleanEvery == 0 {
		o.CleanEvery = 15 * time.Second
	}
	if o.CleanMemory == 0 {
		o.CleanMemory = 128 << 20
	}
	if o.RetentionEvery == 0 {
		o.RetentionEvery = 5 * time.Minute
	}
	if o.ProducerExpiration == nil {
		o.ProducerExpiration = func(*catalog.Image) time.Duration { return partition.ProducerExpiration * time.Millisecond }
	}
	return o
}

// DefaultSettings are what Kafka's defaults say: segments of a gibibyte or a week, records kept for a week.
func DefaultSettings() Settings {
	const week = int64(7 * 24 * time.Hour / time.Millisecond)
	return Settings{
		Roll:      partition.RollConfig{SegmentBytes: 1 << 30, SegmentMs: week, IndexBytes: 10 << 20},
		Retention: partition.RetentionConfig{RetentionMs: week, RetentionBytes: -1},
	}
}

// running are the shards of a node by id.
type running = ordered.Map[ordered.Int, *Shard]

// Set is all shards of a node with what they share: the write-ahead log, the catalog, the checkpointer, the reconciler
// that makes the shards follow the catalog, retention, the watch on free space. Its methods may be called from any task.
type Set struct {
	host       host.Host
	o          SetOptions
	identity   Identity
	lock       io.Closer
	wal        *wal.Log
	partitions *partition.Shared
	metadata   *metadata
	catalog    *Shard
	// shards are all that run here, the catalog too. The reconciler's task writes it, before that OpenSet.
	shards *host.Snapshot[running]
	// changes wakes who waits for a shard's status or partitions, or for a shard to appear.
	changes *host.Watchers
	space   *host.Snapshot[Space]
	written *host.Counter
	room    *Room
	// leaving counts the calls of StepDown.
	leaving *host.Counter
	// held is the number of shards that wait because the write-ahead log is full.
	held        *host.Counter
	checkpoints *host.Queue[*host.Future[error]]
	failed      *host.Future[error]
	stopping    *host.Future[struct{}]
	// links go to the other nodes, cluster is what is known of them, and beats are their heartbeats; all nil in a cluster
	// of one node.
	links   *peer.Links
	cluster *cluster
	beats   *host.Queue[beat]
	// fillers make partitions whole; doubts is what the scrub looks at first.
	fillers     []*filler
	fillWaiters []host.Waiter
	doubts      *host.Queue[doubt]
	scrubWaiter host.Waiter
	// wishes are partitions that another replica wants to be compacted; cleaned counts.
	wishes  *host.Queue[partition.ID]
	cleaned Cleaned
	numbers *Numbers
	// checkpointerWaiter is woken by checkpoints.
	checkpointerWaiter host.Waiter
	ended              []*host.Future[struct{}] // of the tasks; written by OpenSet only
}

// Identity is what the data directory says of itself.
func (s *Set) Identity() Identity { return s.identity }

// WAL is the node's write-ahead log, for its numbers.
func (s *Set) WAL() *wal.Log { return s.wal }

// Space says what the free space of the disk allows now.
func (s *Set) Space() Space { return *s.space.Load() }

// Catalog returns the newest image applied here.
func (s *Set) Catalog() *catalog.Image { return s.metadata.published.Load() }

// WatchCatalog wakes w whenever a new image is published, until UnwatchCatalog. First watch, then look, then wait.
func (s *Set) WatchCatalog(w host.Waiter) { s.metadata.changes.Add(w) }

// UnwatchCatalog ends WatchCatalog.
func (s *Set) UnwatchCatalog(w host.Waiter) { s.metadata.changes.Remove(w) }

// Partition is a partition as one found it.
type Partition struct {
	ID  partition.ID
	Log *partition.Log
	// Shard takes appends; LeaderEpoch is the partition's epoch in the shard's present term.
	Shard       *Shard
	LeaderEpoch int32
	// Traffic is for whoever writes or reads for clients to count in.
	Traffic *Traffic
}

// Lookup finds a partition that this node leads. Errors: UNKNOWN_TOPIC_ID when the catalog has no such topic,
// UNKNOWN_TOPIC_OR_PARTITION when the topic has no such partition or it is not adopted yet, NOT_LEADER_OR_FOLLOWER when
// another node leads or this one does not serve yet.
func (s *Set) Lookup(topic [16]byte, index int32) (Partition, wire.ErrorCode) {
	t, ok := s.Catalog().TopicByID(topic)
	if !ok {
		return Partition{}, wire.ErrUnknownTopicId
	}
	if index < 0 || int(index) >= len(t.Partitions) {
		return Partition{}, wire.ErrUnknownTopicOrPartition
	}
	shard, ok := s.shards.Load().Get(ordered.Int(t.Partitions[index].Shard))
	if !ok {
		return Partition{}, wire.ErrNotLeaderOrFollower
	}
	p := Partition{ID: partition.ID{Topic: topic, Index: index}, Shard: shard}
	found, epoch, code := shard.lookup(p.ID)
	if code == wire.ErrNone {
		p.Log, p.LeaderEpoch, p.Traffic = found.log, epoch, found.traffic
	}
	return p, code
}

// Failed is set when the node cannot go on, with the reason: a disk that failed, a log that cannot be written.
func (s *Set) Failed() *host.Future[error] { return s.failed }

// fail notes the first reason why the node cannot go on.
func (s *Set) fail(err error) {
	if err != nil && !errors.Is(err, errStopped) && s.failed.Set(err) {
		s.host.Log.Error("the node cannot go on and must be restarted", "reason", err)
	}
}

// watchPartitions fails the set when segments can no longer be written.
func (s *Set) watchPartitions(w host.Waiter) {
	failed := s.partitions.Failed()
	failed.Watch(w)
	for !s.stopped() {
		if err, ok := failed.Try(); ok {
			s.fail(fmt.Errorf("write segments: %w", err))
			return
		}
		w.Wait()
	}
}

// reason is why a wait was given up.
func (s *Set) reason() error {
	if err, ok := s.failed.Try(); ok {
		return fmt.Errorf("the node has failed: %w", err)
	}
	return errStopped
}

func (s *Set) stopped() bool {
	_, stopped := s.stopping.Try()
	return stopped
}

// over says that the set has stopped or failed.
func (s *Set) over() bool {
	_, failed := s.failed.Try()
	return failed || s.stopped()
}

// await waits for a future, until the set fails or stops; then it returns false.
func await[T any](s *Set, f *host.Future[T]) (T, bool) { return awaitUntil(s, f, host.Never) }

// awaitUntil is await with a deadline.
func awaitUntil[T any](s *Set, f *host.Future[T], deadline host.Instant) (T, bool) {
	w := s.host.Tasks.NewWaiter()
	f.Watch(w)
	s.failed.Watch(w)
	s.stopping.Watch(w)
	defer s.failed.Unwatch(w) // they live as long as the node
	defer s.stopping.Unwatch(w)
	for {
		if v, ok := f.Try(); ok {
			return v, true
		}
		if _, failed := s.failed.Try(); failed || s.stopped() {
			return f.Try()
		}
		if !w.WaitUntil(deadline) {
			return f.Try()
		}
	}
}

// task starts one of the set's tasks. Its waiter is woken when the set stops.
func (s *Set) task(name string, run func(host.Waiter)) { s.taskOf(name, s.host.Tasks.NewWaiter(), run) }

// taskOf is task with a waiter that is there already.
func (s *Set) taskOf(name string, w host.Waiter, run func(host.Waiter)) {
	ended := host.NewFuture[struct{}](s.host.Tasks)
	s.ended = append(s.ended, ended)
	s.host.Tasks.Go(name, func() {
		s.stopping.Watch(w)
		run(w)
		ended.Set(struct{}{})
	})
}
