package main

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// benchReader reads what a run writes, from the topic's end at its start.
type benchReader struct {
	client *kgo.Client
	cancel context.CancelFunc
	ctx    context.Context
	ended  chan struct{}
	mu     sync.Mutex
	seen   int64
	took   latencies
	more   chan struct{}
}

// startReader reads from where the topic ends now: the offsets are asked for, since a consumer that looks for the end by
// itself may find it after the first records.
func (s *session) startReader(ctx context.Context, topic string) (*benchReader, error) {
	var from map[string]map[int32]kgo.Offset
	err := s.admin(ctx, func(ctx context.Context, a *kadm.Client) error {
		ends, err := a.ListEndOffsets(ctx, topic)
		if err == nil {
			err = ends.Error()
		}
		from = ends.KOffsets()
		return err
	})
	if err != nil {
		return nil, onTopic{topic: topic, err: err}
	}
	c, err := s.client(ctx, kgo.ConsumePartitions(from), kgo.FetchMaxWait(time.Second))
	if err != nil {
		return nil, err
	}
	r := &benchReader{client: c, ended: make(chan struct{}), more: make(chan struct{}, 1), took: newLatencies()}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r, nil
}

func (r *benchReader) run(began time.Time) {
	defer close(r.ended)
	for {
		fetches := r.client.PollFetches(r.ctx)
		if r.ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		now := time.Since(began)
		r.mu.Lock()
		fetches.EachRecord(func(record *kgo.Record) {
			if len(record.Value) >= 8 {
				r.seen++
				r.took.note(now - time.Duration(binary.BigEndian.Uint64(record.Value)))
			}
		})
		r.mu.Unlock()
		select {
		case r.more <- struct{}{}:
		default:
		}
	}
}

// lastRead is how long the last records are waited for.
const lastRead = 30 * time.Second

// until waits for so many records and tells how long they took; nil when none came.
func (r *benchReader) until(ctx context.Context, records int64) *percentiles {
	deadline := time.After(lastRead)
	for {
		r.mu.Lock()
		seen := r.seen
		r.mu.Unlock()
		if seen >= records {
			break
		}
		select {
		case <-r.more:
			continue
		case <-deadline:
		case <-ctx.Done():
		}
		break
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == 0 {
		return nil
	}
	return r.took.percentiles()
}

func (r *benchReader) close() {
	r.cancel()
	<-r.ended
	r.client.Close()
}

func (s *session) benchConsume(ctx context.Context, o benchOptions) error {
	// A partition whose start is found only when the others have been read joins them at the next fetch, which must come well
	// before contactTime is over: then it is taken for the end.
	c, err := s.client(ctx, kgo.ConsumeTopics(o.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxBytes(50<<20), kgo.FetchMaxPartitionBytes(10<<20), kgo.FetchMaxWait(time.Second))
	if err != nil {
		return err
	}
	defer c.Close()
	if o.seconds > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(o.seconds*float64(time.Second)))
		defer cancel()
	}
	m := measured{Topic: o.topic}
	var total atomic.Int64
	var bytes int64
	began := time.Now()
	far := work{what: "record", done: &total}
	far.upTo(o.records, o.seconds)
	stop := s.progress(far)
	defer stop()
	for o.records == 0 || m.Records < o.records {
		poll, cancel := context.WithTimeout(ctx, contactTime)
		fetches := c.PollFetches(poll)
		idle := poll.Err() != nil
		cancel()
		if err := fetches.Err0(); err != nil && !idle {
			return onTopic{topic: o.topic, err: err}
		}
		fetches.EachRecord(func(r *kgo.Record) {
			m.Records++
			bytes += int64(len(r.Key) + len(r.Value))
		})
		total.Store(m.Records)
		if ctx.Err() != nil || idle && fetches.NumRecords() == 0 {
			break
		}
		m.Seconds = time.Since(began).Seconds()
	}
	stop()
	if m.Records == 0 {
		return &failure{exit: exitTimeout, message: "no record of topic " + o.topic + " came", hint: "write some first: `millrace bench produce --topic " + o.topic + "`"}
	}
	m.RecordsPerSecond = float64(m.Records) / m.Seconds
	m.MBPerSecond = float64(bytes) / m.Seconds / 1e6
	return s.printMeasured(m, "read")
}
