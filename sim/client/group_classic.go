package client

import (
	"maps"
	"slices"

	"millrace/net/wire"
)

// protocols are what a member of the classic protocol offers, the preferred one first.
func (m *Member) protocols() []string {
	switch {
	case m.o.Protocol == Cooperative:
		return []string{"cooperative-sticky"}
	case m.o.Assignor == "roundrobin":
		return []string{"roundrobin", "range"}
	}
	return []string{"range", "roundrobin"}
}

// subscription is what the member says of itself to the leader.
func (m *Member) subscription() []byte {
	s := wire.NewConsumerProtocolSubscription()
	s.Topics = m.o.Topics
	s.GenerationId = m.Generation
	version := int16(0)
	if m.stale { // Kafka's consumers always say their generation; here what is the same again is another way, too
		version = 2
	}
	if m.o.Protocol == Cooperative {
		version = 2
		for _, h := range m.Owned {
			s.OwnedPartitions = append(s.OwnedPartitions,
				wire.ConsumerProtocolSubscriptionTopicPartition{Topic: h.Topic, Partitions: []int32{h.Partition}})
		}
	}
	return embedded(s, version)
}

// embedded encodes a message of the consumers' own protocol.
func embedded(m wire.Record, version int16) []byte {
	b, err := wire.AppendRecord([]byte{byte(version >> 8), byte(version)}, m, version)
	if err != nil {
		panic("sim/client: " + err.Error())
	}
	return b
}

// join joins the group and asks for the assignment.
func (m *Member) join() error {
	if m.o.Protocol == Eager {
		m.Owned = nil // before anybody can know
	}
	joined, err := m.joinGroup()
	if err != nil {
		return err
	}
	m.ID, m.Generation, m.Assigned = joined.MemberId, joined.GenerationId, -1
	q := wire.NewSyncGroupRequest()
	q.GroupId, q.MemberId, q.GenerationId, q.GroupInstanceId = m.o.Group, m.ID, m.Generation, m.instance()
	q.ProtocolType, q.ProtocolName = joined.ProtocolType, joined.ProtocolName
	if q.ProtocolType == nil { // an old version of one request, and a new one of the other, which wants to know
		q.ProtocolType = new("consumer")
	}
	switch m.leads = joined.Leader == m.ID; {
	case m.leads && joined.SkipAssignment:
		// It is back, and the assignment stands. It does not know for how many partitions that was, so it will assign anew.
		m.counts = make(map[string]int)
		for _, name := range m.o.Topics {
			m.counts[name] = -1
		}
	case m.leads:
		if q.Assignments, err = m.assign(joined); err != nil {
			return err
		}
	}
	answer, err := m.ask(q, m.o.Rebalance)
	if err != nil {
		return err
	}
	synced := answer.(*wire.SyncGroupResponse)
	if synced.ErrorCode != wire.ErrNone {
		return m.refused(synced.ErrorCode)
	}
	m.Assigned = m.Generation
	return m.assigned(synced.Assignment)
}

// joinGroup joins, a second time if it is given an id for that.
func (m *Member) joinGroup() (*wire.JoinGroupResponse, error) {
	for again := true; ; again = false {
		q := wire.NewJoinGroupRequest()
		q.GroupId, q.MemberId, q.GroupInstanceId, q.ProtocolType = m.o.Group, m.ID, m.instance(), "consumer"
		q.SessionTimeoutMs, q.RebalanceTimeoutMs = int32(m.o.Session.Milliseconds()), int32(m.o.Rebalance.Milliseconds())
		for _, name := range m.protocols() {
			q.Protocols = append(q.Protocols, wire.JoinGroupRequestProtocol{Name: name, Metadata: m.subscription()})
		}
		answer, err := m.ask(q, m.o.Rebalance+m.c.o.Timeout)
		if err != nil {
			return nil, err
		}
		a := answer.(*wire.JoinGroupResponse)
		switch {
		case a.ErrorCode == wire.ErrNone:
			return a, nil
		case a.ErrorCode == wire.ErrMemberIdRequired && again:
			m.ID = a.MemberId
		default:
			return nil, m.refused(a.ErrorCode)
		}
	}
}

// refused draws the conclusions from an error that the coordinator gives a member.
func (m *Member) refused(code wire.ErrorCode) error {
	switch code {
	case wire.ErrUnknownMemberId:
		m.abandon()
		m.ID, m.Generation = "", -1
	case wire.ErrIllegalGeneration:
		m.abandon()
		m.Generation = -1
	case wire.ErrFencedInstanceId:
		m.abandon()
		m.Fenced = code
	case wire.ErrRebalanceInProgress:
		m.Joined = false
	}
	return m.heard(code)
}

// assigned takes the assignment. A cooperative member that gave something back joins again, so that others can have it.
func (m *Member) assigned(b []byte) error {
	var list []TopicPartition
	if len(b) > 0 {
		r := wire.NewReader(b)
		version := r.Int16()
		a := &wire.ConsumerProtocolAssignment{}
		a.Decode(r, min(version, 3))
		if r.Err() != nil {
			return &Violation{"SyncGroup: the assignment is not what a leader wrote: " + r.Err().Error()}
		}
		for _, t := range a.AssignedPartitions {
			for _, p := range t.Partitions {
				list = append(list, TopicPartition{t.Topic, p})
			}
		}
	}
	gave := m.keep(list)
	// A static member that comes back with other topics gets what it had, and nobody else hears of the topics. As Kafka's
	// consumers do, it takes nothing of that and joins again, naming its generation, by which it says something new.
	if m.stale = slices.ContainsFunc(list, func(p TopicPartition) bool { return !slices.Contains(m.o.Topics, p.Topic) }); m.stale {
		m.Joined = false
		return nil
	}
	m.Joined = !gave
	m.take(list)
	return nil
}

func (m *Member) heartbeat() error {
	q := wire.NewHeartbeatRequest()
	q.GroupId, q.MemberId, q.GenerationId, q.GroupInstanceId = m.o.Group, m.ID, m.Generation, m.instance()
	sent := m.c.h.Clock.Now()
	answer, err := m.ask(q, 0)
	if err != nil {
		return err
	}
	if code := answer.(*wire.HeartbeatResponse).ErrorCode; code != wire.ErrNone {
		return m.refused(code)
	}
	m.renewed(sent)
	if m.leads && m.grown() {
		m.Joined = false
	}
	return nil
}

// JoinAgain lets a member of a classic protocol say its subscription anew, in a way that the coordinator takes for new. Of a
// static member that came back with more topics than it had nobody hears before the next rebalance.
func (m *Member) JoinAgain() { m.Joined, m.stale = false, true }

// grown says whether the topics that the leader assigned have other numbers of partitions by now.
func (m *Member) grown() bool {
	for _, name := range slices.Sorted(maps.Keys(m.counts)) {
		if t := m.c.Topic(name); t != nil && len(t.Partitions) != m.counts[name] {
			return true
		}
	}
	return false
}

// Look asks for the metadata of the topics, as consumers do now and then.
func (m *Member) Look() error {
	names := slices.Concat(m.o.Topics, m.o.Matching)
	for name := range m.counts {
		names = append(names, name)
	}
	slices.Sort(names)
	return m.c.Refresh(slices.Compact(names)...)
}
