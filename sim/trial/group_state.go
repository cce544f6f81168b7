package trial

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"millrace/linearizability"
	"millrace/net/wire"
	"millrace/node/host"
	"millrace/sim/client"
)

// groupState is what is known of a group with members. Held against it:
//
//	a partition belongs to one member at a time: to who was told so, until it gave the partition back, or was silent for
//	  so long that it must count with being fenced
//	in a group of the classic protocol, nothing of an older generation than one that was told is taken
//	no commit is acknowledged for a partition that another member has
//	nobody is told of a committed offset that no member has read up to
//	committed offsets are registers (linearizability)
//	when nothing breaks any more, all partitions have owners who read them to their ends (group_settle.go)
type groupState struct {
	t       *trial
	name    string
	members []*memberState
	// newest is the newest generation of which a member has got its assignment.
	newest  int32
	kept    bool                            // a commit was acknowledged
	read    map[client.TopicPartition]int64 // how far its members have read
	said    []oldRequest                    // what its members sent, for the zombie to say again
	settled bool
	since   host.Instant // when everything else had ended
	commits int          // numbers them
	reached map[string]int
	// unanswered is the number of deletions of its offsets that nobody knows the outcome of.
	unanswered int
}

// memberState is a member, from life to life.
type memberState struct {
	group    *groupState
	actor    int
	plan     *MemberPlan
	m        *client.Member
	r        *reader
	life     int
	speaks   string // the protocol of this life
	insisted bool   // it has said anew in this life what it subscribes to
	retired  bool   // it will not come back
}

func (x *memberState) String() string {
	return fmt.Sprintf("member %d.%d (%s, id %q, generation %d)", x.actor, x.life, x.speaks, x.m.ID, x.m.Generation)
}

// group is the state of a group by name.
func (t *trial) group(name string) *groupState {
	i := slices.IndexFunc(t.groups, func(g *groupState) bool { return g.name == name })
	if i < 0 {
		i = len(t.groups)
		t.groups = append(t.groups, &groupState{t: t, name: name, read: make(map[client.TopicPartition]int64), reached: make(map[string]int)})
	}
	return t.groups[i]
}

// groupsReached counts what the groups have met.
func (t *trial) groupsReached(counts map[string]int) {
	for _, g := range t.groups {
		counts["(groups) "+strings.TrimPrefix(g.name, "members-")]++
		for what, n := range g.reached {
			counts["(groups) "+what] += n
		}
	}
}

// met counts what came of a request, by its error.
func (g *groupState) met(what string, err error) {
	var code wire.ErrorCode
	switch {
	case err == nil:
		g.reached[what]++
	case errors.As(err, &code):
		g.reached[what+" "+code.String()]++
	default:
		g.reached[what+" without an answer"]++
	}
}

// classic says that no member of the group ever speaks the consumer protocol.
func (g *groupState) classic() bool {
	return !slices.ContainsFunc(g.members, func(x *memberState) bool { return x.plan.Migrates || x.plan.Protocol == client.Consumer })
}

// pretends says that others want to be the same static member, and may take its place at any time. In a group of the
// consumer protocol they may not.
func (x *memberState) pretends() bool {
	if x.plan.Instance == "" || x.plan.Protocol == client.Consumer && !x.plan.Migrates {
		return false
	}
	return slices.ContainsFunc(x.group.members, func(o *memberState) bool { return o != x && o.plan.Instance == x.plan.Instance })
}

// owner is another member that can be sure that it has a partition, nil when none can.
func (g *groupState) owner(p client.TopicPartition, but *memberState) *memberState {
	for _, o := range g.members {
		if o != but && o.m != nil && !o.pretends() && o.m.Has(p) {
			return o
		}
	}
	return nil
}

// alone sees that nobody else has what a member was told that it has.
func (x *memberState) alone(list []client.TopicPartition) {
	if x.pretends() {
		return
	}
	for _, p := range list {
		if o := x.group.owner(p, x); o != nil {
			x.group.t.failf("group %s: %v has two owners: %v, and now %v", x.group.name, p, o, x)
		}
	}
}

// taken is called when the member begins to have partitions.
func (x *memberState) taken(list []client.TopicPartition) {
	x.group.t.world.Note("oracle: group %s: %v takes %v", x.group.name, x, list)
	x.group.reached["partitions taken"] += len(list)
	switch g := x.group; {
	case x.speaks == client.Consumer:
	case !g.kept: // an empty group in which nothing is committed is forgotten, and begins at the first generation again
		g.newest = x.m.Generation
	default:
		g.newest = max(g.newest, x.m.Generation)
	}
	x.alone(list)
}

// renewed is called when the coordinator has answered it.
func (x *memberState) renewed() {
	var list []client.TopicPartition
	for _, h := range x.m.Owned {
		list = append(list, h.TopicPartition)
	}
	x.alone(list)
}

// commit commits how far the member has read, and takes what came of it.
func (x *memberState) commit(list []*client.Commit) {
	g := x.group
	newest, called := g.newest, g.t.host.Clock.Now()
	owners := make([]*memberState, len(list))
	for i, c := range list {
		g.commits++
		c.Metadata = fmt.Sprintf("%d.%d/%d", x.actor, x.life, g.commits)
		owners[i] = g.owner(c.TopicPartition, x)
	}
	generation := x.m.Generation
	x.m.Commit(list)
	for i, c := range list {
		g.committed(x.String(), x.actor, c, called)
		g.met("commit", c.Err)
		if c.Err != nil {
			g.t.checkMember(x, "commit", c.Err)
			continue
		}
		g.kept = true
		if o := owners[i]; o != nil && !x.pretends() {
			g.t.failf("group %s: a commit of %v for %v was acknowledged, and %v had it", g.name, x, c.TopicPartition, o)
		}
		if generation < newest && g.classic() {
			g.t.failf("group %s: a commit of %v for %v was acknowledged in generation %d, after %d was told", g.name, x, c.TopicPartition, generation, newest)
		}
	}
}

// committed adds a commit to the history.
func (g *groupState) committed(who string, actor int, c *client.Commit, called host.Instant) {
	g.t.world.Note("oracle: group %s: %s commits %d (%s) for %v: %v", g.name, who, c.Offset, c.Metadata, c.TopicPartition, c.Err)
	var unsent *client.NotSent
	if errors.As(c.Err, &unsent) {
		return
	}
	op := linearizability.Operation{Log: g.name + "/" + c.TopicPartition.String(), Client: actor, Kind: linearizability.Commit,
		Call: int64(called), Return: int64(g.t.host.Clock.Now()), Offset: c.Offset, Records: []uint64{commitHash(c.Offset, c.Metadata)}}
	if c.Err != nil {
		op.Refused = certainly(c.Err)
		op.Unknown = !op.Refused
	}
	g.t.oracle.history = append(g.t.oracle.history, op)
}

// commitHash identifies a commit.
func commitHash(offset int64, metadata string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", offset, metadata)
	return h.Sum64()
}

// certainly says that an error of a commit says that it was not and will not be done.
func certainly(err error) bool {
	var code wire.ErrorCode
	if !errors.As(err, &code) {
		return false
	}
	return slices.Contains(membership, code) || code == wire.ErrUnknownTopicOrPartition || code == wire.ErrUnknownTopicId
}

// fetched takes committed offsets that were looked at.
func (g *groupState) fetched(who string, actor int, list []client.CommittedOffset, called host.Instant) {
	for _, c := range list {
		if c.Err != nil {
			if !tolerable(c.Err) {
				g.t.failf("group %s: offset fetch of %s for %v: %w", g.name, who, c.TopicPartition, c.Err)
			}
			continue
		}
		g.t.world.Note("oracle: group %s: %s finds %d (%s) for %v", g.name, who, c.Offset, c.Metadata, c.TopicPartition)
		op := linearizability.Operation{Log: g.name + "/" + c.TopicPartition.String(), Client: actor, Kind: linearizability.Committed,
			Call: int64(called), Return: int64(g.t.host.Clock.Now()), Offset: c.Offset}
		if c.Offset >= 0 {
			op.Records = []uint64{commitHash(c.Offset, c.Metadata)}
		}
		g.t.oracle.history = append(g.t.oracle.history, op)
		if c.Offset > g.read[c.TopicPartition] {
			g.t.failf("group %s: %d is committed for %v, its members have read %d", g.name, c.Offset, c.TopicPartition, g.read[c.TopicPartition])
		}
	}
}

// membership are the errors that a member of a group may get in a correct cluster, whatever breaks.
var membership = []wire.ErrorCode{wire.ErrUnknownMemberId, wire.ErrIllegalGeneration, wire.ErrRebalanceInProgress, wire.ErrFencedInstanceId,
	wire.ErrFencedMemberEpoch, wire.ErrStaleMemberEpoch, wire.ErrUnreleasedInstanceId, wire.ErrGroupIdNotFound}

// checkMember fails the trial on an error that a member cannot explain.
func (t *trial) checkMember(x *memberState, what string, err error) {
	var code wire.ErrorCode
	if tolerable(err) || errors.As(err, &code) && slices.Contains(membership, code) {
		return
	}
	if x.plan.Migrates && (code == wire.ErrInconsistentGroupProtocol || code == wire.ErrUnsupportedVersion) {
		return // the group speaks the other protocol now
	}
	t.failf("group %s: %s of %v: %w", x.group.name, what, x, err)
}
