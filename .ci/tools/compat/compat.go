// Package compat has the checks of the Go clients, which cmd/compat runs: what a client must be able to do is Client, and
// each client has a program of its own that does it with that client. How a program is called and what it prints is told
// at the function harness of cmd/compat; the rule of the records is in its rule.go.
package compat

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Header is a header of a record.
type Header struct {
	Key   string
	Value []byte
}

// Record is a record as it is sent, with its offset when it is acknowledged or read.
type Record struct {
	Topic      string
	Partition  int32
	Offset     int64
	Key, Value []byte
	Millis     int64
	Headers    []Header
}

// Options are how records are written.
type Options struct {
	Codec      string // empty: none
	Idempotent bool
	Batch      int // about how many bytes a batch may have, 0 for the client's default
}

// Reader reads a partition.
type Reader interface {
	Next(ctx context.Context) (Record, error)
	Close() error
}

// Join is how a member joins a group.
type Join struct {
	Name, Group, Topic, Instance string
	Strategy                     string // range, cooperative, consumer (KIP-848)
}

// Committed is a committed offset.
type Committed struct {
	Offset   int64
	Metadata string
}

// Client is what a client can do.
type Client interface {
	Create(topic string, partitions, factor int, configs map[string]string) error
	// Produce sends the records, in order within each partition, and fills in their offsets.
	Produce(o Options, records []Record) error
	Read(topic string, partition int32, from int64) (Reader, error)
	// Join starts a member, which tells the given state of everything.
	Join(j Join, m *Member) error
	Commit(group, topic string, partition int32, c Committed) error
	// Committed has an offset of -1 where nothing is committed.
	Committed(group, topic string, partition int32) (Committed, error)
	// At finds an offset by time, -1 if there is none; Ends are the first offset and the one after the last.
	At(topic string, partition int32, millis int64) (int64, error)
	Ends(topic string, partition int32) (first, end int64, err error)
	// TooLarge reports whether an error is that of a record over the limit.
	TooLarge(err error) bool
}

// Suite is a client with what it alone has.
type Suite struct {
	Client
	Module     string // path of the client's module
	Idempotent bool
	Strategies []string // those of Join that it has
	Static     bool
	NoNulls    bool // it writes no headers without a value
	Blurs      bool // what it reads does not tell an empty key or value from none
	// More are checks of its own: by area and name.
	More []More
}

// More is a check of one client alone.
type More struct {
	Area, Name string
	Fn         func(s *Setting) (string, error)
}

// Setting is how the program was called.
type Setting struct {
	Brokers           []string
	Prefix, Reference string
	Factor            int
	areas             []string
	suite             *Suite
}

// Given reads the command line.
func Given() *Setting {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "BROKERS PREFIX REFERENCE FACTOR AREAS")
		os.Exit(2)
	}
	factor, err := strconv.Atoi(os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return &Setting{Brokers: strings.Split(os.Args[1], ","), Prefix: os.Args[2], Reference: os.Args[3], Factor: factor, areas: strings.Split(os.Args[5], ",")}
}

// Run runs all checks.
func (s *Setting) Run(c *Suite) {
	s.suite = c
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == c.Module {
				fmt.Printf("version\t%s\n", m.Version)
			}
		}
	}
	s.told("compacted", "write", s.fill)
	for _, codec := range codecs {
		s.told("records", "write "+codec, func() (string, error) { return s.write(codec) })
		s.told("records", "read "+codec, func() (string, error) { return s.readRule(s.Reference+"-"+codec, true) })
	}
	s.told("records", "large", s.large)
	if c.Idempotent {
		s.told("idempotent", "order", s.idempotent)
	}
	for _, strategy := range c.Strategies {
		area, name := "groups", map[string]string{"range": "eager"}[strategy]
		if strategy == "consumer" {
			area, name = "kip-848", "come and go"
		} else if name == "" {
			name = strategy
		}
		s.told(area, name, func() (string, error) { return s.comeAndGo(strategy) })
	}
	if c.Static {
		s.told("groups", "static", s.static)
	}
	s.told("offsets", "commit and fetch", s.commit)
	s.told("offsets", "by time", s.byTime)
	for _, m := range c.More {
		s.told(m.Area, m.Name, func() (string, error) { return m.Fn(s) })
	}
	s.told("compacted", "latest values", s.compacted)
}

func (s *Setting) told(area, name string, fn func() (string, error)) {
	if !slices.Contains(s.areas, area) {
		return
	}
	status := "ok"
	detail, err := fn()
	if err != nil {
		status, detail = "FAIL", err.Error()
	}
	fmt.Printf("%s\t%s\t%s\t%s\n", status, area, name, strings.NewReplacer("\n", " ", "\t", " ").Replace(detail))
}

// Topic makes a topic.
func (s *Setting) Topic(name string, partitions int, configs map[string]string) (string, error) {
	topic := s.Prefix + "-" + name
	if err := s.suite.Create(topic, partitions, s.Factor, configs); err != nil {
		return "", fmt.Errorf("creating %s: %w", topic, err)
	}
	return topic, nil
}

// Until waits for something.
func Until(what string, there func() (bool, error)) error {
	return within(30*time.Second, what, there)
}

func within(limit time.Duration, what string, there func() (bool, error)) error {
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if ok, err := there(); ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %s", limit, what)
		}
	}
}

// Same is an error unless the two are equal.
func Same[T comparable](want, got T, what string) error {
	if want != got {
		return fmt.Errorf("%s is %v, not %v", what, got, want)
	}
	return nil
}
