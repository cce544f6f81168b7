package shard

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host/mutant"
)

// restAfter is after how many idle ticks a leader lets its shard rest.
const restAfter = 6

// Contexts of heartbeats and their answers that raft never sees.
const (
	// sayRest in a heartbeat: the shard is idle, everybody has everything up to the commit index, no heartbeats follow.
	sayRest = 1
	// sayRestBehind is sayRest while somebody who is suspected lacks entries.
	sayRestBehind = 2
	// sayWake in an answer: somebody needs a leader that sends heartbeats.
	sayWake = 3
	// sayWhole in an answer: all partitions of the replica are whole now.
	sayWhole = 4
	// sayFilling in an acknowledgement or an answer: some are not.
	sayFilling = 5
)

// idle says that nothing is to be done in a shard that this replica leads. Who reaches no majority any more is not idle: its
// clock has to turn until it sees that it leads no longer, for what it answers meanwhile without asking the others, as
// heartbeats of groups, is that of a coordinator that may have a successor.
func (r *replica) idle() bool {
	last := r.window.last()
	if !r.serving || r.transferring || r.filling > 0 || r.applied != last || len(r.storing) > 0 || len(r.backlog) > 0 || r.reads.pending() || len(r.lagging) > 0 {
		return false
	}
	reached := 1
	for _, m := range r.others {
		if m.suspected {
			continue
		}
		if reached++; m.match != last || r.ticks-m.contactTick > restAfter {
			return false
		}
	}
	return reached > (len(r.others)+1)/2 || mutant.On("shard-cut-off-leader-rests")
}

// rest stops heartbeats and ticks when the leader has been idle for some time; it returns whether it did.
func (r *replica) rest() bool {
	if !r.idle() {
		r.idleTicks = 0
		return false
	}
	if r.idleTicks++; r.idleTicks < restAfter {
		return false
	}
	r.resting = true
	say := byte(sayRest)
	for _, m := range r.others {
		if m.match != r.applied {
			say = sayRestBehind
		}
	}
	for _, m := range r.others {
		if !m.suspected {
			r.say(raftpb.MsgHeartbeat, m.Replica, r.term, say)
		}
	}
	r.publishProgress()
	return true
}

// say sends a heartbeat, or an answer to one, that is for this package and not for raft.
func (r *replica) say(kind raftpb.MessageType, to, term uint64, what byte) {
	commit := r.applied
	m := &raftpb.Message{Type: kind.Enum(), To: &to, From: &r.o.Replica, Term: &term, Context: []byte{what}}
	if kind == raftpb.MsgHeartbeat {
		m.Commit = &commit
	}
	r.send(m)
}

// hush looks at a message for what concerns rest. It returns true when the message is not for raft.
func (r *replica) hush(m *raftpb.Message) bool {
	own := len(m.GetContext()) == 1
	switch {
	case own && m.GetType() == raftpb.MsgHeartbeat:
		r.restWith(m)
		return true
	case own && m.GetType() == raftpb.MsgHeartbeatResp:
		if m.GetTerm() == r.term {
			r.wake(m)
			if what := m.GetContext()[0]; what == sayWhole || what == sayFilling {
				r.member(m.GetFrom()).filling = what == sayFilling
				r.measure()
			}
		}
		return true
	case r.leading && m.GetTerm() == r.term && !m.GetReject() &&
		(m.GetType() == raftpb.MsgHeartbeatResp || m.GetType() == raftpb.MsgAppResp):
		return false // answers to what this leader has sent
	}
	r.wake(m)
	return false
}

// restWith does what a leader says that rests, if this replica is where the leader thinks it is.
func (r *replica) restWith(m *raftpb.Message) {
	plain := &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), To: m.To, From: m.From, Term: m.Term, Commit: m.Commit}
	_ = r.node.Step(plain)
	known := m.GetTerm() == r.term && m.GetFrom() == r.leader && r.window.last() == m.GetCommit() && len(r.stash) == 0
	if !known || r.reads.pending() {
		r.say(raftpb.MsgHeartbeatResp, m.GetFrom(), m.GetTerm(), sayWake)
		return
	}
	r.resting = true
	if m.GetContext()[0] == sayRest {
		r.safe = m.GetCommit()
	}
	r.publishProgress()
}

// fills notes how many partitions here are not whole. While some are not, the leader does not count this replica as in
// sync: its acknowledgements say so.
func (r *replica) fills(partitions int) {
	was := r.filling
	r.filling = partitions
	if (was > 0) == (partitions > 0) || r.leading || r.leader == raft.None {
		return
	}
	what := byte(sayWhole)
	if partitions > 0 {
		what = sayFilling
	}
	r.say(raftpb.MsgHeartbeatResp, r.leader, r.term, what)
}

// wake begins to tick again, because of a message if m is not nil. Unless it came from the leader, the leader is told,
// whose heartbeats the others need then.
func (r *replica) wake(m *raftpb.Message) {
	r.idleTicks = 0
	if !r.resting || r.alone() || r.retired != "" {
		return
	}
	r.resting = false
	if mutant.On("woken-clock-stands") {
		r.changes.Wake()
		r.publishProgress()
	} else {
		r.publishStatus() // who ticks may sleep while all shards rest, and looks at the status when it is woken
	}
	if !r.leading && r.leader != raft.None && (m == nil || m.GetFrom() != r.leader) {
		r.say(raftpb.MsgHeartbeatResp, r.leader, r.term, sayWake)
	}
}
