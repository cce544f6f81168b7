package shard

import (
	"errors"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/partition"
	"millrace/wal"
)

var errNotBuilt = errors.New("not built yet")

// SetOptions are the options of a node's shards. Zero values mean the defaults.
type SetOptions struct {
	// Node is the node id. A data directory that belongs to another one is refused.
	Node int32
	// ClusterID names the cluster when the data directory is new; empty draws one.
	ClusterID string
	WAL       wal.Options
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
	// ProducerExpiration is producer.id.expiration.ms; one day when 0.
	ProducerExpiration time.Duration
	// ReserveHigh is the free space in bytes below which produces are refused, ReserveLow that below which only what
	// frees space is admitted. By default 1 GiB and 512 MiB, but at most a tenth and a twentieth of the disk.
	ReserveHigh, ReserveLow int64
}

// Set is all shards of a node with what they share: the write-ahead log, the catalog, the checkpointer, the reconciler
// that makes the shards follow the catalog, retention, the watch on free space. Its methods may be called from any task.
type Set struct{}

// OpenSet locks the data directory, recovers everything in it and starts the shards. It returns when the catalog is
// recovered and every partition that it places here can be looked up. A new directory becomes a new cluster.
func OpenSet(h host.Host, o SetOptions) (*Set, error) { return nil, errNotBuilt }

// Identity is what the data directory says of itself.
func (s *Set) Identity() Identity { return Identity{} }

// Catalog returns the newest image applied here.
func (s *Set) Catalog() *catalog.Image { return nil }

// WatchCatalog wakes w whenever a new image is published, until UnwatchCatalog. First watch, then look, then wait.
func (s *Set) WatchCatalog(w host.Waiter) {}

// UnwatchCatalog ends WatchCatalog.
func (s *Set) UnwatchCatalog(w host.Waiter) {}

// Propose proposes a change of the metadata. The Value of the result is the catalog.Result, unless Error is set: then
// the catalog did not take the command.
func (s *Set) Propose(c catalog.Command) *Pending { return nil }

// Change is Propose that waits. An outcome unknown at the deadline is REQUEST_TIMED_OUT.
func (s *Set) Change(c catalog.Command, deadline host.Instant) catalog.Result { return catalog.Result{} }

// Partition is a partition as one found it.
type Partition struct {
	ID  partition.ID
	Log *partition.Log
	// Shard takes appends; LeaderEpoch is the partition's epoch in the shard's present term.
	Shard       *Shard
	LeaderEpoch int32
}

// Lookup finds a partition that this node leads. Errors: UNKNOWN_TOPIC_ID when the catalog has no such topic,
// UNKNOWN_TOPIC_OR_PARTITION when the topic has no such partition or it is not adopted yet, NOT_LEADER_OR_FOLLOWER when
// another node leads or this one does not serve yet.
func (s *Set) Lookup(topic [16]byte, index int32) (Partition, wire.ErrorCode) {
	return Partition{}, wire.ErrUnknownTopicOrPartition
}

// AwaitTopic waits until every partition of the topic that is placed here can be looked up, or until the deadline; then
// it returns false.
func (s *Set) AwaitTopic(topic *catalog.Topic, deadline host.Instant) bool { return false }

// Failed is set when the node cannot go on, with the reason: a disk that failed, a log that cannot be written.
func (s *Set) Failed() *host.Future[error] { return nil }

// Checkpoint takes a checkpoint of all shards now and waits for it.
func (s *Set) Checkpoint() error { return errNotBuilt }

// Close stops everything in order: no new requests, what was accepted becomes durable, a checkpoint makes the next start
// quick, and the directory is unlocked.
func (s *Set) Close() error { return errNotBuilt }
