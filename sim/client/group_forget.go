package client

import "millrace/net/wire"

// DeleteOffset makes a group forget what it has committed for a partition.
func (c *Client) DeleteOffset(group string, p TopicPartition) error {
	addr, err := c.Coordinator(group)
	if err != nil {
		return &NotSent{err}
	}
	q := wire.NewOffsetDeleteRequest()
	q.GroupId = group
	q.Topics = []wire.OffsetDeleteRequestTopic{{Name: p.Topic, Partitions: []wire.OffsetDeleteRequestPartition{{PartitionIndex: p.Partition}}}}
	answer, err := c.Do(addr, q)
	if err != nil {
		return err
	}
	a := answer.(*wire.OffsetDeleteResponse)
	if a.ErrorCode != wire.ErrNone {
		return a.ErrorCode
	}
	for _, t := range a.Topics {
		for _, x := range t.Partitions {
			if t.Name == p.Topic && x.PartitionIndex == p.Partition {
				return x.ErrorCode.Err()
			}
		}
	}
	return &Violation{"OffsetDelete: no answer for " + p.String()}
}

// DeleteGroup deletes a group with all that it has committed.
func (c *Client) DeleteGroup(group string) error {
	addr, err := c.Coordinator(group)
	if err != nil {
		return &NotSent{err}
	}
	q := wire.NewDeleteGroupsRequest()
	q.GroupsNames = []string{group}
	answer, err := c.Do(addr, q)
	if err != nil {
		return err
	}
	for _, r := range answer.(*wire.DeleteGroupsResponse).Results {
		if r.GroupId == group {
			return r.ErrorCode.Err()
		}
	}
	return &Violation{"DeleteGroups: no answer for " + group}
}
