package node

import (
	"millrace/net/wire"
	"millrace/node/group"
)

// describeGroups tells about groups and their members.
//
// Versions: 3 may ask for the allowed operations; 4 tells instance ids; 5 has tagged fields; 6 answers GROUP_ID_NOT_FOUND
// for a group that does not exist, which before is a group in state Dead. From 5 on a tagged field may ask for more than
// Kafka tells (groups_told.go).
func (b *Broker) describeGroups(c *call, q *wire.DescribeGroupsRequest) wire.Message {
	requests := make([]group.Request, len(q.Groups))
	for i, id := range q.Groups {
		requests[i] = &group.DescribeRequest{GroupIDs: []string{id}, GroupIDNotFound: c.Version >= 6}
	}
	a := wire.NewDescribeGroupsResponse()
	for _, described := range c.readGroups(q.Groups, requests, c.groupDeadline()) {
		d := described.(*group.DescribeResponse)
		g := describedGroup(&d.Groups[0], q.IncludeAuthorizedOperations)
		if q.MillraceTell {
			g.MillraceTold = c.tell(g.GroupId)
		}
		a.Groups = append(a.Groups, g)
	}
	return a
}

func describedGroup(d *group.Description, operations bool) wire.DescribeGroupsResponseDescribedGroup {
	g := wire.NewDescribeGroupsResponseDescribedGroup()
	g.ErrorCode, g.ErrorMessage, g.GroupId = d.Error, text(d.ErrorMessage), d.GroupID
	g.GroupState, g.ProtocolType, g.ProtocolData = d.State, d.ProtocolType, d.ProtocolName
	g.AuthorizedOperations = noOperations
	if operations && d.Error == wire.ErrNone {
		g.AuthorizedOperations = groupOperations
	}
	for _, m := range d.Members {
		g.Members = append(g.Members, wire.DescribeGroupsResponseDescribedGroupMember{
			MemberId: m.MemberID, GroupInstanceId: text(m.InstanceID), ClientId: m.ClientID, ClientHost: m.ClientHost,
			MemberMetadata: m.Metadata, MemberAssignment: m.Assignment,
		})
	}
	return g
}
