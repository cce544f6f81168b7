package node

import (
	"millrace/net/wire"
	"millrace/node/group"
)

// consumerGroupDescribe tells about consumer groups (KIP-848) and their members.
//
// Versions: 1 tells which protocol a member speaks.
func (b *Broker) consumerGroupDescribe(c *call, q *wire.ConsumerGroupDescribeRequest) wire.Message {
	cluster := &groupCluster{b.set.Catalog()}
	requests := make([]group.Request, len(q.GroupIds))
	for i, id := range q.GroupIds {
		requests[i] = &group.ConsumerDescribeRequest{GroupID: id}
	}
	a := wire.NewConsumerGroupDescribeResponse()
	for _, described := range c.readGroups(q.GroupIds, requests, c.groupDeadline()) {
		d := described.(*group.ConsumerDescribeResponse)
		g := wire.NewConsumerGroupDescribeResponseDescribedGroup()
		g.ErrorCode, g.ErrorMessage, g.GroupId = d.Error, text(d.ErrorMessage), d.GroupID
		g.GroupState, g.GroupEpoch, g.AssignmentEpoch, g.AssignorName = d.State, d.Epoch, d.AssignmentEpoch, d.Assignor
		g.AuthorizedOperations = noOperations
		if q.IncludeAuthorizedOperations && d.Error == wire.ErrNone {
			g.AuthorizedOperations = groupOperations
		}
		for j := range d.Members {
			g.Members = append(g.Members, describedConsumer(cluster, &d.Members[j]))
		}
		a.Groups = append(a.Groups, g)
	}
	return a
}

func describedConsumer(cluster *groupCluster, d *group.DescribedConsumer) wire.ConsumerGroupDescribeResponseMember {
	m := wire.NewConsumerGroupDescribeResponseMember()
	m.MemberId, m.InstanceId, m.RackId, m.MemberEpoch = d.MemberID, d.InstanceID, d.RackID, d.MemberEpoch
	m.ClientId, m.ClientHost = d.ClientID, d.ClientHost
	m.SubscribedTopicNames, m.SubscribedTopicRegex = d.TopicNames, d.TopicPattern
	m.Assignment = describedAssignment(cluster, d.Assignment)
	m.TargetAssignment = describedAssignment(cluster, d.Target)
	m.MemberType = 1
	if d.Classic {
		m.MemberType = 0
	}
	return m
}

func describedAssignment(cluster *groupCluster, all []group.TopicPartitions) wire.ConsumerGroupDescribeResponseAssignment {
	var a wire.ConsumerGroupDescribeResponseAssignment
	for _, t := range all {
		if topic, ok := cluster.TopicByID(t.TopicID); ok {
			a.TopicPartitions = append(a.TopicPartitions, wire.ConsumerGroupDescribeResponseTopicPartitions{
				TopicId: t.TopicID, TopicName: topic.Name, Partitions: t.Partitions,
			})
		}
	}
	return a
}
