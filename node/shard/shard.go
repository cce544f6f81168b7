package shard

import (
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/ordered"
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
	// Times says when it came how far, for measures.
	Times Times
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
	// Frees says that a command frees space on the disk, so that it is admitted when there is little left.
	Frees(command []byte) bool
	// Capture returns the records that changed since the last Capture.
	Capture() []wal.State
	// Records returns all records, for a replica that is too far behind to apply the commands.
	Records() []wal.State
	// Install makes the state of such a replica what Records of another one returned. All that it had is in a checkpoint.
	// It returns the records that differ from those of the last Capture, deleted ones too.
	Install(records []wal.State) ([]wal.State, error)
}

// Options of one shard.
type Options struct {
	// ID is the shard's id; 0 is the catalog.
	ID uint64
	// Replica is this replica's number. It comes from the catalog.
	Replica uint64
	// Members are all replicas of the shard, this one too. They never change.
	Members []Member
	// Preferred says that this replica campaigns at once when the shard is new.
	Preferred bool
	// Partitions is the node's part of the partitions' machinery; nil for a shard of commands.
	Partitions *partition.Shared
	// Peers carries messages to other replicas; nil when there are none.
	Peers Peers
	// Space tells whether the disk has room; nil means that it always has.
	Space *host.Snapshot[Space]
	// Room is what may still be appended before the free space is looked at again; nil means that there is no bound.
	Room *Room
	// Changes wakes who waits for a change of status or partitions; nil makes a set of the shard's own.
	Changes *host.Watchers
	// MaxLag is replica.lag.time.max.ms: how long ago a replica that is in sync had all that the leader had; 30 s when 0.
	MaxLag time.Duration
	// EntryBytes bounds the payload of an entry with more than one batch, and its data; a mebibyte when 0.
	EntryBytes int
	// Wrote is told how many bytes are handed to the write-ahead log, about; it may be nil.
	Wrote func(bytes int)
	// Full is told that requests wait because the write-ahead log is full: checkpoints must make room, and a nudge makes
	// the shard look again. It may be nil.
	Full func()
	// Checkpoint asks for a checkpoint soon. It may be nil: then one comes when it comes.
	Checkpoint func()
	// Fill asks for a partition to be made whole: its files lack something. It must not block, and may be nil.
	Fill func(shard *Shard, p partition.ID)
	// Fail is called when the shard cannot go on: the node must stop. It may be called more than once.
	Fail func(error)
	// Numbers are what the shards of the node count together; nil makes some of the shard's own.
	Numbers *Numbers
}

// Member is one replica of a shard.
type Member struct {
	// Replica is its raft id: issued once by the catalog, never again.
	Replica uint64
	// Node is where it lives, Directory the data directory there. A shard that was made before nodes had peers does not
	// know them: then they are -1 and zero.
	Node      int32
	Directory catalog.ID
}

// Settings are what a topic's configuration says about its partitions, as far as the leader's decisions need it.
type Settings struct {
	Roll      partition.RollConfig
	Retention partition.RetentionConfig
	// Compaction is how the partition is compacted, nil when it is not.
	Compaction *partition.CompactionConfig
	// MinInSync is min.insync.replicas; 0 is 1.
	MinInSync int
}

// Status is what a shard says of itself. It never changes.
type Status struct {
	Term uint64
	// Leader is the replica number of the leader, 0 when none is known.
	Leader uint64
	// LeaderNode is the leader's node, -1 when none is known.
	LeaderNode int32
	// Serving says that this replica leads and has applied the first entry of its term, so that it may answer.
	Serving bool
	// InSync are the nodes whose replicas are in sync, ascending, this one too. Only the leader knows: nil elsewhere.
	InSync []int32
	// Quiet says that the shard is idle and needs no ticks.
	Quiet bool
	// Retired says why this replica takes no part in the shard any more: it has lost entries that it acknowledged. Empty
	// while it does.
	Retired string
	// Stopped says that the shard's task has ended.
	Stopped bool
	// Applied, Commit and Last are indexes of the raft log: what is applied here, known to be committed, appended. They
	// and Matches are as of the last tick or change.
	Applied, Commit, Last uint64
	// Matches is what the leader knows of each member, in the order of Options.Members; nil elsewhere.
	Matches []Match
}

// Match is what a leader knows of a member.
type Match struct {
	Node int32
	// Match is the index up to which the member's log is durable and known to be the leader's.
	Match uint64
	// CaughtUp is when the member last had all that the leader had; for the leader itself the time of the status.
	CaughtUp host.Instant
	// LastContact is when the member was last heard of; for the leader itself the time of the status.
	LastContact host.Instant
	// Behind says that the entries that the member needs are no longer in the leader's window: it must be filled.
	Behind bool
}

// directory is the partitions of a shard as readers find them.
type directory = ordered.Map[key, *place]

// key is a partition's id as a key of a directory.
type key partition.ID

// Compare implements ordered.Key.
func (a key) Compare(b key) int {
	for i := range a.Topic {
		if a.Topic[i] != b.Topic[i] {
			return int(a.Topic[i]) - int(b.Topic[i])
		}
	}
	return ordered.Int(a.Index).Compare(ordered.Int(b.Index))
}

// Hash implements ordered.Key.
func (a key) Hash() uint64 {
	h := uint64(uint32(a.Index))
	for _, b := range a.Topic {
		h = h<<8 | h>>56
		h ^= uint64(b)
	}
	return ordered.Mix(h)
}

// place is what a directory tells of a partition.
type place struct {
	log *partition.Log
	// base is the epoch base: leader epoch = base + term.
	base    int32
	traffic *Traffic
}

// Shard is one raft group and its task. The methods may be called from any task.
type Shard struct {
	id      uint64
	members []Member
	host    host.Host
	inbox   *host.Queue[event]
	status  *host.Snapshot[Status]
	places  *host.Snapshot[directory]
	changes *host.Watchers
	ended   *host.Future[struct{}]
	// unread is the size of the payloads of messages in the inbox.
	unread *host.Counter
}

// Members are all replicas of the shard, this one too; they never change.
func (s *Shard) Members() []Member { return s.members }

// ID is the shard's id.
func (s *Shard) ID() uint64 { return s.id }

// Status returns the current status.
func (s *Shard) Status() *Status { return s.status.Load() }

// Watch wakes w whenever the status or the set of partitions changes, until Unwatch. First watch, then look, then wait.
func (s *Shard) Watch(w host.Waiter) { s.changes.Add(w) }

// Unwatch ends Watch.
func (s *Shard) Unwatch(w host.Waiter) { s.changes.Remove(w) }

// Append appends a validated batch to a partition. The order of calls by one task is the order of the batches. The shard
// stamps base offset and leader epoch into b.Bytes, which nobody else may touch any more, and holds hold (nil when the
// bytes are not counted) until it is done with them; the caller keeps its own hold. acks is Kafka's: with -1 the result
// comes when the batch is applied, so durable on a majority; with 1 when it is durable here; with 0 as soon as the order
// is fixed. Append may wait while too much waits to be proposed.
func (s *Shard) Append(p partition.ID, b batch.Info, hold *host.Buffer, acks int16) *Pending {
	if hold != nil {
		hold.Retain()
	}
	return s.request(&request{kind: kindBatch, partition: p, batch: b, hold: hold, acks: acks})
}

// AppendNext is Append for a batch of an idempotent producer of which an earlier batch was refused here, and will be sent
// again. A partition that does not know the producer would let it begin at any sequence, and the earlier batch would be
// out of order for ever; so it is refused with NOT_LEADER_OR_FOLLOWER then. Where the partition knows the producer, its
// sequence decides as always: the earlier batch may have come again by another leader.
func (s *Shard) AppendNext(p partition.ID, b batch.Info, hold *host.Buffer, acks int16) *Pending {
	if hold != nil {
		hold.Retain()
	}
	return s.request(&request{kind: kindBatch, partition: p, batch: b, hold: hold, acks: acks, next: true})
}

// Propose orders a command for the Machine; the result's Value is what Apply returned.
func (s *Shard) Propose(command []byte) *Pending {
	return s.request(&request{kind: kindCommand, command: command})
}

// DeleteRecords moves the log start of a partition up to offset; -1 means its end. The result's LogStart is the new one.
func (s *Shard) DeleteRecords(p partition.ID, offset int64) *Pending {
	return s.request(&request{kind: kindLogStart, partition: p, value: offset})
}

// Adopt makes an empty partition whose first leader epoch is epoch; -1 is the term of its entry, so that the leader epoch
// is always the shard's term. A partition that is here already is left alone.
func (s *Shard) Adopt(p partition.ID, epoch int32) *Pending {
	return s.request(&request{kind: kindAdopt, partition: p, value: int64(epoch)})
}

// Drop removes a partition. One that is not here is no error.
func (s *Shard) Drop(p partition.ID) *Pending {
	return s.request(&request{kind: kindDrop, partition: p})
}

// Configure sets the settings of a partition for later requests. It may come before the partition is adopted.
func (s *Shard) Configure(p partition.ID, c Settings) { s.inbox.Post(&configure{p, c}) }

func (s *Shard) request(q *request) *Pending {
	q.pending = host.NewFuture[Result](s.host.Tasks)
	if !s.inbox.Put(q) {
		q.answer(Result{Error: wire.ErrNotLeaderOrFollower, Message: "the node is stopping"})
	}
	return q.pending
}

// lookup finds a partition that the shard serves, and its leader epoch. One that is not whole is not led from here, unless
// there is nobody else: then what is there is served.
func (s *Shard) lookup(p partition.ID) (*place, int32, wire.ErrorCode) {
	status := s.status.Load()
	if !status.Serving {
		return nil, 0, wire.ErrNotLeaderOrFollower
	}
	found, ok := s.places.Load().Get(key(p))
	if !ok {
		return nil, 0, wire.ErrUnknownTopicOrPartition
	}
	if len(s.members) > 1 && !found.log.Whole() {
		return nil, 0, wire.ErrLeaderNotAvailable
	}
	return found, leaderEpoch(found.base, status.Term), wire.ErrNone
}

// leaderEpoch is Kafka's leader epoch of a partition in a term of its shard.
func leaderEpoch(base int32, term uint64) int32 { return int32(int64(base) + int64(term)) }

// Held finds a partition that is here, whether this replica leads or not, and its leader epoch in the present term. Its
// log may be read below its end; a follower's may be behind.
func (s *Shard) Held(p partition.ID) (*partition.Log, int32, bool) {
	found, epoch, ok := s.held(p)
	if !ok {
		return nil, 0, false
	}
	return found.log, epoch, true
}

func (s *Shard) held(p partition.ID) (*place, int32, bool) {
	found, ok := s.places.Load().Get(key(p))
	if !ok {
		return nil, 0, false
	}
	return found, leaderEpoch(found.base, s.status.Load().Term), true
}

// stop ends the task after what was put into the inbox before.
func (s *Shard) stop() {
	s.inbox.Close()
	s.ended.Get()
}
