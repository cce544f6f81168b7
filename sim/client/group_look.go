package client

import "millrace/net/wire"

// Least is the lowest version of an API that the client uses from now on.
func (c *Client) Least(key, version int16) {
	if c.least == nil {
		c.least = make(map[int16]int16)
	}
	c.least[key] = version
}

// DescribeGroup is what a broker says of a group, of whichever protocol: its state and the ids of its members.
func (c *Client) DescribeGroup(addr, group string) (state string, members []string, err error) {
	q := wire.NewConsumerGroupDescribeRequest()
	q.GroupIds = []string{group}
	answer, err := c.Do(addr, q)
	if err != nil {
		return "", nil, err
	}
	for _, g := range answer.(*wire.ConsumerGroupDescribeResponse).Groups {
		for _, m := range g.Members {
			members = append(members, m.MemberId)
		}
		if g.ErrorCode == wire.ErrNone {
			return g.GroupState, members, nil
		}
		if g.ErrorCode != wire.ErrGroupIdNotFound {
			return "", nil, g.ErrorCode
		}
	}
	return c.describeClassic(addr, group)
}

func (c *Client) describeClassic(addr, group string) (state string, members []string, err error) {
	q := wire.NewDescribeGroupsRequest()
	q.Groups = []string{group}
	answer, err := c.Do(addr, q)
	if err != nil {
		return "", nil, err
	}
	told := answer.(*wire.DescribeGroupsResponse).Groups
	if len(told) == 0 {
		return "", nil, &Violation{"DescribeGroups: no answer for the group"}
	}
	g := &told[0]
	for _, m := range g.Members {
		members = append(members, m.MemberId)
	}
	return g.GroupState, members, g.ErrorCode.Err()
}

// ProduceAgain sends a batch of an idempotent producer again as it was, over whatever connection there is. The offset is
// that of the answer.
func (c *Client) ProduceAgain(b *Batch) (int64, error) {
	addr, err := c.find(b.Topic, b.Partition)
	if err != nil {
		return -1, err
	}
	m := wire.NewProduceRequest()
	m.Acks, m.TimeoutMs = -1, int32(c.o.Timeout.Milliseconds()/2)
	m.TopicData = []wire.ProduceRequestTopicProduceData{{Name: b.Topic, TopicId: c.topicID(b.Topic),
		PartitionData: []wire.ProduceRequestPartitionProduceData{{Index: b.Partition, Records: b.bytes}}}}
	answer, err := c.Do(addr, m)
	if err != nil {
		return -1, c.forget(b.Topic, b.Partition, err)
	}
	told := answer.(*wire.ProduceResponse).Responses
	if len(told) == 0 || len(told[0].PartitionResponses) == 0 {
		return -1, &Violation{"Produce: no answer for " + b.Topic}
	}
	p := &told[0].PartitionResponses[0]
	if p.ErrorCode != wire.ErrNone {
		return -1, c.forget(b.Topic, b.Partition, p.ErrorCode)
	}
	return p.BaseOffset, nil
}
