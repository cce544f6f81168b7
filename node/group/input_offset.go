package group

import "time"

// OffsetCommitRequest stores offsets (OffsetCommit, API key 8). The caller has checked that the topics exist and has
// turned topic ids into names.
type OffsetCommitRequest struct {
	GroupID    string
	Generation int32  // -1: a consumer that assigns itself, or an admin client
	MemberID   string // empty: as above
	InstanceID string // empty: none
	// Retention is how long to keep them, version 2 to 4 only; negative means the broker's rule.
	Retention time.Duration
	// GroupIDNotFound is set from version 9 on: an unknown group is named so, not as an illegal generation. Members of the
	// consumer protocol must use those versions; their Generation is their member epoch.
	GroupIDNotFound bool
	Topics          []CommitTopic
}

// CommitTopic holds the commits for one topic.
type CommitTopic struct {
	Topic      string
	TopicID    [16]byte // zero: not known; stored beside the offset
	Partitions []CommitPartition
}

// CommitPartition is the commit for one partition.
type CommitPartition struct {
	Partition   int32
	Offset      int64
	LeaderEpoch int32 // -1: none
	Metadata    string
}

// OffsetCommitResponse has the topics and partitions of the request, in its order.
type OffsetCommitResponse struct {
	Topics []TopicErrors
}

// TopicErrors holds an error per partition of a topic.
type TopicErrors struct {
	Topic      string
	TopicID    [16]byte
	Partitions []PartitionError
}

// PartitionError is the error of one partition, or ErrNone.
type PartitionError struct {
	Partition int32
	Error     ErrorCode
}

// OffsetFetchRequest asks for committed offsets of one group (OffsetFetch, API key 9; one of its groups).
type OffsetFetchRequest struct {
	GroupID string
	// All asks for everything the group has committed; Topics is ignored.
	All    bool
	Topics []FetchTopic
	// RequireStable wants no answer for partitions that an open transaction has pending commits for, and waits for
	// commits that are being written.
	RequireStable bool
	// MemberID and MemberEpoch are of the member that asks, from version 9 on. nil and a negative epoch say nothing, and
	// only with both is nobody checked.
	MemberID    *string
	MemberEpoch int32
}

// FetchTopic names partitions of a topic.
type FetchTopic struct {
	Topic      string
	Partitions []int32
}

// OffsetFetchResponse holds the committed offsets: in the order of the request, or sorted for All.
type OffsetFetchResponse struct {
	Error  ErrorCode
	Topics []FetchedTopic
}

// FetchedTopic holds the committed offsets of one topic.
type FetchedTopic struct {
	Topic      string
	Partitions []FetchedPartition
}

// FetchedPartition is a committed offset; Offset -1 means that there is none.
type FetchedPartition struct {
	Partition   int32
	Offset      int64
	LeaderEpoch int32
	Metadata    string
	Error       ErrorCode // ErrNone or ErrUnstableOffsetCommit
}

// OffsetDeleteRequest removes committed offsets (OffsetDelete, API key 47). The topics exist.
type OffsetDeleteRequest struct {
	GroupID string
	Topics  []FetchTopic
}

// OffsetDeleteResponse has an error of the whole request, or one per partition.
type OffsetDeleteResponse struct {
	Error  ErrorCode
	Topics []TopicErrors
}

// TopicsDeletedRequest removes, in all groups, the offsets of topics that no longer exist. It comes from the broker.
type TopicsDeletedRequest struct {
	Topics []string
}

// TopicsDeletedResponse says that the removal is applied, or why it was not.
type TopicsDeletedResponse struct {
	Error ErrorCode
}

func (*OffsetCommitRequest) request()    {}
func (*OffsetCommitResponse) response()  {}
func (*OffsetFetchRequest) request()     {}
func (*OffsetFetchResponse) response()   {}
func (*OffsetDeleteRequest) request()    {}
func (*OffsetDeleteResponse) response()  {}
func (*TopicsDeletedRequest) request()   {}
func (*TopicsDeletedResponse) response() {}
