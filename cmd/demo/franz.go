package main

import (
	"context"
	"fmt"
	"runtime/debug"
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
	c, err := kgo.NewClient(kgo.SeedBrokers(at), kgo.DefaultProduceTopic(topic), kgo.MaxBufferedRecords(int(f.hold)),
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
	c, err := kgo.NewClient(kgo.SeedBrokers(at), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
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

// offsets returns how many offsets the partitions of the topic hold together.
func offsets(ctx context.Context, at, topic string) (int64, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(at), kgo.RetryBackoffFn(retrySoon))
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

func createTopic(ctx context.Context, at, topic string, partitions int32) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(at), kgo.RetryBackoffFn(retrySoon), kgo.RetryTimeout(time.Minute))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := kadm.NewClient(c).CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
		return fmt.Errorf("creating topic %s: %w", topic, err)
	}
	return nil
}
