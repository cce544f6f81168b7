package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// consumeOptions are the flags of consume.
type consumeOptions struct {
	topics        []string
	fromBeginning bool
	offset        string
	partitions    []int32
	group         string
	count         int64
	untilEnd      bool
	committed     bool
	timeout       time.Duration
	print         printOptions
}

func (s *session) consumeCommand() *cobra.Command {
	var o consumeOptions
	c := &cobra.Command{
		Use:   "consume TOPIC...",
		Short: "Read records and print them",
		Long: "Read records of topics and print them as they come, until interrupted, or as --count, --until-end and --timeout say.\n" +
			"Without --group, each invocation reads by itself, from the end unless told otherwise. With --group, the partitions\n" +
			"are shared with the other members, and reading goes on where the group left off.",
		Example: "  millrace consume orders --from-beginning --count 10\n" +
			"  millrace consume orders --partition 0 --offset 1000 --format json\n" +
			"  millrace consume orders --group billing --format '%k: %v'",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, topics []string) error {
			o.topics = topics
			if s.json {
				o.print.format = "json"
			}
			if err := o.validate(); err != nil {
				return usageError{err, c.CommandPath()}
			}
			return s.consume(c.Context(), o)
		},
	}
	s.clientFlags(c)
	f := c.Flags()
	f.BoolVar(&o.fromBeginning, "from-beginning", false, "start with the oldest records (with --group: where the group has no offset)")
	f.StringVar(&o.offset, "offset", "", "start at this offset, at earliest or latest, or with -N at N before the end")
	f.Int32SliceVar(&o.partitions, "partition", nil, "read only these partitions, comma separated")
	f.StringVar(&o.group, "group", "", "read as a member of this consumer group")
	f.Int64Var(&o.count, "count", 0, "end after this many records")
	f.BoolVar(&o.untilEnd, "until-end", false, "end at the offsets that were the ends at the start")
	f.DurationVar(&o.timeout, "timeout", 0, "end when no record came for this long; with --count, not reaching it is an error")
	f.BoolVar(&o.committed, "read-committed", false, "read no records of transactions that are open or aborted")
	f.StringVar(&o.print.format, "format", "text", "text (values), raw (nothing between them), hex, base64, json (an object a line), or a line with %t topic, %p partition, %o offset, %T timestamp, %k key, %v value, %K %S their lengths, %h headers")
	return c
}

func (o *consumeOptions) validate() error {
	switch {
	case o.fromBeginning && o.offset != "":
		return errors.New("--from-beginning and --offset exclude each other")
	case o.group != "" && (len(o.partitions) > 0 || o.offset != "" || o.untilEnd):
		return errors.New("--group assigns partitions and offsets by itself: it excludes --partition, --offset and --until-end")
	case o.count < 0:
		return errors.New("--count must not be negative")
	}
	if _, err := o.start(); err != nil {
		return err
	}
	return o.print.validate()
}

// start is the offset to begin at.
func (o *consumeOptions) start() (kgo.Offset, error) {
	switch {
	case o.fromBeginning, o.offset == "earliest":
		return kgo.NewOffset().AtStart(), nil
	case o.offset == "", o.offset == "latest":
		return kgo.NewOffset().AtEnd(), nil
	}
	n, err := strconv.ParseInt(o.offset, 10, 64)
	if err != nil {
		return kgo.Offset{}, fmt.Errorf("--offset %s: must be a number, earliest or latest", o.offset)
	}
	if n < 0 {
		return kgo.NewOffset().AtEnd().Relative(n), nil
	}
	return kgo.NewOffset().At(n), nil
}

// consumer is one invocation of consume while it runs.
type consumer struct {
	s       *session
	o       consumeOptions
	client  *kgo.Client
	out     *bufio.Writer
	printed int64
	// read counts the records that were read, of about whole; 0 when nobody knows how many there will be.
	read  atomic.Int64
	whole int64
	// rest is, with --until-end, the offset at which each partition ends; what is reached is taken out.
	rest map[string]map[int32]int64
}

func (s *session) consume(ctx context.Context, o consumeOptions) error {
	contact, err := s.client(ctx)
	if err != nil {
		return err
	}
	c := &consumer{s: s, o: o, out: bufio.NewWriterSize(s.out, 1<<16)}
	partitions, err := c.look(ctx, kadm.NewClient(contact))
	contact.Close()
	if err != nil {
		return err
	}
	if o.untilEnd && len(c.rest) == 0 {
		return nil
	}
	opts, err := c.clientOptions(partitions)
	if err != nil {
		return err
	}
	if c.client, err = s.client(ctx, opts...); err != nil {
		return err
	}
	defer c.client.Close()
	stop := func() {}
	if whole := cmp.Or(o.count, c.whole); whole > 0 && !isTerminal(s.out) { // else the records themselves are what is seen
		far := work{what: "record", done: &c.read}
		far.upTo(whole, 0)
		stop = s.progress(far)
	}
	err = c.loop(ctx)
	stop()
	if flushErr := c.out.Flush(); err == nil {
		err = flushErr
	}
	if commitErr := c.leave(); err == nil {
		err = commitErr
	}
	return err
}

// look makes sure that the topics and partitions exist, and with --until-end finds where they end. It returns the
// partitions to read.
func (c *consumer) look(ctx context.Context, a *kadm.Client) (map[string][]int32, error) {
	details, err := a.ListTopicsWithInternal(ctx, c.o.topics...)
	if err != nil {
		return nil, fmt.Errorf("looking for the topics: %w", err)
	}
	found := map[string][]int32{}
	for _, d := range details.Sorted() {
		if d.Err != nil {
			return nil, onTopic{topic: d.Topic, err: d.Err}
		}
		found[d.Topic] = d.Partitions.Numbers()
		if len(c.o.partitions) == 0 {
			continue
		}
		for _, p := range c.o.partitions {
			if _, ok := d.Partitions[p]; !ok {
				return nil, &failure{exit: exitNotFound, message: fmt.Sprintf("topic %s has no partition %d", d.Topic, p),
					hint: fmt.Sprintf("it has %s, from 0", count(len(d.Partitions), "partition"))}
			}
		}
		found[d.Topic] = c.o.partitions
	}
	if !c.o.untilEnd {
		return found, nil
	}
	starts, err := a.ListStartOffsets(ctx, c.o.topics...)
	if err != nil {
		return nil, fmt.Errorf("asking for the first offsets: %w", err)
	}
	ends, err := a.ListEndOffsets(ctx, c.o.topics...)
	if err != nil {
		return nil, fmt.Errorf("asking for the end offsets: %w", err)
	}
	c.rest, c.whole = restOf(found, starts, ends, c.o)
	return found, nil
}

// restOf returns where to end in each partition that holds anything to read, and how many offsets lie before.
func restOf(partitions map[string][]int32, starts, ends kadm.ListedOffsets, o consumeOptions) (rest map[string]map[int32]int64, whole int64) {
	rest = map[string]map[int32]int64{}
	for topic, list := range partitions {
		for _, p := range list {
			end, ok := ends.Lookup(topic, p)
			start, _ := starts.Lookup(topic, p)
			from := start.Offset
			if n, err := strconv.ParseInt(o.offset, 10, 64); err == nil && n >= 0 {
				from = max(from, n)
			} else if !o.fromBeginning && o.offset != "earliest" && err != nil {
				from = end.Offset
			}
			if ok && end.Err == nil && end.Offset > from {
				if rest[topic] == nil {
					rest[topic] = map[int32]int64{}
				}
				rest[topic][p] = end.Offset
				whole += end.Offset - from
			}
		}
	}
	return rest, whole
}

func (c *consumer) clientOptions(partitions map[string][]int32) ([]kgo.Opt, error) {
	start, err := c.o.start()
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{kgo.FetchMaxWait(500 * time.Millisecond), kgo.KeepControlRecords()}
	if c.o.committed {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if c.o.group != "" {
		return append(opts, kgo.ConsumerGroup(c.o.group), kgo.ConsumeTopics(c.o.topics...), kgo.ConsumeResetOffset(start),
			kgo.AutoCommitMarks(), kgo.AutoCommitInterval(5*time.Second), kgo.BlockRebalanceOnPoll()), nil
	}
	assigned := map[string]map[int32]kgo.Offset{}
	for topic, list := range partitions {
		assigned[topic] = map[int32]kgo.Offset{}
		for _, p := range list {
			assigned[topic][p] = start
		}
	}
	return append(opts, kgo.ConsumePartitions(assigned)), nil
}

// pollRecordsMax bounds the records taken at once, so that what is printed and what a group commits stay close.
const pollRecordsMax = 10_000

func (c *consumer) loop(ctx context.Context) error {
	last := time.Now()
	for {
		limit := int64(pollRecordsMax)
		if c.o.count > 0 {
			limit = min(limit, c.o.count-c.printed)
		}
		fetches, err := c.poll(ctx, int(limit), last)
		if err != nil || fetches == nil {
			return err
		}
		n, err := c.take(fetches)
		if c.o.group != "" {
			c.client.AllowRebalance()
		}
		if err != nil || c.done() {
			return err
		}
		if n > 0 {
			last = time.Now()
		}
	}
}

// poll waits for records. It returns nil when the command is to end: interrupted, or no record came in time.
func (c *consumer) poll(ctx context.Context, limit int, last time.Time) (kgo.Fetches, error) {
	pctx, cancel := ctx, context.CancelFunc(func() {})
	if c.o.timeout > 0 {
		pctx, cancel = context.WithDeadline(ctx, last.Add(c.o.timeout))
	}
	defer cancel()
	fetches := c.client.PollRecords(pctx, limit)
	if fetches.NumRecords() > 0 {
		return fetches, nil
	}
	if ctx.Err() != nil {
		return nil, nil
	}
	if pctx.Err() != nil {
		if c.o.count == 0 {
			return nil, nil
		}
		return nil, &failure{exit: exitTimeout,
			message: fmt.Sprintf("%s of %d, then none for %v", count(int(c.printed), "record"), c.o.count, c.o.timeout),
			hint:    "see `millrace topic describe " + strings.Join(c.o.topics, " ") + "` for what is there"}
	}
	return fetches, nil
}

// take prints the records of one poll and returns how many there were.
func (c *consumer) take(fetches kgo.Fetches) (int, error) {
	for _, e := range fetches.Errors() {
		return 0, onTopic{topic: e.Topic, err: e.Err}
	}
	n := 0
	var failed error
	fetches.EachRecord(func(r *kgo.Record) {
		if failed != nil || !c.wanted(r) {
			return
		}
		n++
		c.printed++
		c.read.Add(1)
		failed = c.o.print.record(c.out, r)
	})
	if failed != nil {
		return n, fmt.Errorf("printing: %w", failed)
	}
	// Whoever reads a pipe sees the records at once; only then do they count as consumed.
	if err := c.out.Flush(); err != nil {
		return n, fmt.Errorf("printing: %w", err)
	}
	if c.o.group != "" {
		c.client.MarkCommitRecords(fetches.Records()...)
	}
	return n, nil
}

// wanted reports whether a record is to be printed, and notes how far its partition was read.
func (c *consumer) wanted(r *kgo.Record) bool {
	if c.o.untilEnd {
		end, ok := c.rest[r.Topic][r.Partition]
		if !ok {
			return false
		}
		if r.Offset+1 >= end {
			delete(c.rest[r.Topic], r.Partition)
			if len(c.rest[r.Topic]) == 0 {
				delete(c.rest, r.Topic)
			}
		}
		if r.Offset >= end {
			return false
		}
	}
	return !r.Attrs.IsControl()
}

func (c *consumer) done() bool {
	return c.o.count > 0 && c.printed >= c.o.count || c.o.untilEnd && len(c.rest) == 0
}

// leave commits what was printed and leaves the group, also after an interrupt.
func (c *consumer) leave() error {
	if c.o.group == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), contactTime)
	defer cancel()
	if err := c.client.CommitMarkedOffsets(ctx); err != nil {
		return fmt.Errorf("committing the group's offsets: %w", err)
	}
	if err := c.client.LeaveGroupContext(ctx); err != nil {
		return fmt.Errorf("leaving the group: %w", err)
	}
	return nil
}
