package node

import (
	"millrace/net/wire"
	"millrace/node/group"
	"millrace/node/host"
)

// describeGroups tells about groups and their members.
//
// Versions: 3 may ask for the allowed operations; 4 tells instance ids; 5 has tagged fields; 6 answers GROUP_ID_NOT_FOUND
// for a group that does not exist, which before is a group in state Dead.
func (b *Broker) describeGroups(c *call, q *wire.DescribeGroupsRequest) wire.Message {
	requests := make([]*group.DescribeRequest, len(q.Groups))
	answers := make([]*host.Future[group.Response], len(q.Groups))
	for i, id := range q.Groups {
		requests[i] = &group.DescribeRequest{GroupIDs: []string{id}, GroupIDNotFound: c.Version >= 6}
		answers[i] = b.groups.ask(id, requests[i])
	}
	a := wire.NewDescribeGroupsResponse()
	deadline := c.groupDeadline()
	for i := range q.Groups {
		described := awaitGroup[*group.DescribeResponse](c, answers[i], requests[i], deadline)
		a.Groups = append(a.Groups, describedGroup(&described.Groups[0], q.IncludeAuthorizedOperations))
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
