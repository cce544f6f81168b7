package group

import (
	"cmp"
	"slices"
	"strings"

	"millrace/net/wire"
)

// describe handles DescribeGroups.
func (c *Coordinator) describe(r *DescribeRequest) *DescribeResponse {
	out := &DescribeResponse{}
	for _, id := range r.GroupIDs {
		g := c.groups[id]
		switch {
		case g != nil:
			out.Groups = append(out.Groups, g.description())
		case c.consumers[id] != nil && r.GroupIDNotFound:
			out.Groups = append(out.Groups, Description{GroupID: id, State: stateDead,
				Error: wire.ErrGroupIdNotFound, ErrorMessage: "Group " + id + " is not a classic group."})
		case r.GroupIDNotFound:
			out.Groups = append(out.Groups, Description{GroupID: id, State: stateDead,
				Error: wire.ErrGroupIdNotFound, ErrorMessage: "Group " + id + " not found."})
		default:
			out.Groups = append(out.Groups, Description{GroupID: id, State: stateDead})
		}
	}
	return out
}

func (g *classic) description() Description {
	d := Description{GroupID: g.id, State: g.state.String(), ProtocolType: g.protocolType}
	if g.state == stable {
		d.ProtocolName = g.protocolName
	}
	for _, m := range g.members {
		dm := DescribedMember{
			MemberID:   m.id,
			InstanceID: m.instanceID,
			ClientID:   m.clientID,
			ClientHost: m.clientHost,
			Assignment: m.assignment,
		}
		if g.state == stable {
			dm.Metadata = m.metadata(g.protocolName)
		}
		d.Members = append(d.Members, dm)
	}
	return d
}

// list handles ListGroups.
func (c *Coordinator) list(r *ListRequest) *ListResponse {
	out := &ListResponse{}
	for _, g := range c.sortedGroups() {
		if passes(r.States, g.state.String()) && passes(r.Types, typeClassic) {
			out.Groups = append(out.Groups, ListedGroup{GroupID: g.id, ProtocolType: g.protocolType,
				State: g.state.String(), Type: typeClassic})
		}
	}
	for _, id := range sortedKeys(c.image.consumers) {
		if state := c.image.consumers[id].stateName(); passes(r.States, state) && passes(r.Types, typeConsumer) {
			out.Groups = append(out.Groups, ListedGroup{GroupID: id, ProtocolType: typeConsumer, State: state, Type: typeConsumer})
		}
	}
	slices.SortFunc(out.Groups, func(a, b ListedGroup) int { return cmp.Compare(a.GroupID, b.GroupID) })
	return out
}

// describeConsumer handles ConsumerGroupDescribe. It tells what is stored.
func (c *Coordinator) describeConsumer(r *ConsumerDescribeRequest) *ConsumerDescribeResponse {
	out := &ConsumerDescribeResponse{GroupID: r.GroupID}
	g := c.image.consumers[r.GroupID]
	switch {
	case r.GroupID == "":
		out.Error = wire.ErrInvalidGroupId
		return out
	case g == nil && c.groups[r.GroupID] != nil:
		out.Error, out.ErrorMessage = wire.ErrGroupIdNotFound, notConsumerGroup(r.GroupID)
		return out
	case g == nil:
		out.Error, out.ErrorMessage = wire.ErrGroupIdNotFound, "Group "+r.GroupID+" not found."
		return out
	}
	out.State, out.Epoch, out.AssignmentEpoch = g.stateName(), g.epoch, g.assignmentEpoch
	out.Assignor = c.preferredAssignor(g, nil, nil)
	existing := func(all partitions) []TopicPartitions {
		return slices.DeleteFunc(all.byTopic(), func(t TopicPartitions) bool {
			_, ok := c.cluster.TopicByID(t.TopicID)
			return !ok
		})
	}
	for _, id := range sortedKeys(g.members) {
		m := g.members[id]
		d := DescribedConsumer{
			MemberID: id, InstanceID: m.instanceID, RackID: m.rackID, MemberEpoch: m.epoch, ClientID: m.clientID,
			ClientHost: m.clientHost, TopicNames: m.names, Classic: m.classic != nil,
			Assignment: existing(m.assigned.union(m.revoking).partitions()), Target: existing(g.targets[id]),
		}
		if m.pattern != "" || !m.patternNull {
			d.TopicPattern = &m.pattern
		}
		out.Members = append(out.Members, d)
	}
	return out
}

// passes says whether a filter lets the name through.
func passes(filter []string, name string) bool {
	for _, f := range filter {
		if strings.EqualFold(f, name) {
			return true
		}
	}
	return len(filter) == 0
}
