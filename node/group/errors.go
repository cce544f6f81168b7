package group

import "millrace/net/wire"

// ErrorCode is Kafka's.
type ErrorCode = wire.ErrorCode

// fromAppend translates the error of an append to the partition into what a member of a group may be told: a client
// knows nothing of the internal topic, it knows its coordinator.
func fromAppend(code ErrorCode) ErrorCode {
	switch code {
	case wire.ErrUnknownTopicOrPartition, wire.ErrNotEnoughReplicas, wire.ErrNotEnoughReplicasAfterAppend,
		wire.ErrRequestTimedOut:
		return wire.ErrCoordinatorNotAvailable
	case wire.ErrNotLeaderOrFollower, wire.ErrKafkaStorageError:
		return wire.ErrNotCoordinator
	case wire.ErrMessageTooLarge, wire.ErrRecordListTooLarge, wire.ErrInvalidFetchSize:
		return wire.ErrUnknownServerError
	}
	return code
}
