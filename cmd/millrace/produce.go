package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// produceOptions are the flags of produce.
type produceOptions struct {
	topic       string
	key         string
	hasKey      bool
	delimiter   string
	headers     []string
	partition   int32
	compression string
	acks        string
	idempotent  bool
	file        string
	emptyNull   bool
	timeout     time.Duration
	format      string
	timestamp   int64
	whole       bool
}

// oldRetries is how often a record with a timestamp of its own is tried again.
const oldRetries = 30

// lineBytesMax bounds a line of input: nothing larger would pass a broker's defaults by far.
const lineBytesMax = 64 << 20

func (s *session) produceCommand() *cobra.Command {
	var o produceOptions
	c := &cobra.Command{
		Use:   "produce TOPIC [VALUE...]",
		Short: "Write records, from the arguments or one per line of the input",
		Long: "Write records to a topic: one for each VALUE, or else one for each line of standard input or --file.\n" +
			"The command ends when all of them are acknowledged, and fails if one is not.",
		Example: "  millrace produce orders 'first record'\n" +
			"  millrace produce orders --key-delimiter : < lines\n" +
			"  millrace produce orders --compression zstd --header source=import --file lines",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.topic, o.hasKey = args[0], c.Flags().Changed("key")
			opts, err := o.clientOptions(c.Flags().Changed("idempotent"))
			if err != nil {
				return usageError{err, c.CommandPath()}
			}
			if len(args) > 1 && o.file != "" {
				return usageError{errors.New("records come from the arguments or from --file, not both"), c.CommandPath()}
			}
			return s.produce(c.Context(), o, args[1:], opts)
		},
	}
	s.clientFlags(c)
	f := c.Flags()
	f.StringVar(&o.key, "key", "", "key of every record")
	f.StringVar(&o.delimiter, "key-delimiter", "", "what ends the key at the start of each record (\\t is a tab)")
	f.StringArrayVar(&o.headers, "header", nil, "a header of every record, as `name=value`; may be repeated")
	f.Int32Var(&o.partition, "partition", -1, "partition to write to (-1: chosen by the key, or spread)")
	f.StringVar(&o.compression, "compression", "none", "none, gzip, snappy, lz4 or zstd")
	f.StringVar(&o.acks, "acks", "all", "all (durable on a majority), 1 (durable on the leader) or 0 (not acknowledged)")
	f.BoolVar(&o.idempotent, "idempotent", true, "let the broker refuse duplicates that retries would make (with --acks all)")
	f.StringVar(&o.file, "file", "", "read lines from this file")
	f.BoolVar(&o.emptyNull, "empty-as-null", false, "write empty values as null, which deletes a key in a compacted topic")
	f.StringVar(&o.format, "format", "text", "text, hex or base64 (keys and values), or json as consume --json prints it")
	f.Int64Var(&o.timestamp, "timestamp", 0, "timestamp of every record, in milliseconds since 1970 (0: now, or what the JSON says)")
	f.BoolVar(&o.whole, "whole", false, "take the whole input as one record instead of one for each line")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long a record may wait for its acknowledgement")
	return c
}

// clientOptions turns the flags into options of the client.
func (o *produceOptions) clientOptions(idempotentGiven bool) ([]kgo.Opt, error) {
	codec, ok := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[o.compression]
	if !ok {
		return nil, fmt.Errorf("--compression %s: must be none, gzip, snappy, lz4 or zstd", o.compression)
	}
	acks, ok := map[string]kgo.Acks{"all": kgo.AllISRAcks(), "-1": kgo.AllISRAcks(), "1": kgo.LeaderAck(), "0": kgo.NoAck()}[o.acks]
	if !ok {
		return nil, fmt.Errorf("--acks %s: must be all, 1 or 0", o.acks)
	}
	if _, err := parsePairs("--header", o.headers); err != nil {
		return nil, err
	}
	if o.timeout <= 0 {
		return nil, errors.New("--timeout must be more than nothing")
	}
	if _, ok := produceFormats[o.format]; !ok && o.format != "" && o.format != "json" {
		return nil, fmt.Errorf("--format %s: must be text, hex, base64 or json", o.format)
	}
	if o.format == "json" && (o.hasKey || o.delimiter != "") {
		return nil, errors.New("--format json has the keys in it: --key and --key-delimiter exclude it")
	}
	if o.hasKey && o.delimiter != "" {
		return nil, errors.New("--key and --key-delimiter exclude each other")
	}
	all := o.acks == "all" || o.acks == "-1"
	if o.idempotent && idempotentGiven && !all {
		return nil, errors.New("--idempotent needs --acks all")
	}
	opts := []kgo.Opt{
		kgo.DefaultProduceTopic(o.topic), kgo.ProducerBatchCompression(codec), kgo.RequiredAcks(acks),
		kgo.AllowAutoTopicCreation(),
		kgo.BrokerMaxWriteBytes(100 << 20), kgo.UnknownTopicRetries(2),
	}
	if o.timestamp != 0 || o.format == "json" { // the client would count the time from the record's own timestamp
		opts = append(opts, kgo.RecordRetries(oldRetries))
	} else {
		opts = append(opts, kgo.RecordDeliveryTimeout(o.timeout))
	}
	if !o.idempotent || !all {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	if o.partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return opts, nil
}

// record makes a record of one line.
func (o *produceOptions) record(line []byte) (*kgo.Record, error) {
	r, err := o.parse(line)
	if err != nil {
		return nil, err
	}
	if o.partition >= 0 {
		r.Partition = o.partition
	}
	if o.timestamp != 0 {
		r.Timestamp = time.UnixMilli(o.timestamp)
	}
	if o.emptyNull && len(r.Value) == 0 {
		r.Value = nil
	}
	pairs, err := parsePairs("--header", o.headers)
	for _, p := range pairs {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: p.name, Value: []byte(p.value)})
	}
	return r, err
}

// parse takes the key and the value from a line.
func (o *produceOptions) parse(line []byte) (*kgo.Record, error) {
	if o.format == "json" {
		return recordOfJSON(line)
	}
	var key []byte
	if o.hasKey {
		key = []byte(o.key)
	}
	if d := strings.ReplaceAll(o.delimiter, `\t`, "\t"); d != "" {
		var ok bool
		if key, line, ok = bytes.Cut(line, []byte(d)); !ok {
			return nil, fmt.Errorf("no key delimiter %q in the record %.60q", d, key)
		}
	}
	key, err := o.decode("key", key)
	if err != nil {
		return nil, err
	}
	value, err := o.decode("value", line)
	return &kgo.Record{Key: key, Value: value}, err
}

// producedPartition is what produce prints about one partition.
type producedPartition struct {
	Partition   int32 `json:"partition"`
	Records     int   `json:"records"`
	FirstOffset int64 `json:"firstOffset"` // -1 with acks 0, which learns no offsets
	LastOffset  int64 `json:"lastOffset"`
}

// tally collects the acknowledgements; the client calls it from goroutines of its own.
type tally struct {
	mu         sync.Mutex
	partitions map[int32]*producedPartition
	blind      bool // acks 0: nobody tells the offsets
	done       atomic.Int64
	failed     int
	first      error
}

func (t *tally) acknowledge(r *kgo.Record, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failed++
		if t.first == nil {
			t.first = err
		}
		return
	}
	if t.blind {
		r.Offset = -1
	}
	p := t.partitions[r.Partition]
	if p == nil {
		p = &producedPartition{Partition: r.Partition, FirstOffset: r.Offset, LastOffset: r.Offset}
		t.partitions[r.Partition] = p
	}
	p.Records++
	t.done.Add(1)
	p.FirstOffset, p.LastOffset = min(p.FirstOffset, r.Offset), max(p.LastOffset, r.Offset)
}

func (t *tally) broken() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.first
}

func (s *session) produce(ctx context.Context, o produceOptions, values []string, opts []kgo.Opt) error {
	input, err := s.recordSource(o, values)
	if err != nil {
		return err
	}
	defer input.close() //nolint:errcheck // it was only read
	largest, err := s.largestBatch(ctx, o.topic)
	if err != nil {
		return err
	}
	c, err := s.client(ctx, append(opts, kgo.ProducerBatchMaxBytes(largest))...)
	if err != nil {
		return err
	}
	defer c.Close()
	t := &tally{partitions: map[int32]*producedPartition{}, blind: o.acks == "0"}
	stop := func() {}
	if !input.typed {
		stop = s.progress(work{what: "record", done: &t.done, share: input.share})
	}
	inputErr := produceAll(ctx, c, &o, input.next, t)
	flushErr := c.Flush(ctx)
	stop()
	if err := s.printProduced(o.topic, t); err != nil {
		return err
	}
	switch {
	case t.first != nil:
		err := onTopic{topic: o.topic, err: t.first}
		s.note("%s not acknowledged", count(t.failed, "record"))
		return err
	case inputErr != nil:
		return inputErr
	}
	return flushErr
}

// produceAll hands records to the client until the input ends, or a record fails, after which going on would only
// leave holes.
func produceAll(ctx context.Context, c *kgo.Client, o *produceOptions, next func() ([]byte, error), t *tally) error {
	for ctx.Err() == nil && t.broken() == nil {
		line, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading records: %w", err)
		}
		r, err := o.record(line)
		if err != nil {
			return err
		}
		c.Produce(ctx, r, t.acknowledge)
	}
	return ctx.Err()
}

func (s *session) printProduced(topic string, t *tally) error {
	parts, records := []producedPartition{}, 0
	for _, p := range t.partitions {
		parts = append(parts, *p)
		records += p.Records
	}
	slices.SortFunc(parts, func(a, b producedPartition) int { return int(a.Partition - b.Partition) })
	if s.json {
		return s.printJSON(map[string]any{"topic": topic, "records": records, "failed": t.failed, "partitions": parts})
	}
	var where []string
	for _, p := range parts {
		switch {
		case p.FirstOffset < 0:
			where = append(where, fmt.Sprintf("partition %d", p.Partition))
		case p.FirstOffset == p.LastOffset:
			where = append(where, fmt.Sprintf("partition %d at offset %d", p.Partition, p.FirstOffset))
		default:
			where = append(where, fmt.Sprintf("partition %d at offsets %d to %d", p.Partition, p.FirstOffset, p.LastOffset))
		}
	}
	if records == 0 {
		return nil
	}
	_, err := fmt.Fprintf(s.out, "wrote %s to topic %s: %s\n", count(records, "record"), topic, strings.Join(where, ", "))
	return err
}
