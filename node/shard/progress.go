package shard

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"millrace/net/wire"
	"millrace/node/host"
)

const (
	defaultMaxLag = 30 * time.Second
	// silentTicks is after how many ticks without a word a follower is not in sync.
	silentTicks = 2 * electionTicks
	// mostProbing is how long a follower to which messages were lost stays in sync when it does not catch up.
	mostProbing = time.Second
)

// member is another replica as this one sees it. What comes from raft's progress counts only while this one leads.
type member struct {
	Member
	// suspected says that its node seems to be dead.
	suspected bool
	// contact is when it was last heard of, contactTick the tick.
	contact     host.Instant
	contactTick int

	match uint64
	state tracker.StateType
	// caughtUp is when it last had all that the leader had. target is the leader's last entry as of targetAt, which is
	// when caughtUp will be set to once match reaches it.
	caughtUp, targetAt host.Instant
	target             uint64
	inSync             bool
	// filling says that some of its partitions are not whole, full that its disk has no room for produces.
	filling, full bool
	// snapshotTick is the tick when it last did not wait for a snapshot.
	snapshotTick int
}

// lagging is an acks=all batch that is applied and waits for more durable copies than the majority.
type lagging struct {
	index uint64
	waiting
}

// awaitsSnapshot says that it was sent a snapshot and has not acknowledged it.
func (m *member) awaitsSnapshot() bool { return m.state == tracker.StateSnapshot }

// member finds another replica by its number.
func (r *replica) member(replica uint64) *member {
	for _, m := range r.others {
		if m.Replica == replica {
			return m
		}
	}
	return nil
}

// memberOn finds another replica by its node.
func (r *replica) memberOn(node int32) *member {
	for _, m := range r.others {
		if m.Node == node {
			return m
		}
	}
	return nil
}

// measure reads raft's progress of the followers and decides who is in sync. It runs at ticks, when the leader begins to
// serve, and when followers answer while somebody waits for them.
func (r *replica) measure() {
	if !r.leading || r.alone() {
		return
	}
	now, last := r.host.Clock.Now(), r.window.last()
	r.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		m := r.member(id)
		if m == nil {
			r.match = p.Match
			return
		}
		m.match, m.state = p.Match, p.State
		if m.match >= m.target {
			m.caughtUp = max(m.caughtUp, m.targetAt)
			m.target, m.targetAt = last, now
			if m.match >= last {
				m.caughtUp = now
			}
		}
	})
	changed := false
	for _, m := range r.others {
		was := m.inSync
		m.inSync = r.decideInSync(m, now)
		changed = changed || was != m.inSync
	}
	if changed {
		r.publishStatus()
	}
	r.settle()
}

func (r *replica) decideInSync(m *member, now host.Instant) bool {
	behind := now.Sub(m.caughtUp)
	return !m.suspected && !m.filling && m.caughtUp != 0 && behind <= r.o.MaxLag && r.ticks-m.contactTick <= silentTicks &&
		m.match+1 >= r.window.first && (m.state == tracker.StateReplicate || behind <= mostProbing)
}

// lead begins to measure the followers, when this replica has become leader.
func (r *replica) lead() {
	now := r.host.Clock.Now()
	for _, m := range r.others {
		m.match, m.state, m.inSync, m.caughtUp = 0, tracker.StateProbe, false, 0
		m.target, m.targetAt = r.window.last()+1, now // the first entry of the term
		m.contactTick = r.ticks
	}
}

// inSync is the number of replicas in sync, this one too.
func (r *replica) inSync() int {
	n := 1
	for _, m := range r.others {
		if m.inSync {
			n++
		}
	}
	return n
}

// copies is how many durable copies an acks=all batch of a partition needs, when that is more than the majority that
// commits it; otherwise 0.
func (r *replica) copies(p *held) int {
	if need := r.minInSync(p); need > len(r.o.Members)/2+1 {
		return need
	}
	return 0
}

func (r *replica) minInSync(p *held) int {
	return min(p.lead.settings.MinInSync, len(r.o.Members))
}

// durableCopies counts the members whose log is durable up to an index, as far as the leader knows.
func (r *replica) durableCopies(index uint64) int {
	n := 0
	if r.match >= index {
		n++
	}
	for _, m := range r.others {
		if m.match >= index {
			n++
		}
	}
	return n
}

// settle answers the batches that have enough durable copies, or will not have them soon.
func (r *replica) settle() {
	if len(r.lagging) == 0 {
		return
	}
	inSync := r.inSync()
	r.lagging = slices.DeleteFunc(r.lagging, func(l lagging) bool {
		switch {
		case r.durableCopies(l.index) >= l.copies:
			l.pending.Set(l.result)
		case inSync < l.copies:
			l.pending.Set(tooFewAfterAppend(l.result))
		default:
			return false
		}
		return true
	})
}

// abandonLagging answers what waits for copies when this replica does not lead any more: it is committed, but nobody
// counts its copies.
func (r *replica) abandonLagging() {
	for _, l := range r.lagging {
		l.pending.Set(tooFewAfterAppend(l.result))
	}
	r.lagging = nil
}

func tooFewAfterAppend(result Result) Result {
	result.Error = wire.ErrNotEnoughReplicasAfterAppend
	result.Message = "the batch is committed, but there are not as many copies in sync as min.insync.replicas asks for"
	return result
}

// matches is Status.Matches.
func (r *replica) matches() []Match {
	now := r.host.Clock.Now()
	out := make([]Match, 0, len(r.o.Members))
	for _, o := range r.o.Members {
		m := r.member(o.Replica)
		if m == nil {
			out = append(out, Match{Node: o.Node, Match: max(r.match, r.applied), CaughtUp: now, LastContact: now})
			continue
		}
		out = append(out, Match{
			Node: m.Node, Match: m.match, CaughtUp: m.caughtUp, LastContact: m.contact, Behind: m.match+1 < r.window.first,
		})
	}
	return out
}

// inSyncNodes is Status.InSync.
func (r *replica) inSyncNodes() []int32 {
	nodes := []int32{r.nodeOf(r.o.Replica)}
	for _, m := range r.others {
		if m.inSync {
			nodes = append(nodes, m.Node)
		}
	}
	slices.Sort(nodes)
	return nodes
}
