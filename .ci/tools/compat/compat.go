// Package compat has the checks of the Go clients, which cmd/compat runs: what a client must be able to do is Client, and
// each client has a program of its own that does it with that client. How a program is called and what it prints is told
// at the function harness of cmd/compat; the rule of the records is in its rule.go.
package compat

import (
	"bytes"
	"context"
	"errors"
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

// The rule of the records, see rule.go of cmd/compat.
const (
	count      = 300
	partitions = 3
	epoch      = 1_700_000_000_000
)

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func rule(topic string, i int, nulls bool) Record {
	r := Record{Topic: topic, Partition: int32(i % partitions), Offset: int64(i / partitions), Millis: epoch + int64(i)*1000}
	switch {
	case i%7 == 0:
	case i%11 == 0:
		r.Key = []byte{}
	default:
		r.Key = fmt.Appendf(nil, "k%d", i)
	}
	switch {
	case i%13 == 0 && i%7 != 0: // not every client sends a record with neither
	case i%17 == 0:
		r.Value = []byte{}
	default:
		r.Value = fmt.Appendf(nil, "v%d-%s", i, strings.Repeat("x", i*37%500))
	}
	for j := range i % 3 {
		r.Headers = append(r.Headers, Header{"h", fmt.Appendf(nil, "w%d-%d", i, j)})
	}
	if nulls && i%5 == 0 {
		r.Headers = append(r.Headers, Header{"null", nil})
	}
	return r
}

func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func different(want, got Record) error {
	ok := want.Partition == got.Partition && want.Offset == got.Offset && want.Millis == got.Millis && sameBytes(want.Key, got.Key) &&
		sameBytes(want.Value, got.Value) && slices.EqualFunc(want.Headers, got.Headers, func(a, b Header) bool { return a.Key == b.Key && sameBytes(a.Value, b.Value) })
	if !ok {
		return fmt.Errorf("a record is %.300s, not %.300s", fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want))
	}
	return nil
}

func (s *Setting) write(codec string) (string, error) {
	topic, err := s.Topic("write-"+codec, partitions, nil)
	if err != nil {
		return "", err
	}
	var all []Record
	for i := range count {
		all = append(all, rule(topic, i, !s.suite.NoNulls))
		all[i].Offset = -1
	}
	if err := s.suite.Produce(Options{Codec: codec}, all); err != nil {
		return "", err
	}
	for i, r := range all {
		if err := Same(int64(i/partitions), r.Offset, fmt.Sprintf("the acknowledged offset of record %d", i)); err != nil {
			return "", err
		}
	}
	nulls := "nullheaders"
	if s.suite.NoNulls {
		nulls = "-"
	}
	fmt.Printf("wrote\t%s\t%s\t%s\n", topic, codec, nulls)
	return s.readRule(topic, !s.suite.NoNulls)
}

func (s *Setting) readRule(topic string, nulls bool) (string, error) {
	for p := range partitions {
		i := p
		err := s.each(topic, int32(p), count/partitions, func(r Record) error {
			want := rule(topic, i, nulls)
			i += partitions
			if s.suite.Blurs {
				want.Key, r.Key = append([]byte{}, want.Key...), append([]byte{}, r.Key...)
				want.Value, r.Value = append([]byte{}, want.Value...), append([]byte{}, r.Value...)
			}
			return different(want, r)
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprint(count, " records"), nil
}

// each reads n records of a partition from its beginning.
func (s *Setting) each(topic string, partition int32, n int, fn func(Record) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	reader, err := s.suite.Read(topic, partition, 0)
	if err != nil {
		return err
	}
	defer reader.Close() //nolint:errcheck // it only read
	for i := range n {
		r, err := reader.Next(ctx)
		if err != nil {
			return fmt.Errorf("after %d records of partition %d: %w", i, partition, err)
		}
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Setting) large() (string, error) {
	topic, err := s.Topic("large", 1, nil)
	if err != nil {
		return "", err
	}
	const bigs, smalls = 3, 10_000
	var all []Record
	for n := range bigs {
		all = append(all, Record{Topic: topic, Value: bytes.Repeat([]byte{byte(n)}, 1_000_000), Millis: time.Now().UnixMilli()})
		if err := s.suite.Produce(Options{}, all[n:]); err != nil {
			return "", err
		}
	}
	err = s.suite.Produce(Options{}, []Record{{Topic: topic, Value: make([]byte, 2_000_000), Millis: time.Now().UnixMilli()}})
	if err == nil || !s.suite.TooLarge(err) {
		return "", fmt.Errorf("a record over max.message.bytes: %v", err)
	}
	for i := range smalls {
		all = append(all, Record{Topic: topic, Value: fmt.Appendf(nil, "small%d", i), Millis: time.Now().UnixMilli()})
	}
	if err := s.suite.Produce(Options{}, all[bigs:]); err != nil {
		return "", err
	}
	n := 0
	err = s.each(topic, 0, len(all), func(r Record) error {
		if r.Offset != int64(n) || !bytes.Equal(r.Value, all[n].Value) {
			return fmt.Errorf("record %d came out otherwise, at offset %d", n, r.Offset)
		}
		n++
		return nil
	})
	return fmt.Sprintf("%d records of 1,000,000 bytes, %d small ones, too large above", bigs, smalls), err
}

func (s *Setting) idempotent() (string, error) {
	topic, err := s.Topic("idempotent", 3, nil)
	if err != nil {
		return "", err
	}
	var all []Record
	for i := range 6000 {
		all = append(all, Record{Topic: topic, Partition: int32(i % 3), Value: []byte(strconv.Itoa(i)), Millis: time.Now().UnixMilli()})
	}
	if err := s.suite.Produce(Options{Idempotent: true, Batch: 1000}, all); err != nil {
		return "", err
	}
	for p := range 3 {
		next := p
		err := s.each(topic, int32(p), 2000, func(r Record) error {
			want := all[next]
			next += 3
			if r.Offset != want.Offset || r.Offset != int64(next/3-1) || string(r.Value) != string(want.Value) {
				return fmt.Errorf("offset %d has %q, acknowledged was %q at %d", r.Offset, r.Value, want.Value, want.Offset)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return "6,000 records in small batches, at the acknowledged offsets", nil
}

func (s *Setting) commit() (string, error) {
	topic, group := s.Reference+"-none", s.Prefix+"-commits"
	c, err := s.suite.Committed(group, topic, 1)
	if err := errors.Join(err, Same(Committed{Offset: -1}, c, "what is committed at first")); err != nil {
		return "", err
	}
	want := Committed{42, "noted: π ≈ 3.14"}
	if err := s.suite.Commit(group, topic, 1, want); err != nil {
		return "", err
	}
	c, err = s.suite.Committed(group, topic, 1)
	return "committed and fetched with metadata", errors.Join(err, Same(want, c, "what is committed"))
}

func (s *Setting) byTime() (string, error) {
	topic := s.Reference + "-none"
	for at, want := range map[int64]int64{0: 0, 2000: 0, 2001: 1, 299_000: 99, 299_001: -1} {
		got, err := s.suite.At(topic, 2, epoch+at)
		if err := errors.Join(err, Same(want, got, fmt.Sprintf("the offset at %d", at))); err != nil {
			return "", err
		}
	}
	first, end, err := s.suite.Ends(topic, 2)
	return "4 times found, none after the end; beginning and end", errors.Join(err, Same(0, first, "the beginning"), Same(100, end, "the end"))
}

// filling is what compaction has to clean: each of ten keys is written many times, one last of all without a value.
func (s *Setting) filling() []Record {
	var all []Record
	for i := range 200 {
		r := Record{Topic: s.Prefix + "-compacted", Key: fmt.Appendf(nil, "k%d", i%10), Value: fmt.Appendf(nil, "v%d", i), Millis: time.Now().UnixMilli()}
		if i == 199 {
			r.Value = nil
		}
		all = append(all, r)
	}
	return all
}

// fill: what is written first is looked at last.
func (s *Setting) fill() (string, error) {
	_, err := s.Topic("compacted", 1, map[string]string{"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "100"})
	if err != nil {
		return "", err
	}
	for all := s.filling(); len(all) > 0; all = all[20:] {
		if err := s.suite.Produce(Options{}, all[:20]); err != nil {
			return "", err
		}
	}
	return "200 records with 10 keys", s.endSegment()
}

// endSegment writes one more record: the newest segment is never cleaned, so this closes it.
func (s *Setting) endSegment() error {
	time.Sleep(300 * time.Millisecond)
	return s.suite.Produce(Options{}, []Record{{Topic: s.Prefix + "-compacted", Key: []byte("end"), Value: []byte("end"), Millis: time.Now().UnixMilli()}})
}

func (s *Setting) compacted() (string, error) {
	var left []Record
	err := within(90*time.Second, "only the last value of each key is left", func() (bool, error) {
		if err := s.endSegment(); err != nil {
			return false, err
		}
		left = left[:0]
		err := s.each(s.Prefix+"-compacted", 0, 201, func(r Record) error {
			if r.Offset >= 200 {
				return errEnd
			}
			left = append(left, r)
			return nil
		})
		if !errors.Is(err, errEnd) {
			return false, err
		}
		return len(left) <= 10, nil
	})
	if err != nil {
		return "", err
	}
	all := s.filling()
	for i, r := range left {
		want := all[190+i]
		if r.Offset != int64(190+i) || string(r.Key) != string(want.Key) || !sameBytes(r.Value, want.Value) {
			return "", fmt.Errorf("what is left has %q=%q at offset %d", r.Key, r.Value, r.Offset)
		}
	}
	return "10 of 200 records left, at their offsets, one a tombstone", Same(10, len(left), "the number of records left")
}

var errEnd = errors.New("the end is reached")
