package node

import (
	"cmp"
	"slices"

	"millrace/net/wire"
	"millrace/node/group"
)

// listGroups lists the groups that this broker coordinates, sorted by id.
//
// Versions: 3 has tagged fields; 4 filters by state and tells it; 5 filters by type and tells it.
func (b *Broker) listGroups(c *call, q *wire.ListGroupsRequest) wire.Message {
	r := &group.ListRequest{States: q.StatesFilter, Types: q.TypesFilter}
	answers := b.groups.askAll(func() group.Request { return r })
	deadline := c.groupDeadline()
	a := wire.NewListGroupsResponse()
	for _, f := range answers {
		listed := awaitGroup[*group.ListResponse](c, f, r, deadline)
		switch listed.Error {
		case wire.ErrNone:
		case wire.ErrNotCoordinator:
			continue // another broker lists them
		default:
			a.ErrorCode = listed.Error
		}
		for _, g := range listed.Groups {
			a.Groups = append(a.Groups, wire.ListGroupsResponseListedGroup{
				GroupId: g.GroupID, ProtocolType: g.ProtocolType, GroupState: g.State, GroupType: g.Type,
			})
		}
	}
	if a.ErrorCode != wire.ErrNone {
		a.Groups = nil
	}
	slices.SortFunc(a.Groups, func(x, y wire.ListGroupsResponseListedGroup) int { return cmp.Compare(x.GroupId, y.GroupId) })
	return a
}
