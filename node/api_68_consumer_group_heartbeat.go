package node

import (
	"millrace/net/wire"
	"millrace/node/group"
)

// consumerGroupHeartbeat lets a member of a consumer group (KIP-848) join, report what it has, learn what it shall have,
// and leave. It answers when what it says is durable.
//
// Versions: 1 has regular expressions, and members make their ids themselves.
func (b *Broker) consumerGroupHeartbeat(c *call, q *wire.ConsumerGroupHeartbeatRequest) wire.Message {
	r := &group.ConsumerHeartbeatRequest{
		GroupID:            q.GroupId,
		MemberID:           q.MemberId,
		MemberEpoch:        q.MemberEpoch,
		InstanceID:         q.InstanceId,
		RackID:             q.RackId,
		RebalanceTimeoutMs: q.RebalanceTimeoutMs,
		TopicNames:         q.SubscribedTopicNames,
		TopicPattern:       q.SubscribedTopicRegex,
		Assignor:           q.ServerAssignor,
		ClientID:           c.clientID,
		ClientHost:         clientHost(c.Connection.RemoteAddr),
		RequireMemberID:    c.Version >= 1,
	}
	if q.TopicPartitions != nil {
		r.Owned = make([]group.TopicPartitions, len(q.TopicPartitions))
		for i, t := range q.TopicPartitions {
			r.Owned[i] = group.TopicPartitions{TopicID: t.TopicId, Partitions: t.Partitions}
		}
	}
	said := groupWrite[*group.ConsumerHeartbeatResponse](c, q.GroupId, r)
	a := wire.NewConsumerGroupHeartbeatResponse()
	if a.ErrorCode = said.Error; a.ErrorCode != wire.ErrNone {
		a.ErrorMessage = text(said.ErrorMessage)
		return a
	}
	a.MemberId, a.MemberEpoch, a.HeartbeatIntervalMs = &said.MemberID, said.MemberEpoch, said.HeartbeatIntervalMs
	if said.Assigned {
		a.Assignment = &wire.ConsumerGroupHeartbeatResponseAssignment{}
		for _, t := range said.Assignment {
			a.Assignment.TopicPartitions = append(a.Assignment.TopicPartitions,
				wire.ConsumerGroupHeartbeatResponseTopicPartitions{TopicId: t.TopicID, Partitions: t.Partitions})
		}
	}
	return a
}
