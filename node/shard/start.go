package shard

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/partition"
	"millrace/wal"
)

// TickEvery is the time between two ticks of a shard that is not quiet.
const TickEvery = 50 * time.Millisecond

// Times of raft, in ticks.
const (
	electionTicks  = 8
	heartbeatTicks = 1
	// inflightMessages bounds the entries under way to a follower: one entry a message, of Options.EntryBytes at most.
	inflightMessages = 64
)

// Start starts a shard from what the write-ahead log recovered of it; a shard that the log does not know begins empty.
// A shard with one replica campaigns at once. m is nil for a shard of partitions; it has been restored from r.State.
func Start(h host.Host, w *wal.Log, o Options, recovered wal.RecoveredShard, m Machine) (*Shard, error) {
	if o.Fail == nil {
		o.Fail = func(error) {}
	}
	if o.Changes == nil {
		o.Changes = host.NewWatchers(h.Tasks)
	}
	if o.Numbers == nil {
		o.Numbers = NewNumbers(h.Tasks)
	}
	o.EntryBytes = cmp.Or(o.EntryBytes, entryBytes)
	r := &replica{
		Shard: &Shard{
			id:      o.ID,
			members: o.Members,
			host:    h,
			inbox:   host.NewQueue[event](h.Tasks, inboxSize, nil),
			status:  host.NewSnapshot(h.Tasks, &Status{LeaderNode: -1, Quiet: len(o.Members) == 1}),
			places:  host.NewSnapshot(h.Tasks, &directory{}),
			changes: o.Changes,
			ended:   host.NewFuture[struct{}](h.Tasks),
			unread:  host.NewCounter(h.Tasks),
		},
		o: o, wal: w, machine: m, mostFlying: int(min(mostFlying, w.Pressure().Limit/flyingShare)),
		partitions: map[partition.ID]*held{},
		settings:   map[partition.ID]Settings{},
	}
	r.o.MaxLag = max(r.o.MaxLag, 0)
	if o.MaxLag == 0 {
		r.o.MaxLag = defaultMaxLag
	}
	for _, m := range o.Members {
		if m.Replica != o.Replica {
			r.others = append(r.others, &member{Member: m})
		}
	}
	r.resting = r.alone()
	r.reads.nonce = h.Random.Uint64("shard-reads")
	created, err := r.recover(recovered)
	if err != nil {
		return nil, fmt.Errorf("recover shard %d: %w", o.ID, err)
	}
	node, err := raft.NewRawNode(&raft.Config{
		ID: o.Replica, ElectionTick: electionTicks, HeartbeatTick: heartbeatTicks,
		Storage: r.window, Applied: r.applied, AsyncStorageWrites: true,
		MaxSizePerMsg: 0, MaxCommittedSizePerReady: math.MaxUint64, MaxInflightMsgs: inflightMessages,
		CheckQuorum: true, PreVote: true, DisableProposalForwarding: true, StepDownOnRemoval: true,
		Logger: logger{h.Log},
	})
	if err != nil {
		return nil, fmt.Errorf("start shard %d: %w", o.ID, err)
	}
	r.node = node
	r.window.snapshot = r.snapshot
	r.countHoles()
	h.Tasks.Go(fmt.Sprintf("shard-%d", o.ID), func() {
		switch {
		case r.alone():
			_ = r.node.Campaign() // a lone voter wins
		case created && o.Preferred:
			r.seeking = seeking{left: mostSeeks, soon: true}
			r.seek()
		}
		r.turn()
		r.run()
	})
	return r.Shard, nil
}

// recover fills the replica with what the write-ahead log knows; true says that it knows nothing: the shard is new.
func (r *replica) recover(recovered wal.RecoveredShard) (bool, error) {
	i, found := slices.BinarySearchFunc(recovered.State, stateShard, func(s wal.State, key string) int {
		return strings.Compare(s.Key, key)
	})
	if !found {
		if recovered.Compact > 0 || len(recovered.Entries) > 0 {
			return false, errors.New("its record is missing from the write-ahead log")
		}
		return true, r.create()
	}
	state, err := decodeShard(recovered.State[i].Value)
	if err != nil {
		return false, err
	}
	if state.replica != r.o.Replica || !sameMembers(state.members, r.o.Members) {
		return false, fmt.Errorf("the write-ahead log has replica %d of %v, the catalog says replica %d of %v",
			state.replica, state.members, r.o.Replica, r.o.Members)
	}
	if recovered.Compact != state.compact && !mutant.Built {
		return false, fmt.Errorf("its record says that it is compacted up to entry %d, but the write-ahead log begins after %d",
			state.compact, recovered.Compact)
	}
	hard := recovered.HardState
	hard.Commit = max(hard.Commit, state.index)
	r.window = &window{hard: hard, voters: replicas(r.o.Members), first: recovered.Compact + 1, before: state.compactTerm}
	r.term = hard.Term
	r.applied, r.appliedTerm, r.captured, r.compacted = state.index, state.term, state.index, recovered.Compact
	for _, e := range recovered.Entries {
		r.window.append(slot{at: e.At, entry: &raftpb.Entry{
			Index: &e.Index, Term: &e.Term, Type: raftpb.EntryType(e.Type).Enum(), Data: e.Data,
		}})
	}
	r.recovered = r.window.last()
	return false, r.open(recovered.State)
}

// create makes a new shard's first record. It is not waited for: everything that comes later is ordered behind it.
func (r *replica) create() error {
	r.window = &window{
		hard: wal.HardState{Term: firstTerm, Commit: firstIndex}, voters: replicas(r.o.Members), first: firstIndex + 1, before: firstTerm,
	}
	r.term = firstTerm
	r.applied, r.appliedTerm, r.captured, r.compacted = firstIndex, firstTerm, firstIndex, firstIndex
	hard := r.window.hard
	state := encodeShard(shardState{
		replica: r.o.Replica, members: r.o.Members, index: firstIndex, term: firstTerm, compact: firstIndex, compactTerm: firstTerm,
	})
	ok := r.wal.Submit(wal.Append{
		Shard: r.id, HardState: &hard, State: []wal.State{{Key: stateShard, Value: state}}, Compact: firstIndex,
		Done: func(err error) {
			if err != nil {
				r.o.Fail(fmt.Errorf("create shard %d: %w", r.id, err))
			}
		},
	})
	if !ok {
		return wal.ErrClosed
	}
	return nil
}

// open opens the partitions that the checkpoint names.
func (r *replica) open(state []wal.State) error {
	for _, s := range state {
		if !strings.HasPrefix(s.Key, statePartition) {
			continue
		}
		base, checkpoint, err := decodePartition(s)
		if err != nil {
			return err
		}
		if mutant.On("shard-adopted-partition-lost") && checkpoint.End == 0 {
			continue
		}
		log, err := partition.Open(r.o.Partitions, partitionDir(checkpoint.ID), checkpoint)
		if err != nil {
			return fmt.Errorf("open partition %s: %w", checkpoint.ID, err)
		}
		p := &held{id: checkpoint.ID, log: log, base: base}
		r.add(p)
		if log.Dirty() { // a file is missing
			r.change(p)
		}
	}
	places := r.directory
	r.places.Store(&places)
	r.moved = false
	return nil
}
