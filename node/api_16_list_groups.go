package node

import (
	"cmp"
	"slices"

	"millrace/net/wire"
	"millrace/node/group"
	"millrace/node/host"
	"millrace/node/shard"
)

// listGroups lists the groups that this broker coordinates, sorted by id. Like other reads of groups it first makes sure that
// it has not been replaced: what it cannot make sure of is an error, since a list with a gap looks like one without.
//
// Versions: 3 has tagged fields; 4 filters by state and tells it; 5 filters by type and tells it.
func (b *Broker) listGroups(c *call, q *wire.ListGroupsRequest) wire.Message {
	r := &group.ListRequest{States: q.StatesFilter, Types: q.TypesFilter}
	deadline := c.groupDeadline()
	a := wire.NewListGroupsResponse()
	answers, code := c.askLeading(r, deadline)
	a.ErrorCode = code
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

// askLeading asks every coordinator whose partition is led here, after it is confirmed that it still is.
func (c *call) askLeading(r group.Request, deadline host.Instant) ([]*host.Future[group.Response], wire.ErrorCode) {
	g := c.broker.groups
	now := g.current.Load()
	shards := make([]*shard.Shard, len(now.partitions))
	var asked confirmations
	for i := range now.partitions {
		if at, code := c.broker.cluster.Lookup(now.topic, int32(i)); code == wire.ErrNone {
			shards[i] = at.Shard
			asked.ask(at.Shard)
		}
	}
	c.confirm(asked, deadline)
	code := wire.ErrNone
	var answers []*host.Future[group.Response]
	for i, p := range now.partitions {
		if shards[i] == nil {
			continue // another broker coordinates them
		}
		if asked.done(shards[i]) {
			answers = append(answers, g.put(p, r))
		} else if _, lost := c.broker.cluster.Lookup(now.topic, int32(i)); lost == wire.ErrNone {
			code = wire.ErrCoordinatorNotAvailable
		}
	}
	return answers, code
}
