package shard

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host/mutant"
)

const (
	// seekRank is how many ticks each rank waits longer with a campaign, votingTicks how many a request for votes has.
	seekRank    = 2
	votingTicks = 4
	// mostSeeks is how often a replica campaigns after a suspicion before it goes back to raft's own timeouts.
	mostSeeks = 20
	// stuckTicks is after how many ticks without an answer of the write-ahead log a leader gives up.
	stuckTicks = 30
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
	// voting counts the ticks since the last attempt.
	voting int
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
	r.abdicate()
	r.publishProgress()
}

// seek campaigns unless there is a leader. A request for votes is given some time, a question whether there would be
// any is asked again soon: it may have come before the others heard of what happened.
func (r *replica) seek() {
	s := &r.seeking
	if r.leader != raft.None {
		*s = seeking{}
		return
	}
	s.in = 1
	if s.voting++; r.node.BasicStatus().RaftState == raft.StateCandidate && s.voting < votingTicks {
		return
	}
	s.voting = 0
	s.left--
	if !s.soon {
		s.in += seekRank * r.rank()
	}
	r.o.Numbers.Campaigns.Add(1)
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
	if r.leading && !mutant.On("replica-lost-snapshot-not-sent-again") {
		// A connection may have taken a snapshot after the node was gone, and before anybody saw that it had broken. If it is
		// on the way after all, the second one is ignored.
		r.node.ReportSnapshot(m.Replica, raft.SnapshotFailure)
	}
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
	r.o.Numbers.Campaigns.Add(1)
	_ = r.node.Campaign()
}

type transfer int32

func (t transfer) happen(r *replica) { r.handOver(int32(t)) }

// handOver moves the leadership to the replica on a node, or with -1 to the best one.
func (r *replica) handOver(node int32) {
	if r.dead || !r.serving || r.alone() {
		return
	}
	r.measure()
	var to *member
	for _, m := range r.others {
		if m.inSync && (node < 0 || m.Node == node) && (to == nil || m.match > to.match) {
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

// abdicate hands the leadership over when this node's disk has not answered for long: nothing is applied here before it
// is durable here, whatever the others have.
func (r *replica) abdicate() {
	if len(r.storing) == 0 || !r.serving || r.transferring || r.ticks-r.storing[0].tick < stuckTicks {
		return
	}
	r.host.Log.Warn("the write-ahead log does not get on, another replica is to lead", "shard", r.id)
	r.handOver(-1)
}
