package client

import (
	"strconv"

	"millrace/net/wire"
)

// Coordinator is the address of a group's coordinator.
func (c *Client) Coordinator(group string) (string, error) {
	m := wire.NewFindCoordinatorRequest()
	m.Key, m.CoordinatorKeys = group, []string{group}
	answer, err := c.Do(c.Any(), m)
	if err != nil {
		return "", err
	}
	r := answer.(*wire.FindCoordinatorResponse)
	code, name, port := r.ErrorCode, r.Host, r.Port
	if len(r.Coordinators) > 0 {
		code, name, port = r.Coordinators[0].ErrorCode, r.Coordinators[0].Host, r.Coordinators[0].Port
	}
	if code != wire.ErrNone {
		return "", code
	}
	return name + ":" + strconv.Itoa(int(port)), nil
}

// CommitOffset commits an offset for a group that has no members.
func (c *Client) CommitOffset(group, topic string, partition int32, offset int64, metadata string) error {
	addr, err := c.Coordinator(group)
	if err != nil {
		return err
	}
	if c.Topic(topic) == nil {
		if err := c.Refresh(topic); err != nil {
			return err
		}
	}
	m := wire.NewOffsetCommitRequest()
	m.GroupId, m.GenerationIdOrMemberEpoch = group, -1
	part := wire.NewOffsetCommitRequestPartition()
	part.PartitionIndex, part.CommittedOffset, part.CommittedMetadata = partition, offset, &metadata
	m.Topics = []wire.OffsetCommitRequestTopic{{Name: topic, TopicId: c.topicID(topic), Partitions: []wire.OffsetCommitRequestPartition{part}}}
	answer, err := c.Do(addr, m)
	if err != nil {
		return err
	}
	for _, t := range answer.(*wire.OffsetCommitResponse).Topics {
		for _, p := range t.Partitions {
			if p.PartitionIndex == partition {
				return p.ErrorCode.Err()
			}
		}
	}
	return &Violation{"OffsetCommit: no answer for the partition"}
}

// FetchOffset is the committed offset of a group, -1 when there is none.
func (c *Client) FetchOffset(group, topic string, partition int32) (int64, string, error) {
	addr, err := c.Coordinator(group)
	if err != nil {
		return 0, "", err
	}
	if c.Topic(topic) == nil {
		if err := c.Refresh(topic); err != nil {
			return 0, "", err
		}
	}
	m := wire.NewOffsetFetchRequest()
	m.GroupId = group
	m.Topics = []wire.OffsetFetchRequestTopic{{Name: topic, PartitionIndexes: []int32{partition}}}
	g := wire.NewOffsetFetchRequestGroup()
	g.GroupId = group
	g.Topics = []wire.OffsetFetchRequestTopics{{Name: topic, TopicId: c.topicID(topic), PartitionIndexes: []int32{partition}}}
	m.Groups = []wire.OffsetFetchRequestGroup{g}
	answer, err := c.Do(addr, m)
	if err != nil {
		return 0, "", err
	}
	r := answer.(*wire.OffsetFetchResponse)
	if r.ErrorCode != wire.ErrNone {
		return 0, "", r.ErrorCode
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	for _, g := range r.Groups {
		if g.ErrorCode != wire.ErrNone {
			return 0, "", g.ErrorCode
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				return p.CommittedOffset, text(p.Metadata), p.ErrorCode.Err()
			}
		}
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			return p.CommittedOffset, text(p.Metadata), p.ErrorCode.Err()
		}
	}
	return 0, "", &Violation{"OffsetFetch: no answer for the partition"}
}

// FetchFrom asks some broker, whether it leads or not, for what is at an offset, and does not wait for more. It returns the
// answer's code.
func (c *Client) FetchFrom(addr, topic string, partition int32, offset int64) (wire.ErrorCode, error) {
	m := wire.NewFetchRequest()
	m.MaxWaitMs, m.MinBytes, m.MaxBytes, m.SessionEpoch = 0, 0, 1000, -1
	part := wire.NewFetchRequestPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = partition, offset, 1000
	m.Topics = []wire.FetchRequestTopic{{Topic: topic, TopicId: c.topicID(topic), Partitions: []wire.FetchRequestPartition{part}}}
	answer, err := c.Do(addr, m)
	if err != nil {
		return wire.ErrNone, err
	}
	r := answer.(*wire.FetchResponse)
	if r.ErrorCode != wire.ErrNone || len(r.Responses) != 1 || len(r.Responses[0].Partitions) != 1 {
		return r.ErrorCode, nil
	}
	return r.Responses[0].Partitions[0].ErrorCode, nil
}
