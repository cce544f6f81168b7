package node

import (
	"bytes"
	"strings"
	"time"

	"millrace/net/wire"
	"millrace/node/group"
)

// joinGroup makes the client a member of the next generation of a group, and answers when that is formed, which may
// take as long as the other members need to join.
//
// Versions: 1 has a rebalance timeout of its own; 4 gives new members an id with MEMBER_ID_REQUIRED and lets them join
// with it; 5 knows static members; 6 has tagged fields; 7 tells the protocol type; 8 may say why; 9 lets a static leader
// skip the assignment.
func (b *Broker) joinGroup(c *call, q *wire.JoinGroupRequest) wire.Message {
	r := &group.JoinRequest{
		GroupID:           q.GroupId,
		MemberID:          q.MemberId,
		InstanceID:        orEmpty(q.GroupInstanceId),
		ClientID:          c.clientID,
		ClientHost:        clientHost(c.Connection.RemoteAddr),
		ProtocolType:      q.ProtocolType,
		SessionTimeout:    time.Duration(q.SessionTimeoutMs) * time.Millisecond,
		RebalanceTimeout:  time.Duration(q.RebalanceTimeoutMs) * time.Millisecond,
		RequireMemberID:   c.Version >= 4,
		CanSkipAssignment: c.Version >= 9,
		Reason:            orEmpty(q.Reason),
	}
	for _, p := range q.Protocols {
		r.Protocols = append(r.Protocols, group.Protocol{Name: p.Name, Metadata: bytes.Clone(p.Metadata)})
	}
	c.freeFrame() // the wait may be long
	joined := groupAnswer[*group.JoinResponse](c, q.GroupId, r)
	a := wire.NewJoinGroupResponse()
	a.ErrorCode, a.GenerationId, a.MemberId = joined.Error, joined.Generation, joined.MemberID
	a.Leader, a.SkipAssignment = joined.Leader, joined.SkipAssignment
	a.ProtocolType, a.ProtocolName = text(joined.ProtocolType), text(joined.ProtocolName)
	if a.ProtocolName == nil && c.Version < 7 {
		a.ProtocolName = new(string)
	}
	for _, m := range joined.Members {
		a.Members = append(a.Members, wire.JoinGroupResponseMember{
			MemberId: m.MemberID, GroupInstanceId: text(m.InstanceID), Metadata: m.Metadata,
		})
	}
	return a
}

// clientHost is a client's address without the port, as Kafka's tools show it.
func clientHost(remote string) string {
	if i := strings.LastIndexByte(remote, ':'); i >= 0 {
		remote = remote[:i]
	}
	return "/" + strings.Trim(remote, "[]")
}
