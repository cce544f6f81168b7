package shard

import (
	"go.etcd.io/raft/v3/raftpb"

	"millrace/net/wire"
	"millrace/wal"
)

const (
	// entryBytes is the default of Options.EntryBytes.
	entryBytes = 1 << 20
	// mostRecords bounds the records of an entry, so that its data stays small.
	mostRecords = 1024
	// mostFlying bounds the payload of entries that are proposed and not applied, in bytes, together with one part in
	// flyingShare of the write-ahead log: what is proposed at once is appended at once, and should not need a file of its
	// own there. What is above it waits in the backlog, which the server's budget for requests bounds.
	mostFlying  = 32 << 20
	flyingShare = 8
	// busy is how many appends may be at the write-ahead log before small requests are held back to share an entry.
	// While one is written and others wait, an entry more would not become durable sooner.
	busy = 4
	// eager is how many bytes of requests are not held back.
	eager = 256 << 10
)

// proposal is an entry that is being built.
type proposal struct {
	most    int // Options.EntryBytes
	data    []byte
	payload wal.Payload
	bytes   int // of the payload
	records int
	waits   []waiting
}

// takes says whether the request fits.
func (p *proposal) takes(q *request) bool {
	return p.records == 0 || p.records < mostRecords &&
		p.bytes+len(q.batch.Bytes) <= p.most && len(p.data)+len(q.command) <= p.most
}

// room says whether requests may be proposed now.
func (r *replica) room() bool {
	if r.flying >= r.mostFlying {
		return false
	}
	if len(r.storing) >= busy {
		bytes := 0
		for _, q := range r.backlog {
			if bytes += len(q.batch.Bytes) + len(q.command); bytes >= eager {
				break
			}
		}
		if bytes < eager {
			return false
		}
	}
	if r.wal.Pressure().Full {
		if r.o.Full != nil && !r.waits {
			r.waits = true // for a nudge
			r.o.Full()
		}
		return false
	}
	return true
}

// propose packs requests from the backlog into entries and steps raft with all of them at once. It returns whether it did
// anything.
func (r *replica) propose() bool {
	if len(r.backlog) == 0 {
		return false
	}
	if !r.serving {
		for _, q := range r.backlog {
			r.turnAwayRequest(q)
			q.answer(Result{Error: wire.ErrNotLeaderOrFollower})
		}
		clear(r.backlog)
		r.backlog = r.backlog[:0]
		return true
	}
	if r.transferring || !r.room() {
		return false
	}
	r.beginAdmission()
	var built []*proposal
	p := r.newProposal(len(r.backlog))
	taken := 0
	for ; taken < len(r.backlog) && r.flying < r.mostFlying; taken++ {
		q := r.backlog[taken]
		if !p.takes(q) {
			built, p = append(built, p), r.newProposal(len(r.backlog)-taken)
		}
		r.admit(q, p)
	}
	n := copy(r.backlog, r.backlog[taken:])
	clear(r.backlog[n:])
	r.backlog = r.backlog[:n]
	switch {
	case p.records > 0:
		built = append(built, p)
	case len(built) > 0:
		built[len(built)-1].waits = append(built[len(built)-1].waits, p.waits...)
	default: // nothing but duplicates of entries that are under way
		r.join(p.waits)
	}
	r.step(built)
	return true
}

// step gives the entries to raft.
func (r *replica) step(built []*proposal) {
	if len(built) == 0 {
		return
	}
	m := &raftpb.Message{Type: raftpb.MsgProp.Enum(), From: &r.o.Replica}
	for _, p := range built {
		endEntry(p.data, p.records)
		m.Entries = append(m.Entries, &raftpb.Entry{Data: p.data})
	}
	if err := r.node.Step(m); err != nil {
		r.undo()
		for _, p := range built {
			r.flies(-p.bytes)
			p.payload.Release()
			for _, w := range p.waits {
				w.pending.Set(Result{Error: wire.ErrNotLeaderOrFollower, Message: err.Error()})
			}
		}
		return
	}
	r.proposed = append(r.proposed, built...)
}

// join lets duplicates wait for the newest entry, which is not before the original.
func (r *replica) join(waits []waiting) {
	if len(waits) == 0 {
		return
	}
	if r.window.last() <= r.applied {
		for _, w := range waits {
			w.pending.Set(w.result)
		}
		return
	}
	s := r.window.slot(r.window.last())
	s.waits = append(s.waits, waits...)
}
