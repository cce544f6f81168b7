package node

import (
	"millrace/net/wire"
	"millrace/node/group"
)

// leaveGroup takes members out of a group.
//
// Versions: before 3 one member leaves and its error is the answer's; from 3 on several may, and each has its own; 4 has
// tagged fields; 5 may say why.
func (b *Broker) leaveGroup(c *call, q *wire.LeaveGroupRequest) wire.Message {
	r := &group.LeaveRequest{GroupID: q.GroupId}
	if c.Version < 3 {
		r.Members = []group.LeavingMember{{MemberID: q.MemberId}}
	}
	for _, m := range q.Members {
		r.Members = append(r.Members, group.LeavingMember{MemberID: m.MemberId, InstanceID: orEmpty(m.GroupInstanceId),
			Reason: orEmpty(m.Reason)})
	}
	left := groupAnswer[*group.LeaveResponse](c, q.GroupId, r)
	a := wire.NewLeaveGroupResponse()
	a.ErrorCode = left.Error
	if c.Version < 3 {
		if left.Error == wire.ErrNone {
			a.ErrorCode = left.Members[0].Error
		}
		return a
	}
	for _, m := range left.Members {
		a.Members = append(a.Members, wire.LeaveGroupResponseMemberResponse{
			MemberId: m.MemberID, GroupInstanceId: text(m.InstanceID), ErrorCode: m.Error,
		})
	}
	return a
}
