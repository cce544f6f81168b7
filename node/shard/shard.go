package shard

import (
	"millrace/net/wire"
	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/wal"
)

// Result is what became of a request to a shard.
type Result struct {
	// Error is Kafka's error code; a definite error means that the request never becomes visible later.
	Error wire.ErrorCode
	// Message says in a sentence what was wrong, if there is more to say than the code does.
	Message string
	// BaseOffset is the offset of the batch's first record; for a duplicate, where it was appended first.
	BaseOffset int64
	// LogAppendTime is the broker's timestamp of the batch, -1 when the topic uses CreateTime.
	LogAppendTime int64
	// LogStart is the partition's first offset; the low watermark that DeleteRecords answers.
	LogStart int64
	// Value is what Machine.Apply returned for a command.
	Value any
}

// Pending is a result that comes when the request's fate is known. It may never come: when the node stops, or loses its
// leadership and does not hear what became of the entry. Wait with a deadline.
type Pending = host.Future[Result]

// Machine is the state that a shard of commands replicates: the catalog. Its methods are called by the shard's task.
type Machine interface {
	// Apply applies one committed command. It must be a pure function of the state and its arguments; wall is the
	// leader's wall clock at the proposal, in milliseconds since 1970. The value goes to the proposer's Result. An error
	// stops the node.
	Apply(index uint64, wall int64, command []byte) (any, error)
	// Publish shows to readers what was applied since the last call.
	Publish()
	// Capture returns the records that changed since the last Capture.
	Capture() []wal.State
}

// Options of one shard.
type Options struct {
	// ID is the shard's id; 0 is the catalog.
	ID uint64
	// Replica is this replica's number, Replicas are those of all members. Both come from the catalog.
	Replica  uint64
	Replicas []uint64
	// Partitions is the node's part of the partitions' machinery; nil for a shard of commands.
	Partitions *partition.Shared
	// Peers carries messages to other replicas; nil when there are none.
	Peers Peers
	// Space tells whether the disk has room; nil means that it always has.
	Space *host.Snapshot[Space]
	// Written counts the bytes handed to the write-ahead log since the last checkpoint; shared by the shards of a node.
	Written *host.Counter
	// Fail is called, once, when the shard cannot go on: the node must stop.
	Fail func(error)
}

// Settings are what a topic's configuration says about its partitions, as far as the leader's decisions need it.
type Settings struct {
	Roll      partition.RollConfig
	Retention partition.RetentionConfig
}

// Start starts a shard from what the write-ahead log recovered of it; a shard that the log does not know begins empty.
// A shard with one replica campaigns at once. m is nil for a shard of partitions.
func Start(h host.Host, w *wal.Log, o Options, r wal.RecoveredShard, m Machine) (*Shard, error) {
	return nil, errNotBuilt
}

// Shard is one raft group and its task. The methods may be called from any task.
type Shard struct{}

// ID is the shard's id.
func (s *Shard) ID() uint64 { return 0 }

// Append appends a validated batch to a partition. The order of calls by one task is the order of the batches. The shard
// stamps base offset and leader epoch into b.Bytes, which nobody else may touch any more, and holds hold (nil when the
// bytes are not counted) until it is done with them; the caller keeps its own hold. acks is Kafka's: with -1 the result
// comes when the batch is applied, so durable on a majority; with 1 when it is durable here; with 0 as soon as the order
// is fixed. Append may wait while too much waits to be proposed.
func (s *Shard) Append(p partition.ID, b batch.Info, hold *host.Buffer, acks int16) *Pending { return nil }

// Propose orders a command for the Machine; the result's Value is what Apply returned.
func (s *Shard) Propose(command []byte) *Pending { return nil }

// DeleteRecords moves the log start of a partition up to offset; -1 means its end. The result's LogStart is the new one.
func (s *Shard) DeleteRecords(p partition.ID, offset int64) *Pending { return nil }

// Adopt makes an empty partition whose first leader epoch is epoch. A partition that is here already is left alone.
func (s *Shard) Adopt(p partition.ID, epoch int32) *Pending { return nil }

// Drop removes a partition. One that is not here is no error.
func (s *Shard) Drop(p partition.ID) *Pending { return nil }

// Configure sets the settings of a partition for later requests. It may come before the partition is adopted.
func (s *Shard) Configure(p partition.ID, c Settings) {}

// Status is what a shard says of itself. It never changes.
type Status struct {
	Term uint64
	// Leader is the replica number of the leader, 0 when none is known.
	Leader uint64
	// Serving says that this replica leads and has applied the first entry of its term, so that it may answer.
	Serving bool
	// Applied is the index of the last applied entry at the time of the last change of the above.
	Applied uint64
}

// Status returns the current status.
func (s *Shard) Status() *Status { return nil }
