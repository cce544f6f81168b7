package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	topic       string
	partitions  int32
	replicas    int16
	records     int64
	seconds     float64
	size        int
	rate        float64
	acks        string
	compression string
}

func (s *session) benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure a cluster: Millrace or any other that speaks Kafka",
		Long: "Measure what a cluster does with records of random bytes: how many it takes (produce), how many it gives (consume), and\n" +
			"how long it takes for one at a steady rate (latency). The topic is created when it does not exist, and left behind.",
	}
	c.AddCommand(s.benchProduceCommand(), s.benchConsumeCommand(), s.benchLatencyCommand())
	return c
}

// benchFlags adds the flags that several of the commands have.
func (s *session) benchFlags(c *cobra.Command, o *benchOptions, records int64) {
	s.clientFlags(c)
	f := c.Flags()
	f.StringVar(&o.topic, "topic", "millrace-bench", "topic to use; created when it does not exist")
	f.Int32Var(&o.partitions, "partitions", 4, "partitions of a topic that is created")
	f.Int16Var(&o.replicas, "replicas", -1, "replicas of a topic that is created (-1: as the cluster does it)")
	f.Int64Var(&o.records, "records", records, "end after so many records (0: never)")
	f.Float64Var(&o.seconds, "seconds", 0, "end after so many seconds (0: never)")
}

func (o *benchOptions) writeFlags(c *cobra.Command) {
	f := c.Flags()
	f.IntVar(&o.size, "size", 1024, "bytes of a record's value")
	f.StringVar(&o.acks, "acks", "all", "all, 1 or 0")
	f.StringVar(&o.compression, "compression", "none", "none, gzip, snappy, lz4 or zstd; random bytes do not become smaller")
}

func (o *benchOptions) validate() error {
	switch {
	case o.records < 0 || o.seconds < 0 || o.rate < 0:
		return errors.New("--records, --seconds and --rate must not be negative")
	case o.records == 0 && o.seconds == 0:
		return errors.New("one of --records and --seconds must say when to end")
	case o.size < 8 || o.size > 900_000:
		return errors.New("--size must be 8 to 900000 bytes")
	case o.partitions < 1:
		return errors.New("--partitions must be at least 1")
	}
	return nil
}

func (s *session) benchProduceCommand() *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:     "produce",
		Short:   "Write records as fast as they are taken, or at a rate",
		Example: "  millrace bench produce --records 5000000 --size 1000\n  millrace bench produce --seconds 30 --acks 1 --compression zstd",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return usageError{err, c.CommandPath()}
			}
			return s.benchProduce(c.Context(), o, false)
		},
	}
	s.benchFlags(c, &o, 1_000_000)
	o.writeFlags(c)
	c.Flags().Float64Var(&o.rate, "rate", 0, "records a second (0: as many as are taken)")
	return c
}

func (s *session) benchLatencyCommand() *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:   "latency",
		Short: "Write records at a steady rate, read them back, and tell how long each took",
		Long: "Write records at a steady rate and read them back. A record's time begins when it was due, not when there was a chance to send\n" +
			"it: a cluster that stops for a second is charged with that second for every record that was due in it. Without that, the\n" +
			"worst moments of a cluster would count once each, since nothing is sent in them.",
		Example: "  millrace bench latency --rate 2000 --seconds 30",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.seconds == 0 && o.records == 0 {
				o.seconds = 10
			}
			err := o.validate()
			if err == nil && o.rate <= 0 {
				err = errors.New("--rate must be more than nothing")
			}
			if err != nil {
				return usageError{err, c.CommandPath()}
			}
			return s.benchProduce(c.Context(), o, true)
		},
	}
	s.benchFlags(c, &o, 0)
	o.writeFlags(c)
	c.Flags().Float64Var(&o.rate, "rate", 1000, "records a second")
	return c
}

func (s *session) benchConsumeCommand() *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:     "consume",
		Short:   "Read what is in the topic, from its beginning",
		Example: "  millrace bench consume --records 5000000",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.size = 8
			if err := o.validate(); err != nil {
				return usageError{err, c.CommandPath()}
			}
			return s.benchConsume(c.Context(), o)
		},
	}
	s.benchFlags(c, &o, 1_000_000)
	return c
}

// ensureTopic creates the topic unless it is there.
func (s *session) ensureTopic(ctx context.Context, o *benchOptions) error {
	return s.admin(ctx, func(ctx context.Context, a *kadm.Client) error {
		r, err := a.CreateTopic(ctx, o.partitions, o.replicas, nil, o.topic)
		if errors.Is(err, kerr.TopicAlreadyExists) || errors.Is(r.Err, kerr.TopicAlreadyExists) {
			return nil
		}
		if err == nil {
			err = r.Err
		}
		if err != nil {
			return onTopic{topic: o.topic, err: err, detail: r.ErrMessage}
		}
		return nil
	})
}

// latencies are recorded by one goroutine at a time.
type latencies struct{ h *hdrhistogram.Histogram }

// longestLatency is what is told apart; what took longer counts as this.
const longestLatency = 10 * time.Minute

func newLatencies() latencies {
	return latencies{hdrhistogram.New(1, int64(longestLatency/time.Microsecond), 3)}
}

func (t latencies) note(d time.Duration) {
	t.h.RecordValue(min(max(int64(d/time.Microsecond), 1), int64(longestLatency/time.Microsecond)))
}

// percentiles are latencies in milliseconds.
type percentiles struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

func (t latencies) percentiles() *percentiles {
	at := func(p float64) float64 { return float64(t.h.ValueAtQuantile(p)) / 1000 }
	return &percentiles{t.h.Mean() / 1000, at(50), at(90), at(99), at(99.9), float64(t.h.Max()) / 1000}
}

func (p *percentiles) String() string {
	return fmt.Sprintf("mean %.2f ms, p50 %.2f, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f", p.Mean, p.P50, p.P90, p.P99, p.P999, p.Max)
}

// measured is what a bench prints.
type measured struct {
	Topic            string       `json:"topic"`
	Records          int64        `json:"records"`
	Failed           int64        `json:"failed"`
	Seconds          float64      `json:"seconds"`
	RecordsPerSecond float64      `json:"recordsPerSecond"`
	MBPerSecond      float64      `json:"mbPerSecond"`
	Acknowledged     *percentiles `json:"acknowledgedMs,omitempty"`
	Read             *percentiles `json:"readMs,omitempty"`
	Late             int64        `json:"late,omitempty"`
}

func (s *session) printMeasured(m measured, verb string) error {
	if s.json {
		return s.printJSON(m)
	}
	fmt.Fprintf(s.out, "%s %s in %.1f s: %.0f records/s, %.1f MB/s\n", verb, count(int(m.Records), "record"), m.Seconds, m.RecordsPerSecond, m.MBPerSecond)
	if m.Acknowledged != nil {
		fmt.Fprintf(s.out, "acknowledged after: %v\n", m.Acknowledged)
	}
	if m.Read != nil {
		fmt.Fprintf(s.out, "read after:         %v\n", m.Read)
	}
	if m.Late > 0 {
		fmt.Fprintf(s.out, "%s sent more than 10 ms late by this program: it, or its machine, is too busy for the rate\n", count(int(m.Late), "record"))
	}
	return nil
}

// benchRun is one run of produce or latency.
type benchRun struct {
	s        *session
	o        benchOptions
	began    time.Time
	acked    chan ack
	total    atomic.Int64 // acknowledged
	late     int64
	open     sync.WaitGroup // records without an answer
	payloads [][]byte
}

// ack is what became of a record.
type ack struct {
	took time.Duration
	err  error
}

func (s *session) benchProduce(ctx context.Context, o benchOptions, readBack bool) error {
	w := produceOptions{topic: o.topic, compression: o.compression, acks: o.acks, idempotent: true, partition: -1, timeout: time.Minute}
	opts, err := w.clientOptions(false)
	if err != nil {
		return usageError{err, "millrace bench"}
	}
	if err := s.ensureTopic(ctx, &o); err != nil {
		return err
	}
	opts = append(opts, kgo.MaxBufferedRecords(100_000), kgo.MaxBufferedBytes(256<<20), kgo.ProducerBatchMaxBytes(defaultBatch))
	if !readBack {
		opts = append(opts, kgo.ProducerLinger(5*time.Millisecond))
	}
	c, err := s.client(ctx, opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	r := &benchRun{s: s, o: o, acked: make(chan ack, 4096)}
	for range 64 {
		b := make([]byte, o.size)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		r.payloads = append(r.payloads, b)
	}
	var reader *benchReader
	if readBack {
		if reader, err = s.startReader(ctx, o.topic); err != nil {
			return err
		}
		defer reader.close()
	}
	r.began = time.Now()
	if reader != nil {
		go reader.run(r.began)
	}
	m, err := r.produce(ctx, c)
	if err != nil {
		return err
	}
	if reader != nil {
		m.Read = reader.until(ctx, m.Records)
	}
	return s.printMeasured(m, "wrote")
}

// produce sends until the end, and waits for what was sent.
func (r *benchRun) produce(ctx context.Context, c *kgo.Client) (measured, error) {
	m := measured{Topic: r.o.topic}
	result := make(chan error, 1)
	latency := newLatencies()
	go func() {
		var first error
		for a := range r.acked {
			if a.err != nil {
				m.Failed++
				if first == nil {
					first = a.err
				}
				continue
			}
			m.Records++
			latency.note(a.took)
		}
		result <- first
	}()
	far := work{what: "record", done: &r.total}
	far.upTo(r.o.records, r.o.seconds)
	stop := r.s.progress(far)
	r.send(ctx, c)
	flushErr := c.Flush(ctx)
	took := time.Since(r.began)
	stop()
	if flushErr != nil {
		c.Close() // which answers what is left
	}
	r.open.Wait()
	close(r.acked)
	if err := <-result; err != nil {
		return m, onTopic{topic: r.o.topic, err: err}
	}
	if flushErr != nil {
		return m, flushErr
	}
	m.Seconds = took.Seconds()
	m.RecordsPerSecond = float64(m.Records) / m.Seconds
	m.MBPerSecond = m.RecordsPerSecond * float64(r.o.size) / 1e6
	m.Acknowledged, m.Late = latency.percentiles(), r.late
	return m, nil
}

// send hands records to the client, each when it is due. Each carries the moment at which it was, in nanoseconds since the
// beginning.
func (r *benchRun) send(ctx context.Context, c *kgo.Client) {
	end := time.Duration(r.o.seconds * float64(time.Second))
	for n := int64(0); (r.o.records == 0 || n < r.o.records) && ctx.Err() == nil; n++ {
		now := time.Since(r.began)
		due := now
		if r.o.rate > 0 {
			due = time.Duration(float64(n) / r.o.rate * float64(time.Second))
			if wait := due - now; wait > 0 {
				time.Sleep(wait)
			} else if wait < -10*time.Millisecond {
				r.late++
			}
		}
		if end > 0 && due >= end {
			return
		}
		value := append([]byte(nil), r.payloads[n%int64(len(r.payloads))]...)
		binary.BigEndian.PutUint64(value, uint64(due))
		r.open.Add(1)
		c.Produce(ctx, &kgo.Record{Topic: r.o.topic, Value: value}, func(_ *kgo.Record, err error) {
			if err == nil {
				r.total.Add(1)
			}
			r.acked <- ack{time.Since(r.began) - due, err}
			r.open.Done()
		})
	}
}
