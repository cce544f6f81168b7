package group

import (
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
