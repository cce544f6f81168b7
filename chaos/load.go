package chaos

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	lin "millrace/linearizability"
)

// The topics of the load.
const (
	logTopic       = "chaos-log" // small records, all of whose operations are checked
	logPartitions  = 12
	bulkTopic      = "chaos-bulk" // enough bytes that a node that is away falls behind
	bulkPartitions = 4
)

// load is the clients at work.
type load struct {
	*history
	*gaps
	bootstrap []string
	rate      float64 // records a second of each producer of small ones
	bulk      int     // bytes a second
	acks      atomic.Int64
	sent      atomic.Int64
	bytes     atomic.Int64
}

// options of every client: as a user would set them who wants to find a new leader soon.
func (l *load) options(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(l.bootstrap...), kgo.MetadataMinAge(50 * time.Millisecond), kgo.DialTimeout(2 * time.Second),
		kgo.RetryBackoffFn(func(n int) time.Duration { return min(20*time.Millisecond<<min(n, 5), 500*time.Millisecond) }),
		kgo.RetryTimeout(5 * time.Minute), kgo.RequestRetries(1 << 20), kgo.RequestTimeoutOverhead(2 * time.Second),
		kgo.DisableClientMetrics(),
	}, more...)
}

// kindOfLoad is one producer.
type kindOfLoad struct {
	topic      string
	partitions int
	size       int
	rate       float64
}

// produce sends records until the first context ends, and returns when all are acknowledged or the second ends.
func (l *load) produce(load, ctx context.Context, k kindOfLoad) error {
	c, err := kgo.NewClient(l.options(kgo.ProducerLinger(2*time.Millisecond), kgo.ProduceRequestTimeout(3*time.Second),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(1<<20), kgo.MaxBufferedBytes(1<<30),
		kgo.StopProducerOnDataLossDetected(), kgo.ProducerBatchMaxBytes(1_000_000))...)
	if err != nil {
		return err
	}
	defer c.Close()
	id := l.client()
	sent := uint64(0)
	for began := time.Now(); load.Err() == nil; {
		for due := uint64(time.Since(began).Seconds() * k.rate); sent < due; sent++ {
			l.produceOne(ctx, c, k, id, sent)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return c.Flush(ctx)
}

func (l *load) produceOne(ctx context.Context, c *kgo.Client, k kindOfLoad, id int, n uint64) {
	key := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, uint32(id)), n)
	value := make([]byte, k.size)
	for i := range value {
		value[i] = byte(n>>8) ^ byte(i)
	}
	op := lin.Operation{Client: id, Kind: lin.Produce, Records: []uint64{lin.Hash(key, value)}}
	r := &kgo.Record{Topic: k.topic, Partition: int32(n % uint64(k.partitions)), Key: key, Value: value}
	op.Log = logName(k.topic, r.Partition)
	l.sent.Add(1)
	op.Call = l.now()
	c.Produce(ctx, r, func(r *kgo.Record, err error) {
		op.Return = l.now()
		if err != nil {
			op.Unknown = true
			if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				l.complain("producer %d gave up a record of %s: %v", id, op.Log, err)
			}
		} else {
			op.Offset = r.Offset
			l.acks.Add(1)
			l.bytes.Add(int64(len(key) + len(value)))
			l.ack(op.Log, op.Return)
		}
		l.add(op)
	})
}

// consume reads all partitions of the topics from the start on until the context ends.
func (l *load) consume(ctx context.Context, topics ...string) error {
	c, err := kgo.NewClient(l.options(kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(500*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer c.Close()
	session := &session{load: l, id: l.client(), next: map[string]int64{}}
	for ctx.Err() == nil {
		call := l.now()
		fetches := c.PollFetches(ctx)
		session.took(call, fetches)
	}
	return nil
}

// session is a consumer between two assignments.
type session struct {
	*load
	id   int
	next map[string]int64 // of each log that it reads, the offset behind what it has read
}

// took notes what a poll gave.
func (s *session) took(call int64, fetches kgo.Fetches) {
	now := s.now()
	fetches.EachError(func(topic string, partition int32, err error) {
		if !passing(err) {
			s.complain("consumer %d, %s: %v", s.id, logName(topic, partition), err)
		}
	})
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) == 0 {
			return
		}
		op := fetched(logName(p.Topic, p.Partition), p.Records)
		op.Client, op.Kind, op.Call, op.Return = s.id, lin.Fetch, call, now
		if next, ok := s.next[op.Log]; ok {
			op.Offset = next
		} else {
			op.Seek = true
		}
		s.next[op.Log] = op.To
		s.count("records read", len(p.Records))
		s.add(op)
	})
}

// fetched makes an operation of records that were read.
func fetched(log string, records []*kgo.Record) lin.Operation {
	op := lin.Operation{Log: log, Offset: records[0].Offset, To: records[len(records)-1].Offset + 1}
	for _, r := range records {
		op.Records = append(op.Records, lin.Hash(r.Key, r.Value))
		op.Offsets = append(op.Offsets, r.Offset)
		op.Epochs = append(op.Epochs, r.LeaderEpoch)
	}
	return op
}

// passing says that an error is one of those that a client sees while nodes come and go, and tries again by itself.
func passing(err error) bool {
	var network net.Error
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kgo.ErrClientClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) || kerr.IsRetriable(err) || kgo.IsRetryableBrokerErr(err)
}

// patiently tries again while the error is a passing one and there is time: in the end leadership may still move.
func patiently(ctx context.Context, fn func() error) error {
	for {
		err := fn()
		if err == nil || !passing(err) || ctx.Err() != nil {
			return err
		}
		wait(ctx, 100*time.Millisecond)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// crew runs clients and gathers their errors.
type crew struct {
	all sync.WaitGroup
	*history
}

func (c *crew) run(what string, fn func() error) {
	c.all.Go(func() {
		if err := fn(); err != nil && !errors.Is(err, context.Canceled) {
			c.complain("%s: %v", what, err)
		}
	})
}
