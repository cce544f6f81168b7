package node

import (
	"bytes"

	"millrace/net/wire"
	"millrace/node/group"
)

// syncGroup brings the leader's assignment, and answers with the member's own when the generation is stored.
//
// Versions: 3 has the instance id of a static member; 4 has tagged fields; 5 must say, and is told, the protocol's type
// and name.
func (b *Broker) syncGroup(c *call, q *wire.SyncGroupRequest) wire.Message {
	a := wire.NewSyncGroupResponse()
	if c.Version >= 5 && (q.ProtocolType == nil || q.ProtocolName == nil) {
		a.ErrorCode = wire.ErrInconsistentGroupProtocol
		return a
	}
	r := &group.SyncRequest{
		GroupID:      q.GroupId,
		Generation:   q.GenerationId,
		MemberID:     q.MemberId,
		InstanceID:   orEmpty(q.GroupInstanceId),
		ProtocolType: orEmpty(q.ProtocolType),
		ProtocolName: orEmpty(q.ProtocolName),
	}
	for _, m := range q.Assignments {
		r.Assignments = append(r.Assignments, group.Assignment{MemberID: m.MemberId, Assignment: bytes.Clone(m.Assignment)})
	}
	c.freeFrame() // the wait may be long
	synced := groupAnswer[*group.SyncResponse](c, q.GroupId, r)
	a.ErrorCode, a.Assignment = synced.Error, synced.Assignment
	a.ProtocolType, a.ProtocolName = text(synced.ProtocolType), text(synced.ProtocolName)
	return a
}
