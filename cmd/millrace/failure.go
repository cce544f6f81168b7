package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Exit codes; the package comment explains them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNoBroker    = 3
	exitNotFound    = 4
	exitExists      = 5
	exitRefused     = 6
	exitTimeout     = 7
	exitInterrupted = 130
)

// failure is an error as it is shown: what happened, what to do, and the exit code.
type failure struct {
	exit    int
	message string
	hint    string
	kafka   string // the name of Kafka's error code, if it was one
}

func (f *failure) Error() string { return f.message }

// usageError is a command line that cannot be understood.
type usageError struct {
	err     error
	command string
}

func (e usageError) Error() string { return e.err.Error() }

// printFailure writes a failure to standard error.
func (s *session) printFailure(f *failure) {
	if s.json {
		data, err := json.Marshal(struct {
			Error string `json:"error"`
			Hint  string `json:"hint,omitempty"`
			Code  string `json:"code,omitempty"`
			Exit  int    `json:"exit"`
		}{f.message, f.hint, f.kafka, f.exit})
		if err == nil {
			fmt.Fprintf(s.err, "%s\n", data)
		}
		return
	}
	fmt.Fprintf(s.err, "millrace: %s\n", f.message)
	if f.hint != "" {
		fmt.Fprintf(s.err, "  %s\n", f.hint)
	}
}

// onTopic says which topic an error is about.
type onTopic struct {
	topic  string
	err    error
	detail string // what the broker said about it beyond the code
}

func (e onTopic) Error() string { return fmt.Sprintf("topic %s: %v", e.topic, e.err) }
func (e onTopic) Unwrap() error { return e.err }

// explain turns any error into a failure.
func explain(ctx context.Context, err error, brokers []string) *failure {
	var ready *failure
	if errors.As(err, &ready) {
		return ready
	}
	var usage usageError
	if errors.As(err, &usage) {
		return &failure{exit: exitUsage, message: err.Error(), hint: "see `" + usage.command + " --help`"}
	}
	if ctx.Err() != nil {
		return &failure{exit: exitInterrupted, message: "interrupted"}
	}
	var code *kerr.Error
	if errors.As(err, &code) {
		return explainCode(err, code)
	}
	at := strings.Join(brokers, ",")
	if unreachable(err) {
		return &failure{
			exit:    exitNoBroker,
			message: "no broker answers at " + at + " (" + rootCause(err).Error() + ")",
			hint:    "is one listening there? start one with `millrace start`, or name another with --brokers HOST:PORT",
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kgo.ErrRecordTimeout) {
		return &failure{
			exit:    exitTimeout,
			message: "no answer in time: " + err.Error(),
			hint:    "the broker at " + at + " may be busy or stopping; try again, or give more time with --timeout",
		}
	}
	return &failure{exit: exitFailed, message: err.Error()}
}

// explainCode words the error codes that people meet most, and names the others as Kafka does.
func explainCode(err error, code *kerr.Error) *failure {
	f := &failure{exit: exitRefused, kafka: code.Message}
	var on onTopic
	topic := ""
	if errors.As(err, &on) {
		topic = " " + on.topic
	}
	var of onGroup
	if errors.As(err, &of) {
		if f := explainGroup(of.group, code); f != nil {
			return f
		}
	}
	switch {
	case errors.Is(code, kerr.UnknownTopicOrPartition), errors.Is(code, kerr.UnknownTopicID):
		f.exit = exitNotFound
		f.message = "topic" + topic + " does not exist, or has no such partition"
		f.hint = "see `millrace topic list`, or create it with `millrace topic create" + topic + "`"
	case errors.Is(code, kerr.TopicAlreadyExists):
		f.exit = exitExists
		f.message = "topic" + topic + " exists already"
		f.hint = "see `millrace topic describe" + topic + "`; --if-not-exists makes this no error"
	case errors.Is(code, kerr.InvalidConfig) && on.detail != "":
		f.message = "topic" + topic + ": " + on.detail
		f.hint = configResource{configKind: configKinds[0]}.nearest(on.detail)
	case errors.Is(code, kerr.InvalidTopicException):
		f.message = "topic" + topic + ": not a valid name"
		f.hint = "a name has 1 to 249 of the characters a-z A-Z 0-9 . _ - and is neither . nor .."
	case errors.Is(code, kerr.MessageTooLarge), errors.Is(code, kerr.RecordListTooLarge):
		f.message = "a record is larger than the topic" + topic + " takes"
		f.hint = "the limit is the topic's max.message.bytes"
	case errors.Is(code, kerr.RequestTimedOut):
		f.exit = exitTimeout
		f.message = "the broker could not finish in the time that the request gave it"
		f.hint = "try again, or give more time with --timeout"
	default:
		f.message = fmt.Sprintf("the broker refused: %s (%s)", code.Message, strings.TrimSuffix(code.Description, "."))
		if topic != "" {
			f.message = "topic" + topic + ": " + f.message
		}
	}
	if on.detail != "" && f.hint == "" && !strings.Contains(f.message, on.detail) {
		f.hint = on.detail
	}
	return f
}

// unreachable reports whether err means that no connection could be made or kept.
func unreachable(err error) bool {
	var dial *kgo.ErrFirstReadEOF
	var op *net.OpError
	var dns *net.DNSError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.As(err, &dial) ||
		errors.As(err, &op) || errors.As(err, &dns) || errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded)
}

func rootCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
