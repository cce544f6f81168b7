package node

import (
	"millrace/net/wire"
	"millrace/node/group"
	"millrace/node/host"
)

// deleteGroups removes groups without members, with their offsets.
//
// Versions: 2 has tagged fields. A group that is named twice is answered once, as in Kafka.
func (b *Broker) deleteGroups(c *call, q *wire.DeleteGroupsRequest) wire.Message {
	a := wire.NewDeleteGroupsResponse()
	var requests []*group.DeleteRequest
	var answers []*host.Future[group.Response]
	seen := make(map[string]bool, len(q.GroupsNames))
	for _, id := range q.GroupsNames {
		if !seen[id] {
			seen[id] = true
			r := &group.DeleteRequest{GroupIDs: []string{id}}
			requests, answers = append(requests, r), append(answers, b.groups.ask(id, r))
		}
	}
	deadline := c.groupDeadline()
	for i, r := range requests {
		answer, ok := outlast(c, answers[i], deadline)
		if !ok {
			answer = group.ErrorResponse(r, wire.ErrCoordinatorNotAvailable)
		}
		for _, g := range answer.(*group.DeleteResponse).Groups {
			a.Results = append(a.Results, wire.DeleteGroupsResponseDeletableGroupResult{GroupId: g.GroupID, ErrorCode: g.Error})
		}
	}
	return a
}
