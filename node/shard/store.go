package shard

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/wal"
)

// ready hands on everything that raft has to say. It returns false when that was nothing.
func (r *replica) ready() bool {
	any := false
	for !r.dead && r.node.HasReady() {
		any = true
		rd := r.node.Ready()
		r.follow(&rd)
		// Messages for followers speak of entries that are to be stored, so these come into the window first.
		var entries []wal.Entry
		var state []wal.State
		for _, m := range rd.Messages {
			if m.GetTo() != raft.LocalAppendThread {
				continue
			}
			if !raft.IsEmptySnap(m.GetSnapshot()) {
				var err error
				if state, err = r.installSnapshot(m.GetSnapshot()); err != nil {
					r.fail(fmt.Errorf("install a snapshot: %w", err))
					return true
				}
			}
			entries = r.enter(m.GetEntries())
		}
		if len(rd.ReadStates) > 0 {
			r.confirm(rd.ReadStates)
		}
		for _, m := range rd.Messages {
			switch m.GetTo() {
			case raft.LocalAppendThread:
				r.store(m, entries, state)
			case raft.LocalApplyThread:
				r.apply(m.GetEntries())
				r.deliver(m.GetResponses())
			default:
				r.send(m)
			}
		}
	}
	return any
}

// follow notes the term and who leads.
func (r *replica) follow(rd *raft.Ready) {
	term := r.term
	if !raft.IsEmptyHardState(rd.HardState) {
		r.term = rd.HardState.GetTerm()
	}
	if rd.SoftState == nil && r.term == term {
		return
	}
	if r.term != term {
		r.reads.sent = 0
	}
	if s := rd.SoftState; s != nil {
		led := r.leading
		r.leader, r.leading = s.Lead, s.RaftState == raft.StateLeader
		switch {
		case led && !r.leading:
			r.o.Numbers.Lost.Add(1)
			r.stepDown()
		case !led && r.leading:
			r.o.Numbers.Won.Add(1)
			r.lead()
		}
		if r.leader != raft.None {
			r.seeking = seeking{}
			r.retryFlights(0)
		}
	}
	r.publishStatus()
}

// stepDown ends what belongs to a term of leadership. What was proposed keeps waiting for its fate.
func (r *replica) stepDown() {
	r.serving, r.transferring = false, false
	r.abandonLagging()
	for _, p := range r.order {
		if p != nil && !mutant.On("replica-appended-survives-step-down") {
			p.lead = appended{settings: p.lead.settings}
		}
	}
}

// stored is the answer of the write-ahead log to one append.
type stored struct {
	entries []wal.Entry
	// then are delivered when the append is durable.
	then []*raftpb.Message
	// tick is when it was handed over.
	tick int
	err  error
}

// store appends entries, which are in the window already, and hard state to the write-ahead log, with the records of a
// snapshot, if there is one, in whose place the log goes on.
func (r *replica) store(m *raftpb.Message, entries []wal.Entry, state []wal.State) {
	hard := r.window.hard
	if m.GetTerm() != 0 || m.GetVote() != 0 || m.GetCommit() != 0 {
		hard = wal.HardState{Term: m.GetTerm(), Vote: m.GetVote(), Commit: m.GetCommit()}
	}
	voted := hard.Term != r.window.hard.Term || hard.Vote != r.window.hard.Vote
	r.window.hard = hard
	if len(entries) == 0 && !voted && len(state) == 0 {
		// A new commit index need not be durable: it goes with the next append. Responses wait for the appends before.
		if n := len(r.storing); n > 0 && !mutant.On("replica-empty-append-overtakes") {
			r.storing[n-1].then = append(r.storing[n-1].then, m.GetResponses()...)
		} else {
			r.deliver(m.GetResponses())
		}
		return
	}
	s := &stored{entries: entries, then: m.GetResponses(), tick: r.ticks}
	if voted && mutant.On("replica-vote-before-synced") || !r.leading && mutant.On("replica-ack-before-synced") ||
		!r.leading && len(entries) > 0 && entries[0].Index == r.window.first && mutant.On("replica-first-ack-before-synced") {
		r.deliver(s.then)
		s.then = nil
	}
	r.storing = append(r.storing, s)
	if r.o.Wrote != nil {
		n := 0
		for i := range s.entries {
			n += len(s.entries[i].Data) + s.entries[i].Payload.Size() + entryOverhead
		}
		r.o.Wrote(n)
	}
	if mutant.On("shard-ack-before-durable") {
		r.durable(s)
	}
	done := func(err error) {
		s.err = err
		r.inbox.Post(s)
	}
	if !r.wal.Submit(wal.Append{
		Shard: r.id, HardState: &hard, Entries: s.entries, State: state, Compact: m.GetSnapshot().GetMetadata().GetIndex(), Done: done,
	}) {
		r.fail(wal.ErrClosed)
	}
}

// entryOverhead is about what an entry takes in the write-ahead log besides data and payload.
const entryOverhead = 64

// enter puts entries into the window and returns them as the write-ahead log wants them.
func (r *replica) enter(entries []*raftpb.Entry) []wal.Entry {
	if len(entries) == 0 {
		return nil
	}
	r.window.truncate(entries[0].GetIndex(), r.supersede)
	out := make([]wal.Entry, len(entries))
	var now host.Instant
	if len(r.proposed) > 0 {
		now = r.host.Clock.Now()
	}
	for i, e := range entries {
		s := slot{entry: e}
		switch {
		case len(e.GetData()) == 0:
		case len(r.proposed) > 0:
			p := r.proposed[0]
			r.proposed = r.proposed[1:]
			s.payload, s.waits, s.begun = p.payload, p.waits, now
		default:
			s.payload = r.unstash(e.GetIndex(), e.GetTerm())
			r.flies(s.payload.Size())
		}
		r.window.append(s)
		out[i] = wal.Entry{
			Index: e.GetIndex(), Term: e.GetTerm(), Type: uint8(e.GetType()), Data: e.GetData(), Payload: s.payload,
		}
	}
	return out
}

// supersede answers those who wait for an entry that another leader's replaced: it can never be committed.
func (r *replica) supersede(s *slot) {
	if len(s.waits) > 0 {
		r.turnAwayEntry(s.entry)
	}
	r.flies(-s.payload.Size())
	s.payload.Release()
	for _, w := range s.waits {
		if mutant.On("shard-superseded-answered") {
			w.pending.Set(w.result)
			continue
		}
		w.pending.Set(Result{Error: wire.ErrNotLeaderOrFollower, Message: "another leader has taken over"})
	}
}

func (s *stored) happen(r *replica) {
	if r.dead {
		return
	}
	if s.err != nil {
		r.fail(s.err)
		return
	}
	if len(r.storing) == 0 || r.storing[0] != s {
		panic("shard: the write-ahead log answered out of order")
	}
	r.storing[0] = nil
	r.storing = r.storing[1:]
	r.durable(s)
	if r.serving && mutant.On("replica-visible-before-commit") {
		r.applyEarly(s.entries)
	}
	r.deliver(s.then)
}

// durable answers acks=1 and notes where the payloads lie.
func (r *replica) durable(s *stored) {
	var now host.Instant
	for i := range s.entries {
		e := &s.entries[i]
		if e.Index < r.window.first || e.Index > r.window.last() {
			continue
		}
		slot := r.window.slot(e.Index)
		if slot.entry.GetTerm() != e.Term {
			continue
		}
		slot.at = e.At
		if slot.begun != 0 {
			if now == 0 {
				now = r.host.Clock.Now()
			}
			slot.durable = now
		}
		kept := slot.waits[:0]
		for _, w := range slot.waits {
			if w.acks == 1 || w.acks == -1 && w.batch && (mutant.On("shard-ack-before-durable") ||
				mutant.On("replica-answered-before-majority") || r.leading && r.inSync() == 1 && mutant.On("replica-alone-in-sync-answers")) {
				w.result.Times = Times{Proposed: slot.begun, Durable: now}
				w.pending.Set(w.result)
			} else {
				kept = append(kept, w)
			}
		}
		slot.waits = kept
	}
}

// deliver steps messages of raft to itself, and sends the others.
func (r *replica) deliver(messages []*raftpb.Message) {
	if r.retired != "" {
		return
	}
	for _, m := range messages {
		if m.GetTo() != r.o.Replica {
			r.send(m)
			continue
		}
		// An error means that the message says nothing new: a late answer of an earlier term.
		_ = r.node.Step(m)
	}
}

// send hands a message with the payloads of its entries to the peers.
func (r *replica) send(m *raftpb.Message) {
	if r.o.Peers == nil {
		return
	}
	var carried []Carried
	switch m.GetType() {
	case raftpb.MsgApp:
		for _, e := range m.GetEntries() {
			c, ok := r.window.carried(e)
			if !ok { // another leader's entry is there by now, or it was let go of
				r.node.ReportUnreachable(m.GetTo())
				return
			}
			carried = append(carried, c)
		}
	case raftpb.MsgAppResp:
		if r.filling > 0 {
			m.Context = []byte{sayFilling}
		}
	case raftpb.MsgHeartbeat:
		if c := m.GetContext(); len(c) == 8 {
			r.reads.sent = max(r.reads.sent, binary.LittleEndian.Uint64(c))
		}
	}
	if r.o.Peers.Send(r.id, r.nodeOf(m.GetTo()), m, carried) {
		return
	}
	switch m.GetType() {
	case raftpb.MsgApp:
		r.node.ReportUnreachable(m.GetTo())
	case raftpb.MsgSnap:
		r.node.ReportSnapshot(m.GetTo(), raft.SnapshotFailure)
	}
}
