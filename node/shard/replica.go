package shard

import (
	"fmt"

	"go.etcd.io/raft/v3"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/wal"
)

// event is something that happens to a shard; happen runs in its task.
type event interface{ happen(r *replica) }

// inboxSize is how many requests may wait in the inbox before whoever brings one waits, too.
const inboxSize = 4096

// replica is the state of a shard. It belongs to the shard's task.
type replica struct {
	*Shard
	o       Options
	wal     *wal.Log
	machine Machine
	node    *raft.RawNode
	window  *window

	// others are the other replicas, in the order of Options.Members; stash and reads see there.
	others []*member
	stash  []stashed
	reads  reads
	// match is the index up to which this replica's own log is durable, as its raft counts it when it leads.
	match   uint64
	lagging []lagging
	// answered says that a follower has acknowledged something in this turn.
	answered bool

	// ticks counts the ticks, idleTicks those since a leader had something to do; resting says that the shard rests. safe
	// is up to where everybody was known to have everything when it did.
	ticks, idleTicks int
	resting          bool
	safe             uint64
	seeking          seeking
	// transferring says that the leadership is being moved: requests wait.
	transferring bool
	// filling is the number of partitions here that are not whole.
	filling int
	// arriving is a snapshot that waits for a checkpoint; nil when there is none.
	arriving *arriving
	// capturing is the number of checkpoints that were captured and are not durable.
	capturing int
	// warned is when a bad message of a peer was last logged.
	warned host.Instant
	// retired says why this replica takes no part any more; empty while it does.
	retired string

	// term and leading follow raft's state; serving is set when the first entry of the term is applied.
	term    uint64
	leader  uint64
	leading bool
	serving bool
	// applied is the index of the last applied entry, appliedTerm its term.
	applied, appliedTerm uint64

	// backlog are the requests that wait to be put into entries.
	backlog []*request
	// waits says that the write-ahead log is full, and that a nudge comes when it may not be any more.
	waits bool
	// proposed are the entries that raft has accepted and not yet given an index, oldest first. Only during a turn.
	proposed []*proposal
	// storing are the appends that the write-ahead log has not answered, oldest first.
	storing []*stored
	// flying is the number of payload bytes in memory of entries that are not applied; mostFlying bounds them.
	flying, mostFlying int

	partitions map[partition.ID]*held // never ranged over: see order
	// order are the partitions in the order of adoption, for work that visits all; dropped ones leave holes.
	order    []*held
	settings map[partition.ID]Settings

	// changed are the partitions to be captured by the next checkpoint; dropped those whose records it deletes.
	changed []*held
	dropped []*held
	// quiet were captured by the last checkpoint; those that do not change until the next give back the memory of their
	// tail.
	quiet []*held
	// captured is the applied index of the last capture, compacted the index up to which the write-ahead log was told to
	// forget.
	captured, compacted uint64

	// replay reads the payloads of recovered entries, the last of which is recovered; nil when there is nothing to replay.
	replay    *wal.Reader
	recovered uint64

	touched   []*held // by the entries being applied
	directory directory
	moved     bool // the directory changed and is to be published
	turned    turnedAway
	holes     int // in order
	dead      bool
	stopped   bool
	admission admission
	// snapshotBytes is the size of the last snapshot that was made here.
	snapshotBytes int
}

// held is a partition that lives in the shard.
type held struct {
	id   partition.ID
	log  *partition.Log
	base int32
	// changed says that it is in replica.changed, touched that it is in replica.touched.
	changed, touched, gone bool
	// missing says that it counts in replica.filling.
	missing bool
	lead    appended
}

// request asks for one record in an entry. pending is nil when nobody waits.
type request struct {
	pending   *Pending
	kind      uint8
	partition partition.ID
	batch     batch.Info
	hold      *host.Buffer
	acks      int16
	next      bool // see AppendNext
	value     int64
	command   []byte
}

func (q *request) happen(r *replica) {
	if r.dead {
		q.drop()
		return
	}
	r.enqueue(q)
}

// enqueue takes a request, of whoever it is. The shard does not rest then: its clock has to turn until everybody has the
// entry, and followers that are sent one expect heartbeats from then on.
func (r *replica) enqueue(q *request) {
	r.wake(nil)
	if q.kind == askReadIndex {
		r.reads.asked = append(r.reads.asked, q)
		return
	}
	r.backlog = append(r.backlog, q)
}

// answer gives the result and lets go of the bytes.
func (q *request) answer(result Result) {
	q.drop()
	if q.pending != nil {
		q.pending.Set(result)
	}
}

// drop lets go of the bytes without an answer.
func (q *request) drop() {
	if q.hold != nil {
		q.hold.Release()
		q.hold = nil
	}
}

// waiting is a request that is part of an entry.
type waiting struct {
	pending *Pending
	// record is the place of its record in the entry; -1 for a duplicate, which waits for the original in this entry or
	// one before it.
	record int
	acks   int16
	batch  bool
	// copies is how many durable copies the answer waits for besides that the entry is applied.
	copies int
	result Result
}

// configure changes the settings of a partition.
type configure struct {
	partition partition.ID
	settings  Settings
}

func (c *configure) happen(r *replica) {
	r.settings[c.partition] = c.settings
	if p := r.partitions[c.partition]; p != nil {
		p.lead.settings = c.settings
	}
}

// nudge makes the task look again at what it held back.
type nudge struct{}

func (nudge) happen(r *replica) { r.waits = false }

// run is the task.
func (r *replica) run() {
	var events []event
	more := true
	for {
		if events, more = r.inbox.Take(events[:0]); !more {
			break
		}
		for i, e := range events {
			e.happen(r)
			events[i] = nil
		}
		if !r.dead {
			r.turn()
		}
	}
	r.end()
}

// turn does what the events of one turn made possible.
func (r *replica) turn() {
	for !r.dead && r.retired == "" {
		asked := r.fly()
		proposed := r.propose()
		if !r.ready() && !proposed && !asked {
			break
		}
	}
	r.clearStash()
	if r.retired != "" {
		r.refuseAll("the replica has lost its log")
	}
	if r.answered && !r.dead {
		r.answered = false
		if len(r.lagging) > 0 || r.leading && r.inSync() < len(r.o.Members) {
			r.measure()
		}
	}
}

// refuseAll answers who waits for what was never proposed.
func (r *replica) refuseAll(reason string) {
	for _, q := range r.backlog {
		r.turnAwayRequest(q)
		q.answer(Result{Error: wire.ErrNotLeaderOrFollower, Message: reason})
	}
	r.backlog = nil
	r.reads.end(reason)
	r.abandonLagging()
}

// end lets go of everything when the node stops.
func (r *replica) end() {
	r.refuseAll("the node is stopping")
	r.clearStash()
	r.endReplay()
	r.window.truncate(r.window.first, func(s *slot) { s.payload.Release() })
	for _, p := range r.order {
		if p != nil {
			p.log.Close()
		}
	}
	r.serving, r.leading, r.stopped = false, false, true
	r.publishStatus()
	r.ended.Set(struct{}{})
}

// fail stops the shard and with it the node. What waits gets no answer: its fate is not known.
func (r *replica) fail(err error) {
	if r.dead {
		return
	}
	r.dead = true
	r.clearStash()
	for _, q := range r.backlog {
		q.drop()
	}
	r.backlog = nil
	r.o.Fail(fmt.Errorf("shard %d: %w", r.id, err))
}

// publishStatus publishes the status and wakes who waits for a change of it.
func (r *replica) publishStatus() {
	r.publishProgress()
	r.changes.Wake()
}

// publishProgress publishes what changes all the time, without waking anybody.
func (r *replica) publishProgress() {
	s := &Status{
		Term: r.term, Leader: r.leader, LeaderNode: r.nodeOf(r.leader), Serving: r.serving, Quiet: r.resting,
		Stopped: r.stopped, Retired: r.retired,
		Applied: r.applied, Commit: max(r.window.hard.Commit, r.applied), Last: r.window.last(),
	}
	if r.leading {
		s.InSync, s.Matches = r.inSyncNodes(), r.matches()
	}
	r.status.Store(s)
}
