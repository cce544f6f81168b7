package wire

// ErrorCode is how Kafka says what went wrong.
type ErrorCode int16
