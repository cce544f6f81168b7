package group

import "time"

// Protocol is one way to assign partitions that a member offers, with what it says to the leader about itself.
type Protocol struct {
	Name     string
	Metadata []byte
}

// JoinRequest asks to be in the next generation (JoinGroup, API key 11).
type JoinRequest struct {
	GroupID      string
	MemberID     string // empty: the coordinator gives one
	InstanceID   string // group.instance.id of a static member; empty: dynamic
	ClientID     string
	ClientHost   string // as Kafka stores it, "/192.0.2.1"
	ProtocolType string
	Protocols    []Protocol // in order of preference
	// SessionTimeout is how long the member may be silent.
	SessionTimeout time.Duration
	// RebalanceTimeout is how long it may take to rejoin; negative (version 0 has none) means the session timeout. So does
	// zero, which is what a client sends that never set it (KafkaJS below its consumer): Kafka 4.3.1 throws such a member out
	// before it can ask for its assignment.
	RebalanceTimeout time.Duration
	// RequireMemberID is set from version 4 on: a dynamic member without an id is told one and joins again with it.
	RequireMemberID bool
	// CanSkipAssignment is set from version 9 on: a static leader that comes back may be told to skip assigning.
	CanSkipAssignment bool
	// Reason is what the client says about why it joins, from version 8 on.
	Reason string
}

// JoinResponse answers when the next generation is formed. On an error Generation is -1.
type JoinResponse struct {
	Error          ErrorCode
	MemberID       string
	Generation     int32
	ProtocolType   string // empty: none
	ProtocolName   string // empty: none
	Leader         string
	SkipAssignment bool
	Members        []JoinedMember // for the leader only
}

// JoinedMember is a member as its leader sees it.
type JoinedMember struct {
	MemberID   string
	InstanceID string // empty: dynamic
	Metadata   []byte // for the chosen protocol
}

// SyncRequest asks for one's assignment and, from the leader, brings everybody's (SyncGroup, API key 14).
type SyncRequest struct {
	GroupID      string
	Generation   int32
	MemberID     string
	InstanceID   string // empty: none
	ProtocolType string // empty: not said (before version 5)
	ProtocolName string // empty: not said (before version 5)
	Assignments  []Assignment
}

// Assignment is what the leader gives to one member.
type Assignment struct {
	MemberID   string
	Assignment []byte
}

// SyncResponse carries the member's assignment.
type SyncResponse struct {
	Error        ErrorCode
	ProtocolType string // empty: none
	ProtocolName string // empty: none
	Assignment   []byte
}

// HeartbeatRequest says that the member lives (Heartbeat, API key 12).
type HeartbeatRequest struct {
	GroupID    string
	Generation int32
	MemberID   string
	InstanceID string // empty: none
}

// HeartbeatResponse says whether the generation still stands.
type HeartbeatResponse struct {
	Error ErrorCode
}

// LeaveRequest takes members out of a group (LeaveGroup, API key 13; before version 3 one member).
type LeaveRequest struct {
	GroupID string
	Members []LeavingMember
}

// LeavingMember names a member by its id, or, with an empty id, a static one by its instance id.
type LeavingMember struct {
	MemberID   string
	InstanceID string // empty: none
	// Reason is what the client says about why it leaves, from version 5 on.
	Reason string
}

// LeaveResponse has an error of the whole request, or one per member in the order of the request.
type LeaveResponse struct {
	Error   ErrorCode
	Members []LeftMember
}

// LeftMember is what became of one member.
type LeftMember struct {
	MemberID   string
	InstanceID string
	Error      ErrorCode
}

func (*JoinRequest) request()        {}
func (*JoinResponse) response()      {}
func (*SyncRequest) request()        {}
func (*SyncResponse) response()      {}
func (*HeartbeatRequest) request()   {}
func (*HeartbeatResponse) response() {}
func (*LeaveRequest) request()       {}
func (*LeaveResponse) response()     {}
