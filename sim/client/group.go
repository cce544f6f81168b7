package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
)

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func (p TopicPartition) String() string { return fmt.Sprintf("%s-%d", p.Topic, p.Partition) }

// The protocols of a Member.
const (
	Eager       = "eager"       // classic; gives everything back before it joins again
	Cooperative = "cooperative" // classic; gives back only what another member gets
	Consumer    = "consumer"    // KIP-848
)

// MemberOptions are the rules of a member of a group.
type MemberOptions struct {
	Group    string
	Protocol string
	Instance string // of a static member
	Topics   []string
	// Pattern, of a member of the consumer protocol, is its subscription instead of Topics; Matching are those that it may
	// match, of which the member wants to know the ids.
	Pattern  string
	Matching []string
	// Assignor is the assignor that is preferred: for classic members one of range and roundrobin, for members of the
	// consumer protocol one of the broker's, or empty.
	Assignor           string
	Session, Rebalance time.Duration
	// Slow says how long a member of the consumer protocol takes to give partitions back; nil means no time.
	Slow func() time.Duration
	// Taken is called when the member begins to have partitions, Renewed when it was told that it still is a member.
	Taken   func([]TopicPartition)
	Renewed func()
	// Sent is told every heartbeat and commit that goes out. They are not changed afterwards.
	Sent func(wire.Message)
}

// Member is a member of a consumer group, as the Java client is one. It belongs to one task, which calls Step again and
// again.
type Member struct {
	c *Client
	o MemberOptions
	// ID and Generation are how the coordinator knows it. The generation of a member of the consumer protocol is its epoch.
	ID         string
	Generation int32
	// Earlier is the epoch that a member of the consumer protocol was told before, if it has not been fenced since.
	Earlier int32
	// Assigned is the generation for which a classic coordinator has given the member its part. Until then the generation is
	// known to this coordinator only: after a failover the next one may give its number to another.
	Assigned int32
	// Joined says that the member is in a generation, as far as it knows, and has what it is to have.
	Joined bool
	// Fenced is why it can never be a member again, if so.
	Fenced error
	// Owned are the partitions that it has.
	Owned []Holding
	// Until is how long it can be sure to be a member, having heard nothing.
	Until host.Instant

	coordinator string
	// Of the classic protocol:
	counts map[string]int // partitions of the topics that the leader assigned
	leads  bool
	stale  bool // it was assigned what it does not subscribe to
	// Of the consumer protocol:
	again    bool // the whole subscription is to be said again
	report   bool // what it has has changed
	told     bool // there is a target that it does not have
	target   []TopicPartition
	revoke   host.Instant // when it will have given back what is not in target
	lost     host.Instant // when the first heartbeat since the last answered one was sent
	interval time.Duration
}

// Holding is a partition that a member has: until End, if that is not zero, when it has to give it back.
type Holding struct {
	TopicPartition
	End host.Instant
}

// NewMember returns a member that has not joined.
func NewMember(c *Client, o MemberOptions) *Member {
	least := map[int16]int16{}
	if o.Instance != "" {
		// Before version 9 of JoinGroup a static leader that is back does not hear that it leads, and nobody sees topics grow.
		least = map[int16]int16{wire.KeyJoinGroup: 9, wire.KeySyncGroup: 3, wire.KeyHeartbeat: 3, wire.KeyLeaveGroup: 3, wire.KeyOffsetCommit: 7}
	}
	if o.Protocol == Consumer {
		least[wire.KeyOffsetCommit] = 9
	}
	if o.Pattern != "" {
		least[wire.KeyConsumerGroupHeartbeat] = 1
	}
	c.least = least
	return &Member{c: c, o: o, Generation: -1}
}

// lease is how much of a time on another clock a member counts on.
func lease(d time.Duration) time.Duration { return d * 8 / 10 }

// Has says whether the member may be sure that it has a partition.
func (m *Member) Has(p TopicPartition) bool {
	now := m.c.h.Clock.Now()
	return now < m.Until && slices.ContainsFunc(m.Owned, func(h Holding) bool { return h.TopicPartition == p && (h.End == 0 || now < h.End) })
}

// Holds says whether the member has a partition as far as it knows.
func (m *Member) Holds(p TopicPartition) bool {
	return slices.ContainsFunc(m.Owned, func(h Holding) bool { return h.TopicPartition == p })
}

// Step joins the group if the member is not in it, and sends a heartbeat if it is. An error is what the coordinator said,
// or that it could not be asked; the member has drawn its conclusions.
func (m *Member) Step() error {
	if m.Fenced != nil {
		return m.Fenced
	}
	if err := m.find(); err != nil {
		return err
	}
	if m.o.Protocol == Consumer {
		return m.beat()
	}
	if m.Joined {
		return m.heartbeat()
	}
	if err := m.join(); err != nil {
		return err
	}
	return m.heartbeat()
}

// Topics are those that the member subscribes to.
func (m *Member) Topics() []string { return slices.Concat(m.o.Topics, m.o.Matching) }

// Subscribe changes the topics.
func (m *Member) Subscribe(topics []string) {
	if m.o.Topics = topics; m.o.Protocol == Consumer {
		m.again = true
	} else {
		m.Joined = false
	}
}

// Forget is the end of the process: nothing is said to anybody.
func (m *Member) Forget() {
	m.Owned, m.Joined, m.ID, m.Generation, m.Until = nil, false, "", -1, 0
	m.told, m.target, m.Earlier = false, nil, 0
}

// abandon stops having everything, because others may have it by now.
func (m *Member) abandon() {
	m.Owned, m.Joined, m.told, m.target, m.Earlier = nil, false, false, nil, 0
}

// find looks for the coordinator if it is not known.
func (m *Member) find() error {
	if m.coordinator != "" {
		return nil
	}
	addr, err := m.c.Coordinator(m.o.Group)
	if err == nil {
		m.coordinator = addr
	}
	return err
}

// ask sends a request to the coordinator, which is looked for again when it does not answer or is not the one.
func (m *Member) ask(q wire.Message, patience time.Duration) (wire.Message, error) {
	if m.o.Sent != nil {
		m.o.Sent(q)
	}
	was := m.c.o.Timeout
	m.c.o.Timeout = max(was, patience)
	answer, err := m.c.Do(m.coordinator, q)
	m.c.o.Timeout = was
	if err != nil {
		m.coordinator = ""
	}
	return answer, err
}

// heard takes what the coordinator said of itself.
func (m *Member) heard(code wire.ErrorCode) error {
	switch code {
	case wire.ErrNotCoordinator, wire.ErrCoordinatorNotAvailable:
		m.coordinator = ""
	}
	return code.Err()
}

func (m *Member) instance() *string {
	if m.o.Instance == "" {
		return nil
	}
	return &m.o.Instance
}

// Leave leaves the group. A static member of the consumer protocol may leave for a while, keeping its place.
func (m *Member) Leave(forAWhile bool) error {
	if m.ID == "" || m.Fenced != nil {
		return nil
	}
	id := m.ID
	m.Forget()
	if err := m.find(); err != nil {
		return err
	}
	if m.o.Protocol == Consumer {
		q := wire.NewConsumerGroupHeartbeatRequest()
		q.GroupId, q.MemberId, q.MemberEpoch, q.InstanceId = m.o.Group, id, -1, m.instance()
		if forAWhile && m.o.Instance != "" {
			q.MemberEpoch = -2
		}
		answer, err := m.ask(q, 0)
		if err != nil {
			return err
		}
		return m.heard(answer.(*wire.ConsumerGroupHeartbeatResponse).ErrorCode)
	}
	q := wire.NewLeaveGroupRequest()
	q.GroupId, q.MemberId = m.o.Group, id
	q.Members = []wire.LeaveGroupRequestMemberIdentity{{MemberId: id, GroupInstanceId: m.instance()}}
	answer, err := m.ask(q, 0)
	if err != nil {
		return err
	}
	a := answer.(*wire.LeaveGroupResponse)
	if a.ErrorCode == wire.ErrNone && len(a.Members) > 0 {
		return m.heard(a.Members[0].ErrorCode)
	}
	return m.heard(a.ErrorCode)
}

// errNotNow is the error of an operation that needs a member.
var errNotNow = errors.New("not a member now")

// take begins to have partitions, of those that are assigned.
func (m *Member) take(assigned []TopicPartition) {
	var taken []TopicPartition
	for _, p := range assigned {
		if !m.Holds(p) {
			taken = append(taken, p)
			m.Owned = append(m.Owned, Holding{TopicPartition: p})
		}
	}
	if len(taken) > 0 && m.o.Taken != nil {
		m.o.Taken(taken)
	}
}

// keep gives back what is not assigned, and says whether there was any.
func (m *Member) keep(assigned []TopicPartition) bool {
	before := len(m.Owned)
	m.Owned = slices.DeleteFunc(m.Owned, func(h Holding) bool { return !slices.Contains(assigned, h.TopicPartition) })
	return len(m.Owned) < before
}

// renewed notes that the coordinator has heard of the member since a request was sent.
func (m *Member) renewed(sent host.Instant) {
	m.Until = sent.Add(lease(min(m.o.Session, m.o.Rebalance)))
	if m.o.Renewed != nil {
		m.o.Renewed()
	}
}
