package shard

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host/mutant"
	"millrace/wal"
)

// received is a message of another replica, with the payloads of its entries retained.
type received struct {
	m        *raftpb.Message
	payloads []wal.Payload
	size     int
}

// stashed is the payload of an entry that raft was given and has not handed out to be stored. raft hands out what it
// takes in the same turn, and the rest is let go of at the turn's end.
type stashed struct {
	index, term uint64
	payload     wal.Payload
}

func (e *received) happen(r *replica) {
	if e.size > 0 {
		r.unread.Add(int64(-e.size))
	}
	if r.dead || r.retired != "" {
		release(e.payloads)
		return
	}
	from := r.member(e.m.GetFrom())
	if from == nil || e.m.GetTo() != r.o.Replica {
		release(e.payloads)
		return
	}
	m, err := r.check(e)
	if err != nil {
		release(e.payloads)
		if now := r.host.Clock.Now(); r.warned == 0 || now.Sub(r.warned) > time.Second {
			r.warned = now
			r.host.Log.Warn("a message of a peer was dropped", "shard", r.id, "node", from.Node, "reason", err)
		}
		return
	}
	from.contact, from.contactTick = r.host.Clock.Now(), r.ticks
	if m.GetType() == raftpb.MsgAppResp {
		from.filling = len(m.GetContext()) > 0
	}
	if r.hush(m) {
		return
	}
	if m.GetType() == raftpb.MsgSnap {
		r.snapshotArrived(m)
		return
	}
	for i, entry := range m.GetEntries() {
		if m.GetType() == raftpb.MsgApp {
			r.stash = append(r.stash, stashed{entry.GetIndex(), entry.GetTerm(), e.payloads[i]})
		}
	}
	// An error means that raft has no use for the message.
	_ = r.node.Step(m)
	if m.GetType() == raftpb.MsgAppResp && r.leading {
		r.answered = true
	}
}

// check says whether a message may be given to raft, which trusts what it gets; it returns the message as raft is to see
// it.
func (r *replica) check(e *received) (*raftpb.Message, error) {
	m := e.m
	if len(e.payloads) > 0 && m.GetType() != raftpb.MsgApp {
		return nil, fmt.Errorf("a %s has no payloads", m.GetType())
	}
	switch m.GetType() {
	case raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp, raftpb.MsgTimeoutNow:
	case raftpb.MsgSnap: // see snapshotArrived
	case raftpb.MsgApp:
		return m, checkAppend(e)
	case raftpb.MsgAppResp:
		if r.leading && m.GetTerm() == r.term && !m.GetReject() && m.GetIndex() > r.window.last() {
			return nil, fmt.Errorf("it acknowledges entry %d, the last one is %d", m.GetIndex(), r.window.last())
		}
	case raftpb.MsgHeartbeat:
		if !r.has(m.GetCommit()) && m.GetTerm() >= r.term {
			r.retire(fmt.Sprintf("the leader knows that this replica had entry %d, but its log ends at %d: acknowledged entries are lost",
				m.GetCommit(), r.window.last()))
			return nil, fmt.Errorf("%s", r.retired)
		}
	case raftpb.MsgHeartbeatResp:
		switch c := m.GetContext(); {
		case len(c) == 0 || len(c) == 1:
		case m.GetTerm() < r.term: // late: raft passes over it
		case len(c) != 8 || binary.LittleEndian.Uint64(c) > r.reads.sent:
			return nil, fmt.Errorf("it confirms a read that nobody asked for")
		}
	case raftpb.MsgReadIndex, raftpb.MsgReadIndexResp:
		if len(m.GetEntries()) != 1 || len(m.GetEntries()[0].GetData()) != readContextSize {
			return nil, fmt.Errorf("a %s without the context of a read", m.GetType())
		}
	default:
		return nil, fmt.Errorf("a %s is not known", m.GetType())
	}
	return m, nil
}

// has says whether the log holds an index, with what raft has not handed out yet.
func (r *replica) has(index uint64) bool {
	if index > r.window.last() && len(r.stash) > 0 {
		r.ready()
	}
	return index <= r.window.last()
}

// checkAppend says whether the entries of a MsgApp follow each other and have the payloads that they promise.
func checkAppend(e *received) error {
	entries := e.m.GetEntries()
	if len(entries) != len(e.payloads) {
		return fmt.Errorf("%d entries with %d payloads", len(entries), len(e.payloads))
	}
	index, term := e.m.GetIndex(), e.m.GetLogTerm()
	for i, entry := range entries {
		index++
		switch {
		case entry.GetIndex() != index || entry.GetTerm() < term || entry.GetTerm() > e.m.GetTerm() || entry.GetTerm() == 0:
			return fmt.Errorf("entry %d of term %d follows entry %d of term %d", entry.GetIndex(), entry.GetTerm(), index-1, term)
		case entry.GetType() != raftpb.EntryNormal:
			return fmt.Errorf("entry %d changes the members, which nothing does", index)
		}
		term = entry.GetTerm()
		promised, err := promises(entry.GetData())
		if err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		if size := e.payloads[i].Size(); size != promised && !(size == 0 && mutant.On("replica-payload-missing-but-stepped")) {
			return fmt.Errorf("entry %d promises a payload of %d bytes and comes with %d", index, promised, size)
		}
	}
	return nil
}

// promises is the number of payload bytes that the descriptors of an entry speak of.
func promises(data []byte) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	entry, err := readEntry(data)
	if err != nil {
		return 0, err
	}
	total := 0
	var rec record
	for {
		more, err := entry.next(&rec)
		if err != nil || !more {
			return total, err
		}
		if rec.kind == kindBatch {
			if rec.bytes < 0 || rec.bytes > wal.MaxRecord {
				return 0, fmt.Errorf("%w: a batch of %d bytes", errMalformed, rec.bytes)
			}
			total += rec.bytes
		}
	}
}

// unstash takes the payload of an entry that raft wants stored.
func (r *replica) unstash(index, term uint64) wal.Payload {
	for i := range r.stash {
		if s := &r.stash[i]; s.index == index && s.term == term {
			p := s.payload
			s.payload, s.index = wal.Payload{}, 0
			return p
		}
	}
	return wal.Payload{}
}

// clearStash lets go of the payloads of entries that raft did not take.
func (r *replica) clearStash() {
	for i := range r.stash {
		r.stash[i].payload.Release()
		r.stash[i] = stashed{}
	}
	r.stash = r.stash[:0]
}

// retire ends this replica's part in the shard: it neither votes nor acknowledges again.
func (r *replica) retire(reason string) {
	if r.retired != "" {
		return
	}
	r.retired = reason
	r.o.Numbers.Retired.Add(1)
	r.host.Log.Error("a replica has lost its log and takes no part in its shard any more", "shard", r.id, "reason", reason)
	r.serving, r.resting = false, true
	r.publishStatus()
}
