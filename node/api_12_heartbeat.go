package node

import (
	"millrace/net/wire"
	"millrace/node/group"
)

// heartbeat keeps a member's session alive and tells it when to join again.
//
// Versions: 3 has the instance id of a static member; 4 has tagged fields.
func (b *Broker) heartbeat(c *call, q *wire.HeartbeatRequest) wire.Message {
	a := wire.NewHeartbeatResponse()
	a.ErrorCode = groupAnswer[*group.HeartbeatResponse](c, q.GroupId, &group.HeartbeatRequest{
		GroupID: q.GroupId, Generation: q.GenerationId, MemberID: q.MemberId, InstanceID: orEmpty(q.GroupInstanceId),
	}).Error
	return a
}
