package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// sampleEvery says which records of a load at full speed have their time taken: records of one batch are acknowledged
// together, and the clock of each of millions would cost the load program more than sending it.
const sampleEvery = 32

// requestTimes takes the time of each request of one kind, from its first byte on the wire to the last of its answer.
type requestTimes struct {
	key  int16
	took *timings
}

// Keys of requests in Kafka's protocol.
const (
	produceKey = 0
	fetchKey   = 1
)

func newRequestTimes(key int16) *requestTimes { return &requestTimes{key, newTimings()} }

// OnBrokerE2E is called by the client for each request.
func (t *requestTimes) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	if key == t.key && e.Err() == nil {
		t.took.add(e.DurationE2E())
	}
}

// produceTimes are those of one produce load at full speed.
type produceTimes struct {
	ack      *timings // from the call that hands a record over, so with its time in the client's full buffers
	requests *requestTimes
	failed   atomic.Int64
}

func newProduceTimes() *produceTimes {
	return &produceTimes{ack: newTimings(), requests: newRequestTimes(produceKey)}
}

func (t *produceTimes) fill(r *result) {
	r.Failed = t.failed.Load()
	r.acks(t.ack)
	r.RequestP50, r.RequestP99 = t.requests.took.ms(50), t.requests.took.ms(99)
}

// steady sends as produce does, but at the load's rate, and reads nothing back. What counts is the time from when a record
// was due, whether or not it could be sent then.
func (l load) steady(ctx context.Context) (result, error) {
	p := &paced{l: l, every: sampleEvery, ack: newTimings(), intendedAck: newTimings()}
	opts, err := l.producerOptions()
	if err != nil {
		return result{}, err
	}
	if p.producer, err = kgo.NewClient(append(opts, retrySoon)...); err != nil {
		return result{}, err
	}
	defer p.producer.Close()
	// The connection and the producer's id are no part of what is measured.
	if err := p.producer.ProduceSync(ctx, &kgo.Record{Value: []byte("first")}).FirstErr(); err != nil {
		return result{}, err
	}
	r := result{}
	err = l.measured(&r, func() (int64, error) {
		r.Records = p.send(ctx)
		return r.Records * int64(l.size), p.producer.Flush(ctx)
	})
	r.Failed = p.failed
	r.acks(p.ack)
	r.IntendedAckP50, r.IntendedAckP99 = p.intendedAck.ms(50), p.intendedAck.ms(99)
	return r, err
}

// withSteady runs a load at full speed, and then its records at a steady rate to a topic of their own.
func (l load) withSteady(ctx context.Context, rate float64, length time.Duration) (result, error) {
	r, err := l.run(ctx)
	if err != nil || rate == 0 || length == 0 {
		return r, err
	}
	l.kind, l.topic, l.rate, l.duration = "steady", l.topic+"-steady", rate, length
	syncDisks()
	s, err := l.run(ctx)
	if err != nil {
		return r, err
	}
	r.Failed += s.Failed
	r.SteadyP50, r.SteadyP99 = s.IntendedAckP50, s.IntendedAckP99
	return r, l.deleteTopic(ctx, l.topic)
}
