package wire

import "strconv"

// ErrorCode is how Kafka says what went wrong. It is an error, but ErrNone is
// one only in Go's eyes: use Err where an error is returned.
type ErrorCode int16

// errorInfo is what is known of one code.
type errorInfo struct {
	name      string
	retriable bool
	message   string
}

func (c ErrorCode) info() errorInfo {
	if i := int(c) + 1; i >= 0 && i < len(errorInfos) {
		return errorInfos[i]
	}
	return errorInfo{}
}

// String is Kafka's name of the code, such as NOT_LEADER_OR_FOLLOWER, or its
// number if Kafka has none.
func (c ErrorCode) String() string {
	if name := c.info().name; name != "" {
		return name
	}
	return strconv.Itoa(int(c))
}

// Message is a sentence for people.
func (c ErrorCode) Message() string {
	if message := c.info().message; message != "" {
		return message
	}
	return "error code " + strconv.Itoa(int(c)) + " is not one of Kafka 4.3's"
}

// Retriable tells if Kafka's clients try again by themselves.
func (c ErrorCode) Retriable() bool { return c.info().retriable }

// Error is the name and the sentence.
func (c ErrorCode) Error() string { return c.String() + ": " + c.Message() }

// Err is the code as an error, nil for ErrNone.
func (c ErrorCode) Err() error {
	if c == ErrNone {
		return nil
	}
	return c
}
