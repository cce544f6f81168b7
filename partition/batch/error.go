package batch

import "fmt"

// Code is a Kafka error code as it goes on the wire. Only those that a batch or a partition can cause are named here.
type Code int16

// Kafka's error codes, under Kafka's names.
const (
	OffsetOutOfRange            Code = 1
	CorruptMessage              Code = 2
	NotLeaderOrFollower         Code = 6
	MessageTooLarge             Code = 10
	RecordListTooLarge          Code = 18
	InvalidTimestamp            Code = 32
	UnsupportedForMessageFormat Code = 43
	OutOfOrderSequenceNumber    Code = 45
	InvalidProducerEpoch        Code = 47
	InvalidTxnState             Code = 48
	// TransactionalIDAuthorizationFailed is for transactional records without a transactional id.
	TransactionalIDAuthorizationFailed Code = 53

	KafkaStorageError          Code = 56
	UnsupportedCompressionType Code = 76
	InvalidRecord              Code = 87
)

// RecordError names a record of a refused batch, as Produce 8 and later report it.
type RecordError struct {
	// Index is the record's place in the batch, from 0.
	Index int32
	// Message says what is wrong with it.
	Message string
}

// Error is a refusal in Kafka's terms.
type Error struct {
	Code    Code
	Message string
	// Early says that the request is at fault whatever the log holds: Kafka refuses it before it looks at the log.
	Early bool
	// Records are the records at fault, at most MaxRecordErrors of them; nil when the whole batch is at fault.
	Records []RecordError
}

// ErrRoom says that the records of a batch, decompressed, do not fit into Options.Room.
var ErrRoom error = errRoom

var errRoom = refuse(MessageTooLarge, "the records of a batch need more room when decompressed")

func (e *Error) Error() string { return e.Message }

// refuseEarly is refuse for what is wrong with the request already.
func refuseEarly(code Code, format string, args ...any) *Error {
	e := refuse(code, format, args...)
	e.Early = true
	return e
}

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
