package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/cmd/internal/broker"
)

const (
	calmBefore = 2 * time.Second // of load before the leader is struck
	calmAfter  = 3 * time.Second // of load after acknowledgements came again and the leader is mended
	// mendAfter is when the leader is mended, counted from the first acknowledgement after it was struck.
	mendAfter = time.Second
	giveUp    = 90 * time.Second
)

// strike is one leader struck under load.
type strike struct {
	*failover
	how    string
	number int

	victim        *broker.Broker // the leader at the moment of the blow
	mu            sync.Mutex
	acked         map[uint64]bool
	failed        error
	struck        time.Time
	lastAck       time.Time
	before, after time.Duration // longest gaps between acknowledgements
	gapFrom       time.Time     // when the longest one began
	named         time.Duration // from the blow until another broker named a new leader
	lost, doubled int
}

func (s *strike) run(ctx context.Context) error {
	s.acked = map[uint64]bool{}
	c, err := kgo.NewClient(append(s.clientOptions(), kgo.DefaultProduceTopic(failoverTopic), kgo.ProducerLinger(0),
		kgo.ProduceRequestTimeout(s.patience), kgo.RequestTimeoutOverhead(max(100*time.Millisecond, s.patience/5)),
		kgo.MaxProduceRequestsInflightPerBroker(s.inflight),
		kgo.StopProducerOnDataLossDetected(), kgo.MaxBufferedRecords(1_000_000), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		return err
	}
	defer c.Close()
	start, err := s.end(ctx)
	if err != nil {
		return err
	}
	lctx, stop := context.WithCancel(ctx)
	defer stop()
	var sent uint64
	var load sync.WaitGroup
	load.Go(func() { sent = s.send(lctx, ctx, c) })
	err = s.befall(ctx)
	stop()
	load.Wait()
	if err != nil {
		return err
	}
	if err := c.Flush(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return fmt.Errorf("the producer gave up a record: %w", s.failed)
	}
	if uint64(len(s.acked)) != sent {
		return fmt.Errorf("%d records sent, %d acknowledged", sent, len(s.acked))
	}
	return s.count(ctx, start)
}

// id of the n-th record; it is its first eight bytes.
func (s *strike) id(n uint64) uint64 { return uint64(s.how[0])<<56 | uint64(s.number)<<40 | n }

// send hands records over at the rate until load is done.
func (s *strike) send(load, ctx context.Context, c *kgo.Client) uint64 {
	pool := values(512, max(s.size, 16))
	began, sent := time.Now(), uint64(0)
	for load.Err() == nil {
		for due := uint64(time.Since(began).Seconds() * s.rate); sent < due; sent++ {
			value := append([]byte(nil), pool[sent%uint64(len(pool))]...)
			id := s.id(sent)
			binary.BigEndian.PutUint64(value, id)
			c.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) { s.took(id, err) })
		}
		time.Sleep(pause)
	}
	return sent
}

func (s *strike) took(id uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed = err
		return
	}
	s.acked[id] = true
	now := time.Now()
	if !s.lastAck.IsZero() {
		longest := &s.before
		if !s.struck.IsZero() {
			longest = &s.after
		}
		if gap := now.Sub(s.lastAck); gap > *longest {
			*longest, s.gapFrom = gap, s.lastAck
		}
	}
	s.lastAck = now
}

// befall strikes the leader, waits for acknowledgements, mends the leader and waits a little more.
func (s *strike) befall(ctx context.Context) error {
	if err := sleep(ctx, calmBefore); err != nil {
		return err
	}
	// Leadership may have gone back to the preferred leader by now.
	leader, err := s.awaitWhole(ctx)
	if err != nil {
		return err
	}
	s.victim = s.cluster.Nodes[leader-1]
	s.mu.Lock()
	s.struck = time.Now()
	s.mu.Unlock()
	if err := blows[s.how].strike(ctx, s.victim); err != nil {
		return err
	}
	if s.named, err = s.awaitOther(ctx, leader); err != nil {
		return err
	}
	// Acknowledgements that were on their way may come just after the blow; those that count come later.
	down := time.Now().Add(100 * time.Millisecond)
	for {
		s.mu.Lock()
		again := s.lastAck.After(down)
		s.mu.Unlock()
		if again {
			break
		}
		if time.Since(s.struck) > giveUp {
			return fmt.Errorf("no acknowledgement for %v", giveUp)
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	if err := sleep(ctx, mendAfter); err != nil {
		return err
	}
	if err := blows[s.how].mend(ctx, s.victim); err != nil {
		return err
	}
	return sleep(ctx, calmAfter)
}

// awaitOther asks a broker that was not struck until it names another leader, and returns how long after the blow that was.
func (s *strike) awaitOther(ctx context.Context, leader int32) (time.Duration, error) {
	other := s.cluster.Nodes[int(leader)%len(s.cluster.Nodes)]
	c, err := kgo.NewClient(kgo.SeedBrokers(other.Place.Advertise))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	asked := kmsg.NewPtrMetadataRequest()
	asked.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(failoverTopic)}}
	for time.Since(s.struck) < giveUp {
		answer, err := c.SeedBrokers()[0].Request(ctx, asked)
		if err != nil {
			return 0, fmt.Errorf("asking %s who leads: %w", other.Name, err)
		}
		m := answer.(*kmsg.MetadataResponse)
		if len(m.Topics) == 1 && len(m.Topics[0].Partitions) == 1 {
			if now := m.Topics[0].Partitions[0].Leader; now >= 0 && now != leader {
				return time.Since(s.struck), nil
			}
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%s names no other leader for %v", other.Name, giveUp)
}

// end is where the log ends.
func (s *strike) end(ctx context.Context) (int64, error) {
	ends, err := s.admin.ListEndOffsets(ctx, failoverTopic)
	if err != nil {
		return 0, err
	}
	o, ok := ends.Lookup(failoverTopic, 0)
	if !ok || o.Err != nil {
		return 0, fmt.Errorf("asking where the log ends: %v", o.Err)
	}
	return o.Offset, nil
}

// count reads the log from start on and compares it with what was acknowledged.
func (s *strike) count(ctx context.Context, start int64) error {
	end, err := s.end(ctx)
	if err != nil {
		return err
	}
	c, err := kgo.NewClient(append(s.clientOptions(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		failoverTopic: {0: kgo.NewOffset().At(start)},
	}))...)
	if err != nil {
		return err
	}
	defer c.Close()
	seen := map[uint64]int{}
	for at := start; at < end; {
		pctx, cancel := context.WithTimeout(ctx, time.Minute)
		fetches := c.PollFetches(pctx)
		cancel()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("reading the log from %d to %d, at %d: %w", start, end, at, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			seen[binary.BigEndian.Uint64(r.Value)]++
			at = r.Offset + 1
		})
	}
	for id := range s.acked {
		if seen[id] == 0 {
			s.lost++
		}
	}
	for _, n := range seen {
		s.doubled += n - 1
	}
	return nil
}
