package group

import "millrace/node/host"

// Now is the time of a call: timers run on the monotonic clock, timestamps in records on the wall clock.
type Now struct {
	Instant    host.Instant
	WallMillis int64 // milliseconds since 1970
}

// Input is one request. Tag comes back with its reply; it is not zero and no other waiting request has it.
type Input struct {
	Tag     uint64
	Request Request
}

// Request is one of the request types of this package, as a pointer. The coordinator keeps no reference to byte slices
// of a request after the call; strings it may keep.
type Request interface{ request() }

// Response is one of the response types of this package, as a pointer. Byte slices in it must not be changed.
type Response interface{ response() }

// Reply is the answer to the request with this tag. The type of its response goes with the type of the request.
type Reply struct {
	Tag      uint64
	Response Response
}

// Record is one record of __consumer_offsets. A nil value is a tombstone.
type Record struct {
	Key   []byte
	Value []byte
}

// Append is a batch to append to the partition, all or nothing. Its fate is told by Committed or Failed.
type Append struct {
	Token   uint64
	Records []Record
}

// Output is what a call wants done.
type Output struct {
	Appends []Append
	Replies []Reply
	// Begun are the rebalances that the call began.
	Begun []Begun
}

// ErrorResponse returns the response to r that says only this error, in the place where Kafka puts it. The coordinator
// uses it, and callers that refuse a request before it reaches one.
func ErrorResponse(r Request, code ErrorCode) Response {
	switch r := r.(type) {
	case *JoinRequest:
		return &JoinResponse{Error: code, MemberID: r.MemberID, Generation: -1}
	case *SyncRequest:
		return &SyncResponse{Error: code}
	case *HeartbeatRequest:
		return &HeartbeatResponse{Error: code}
	case *LeaveRequest:
		return &LeaveResponse{Error: code}
	case *OffsetCommitRequest:
		return commitError(r, code)
	case *OffsetFetchRequest:
		return &OffsetFetchResponse{Error: code}
	case *OffsetDeleteRequest:
		return &OffsetDeleteResponse{Error: code}
	case *DescribeRequest:
		out := &DescribeResponse{}
		for _, id := range r.GroupIDs {
			out.Groups = append(out.Groups, Description{Error: code, GroupID: id})
		}
		return out
	case *ListRequest:
		return &ListResponse{Error: code}
	case *DeleteRequest:
		out := &DeleteResponse{}
		for _, id := range r.GroupIDs {
			out.Groups = append(out.Groups, DeletedGroup{GroupID: id, Error: code})
		}
		return out
	case *TopicsDeletedRequest:
		return &TopicsDeletedResponse{Error: code}
	case *StoryRequest:
		return &StoryResponse{Error: code}
	case *ObserveRequest:
		return &ObserveResponse{Error: code}
	case *ConsumerHeartbeatRequest:
		return &ConsumerHeartbeatResponse{Error: code}
	case *ConsumerDescribeRequest:
		return &ConsumerDescribeResponse{GroupID: r.GroupID, Error: code}
	}
	panic("group: a request of an unknown type")
}
