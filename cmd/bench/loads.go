package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// load describes one run on one broker.
type load struct {
	kind       string // produce, steady, consume, latency, topics
	brokers    []string
	pids       []int
	topic      string
	keep       bool // the topic exists
	partitions int
	replicas   int
	records    int64
	size       int
	codec      string
	acks       string
	batchBytes int
	linger     time.Duration
	clients    int
	rate       float64
	duration   time.Duration
	topics     int
}

// defaults are those of a client that wants throughput.
func defaults(kind string) load {
	return load{
		kind: kind, brokers: []string{"127.0.0.1:9092"}, topic: "bench", partitions: 1, replicas: 1, records: 1_000_000, size: 1024, codec: "none",
		acks: "all", batchBytes: 1 << 20, linger: 5 * time.Millisecond, clients: 1, rate: 2000, duration: 20 * time.Second, topics: 10,
	}
}

// result is what a load found; its fields are printed as JSON. Those that a kind does not measure are left out.
type result struct {
	Kind           string  `json:"kind"`
	Seconds        float64 `json:"seconds"`
	Records        int64   `json:"records,omitempty"`
	Failed         int64   `json:"failed"`
	MBPerSecond    float64 `json:"mbPerSecond,omitempty"`
	CPUSecPerGB    float64 `json:"cpuSecPerGB,omitempty"`
	CPUSec         float64 `json:"cpuSec,omitempty"`
	RSSMB          float64 `json:"rssMB,omitempty"`
	AckP50         float64 `json:"ackP50ms,omitempty"`
	AckP99         float64 `json:"ackP99ms,omitempty"`
	AckP999        float64 `json:"ackP999ms,omitempty"`
	AckMax         float64 `json:"ackMaxMs,omitempty"`
	IntendedAckP50 float64 `json:"intendedAckP50ms,omitempty"` // from when the rate wanted the record sent
	IntendedAckP99 float64 `json:"intendedAckP99ms,omitempty"`
	RequestP50     float64 `json:"requestP50ms,omitempty"` // of the produce or fetch requests, as the client's connection sees them
	RequestP99     float64 `json:"requestP99ms,omitempty"`
	SteadyP50      float64 `json:"steadyP50ms,omitempty"` // the IntendedAck of the same records at a steady rate (pair)
	SteadyP99      float64 `json:"steadyP99ms,omitempty"`
	EndToEndP50    float64 `json:"endToEndP50ms,omitempty"`
	EndToEndP99    float64 `json:"endToEndP99ms,omitempty"`
	DiskP50        float64 `json:"diskP50ms,omitempty"` // of single durable writes without any load, before and after
	DiskP99        float64 `json:"diskP99ms,omitempty"`
	DiskMax        float64 `json:"diskMaxMs,omitempty"`
}

// run carries the load out.
func (l load) run(ctx context.Context) (result, error) {
	if l.kind != "consume" && l.kind != "topics" && !l.keep {
		if err := l.createTopic(ctx, l.topic); err != nil {
			return result{}, err
		}
	}
	switch l.kind {
	case "produce":
		return l.produce(ctx)
	case "steady":
		return l.steady(ctx)
	case "consume":
		return l.consume(ctx)
	case "latency":
		return l.latency(ctx)
	case "topics":
		return l.createTopics(ctx)
	}
	return result{}, fmt.Errorf("there is no load %q", l.kind)
}

// measured runs fn and fills in what the broker's processes used meanwhile for the given number of bytes.
func (l load) measured(r *result, fn func() (bytes int64, err error)) error {
	before, err := usageOf(l.pids)
	if err != nil {
		return err
	}
	began := time.Now()
	bytes, err := fn()
	if err != nil {
		return err
	}
	r.Seconds = time.Since(began).Seconds()
	after, err := usageOf(l.pids)
	if err != nil {
		return err
	}
	r.Kind = l.kind
	r.CPUSec, r.RSSMB = after.cpuSeconds-before.cpuSeconds, after.rssMB
	if bytes > 0 {
		r.MBPerSecond = float64(bytes) / 1e6 / r.Seconds
		r.CPUSecPerGB = r.CPUSec / (float64(bytes) / 1e9)
	}
	return nil
}

func (l load) clientOptions() []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(l.brokers...), kgo.RetryTimeout(time.Minute), kgo.MetadataMinAge(100 * time.Millisecond)}
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// producerOptions fill one partition after the other with whole batches.
func (l load) producerOptions() ([]kgo.Opt, error) {
	codec, ok := codecs[l.codec]
	if !ok {
		return nil, fmt.Errorf("there is no codec %q", l.codec)
	}
	opts := append(l.clientOptions(), kgo.DefaultProduceTopic(l.topic), kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytes(int32(l.batchBytes)), kgo.ProducerLinger(l.linger), kgo.MaxBufferedRecords(200_000),
		kgo.MaxBufferedBytes(256<<20), kgo.RecordPartitioner(kgo.UniformBytesPartitioner(l.batchBytes, false, false, nil)))
	switch l.acks {
	case "all":
		return opts, nil
	case "1":
		return append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()), nil
	case "0":
		return append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()), nil
	}
	return nil, fmt.Errorf("acks %q: all, 1 or 0", l.acks)
}

// values makes n different records, half of each random and half text that repeats: such data compresses to about half,
// as poor logs do.
func values(n, size int) [][]byte {
	r := rand.NewChaCha8([32]byte{'b', 'e', 'n', 'c', 'h'})
	const text = "method=GET status=200 path=/ "
	all := make([][]byte, n)
	for i := range all {
		v := make([]byte, size)
		r.Read(v[:size/2])
		for j := size / 2; j < size; {
			j += copy(v[j:], text)
		}
		all[i] = v
	}
	return all
}

// produce keeps the buffers of its clients full.
func (l load) produce(ctx context.Context) (result, error) {
	opts, err := l.producerOptions()
	if err != nil {
		return result{}, err
	}
	pool := values(512, l.size)
	times := newProduceTimes()
	opts = append(opts, kgo.WithHooks(times.requests))
	each := l.records / int64(l.clients)
	r := result{Records: each * int64(l.clients)}
	err = l.measured(&r, func() (int64, error) {
		var all sync.WaitGroup
		errs := make(chan error, l.clients)
		for range l.clients {
			all.Go(func() { errs <- produceOne(ctx, opts, each, pool, times) })
		}
		all.Wait()
		for range l.clients {
			if err := <-errs; err != nil {
				return 0, err
			}
		}
		return r.Records * int64(l.size), nil
	})
	times.fill(&r)
	return r, err
}

func produceOne(ctx context.Context, opts []kgo.Opt, records int64, pool [][]byte, times *produceTimes) error {
	c, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	done := func(_ *kgo.Record, err error) {
		if err != nil {
			times.failed.Add(1)
		}
	}
	for i := range records {
		promise := done
		if i%sampleEvery == 0 {
			at := time.Now()
			promise = func(r *kgo.Record, err error) {
				done(r, err)
				times.ack.add(time.Since(at))
			}
		}
		c.Produce(ctx, &kgo.Record{Value: pool[i%int64(len(pool))]}, promise)
	}
	return c.Flush(ctx)
}

// consume reads records from the start of the topic. A fetch's time is from its first byte on the wire to the last of an
// answer of up to 10 MiB, some sixty of them for 600 MB: the p99 is the longest but none.
func (l load) consume(ctx context.Context) (result, error) {
	fetches := newRequestTimes(fetchKey)
	opts := append(l.clientOptions(), kgo.ConsumeTopics(l.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxBytes(50<<20), kgo.FetchMaxPartitionBytes(10<<20), kgo.FetchMaxWait(500*time.Millisecond),
		kgo.WithHooks(fetches))
	var r result
	err := l.measured(&r, func() (int64, error) {
		c, err := kgo.NewClient(opts...)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		bytes := int64(0)
		for r.Records < l.records {
			pctx, cancel := context.WithTimeout(ctx, time.Minute)
			polled := c.PollFetches(pctx)
			cancel()
			if err := polled.Err(); err != nil {
				return 0, fmt.Errorf("after %d records: %w", r.Records, err)
			}
			polled.EachRecord(func(rec *kgo.Record) {
				r.Records++
				bytes += int64(len(rec.Value))
			})
		}
		return bytes, nil
	})
	r.RequestP50, r.RequestP99 = fetches.took.ms(50), fetches.took.ms(99)
	return r, err
}

// createTopics creates topics one after the other.
func (l load) createTopics(ctx context.Context) (result, error) {
	r := result{Records: int64(l.topics)}
	err := l.measured(&r, func() (int64, error) {
		for i := range l.topics {
			if err := l.createTopic(ctx, fmt.Sprintf("%s-%d", l.topic, i)); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	return r, err
}

func (l load) createTopic(ctx context.Context, name string) error {
	return l.admin(func(a *kadm.Client) error {
		if _, err := a.CreateTopic(ctx, int32(l.partitions), int16(l.replicas), nil, name); err != nil {
			return fmt.Errorf("creating topic %s: %w", name, err)
		}
		return nil
	})
}

func (l load) deleteTopic(ctx context.Context, name string) error {
	return l.admin(func(a *kadm.Client) error {
		_, err := a.DeleteTopic(ctx, name)
		return err
	})
}

func (l load) admin(fn func(*kadm.Client) error) error {
	c, err := kgo.NewClient(l.clientOptions()...)
	if err != nil {
		return err
	}
	defer c.Close()
	return fn(kadm.NewClient(c))
}

// String describes the load for a person.
func (l load) String() string {
	s := fmt.Sprintf("%s, %d B, %d partitions", l.kind, l.size, l.partitions)
	if l.codec != "none" {
		s += ", " + l.codec
	}
	return strings.Replace(s, "1 partitions", "1 partition", 1)
}
