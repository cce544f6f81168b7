package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// franz is franz-go, in this process.
type franz struct{ hold buffered }

func (f *franz) name() string { return "franz-go" }

func (f *franz) version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/twmb/franz-go" {
				return "franz-go " + m.Version
			}
		}
	}
	return "franz-go"
}

func retrySoon(int) time.Duration { return 20 * time.Millisecond }

func (f *franz) produce(ctx context.Context, at, topic string, lines *feed) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(at, ",")...), kgo.DefaultProduceTopic(topic), kgo.MaxBufferedRecords(int(f.hold)),
		kgo.RetryBackoffFn(retrySoon), kgo.MetadataMinAge(20*time.Millisecond), kgo.StopProducerOnDataLossDetected(),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return err
	}
	defer c.Close()
	var failed atomic.Pointer[error]
	err = lines.each(ctx, func(key string, line []byte) error {
		if line == nil {
			line = []byte{} // an empty value, not a null
		}
		c.Produce(ctx, &kgo.Record{Key: []byte(key), Value: line}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
		if p := failed.Load(); p != nil {
			return *p
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.Flush(ctx); err != nil {
		return err
	}
	if p := failed.Load(); p != nil {
		return *p
	}
	return nil
}

func (f *franz) consume(ctx context.Context, at, topic string, records int64, d *digest) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(at, ",")...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer c.Close()
	for d.records < records {
		pctx, cancel := context.WithTimeout(ctx, time.Minute)
		fetches := c.PollFetches(pctx)
		cancel()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("after %d records: %w", d.records, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { d.add(string(r.Key), r.Value) })
	}
	return nil
}

// offsets returns how many offsets the partitions of the topic hold together. It tries again for a while: leadership may
// just be moving.
func offsets(ctx context.Context, at, topic string) (n int64, err error) {
	for range 100 {
		if n, err = offsetsOnce(ctx, at, topic); err == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return n, err
}

func offsetsOnce(ctx context.Context, at, topic string) (int64, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(at, ",")...), kgo.RetryBackoffFn(retrySoon))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	a := kadm.NewClient(c)
	starts, err := a.ListStartOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	ends, err := a.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	ends.Each(func(o kadm.ListedOffset) {
		start, _ := starts.Lookup(o.Topic, o.Partition)
		n += o.Offset - start.Offset
		if o.Err != nil {
			err = o.Err
		}
	})
	return n, err
}

func createTopic(ctx context.Context, at, topic string, partitions int32, replicas int16) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(at, ",")...), kgo.RetryBackoffFn(retrySoon), kgo.RetryTimeout(time.Minute))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := kadm.NewClient(c).CreateTopic(ctx, partitions, replicas, nil, topic); err != nil {
		return fmt.Errorf("creating topic %s: %w", topic, err)
	}
	return nil
}

// leaders returns the node that leads each partition, or an error when one has no leader or not all replicas are in sync.
func leaders(ctx context.Context, at, topic string) ([]int, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(at, ",")...), kgo.RetryBackoffFn(retrySoon), kgo.RetryTimeout(5*time.Second))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	m, err := kadm.NewClient(c).Metadata(ctx, topic)
	if err != nil {
		return nil, err
	}
	led := make([]int, partitions)
	for i := range led {
		p, ok := m.Topics[topic].Partitions[int32(i)]
		if !ok || p.Err != nil || p.Leader < 1 || len(p.ISR) < len(p.Replicas) {
			return nil, fmt.Errorf("partition %d of %s is led by %d, in sync are %v of %v (%v)", i, topic, p.Leader, p.ISR, p.Replicas, p.Err)
		}
		led[i] = int(p.Leader)
	}
	return led, nil
}
