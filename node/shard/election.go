package shard

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

const (
	// seekAgain is how many ticks a campaign has until the next attempt; each rank waits two ticks longer.
	seekAgain = 3
	seekRank  = 2
	// mostSeeks is how often a replica campaigns after a suspicion before it goes back to raft's own timeouts.
	mostSeeks = 10
	// silence is after how many ticks without a word from the leader it is asked to speak: a message of its that was late
	// may have woken this replica after it was told to rest.
	silence = electionTicks / 2
)

// seeking are campaigns out of turn: after the leader's node was suspected, and of the preferred leader of a new shard.
type seeking struct {
	// left is how many attempts there are to come, in the ticks until the next. soon says that no rank waits: the others
	// may only just start.
	left, in int
	soon     bool
}

// tick is a tick of raft's clock.
type tick struct{}

func (tick) happen(r *replica) {
	if r.dead || r.retired != "" || r.alone() {
		return
	}
	r.ticks++
	if r.resting {
		return
	}
	if r.rest() {
		return
	}
	r.node.Tick()
	if m := r.member(r.leader); m != nil && r.ticks-m.contactTick == silence {
		r.say(raftpb.MsgHeartbeatResp, r.leader, r.term, sayWake)
	}
	for _, f := range r.reads.flights {
		f.age++
	}
	r.retryFlights(retryReads)
	if r.seeking.left > 0 {
		if r.seeking.in--; r.seeking.in <= 0 {
			r.seek()
		}
	}
	if r.transferring && r.node.BasicStatus().LeadTransferee == raft.None {
		r.transferring = false
	}
	r.measure()
	r.retrySnapshots()
	r.yieldLead()
	r.publishProgress()
}

// seek campaigns unless there is a leader.
func (r *replica) seek() {
	if r.leader != raft.None {
		r.seeking = seeking{}
		return
	}
	if r.seeking.soon && r.node.BasicStatus().RaftState != raft.StateCandidate {
		r.seeking.left--
		r.seeking.in = 1
		_ = r.node.Campaign()
		return
	}
	r.seeking.left--
	r.seeking.in = seekAgain + seekRank*r.rank()
	_ = r.node.Campaign()
}

// rank is this replica's place among the members that are not suspected. The order begins elsewhere from shard to shard,
// so that what one node led spreads over the others.
func (r *replica) rank() int {
	rank, n := 0, len(r.o.Members)
	for i := range n {
		o := r.o.Members[(i+int(r.id%uint64(n)))%n]
		if o.Replica == r.o.Replica {
			break
		}
		if !r.member(o.Replica).suspected {
			rank++
		}
	}
	if r.filling > 0 { // others first
		rank += n
	}
	return rank
}

type suspect int32

func (s suspect) happen(r *replica) {
	m := r.memberOn(int32(s))
	if r.dead || m == nil {
		return
	}
	m.suspected = true
	r.wake(nil)
	if r.leading {
		r.node.ReportUnreachable(m.Replica)
		r.measure()
		return
	}
	if r.leader != m.Replica {
		return
	}
	// Without this, the lease of a leader that was heard of a moment ago makes the others ignore pre-votes.
	_ = r.node.ForgetLeader()
	r.leader = raft.None
	r.seeking = seeking{left: mostSeeks, in: seekRank * r.rank()}
	if r.seeking.in == 0 {
		r.seek()
	}
}

type heard int32

func (h heard) happen(r *replica) {
	m := r.memberOn(int32(h))
	if r.dead || m == nil {
		return
	}
	m.suspected = false
	r.wake(nil)
	r.measure()
}

type unreachable int32

func (u unreachable) happen(r *replica) {
	m := r.memberOn(int32(u))
	if r.dead || m == nil || !r.leading {
		return
	}
	r.wake(nil)
	r.node.ReportUnreachable(m.Replica)
	r.node.ReportSnapshot(m.Replica, raft.SnapshotFailure) // if it waits for one
}

type campaign struct{}

func (campaign) happen(r *replica) {
	if r.dead || r.retired != "" {
		return
	}
	r.wake(nil)
	_ = r.node.Campaign()
}

type transfer int32

func (t transfer) happen(r *replica) {
	if r.dead || !r.serving || r.alone() {
		return
	}
	r.measure()
	var to *member
	for _, m := range r.others {
		if m.inSync && (t < 0 || m.Node == int32(t)) && (to == nil || m.match > to.match) {
			to = m
		}
	}
	if to == nil {
		return
	}
	r.wake(nil)
	r.transferring = true
	r.node.TransferLeader(to.Replica)
}
