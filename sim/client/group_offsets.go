package client

import (
	"slices"

	"millrace/net/wire"
)

// Commit is an offset to be committed, and what came of it.
type Commit struct {
	TopicPartition
	Offset      int64
	LeaderEpoch int32
	Metadata    string
	// Err is nil when the offset was committed.
	Err error
}

// Commit commits offsets as the member.
func (m *Member) Commit(list []*Commit) {
	err := m.find()
	if m.ID == "" || m.Generation < 0 {
		err = errNotNow
	}
	if err != nil {
		for _, x := range list {
			x.Err = &NotSent{err}
		}
		return
	}
	q := wire.NewOffsetCommitRequest()
	q.GroupId, q.GenerationIdOrMemberEpoch, q.MemberId, q.GroupInstanceId = m.o.Group, m.Generation, m.ID, m.instance()
	for _, x := range list {
		p := wire.NewOffsetCommitRequestPartition()
		p.PartitionIndex, p.CommittedOffset, p.CommittedLeaderEpoch, p.CommittedMetadata = x.Partition, x.Offset, x.LeaderEpoch, &x.Metadata
		i := slices.IndexFunc(q.Topics, func(t wire.OffsetCommitRequestTopic) bool { return t.Name == x.Topic })
		if i < 0 {
			i = len(q.Topics)
			q.Topics = append(q.Topics, wire.OffsetCommitRequestTopic{Name: x.Topic, TopicId: m.c.topicID(x.Topic)})
		}
		q.Topics[i].Partitions = append(q.Topics[i].Partitions, p)
	}
	answer, err := m.ask(q, 0)
	if err != nil {
		for _, x := range list {
			x.Err = err
		}
		return
	}
	var worst wire.ErrorCode
	for _, x := range list {
		x.Err = commitCode(answer.(*wire.OffsetCommitResponse), x.TopicPartition, m.c.topicID(x.Topic))
		if code, ok := x.Err.(wire.ErrorCode); ok {
			worst = code
		}
	}
	if worst == wire.ErrNone {
		return
	}
	if m.o.Protocol == Consumer { // the next heartbeat tells more
		_ = m.heard(worst)
		return
	}
	_ = m.refused(worst)
}

// NotSent says that a request was not sent.
type NotSent struct{ Cause error }

func (e *NotSent) Error() string { return "not sent: " + e.Cause.Error() }

// commitCode is what an answer says of one partition.
func commitCode(a *wire.OffsetCommitResponse, p TopicPartition, id wire.UUID) error {
	for _, t := range a.Topics {
		if t.Name != p.Topic && (t.TopicId.IsZero() || t.TopicId != id) {
			continue
		}
		for _, x := range t.Partitions {
			if x.PartitionIndex == p.Partition {
				return x.ErrorCode.Err()
			}
		}
	}
	return &Violation{"OffsetCommit: no answer for " + p.String()}
}

// Repeat sends a commit of a member again over another connection, to whom it says coordinates, as it is but for the
// metadata. It tells what came of each partition.
func (c *Client) Repeat(q *wire.OffsetCommitRequest, names []TopicPartition) []error {
	errs := make([]error, len(names))
	addr, err := c.Coordinator(q.GroupId)
	var answer wire.Message
	if err != nil {
		err = &NotSent{err}
	} else {
		answer, err = c.Do(addr, q)
	}
	for i, p := range names {
		if errs[i] = err; err == nil {
			errs[i] = commitCode(answer.(*wire.OffsetCommitResponse), p, c.topicID(p.Topic))
		}
	}
	return errs
}

// CommittedOffset is a committed offset; Offset -1 means that there is none.
type CommittedOffset struct {
	TopicPartition
	Offset   int64
	Metadata string
	Err      error
}

// Committed asks for the committed offsets of partitions, stable ones if it says so: an address, which need not be the
// coordinator's.
func (c *Client) Committed(addr, group string, stable bool, list []TopicPartition) ([]CommittedOffset, error) {
	return c.committed(addr, wire.OffsetFetchRequestGroup{GroupId: group, MemberEpoch: -1}, stable, list)
}

// Committed asks for the committed offsets of partitions, as the member.
func (m *Member) Committed(list []TopicPartition) ([]CommittedOffset, error) {
	if err := m.find(); err != nil {
		return nil, err
	}
	g := wire.OffsetFetchRequestGroup{GroupId: m.o.Group, MemberEpoch: -1}
	if m.o.Protocol == Consumer && m.Generation > 0 {
		g.MemberId, g.MemberEpoch = &m.ID, m.Generation
	}
	got, err := m.c.committed(m.coordinator, g, true, list)
	if code, ok := err.(wire.ErrorCode); ok {
		_ = m.heard(code)
	} else if err != nil {
		m.coordinator = ""
	}
	return got, err
}

func (c *Client) committed(addr string, g wire.OffsetFetchRequestGroup, stable bool, list []TopicPartition) ([]CommittedOffset, error) {
	m := wire.NewOffsetFetchRequest()
	m.GroupId, m.RequireStable = g.GroupId, stable
	for _, p := range list {
		i := slices.IndexFunc(m.Topics, func(t wire.OffsetFetchRequestTopic) bool { return t.Name == p.Topic })
		if i < 0 {
			i = len(m.Topics)
			m.Topics = append(m.Topics, wire.OffsetFetchRequestTopic{Name: p.Topic})
			g.Topics = append(g.Topics, wire.OffsetFetchRequestTopics{Name: p.Topic, TopicId: c.topicID(p.Topic)})
		}
		m.Topics[i].PartitionIndexes = append(m.Topics[i].PartitionIndexes, p.Partition)
		g.Topics[i].PartitionIndexes = m.Topics[i].PartitionIndexes
	}
	m.Groups = []wire.OffsetFetchRequestGroup{g}
	answer, err := c.Do(addr, m)
	if err != nil {
		return nil, err
	}
	r := answer.(*wire.OffsetFetchResponse)
	if r.ErrorCode != wire.ErrNone {
		return nil, r.ErrorCode
	}
	var got []CommittedOffset
	add := func(name string, partition int32, offset int64, metadata *string, code wire.ErrorCode) {
		x := CommittedOffset{TopicPartition: TopicPartition{name, partition}, Offset: offset, Err: code.Err()}
		if metadata != nil {
			x.Metadata = *metadata
		}
		got = append(got, x)
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			add(t.Name, p.PartitionIndex, p.CommittedOffset, p.Metadata, p.ErrorCode)
		}
	}
	for _, g := range r.Groups {
		if g.ErrorCode != wire.ErrNone {
			return nil, g.ErrorCode
		}
		for i, t := range g.Topics {
			if t.Name == "" && i < len(m.Topics) {
				t.Name = m.Topics[i].Name
			}
			for _, p := range t.Partitions {
				add(t.Name, p.PartitionIndex, p.CommittedOffset, p.Metadata, p.ErrorCode)
			}
		}
	}
	if len(got) != len(list) {
		return nil, &Violation{"OffsetFetch: answers for other partitions than were asked for"}
	}
	return got, nil
}
