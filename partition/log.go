package partition

import (
	"errors"

	"millrace/node/host"
)

var errNotBuilt = errors.New("not built yet")

// Batch is one committed batch as its raft entry describes it. Append uses nothing else: neither clock nor configuration.
type Batch struct {
	// Bytes is the whole batch, with base offset and leader epoch stamped.
	Bytes []byte
	// Wall is the leader's wall clock for the entry, in milliseconds since 1970.
	Wall int64
	// Roll starts a new segment before the batch.
	Roll bool
}

// Log is the log of one partition. The methods of its owner (Append, Publish, SetLogStart, StartEpoch, Roll, checkpoints,
// Drop, Close, Producers, and the leader's decisions) belong to one task; View, Read, Watch and the look-ups may be
// called from any task.
type Log struct{}

// Create makes an empty partition in dir, whose parent exists, from offset 0 on. What a crash may have left there is
// deleted. Its names are durable after Disk.SyncAll.
func Create(s *Shared, dir string, id ID, epoch int32) (*Log, error) { return nil, errNotBuilt }

// Open opens a partition as the checkpoint describes it, which must be durable: the segment being written is truncated
// to the checkpoint's position, later segments are deleted, and the caller then applies again what came after. Files that
// are missing or too short are ErrCorrupt.
func Open(s *Shared, dir string, c Checkpoint) (*Log, error) { return nil, errNotBuilt }

// ID is the partition's name.
func (l *Log) ID() ID { return ID{} }

// Append adds a batch at the end; its base offset must be the end. The bytes are copied, so the caller may let go of them
// at return. Readers see them after Publish. It waits while too much waits to be written to disk. An error is the node's
// death: the entry cannot be applied.
func (l *Log) Append(b Batch) error { return errNotBuilt }

// Publish shows everything appended to readers and wakes watchers.
func (l *Log) Publish() {}

// End is the next offset, with what is appended and not published.
func (l *Log) End() int64 { return 0 }

// Roll starts a new segment at the end, unless the current one is empty.
func (l *Log) Roll() {}

// StartEpoch notes that leader epoch began at the current end, if it is newer than the last one.
func (l *Log) StartEpoch(epoch int32) {}

// SetLogStart moves the log start up to offset, which is at most the end, and publishes; lower values are ignored. Whole
// segments below disappear from the view at once; their files are deleted after the last reader and after the next
// durable checkpoint (see Checkpointed).
func (l *Log) SetLogStart(offset int64) error { return errNotBuilt }

// Dirty says whether anything changed since the last BeginCheckpoint.
func (l *Log) Dirty() bool { return false }

// BeginCheckpoint hands everything appended to the disk and describes the log as it is now. The owner may go on at once.
func (l *Log) BeginCheckpoint() *PendingCheckpoint { return nil }

// Checkpoint is BeginCheckpoint and Wait.
func (l *Log) Checkpoint() (Checkpoint, error) { return Checkpoint{}, errNotBuilt }

// Checkpointed tells the log that the checkpoint that was begun last is durable: files that only earlier ones needed are
// deleted. For a dropped log it deletes the directory. Without it no file is ever deleted.
func (l *Log) Checkpointed() {}

// Drop ends the partition: reads and appends fail with ErrDropped. Its files are deleted by Checkpointed, which the owner
// calls when a checkpoint that does not name the partition is durable.
func (l *Log) Drop() {}

// Close ends the partition and keeps its files. What was not checkpointed is lost, as in a crash.
func (l *Log) Close() {}

// Producers is the state of idempotent producers as of the last Append.
func (l *Log) Producers() *Producers { return nil }

// Tail describes the segment being written, for the leader's decision when to roll.
func (l *Log) Tail() Tail { return Tail{} }

// RollNeeded says whether a batch must begin a new segment, from the applied state alone; a leader with batches in flight
// keeps a Tail of its own.
func (l *Log) RollNeeded(incoming Incoming, c RollConfig, wall int64) bool {
	t := l.Tail()
	return t.RollNeeded(incoming, c, wall)
}

// RetentionStart is the log start that retention asks for at that wall clock, and whether it is above the present one.
func (l *Log) RetentionStart(c RetentionConfig, wall int64) (int64, bool) { return 0, false }

// View is the published state.
func (l *Log) View() *View { return nil }

// Watch wakes w whenever something is published, until Unwatch. First watch, then read, then wait.
func (l *Log) Watch(w host.Waiter) {}

// Unwatch ends Watch.
func (l *Log) Unwatch(w host.Waiter) {}
