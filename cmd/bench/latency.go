package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

// timings collects durations from a microsecond to a minute, to three digits.
type timings struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func newTimings() *timings {
	return &timings{h: hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
}

func (t *timings) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.h.RecordValue(min(max(1, d.Microseconds()), time.Minute.Microseconds())) //nolint:errcheck // within the bounds
}

// ms is a percentile in milliseconds.
func (t *timings) ms(percentile float64) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return float64(t.h.ValueAtPercentile(percentile)) / 1000
}

// acks takes what the acknowledgements took.
func (r *result) acks(t *timings) {
	r.AckP50, r.AckP99, r.AckP999, r.AckMax = t.ms(50), t.ms(99), t.ms(99.9), t.ms(100)
}

// retrySoon keeps the client's own pauses out of what is measured.
var retrySoon = kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond })

// paced is one run at a steady rate; without a consumer what is sent is not read.
type paced struct {
	l                          load
	every                      int64 // one of so many records carries its time, and has it taken
	producer, consumer         *kgo.Client
	ack, intendedAck, endToEnd *timings
	began                      time.Time

	mu       sync.Mutex
	failed   int64
	received int64
}

// latency sends records at a steady rate to one client and reads them with another.
func (l load) latency(ctx context.Context) (result, error) {
	p := &paced{l: l, every: 1, ack: newTimings(), intendedAck: newTimings(), endToEnd: newTimings()}
	opts, err := l.producerOptions()
	if err != nil {
		return result{}, err
	}
	if p.producer, err = kgo.NewClient(append(opts, kgo.ProducerLinger(0), retrySoon)...); err != nil {
		return result{}, err
	}
	defer p.producer.Close()
	p.consumer, err = kgo.NewClient(append(l.clientOptions(), kgo.ConsumeTopics(l.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(500*time.Millisecond), retrySoon)...)
	if err != nil {
		return result{}, err
	}
	defer p.consumer.Close()

	cctx, stop := context.WithCancel(ctx)
	var reading sync.WaitGroup
	reading.Go(func() { p.read(cctx) })
	// The consumer's first fetch and the producer's id are no part of what is measured.
	time.Sleep(time.Second)

	r := result{}
	err = l.measured(&r, func() (int64, error) {
		r.Records = p.send(ctx)
		err := p.producer.Flush(ctx)
		p.awaitReceived(r.Records)
		return 0, err
	})
	stop()
	reading.Wait()
	if err != nil {
		return r, err
	}
	r.Failed = p.failed
	if lost := r.Records - p.failed - p.received; lost != 0 {
		return r, fmt.Errorf("%d records acknowledged, %d came out", r.Records-p.failed, p.received)
	}
	r.acks(p.ack)
	r.IntendedAckP99 = p.intendedAck.ms(99)
	r.EndToEndP50, r.EndToEndP99 = p.endToEnd.ms(50), p.endToEnd.ms(99)
	return r, nil
}

// pause is how long the sender sleeps when it is not behind.
const pause = 500 * time.Microsecond

// send hands records over at the rate and returns how many.
func (p *paced) send(ctx context.Context) int64 {
	pool := values(512, max(p.l.size, 16))
	p.began = time.Now()
	sent := int64(0)
	for since := time.Duration(0); since < p.l.duration; since = time.Since(p.began) {
		for due := int64(since.Seconds() * p.l.rate); sent < due; sent++ {
			p.sendOne(ctx, sent, pool[sent%int64(len(pool))])
		}
		time.Sleep(pause)
	}
	return sent
}

// sendOne hands one record over, with the time in its first bytes if it is one whose time is taken.
func (p *paced) sendOne(ctx context.Context, n int64, filler []byte) {
	if n%p.every != 0 {
		p.producer.Produce(ctx, &kgo.Record{Value: filler}, p.count)
		return
	}
	value := append([]byte(nil), filler...)
	now := time.Now()
	binary.BigEndian.PutUint64(value, uint64(now.UnixNano()))
	intended := p.began.Add(time.Duration(float64(n) / p.l.rate * float64(time.Second)))
	p.producer.Produce(ctx, &kgo.Record{Value: value}, func(r *kgo.Record, err error) {
		p.count(r, err)
		if err == nil {
			p.ack.add(time.Since(now))
			p.intendedAck.add(time.Since(intended))
		}
	})
}

func (p *paced) count(_ *kgo.Record, err error) {
	if err != nil {
		p.mu.Lock()
		p.failed++
		p.mu.Unlock()
	}
}

func (p *paced) read(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := p.consumer.PollFetches(ctx)
		now := time.Now()
		if err := fetches.Err(); err != nil && errors.Is(err, context.Canceled) {
			return
		}
		n := int64(0)
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			p.endToEnd.add(now.Sub(time.Unix(0, int64(binary.BigEndian.Uint64(r.Value)))))
		})
		p.mu.Lock()
		p.received += n
		p.mu.Unlock()
	}
}

// awaitReceived gives the consumer two seconds for what is still on its way.
func (p *paced) awaitReceived(records int64) {
	for range 200 {
		p.mu.Lock()
		done := p.received+p.failed >= records
		p.mu.Unlock()
		if done {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
