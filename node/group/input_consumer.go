package group

// ConsumerHeartbeatRequest is a member's report and its wishes (ConsumerGroupHeartbeat, API key 68). A nil pointer or
// slice is what the request left out: it means that nothing has changed.
type ConsumerHeartbeatRequest struct {
	GroupID            string
	MemberID           string
	MemberEpoch        int32 // 0: joins; -1: leaves; -2: a static member leaves and will be back
	InstanceID         *string
	RackID             *string
	RebalanceTimeoutMs int32 // -1: not said
	TopicNames         []string
	TopicPattern       *string // a regular expression in RE2's syntax; empty: none any more
	Assignor           *string
	Owned              []TopicPartitions // what it has
	ClientID           string
	ClientHost         string // as Kafka stores it, "/192.0.2.1"
	// RequireMemberID is set from version 1 on: members make their ids themselves.
	RequireMemberID bool
}

// ConsumerHeartbeatResponse tells a member what to do. On an error the rest is empty.
type ConsumerHeartbeatResponse struct {
	Error               ErrorCode
	ErrorMessage        string // empty: none
	MemberID            string
	MemberEpoch         int32
	HeartbeatIntervalMs int32
	// Assigned says that Assignment is told: all that the member shall have from now on.
	Assigned   bool
	Assignment []TopicPartitions
}

// ConsumerDescribeRequest asks about one group (ConsumerGroupDescribe, API key 69).
type ConsumerDescribeRequest struct {
	GroupID string
}

// ConsumerDescribeResponse tells about a group.
type ConsumerDescribeResponse struct {
	Error           ErrorCode
	ErrorMessage    string // empty: none
	GroupID         string
	State           string // Empty, Assigning, Reconciling, Stable
	Epoch           int32
	AssignmentEpoch int32
	Assignor        string
	Members         []DescribedConsumer // sorted by id
}

// DescribedConsumer tells about a member.
type DescribedConsumer struct {
	MemberID     string
	InstanceID   *string
	RackID       *string
	MemberEpoch  int32
	ClientID     string
	ClientHost   string
	TopicNames   []string
	TopicPattern *string
	Assignment   []TopicPartitions // what it has or has not given back yet; of topics that exist
	Target       []TopicPartitions // what it shall have; of topics that exist
	Classic      bool              // it speaks the classic protocol
}

func (*ConsumerHeartbeatRequest) request()   {}
func (*ConsumerHeartbeatResponse) response() {}
func (*ConsumerDescribeRequest) request()    {}
func (*ConsumerDescribeResponse) response()  {}
