package client

import (
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
)

// beat is a heartbeat of the consumer protocol: it joins, says what has changed, and learns what the member is to have.
func (m *Member) beat() error {
	m.reconcile()
	q := wire.NewConsumerGroupHeartbeatRequest()
	if m.Generation < 0 {
		m.Generation = 0
	}
	if m.ID == "" {
		m.ID = newMemberID(m.c.h)
	}
	q.GroupId, q.MemberId, q.MemberEpoch, q.InstanceId = m.o.Group, m.ID, m.Generation, m.instance()
	if m.Generation == 0 || m.again {
		q.RebalanceTimeoutMs = int32(m.o.Rebalance.Milliseconds())
		if m.o.Pattern != "" {
			q.SubscribedTopicRegex = &m.o.Pattern
		} else {
			q.SubscribedTopicNames = m.o.Topics
		}
		if m.o.Assignor != "" {
			q.ServerAssignor = &m.o.Assignor
		}
	}
	if m.Generation == 0 || m.again || m.report {
		q.TopicPartitions = m.has()
	}
	sent := m.c.h.Clock.Now()
	if m.lost == 0 {
		m.lost = sent
	}
	answer, err := m.ask(q, 0)
	if err != nil {
		m.again = true // it is not known what of it has arrived
		return err
	}
	a := answer.(*wire.ConsumerGroupHeartbeatResponse)
	if a.ErrorCode != wire.ErrNone {
		return m.rejected(a.ErrorCode)
	}
	if m.Generation > 0 && a.MemberEpoch < m.Generation {
		return &Violation{"ConsumerGroupHeartbeat: the epoch of member " + m.ID + " goes back"}
	}
	if a.MemberEpoch != m.Generation {
		m.Earlier = m.Generation
	}
	since := m.lost
	m.Generation, m.again, m.report, m.lost = a.MemberEpoch, false, false, 0
	m.interval = time.Duration(a.HeartbeatIntervalMs) * time.Millisecond
	if a.Assignment != nil {
		if err := m.instructed(a.Assignment, since); err != nil {
			return err
		}
	}
	m.renewed(sent)
	m.reconcile()
	return nil
}

// has lists what the member has, as a heartbeat says it.
func (m *Member) has() []wire.ConsumerGroupHeartbeatRequestTopicPartitions {
	list := []wire.ConsumerGroupHeartbeatRequestTopicPartitions{}
	for _, h := range m.Owned {
		list = append(list, wire.ConsumerGroupHeartbeatRequestTopicPartitions{TopicId: m.c.topicID(h.Topic), Partitions: []int32{h.Partition}})
	}
	return list
}

// rejected draws the conclusions from an error.
func (m *Member) rejected(code wire.ErrorCode) error {
	switch code {
	case wire.ErrFencedMemberEpoch, wire.ErrUnknownMemberId, wire.ErrGroupIdNotFound:
		m.abandon()
		m.Generation = 0
	case wire.ErrFencedInstanceId:
		m.abandon()
		m.Fenced = code
	}
	m.again = true
	return m.heard(code)
}

// instructed takes what the member is to have from now on. Who asked first may have been told at any time since.
func (m *Member) instructed(a *wire.ConsumerGroupHeartbeatResponseAssignment, since host.Instant) error {
	var list []TopicPartition
	for _, t := range a.TopicPartitions {
		name := m.topicName(t.TopicId)
		if name == "" {
			if err := m.Look(); err != nil {
				m.again = true // to be told once more
				return err
			}
			if name = m.topicName(t.TopicId); name == "" {
				m.again = true
				return errUnknownTopic
			}
		}
		for _, p := range t.Partitions {
			list = append(list, TopicPartition{name, p})
		}
	}
	revokes := false
	for i := range m.Owned {
		h := &m.Owned[i]
		switch gone := !slices.Contains(list, h.TopicPartition); {
		case gone && h.End == 0:
			h.End = since.Add(lease(m.o.Rebalance))
			revokes = true
		case !gone:
			h.End = 0
		}
	}
	if revokes && m.o.Slow != nil {
		m.revoke = m.c.h.Clock.Now().Add(m.o.Slow())
	}
	m.target, m.told, m.Joined = list, true, false
	return nil
}

func (m *Member) topicName(id wire.UUID) string {
	for _, name := range slices.Concat(m.o.Topics, m.o.Matching) {
		if m.c.topicID(name) == id {
			return name
		}
	}
	return ""
}

// reconcile gives back what the member is not to have, when it is done with it, and then takes the rest.
func (m *Member) reconcile() {
	if !m.told || m.c.h.Clock.Now() < m.revoke {
		return
	}
	before := len(m.Owned)
	m.report = m.keep(m.target) || m.report
	if m.c.h.Clock.Now() < m.Until {
		m.take(m.target)
		m.told, m.Joined = false, true
	}
	m.report = m.report || len(m.Owned) != before
}

// newMemberID makes the id that a member gives itself.
func newMemberID(h host.Host) string {
	const digits = "0123456789abcdef"
	n := h.Random.Uint64("sim/client member id")
	b := make([]byte, 16)
	for i := range b {
		b[i] = digits[n>>(4*i)&15]
	}
	return string(b)
}
