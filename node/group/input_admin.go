package group

// DescribeRequest asks about groups (DescribeGroups, API key 15).
type DescribeRequest struct {
	GroupIDs []string
	// GroupIDNotFound is set from version 6 on: an unknown group is an error; before, it is a group in state Dead.
	GroupIDNotFound bool
}

// DescribeResponse has the groups in the order of the request.
type DescribeResponse struct {
	Groups []Description
}

// Description tells about one group. ProtocolName and the members' metadata are there only while it is Stable.
type Description struct {
	Error        ErrorCode
	ErrorMessage string // empty: none
	GroupID      string
	State        string // Empty, PreparingRebalance, CompletingRebalance, Stable, Dead
	ProtocolType string
	ProtocolName string
	Members      []DescribedMember
}

// DescribedMember tells about one member.
type DescribedMember struct {
	MemberID   string
	InstanceID string // empty: dynamic
	ClientID   string
	ClientHost string
	Metadata   []byte
	Assignment []byte
}

// ListRequest asks for all groups of this coordinator (ListGroups, API key 16). Empty filters let all pass; names are
// compared without regard to case.
type ListRequest struct {
	States []string
	Types  []string
}

// ListResponse has the groups sorted by id.
type ListResponse struct {
	Error  ErrorCode
	Groups []ListedGroup
}

// ListedGroup tells about one group.
type ListedGroup struct {
	GroupID      string
	ProtocolType string // empty: a group that only commits offsets
	State        string
	Type         string // "classic", "consumer"
}

// DeleteRequest removes groups with their offsets (DeleteGroups, API key 42).
type DeleteRequest struct {
	GroupIDs []string
}

// DeleteResponse has the groups in the order of the request.
type DeleteResponse struct {
	Groups []DeletedGroup
}

// DeletedGroup is what became of one group.
type DeletedGroup struct {
	GroupID string
	Error   ErrorCode
}

func (*DescribeRequest) request()   {}
func (*DescribeResponse) response() {}
func (*ListRequest) request()       {}
func (*ListResponse) response()     {}
func (*DeleteRequest) request()     {}
func (*DeleteResponse) response()   {}
