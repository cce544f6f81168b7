package shard

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/partition"
	"millrace/wal"
)

const (
	stateVersion    = 0 // of records other than "shard"
	shardVersion    = 1
	stateShard      = "shard"
	statePartition  = "partition/"
	stateCatalog    = "catalog/"
	partitionsDir   = "partitions"
	firstIndex      = 1 // a new shard begins as if after a snapshot at this index and term
	firstTerm       = 1
	catalogReplica  = 1
	smallStateGuess = 64
)

// partitionDir is the directory of a partition's files.
func partitionDir(id partition.ID) string { return partitionsDir + "/" + id.String() }

// capture asks a shard for what its next checkpoint says.
type capture struct{ done *host.Future[*captured] }

// captured is a shard as of one applied index, with the changes since the capture before.
type captured struct {
	shard       *Shard
	index, term uint64
	state       []wal.State
	partitions  []capturedPartition
	dropped     []*held
	// installed is set when the checkpoint is durable.
	installed *host.Future[struct{}]
}

type capturedPartition struct {
	held    *held
	id      partition.ID
	base    int32
	pending *partition.PendingCheckpoint
}

func (c *capture) happen(r *replica) {
	if r.dead {
		return
	}
	if !r.unsaved() && r.compactable() <= r.compacted {
		c.done.Set(nil)
		return
	}
	out := &captured{
		shard: r.Shard, index: r.applied, term: r.appliedTerm, dropped: r.dropped, installed: host.NewFuture[struct{}](r.host.Tasks),
	}
	for _, p := range r.quiet { // since the last capture, unless it changed
		if !p.changed && !p.gone {
			p.log.Idle()
		}
	}
	for _, p := range r.changed {
		p.changed = false
		if p.gone {
			continue
		}
		out.partitions = append(out.partitions, capturedPartition{held: p, id: p.id, base: p.base, pending: p.log.BeginCheckpoint()})
	}
	for _, p := range r.dropped {
		out.state = append(out.state, wal.State{Key: statePartition + p.id.String()})
	}
	if r.machine != nil {
		out.state = append(out.state, r.machine.Capture()...)
	}
	r.quiet, r.changed, r.dropped = r.changed, nil, nil
	r.captured = r.applied
	r.capturing++
	c.done.Set(out)
}

// collect waits until the segments hold everything that was captured, and makes the records of the partitions. It runs
// in the checkpointer's task.
func (c *captured) collect() error {
	for _, p := range c.partitions {
		checkpoint, err := p.pending.Wait()
		if err != nil {
			return fmt.Errorf("write out partition %s: %w", p.id, err)
		}
		if mutant.On("shard-checkpoint-without-producers") {
			checkpoint.Producers = partition.NewProducers().Encode(nil)
		}
		b := binary.AppendVarint([]byte{stateVersion}, int64(p.base))
		c.state = append(c.state, wal.State{Key: statePartition + p.id.String(), Value: checkpoint.Encode(b)})
	}
	return nil
}

// compactable is the index up to which the write-ahead log may forget entries. Followers may need what is before it, as
// long as there is room: the leader knows what they have; the others know it when the shard rests, and keep what there is
// room for until then, since one of them may lead next.
func (r *replica) compactable() uint64 {
	if r.alone() {
		return r.applied
	}
	p := r.wal.Pressure()
	keep := r.safe
	if r.leading {
		keep = r.applied
		for _, m := range r.others {
			keep = min(keep, m.match)
		}
	}
	switch share := p.Limit / 4; {
	case p.Full || p.Bytes > 2*share && slices.Contains(p.Oldest, r.id):
		keep = r.applied
	case p.Bytes > 2*share || p.Bytes > share && !r.leading:
		keep = max(keep, r.window.tail(r.applied, uint64(p.Limit/16)))
	}
	return min(r.applied, max(keep, r.window.first-1))
}

// install makes a checkpoint durable that was collected and synced.
type install struct{ *captured }

func (c install) happen(r *replica) {
	if r.dead {
		return
	}
	hard := r.window.hard
	hard.Commit = max(hard.Commit, c.index)
	compact, term := c.index, c.term
	if keep := max(r.compactable(), r.compacted); keep < compact {
		compact = keep
		term, _ = r.window.Term(compact)
	}
	state := append(c.state, wal.State{Key: stateShard, Value: encodeShard(shardState{
		replica: r.o.Replica, members: r.o.Members, index: c.index, term: c.term, compact: compact, compactTerm: term,
	})})
	r.compacted = compact
	if mutant.On("shard-compact-one-too-far") {
		compact = min(compact+1, r.window.last())
	}
	done := func(err error) { r.inbox.Post(installed{c.captured, compact, err}) }
	if !r.wal.Submit(wal.Append{Shard: r.id, HardState: &hard, State: state, Compact: compact, Done: done}) {
		r.fail(wal.ErrClosed)
	}
}

// installed says that a checkpoint is durable.
type installed struct {
	*captured
	compact uint64
	err     error
}

func (c installed) happen(r *replica) {
	if r.dead {
		return
	}
	if c.err != nil {
		r.fail(c.err)
		return
	}
	for _, p := range c.partitions {
		if !p.held.gone {
			p.held.log.Checkpointed()
			r.noteWhole(p.held)
		}
	}
	for _, p := range c.dropped {
		p.log.Checkpointed()
	}
	r.capturing--
	r.window.forget(min(c.compact, r.applied))
	c.captured.installed.Set(struct{}{})
	r.tryInstall()
}

// decodePartition reads a "partition/..." record.
func decodePartition(s wal.State) (base int32, c partition.Checkpoint, err error) {
	fail := func(err error) (int32, partition.Checkpoint, error) {
		return 0, c, fmt.Errorf("read the checkpoint record %q: %w", s.Key, err)
	}
	if len(s.Value) == 0 || s.Value[0] != stateVersion {
		return fail(fmt.Errorf("it is of a newer release, or damaged"))
	}
	v, n := binary.Varint(s.Value[1:])
	if n <= 0 || v != int64(int32(v)) {
		return fail(fmt.Errorf("it is damaged"))
	}
	if c, err = partition.DecodeCheckpoint(s.Value[1+n:]); err != nil {
		return fail(err)
	}
	if strings.TrimPrefix(s.Key, statePartition) != c.ID.String() {
		return fail(fmt.Errorf("it is of partition %s", c.ID))
	}
	return int32(v), c, nil
}
