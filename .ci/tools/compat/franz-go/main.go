// Command franz-go has the checks of franz-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/tools/compat"
)

func main() {
	s := compat.Given()
	c := &client{at: s.Brokers}
	s.Run(&compat.Suite{Client: c, Module: "github.com/twmb/franz-go", Idempotent: true, Strategies: []string{"range", "cooperative", "consumer"}, Static: true,
		More: []compat.More{{Area: "offsets", Name: "reset", Fn: c.reset}, {Area: "admin", Name: "topics, configs, records, groups", Fn: c.administer}, {Area: "transactions", Name: "refused", Fn: c.transactions}}})
}

type client struct{ at []string }

func (c *client) open(more ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.at...)}, more...)...)
}

// admin calls fn with an administrator's client.
func (c *client) admin(fn func(ctx context.Context, a *kadm.Client) error) error {
	k, err := c.open()
	if err != nil {
		return err
	}
	defer k.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return fn(ctx, kadm.NewClient(k))
}

func (c *client) Create(topic string, partitions, factor int, configs map[string]string) error {
	given := map[string]*string{}
	for k, v := range configs {
		given[k] = &v
	}
	return c.admin(func(ctx context.Context, a *kadm.Client) error {
		_, err := a.CreateTopic(ctx, int32(partitions), int16(factor), given, topic)
		return err
	})
}

func (c *client) Produce(o compat.Options, records []compat.Record) error {
	codec := map[string]kgo.CompressionCodec{"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(),
		"zstd": kgo.ZstdCompression()}[o.Codec]
	opts := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(5 * time.Millisecond)}
	if o.Batch > 0 {
		opts = append(opts, kgo.ProducerBatchMaxBytes(int32(o.Batch)))
	} else {
		opts = append(opts, kgo.ProducerBatchMaxBytes(4_000_000), kgo.BrokerMaxWriteBytes(5_000_000))
	}
	if !o.Idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	k, err := c.open(opts...)
	if err != nil {
		return err
	}
	defer k.Close()
	var all []*kgo.Record
	for _, r := range records {
		one := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.Millis)}
		for _, h := range r.Headers {
			one.Headers = append(one.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		all = append(all, one)
	}
	err = k.ProduceSync(context.Background(), all...).FirstErr()
	for i := range all {
		records[i].Offset = all[i].Offset
	}
	return err
}

func (c *client) TooLarge(err error) bool { return errors.Is(err, kerr.MessageTooLarge) }

type reader struct {
	k       *kgo.Client
	fetched []*kgo.Record
}

func (c *client) Read(topic string, partition int32, from int64) (compat.Reader, error) {
	k, err := c.open(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(from)}}))
	return &reader{k: k}, err
}

func (r *reader) Next(ctx context.Context) (compat.Record, error) {
	for len(r.fetched) == 0 {
		f := r.k.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return compat.Record{}, err
		}
		r.fetched = f.Records()
	}
	x := r.fetched[0]
	r.fetched = r.fetched[1:]
	out := compat.Record{Topic: x.Topic, Partition: x.Partition, Offset: x.Offset, Key: x.Key, Value: x.Value, Millis: x.Timestamp.UnixMilli()}
	for _, h := range x.Headers {
		out.Headers = append(out.Headers, compat.Header{Key: h.Key, Value: h.Value})
	}
	return out, nil
}

func (r *reader) Close() error {
	r.k.Close()
	return nil
}

func (c *client) Join(j compat.Join, m *compat.Member) error {
	opts := []kgo.Opt{kgo.ConsumerGroup(j.Group), kgo.ConsumeTopics(j.Topic), kgo.DisableAutoCommit(), kgo.ClientID(j.Name), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(300 * time.Millisecond), kgo.SessionTimeout(10 * time.Second),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, ps map[string][]int32) { m.Gained(ps[j.Topic]...) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, ps map[string][]int32) { m.Lost(ps[j.Topic]...) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, ps map[string][]int32) { m.Lost(ps[j.Topic]...) })}
	switch j.Strategy {
	case "range":
		opts = append(opts, kgo.Balancers(kgo.RangeBalancer()))
	case "cooperative":
		opts = append(opts, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	case "consumer":
		opts = append(opts, kgo.ServerSideBalancer())
	}
	if j.Instance != "" {
		opts = append(opts, kgo.InstanceID(j.Instance))
	}
	k, err := c.open(opts...)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			f := k.PollFetches(ctx)
			if ctx.Err() == nil && f.Err() != nil {
				m.Failed(f.Err())
			}
			f.EachRecord(func(r *kgo.Record) { m.Saw(r.Partition, r.Offset, r.Value) })
			if err := k.CommitRecords(context.Background(), f.Records()...); err != nil {
				m.Failed(err)
			}
			k.AllowRebalance()
		}
	}()
	m.End = func() error {
		stop()
		<-ended
		k.Close()
		return nil
	}
	return nil
}

func (c *client) Commit(group, topic string, partition int32, at compat.Committed) error {
	return c.admin(func(ctx context.Context, a *kadm.Client) error {
		o := kadm.Offsets{}
		o.Add(kadm.Offset{Topic: topic, Partition: partition, At: at.Offset, LeaderEpoch: -1, Metadata: at.Metadata})
		return a.CommitAllOffsets(ctx, group, o)
	})
}

func (c *client) Committed(group, topic string, partition int32) (at compat.Committed, err error) {
	err = c.admin(func(ctx context.Context, a *kadm.Client) error {
		all, err := a.FetchOffsetsForTopics(ctx, group, topic)
		if err != nil {
			return err
		}
		o, ok := all.Lookup(topic, partition)
		if at.Offset = o.At; ok {
			at.Metadata = o.Metadata
		}
		return o.Err
	})
	return at, err
}

func (c *client) At(topic string, partition int32, millis int64) (offset int64, err error) {
	err = c.admin(func(ctx context.Context, a *kadm.Client) error {
		all, err := a.ListOffsetsAfterMilli(ctx, millis, topic)
		if err != nil {
			return err
		}
		o, _ := all.Lookup(topic, partition)
		// It gives the end where there is none.
		if offset = o.Offset; o.Timestamp == -1 {
			offset = -1
		}
		return o.Err
	})
	return offset, err
}

func (c *client) Ends(topic string, partition int32) (first, end int64, err error) {
	err = c.admin(func(ctx context.Context, a *kadm.Client) error {
		starts, err := a.ListStartOffsets(ctx, topic)
		if err != nil {
			return err
		}
		ends, err := a.ListEndOffsets(ctx, topic)
		if err != nil {
			return err
		}
		s, _ := starts.Lookup(topic, partition)
		e, _ := ends.Lookup(topic, partition)
		first, end = s.Offset, e.Offset
		return errors.Join(s.Err, e.Err)
	})
	return first, end, err
}

func (c *client) administer(s *compat.Setting) (string, error) {
	topic, err := s.Topic("topics", 3, map[string]string{"retention.ms": "123456789"})
	if err != nil {
		return "", err
	}
	group := s.Prefix + "-administered"
	if err := c.Commit(group, topic, 0, compat.Committed{Offset: 9}); err != nil {
		return "", err
	}
	return "topic created, described, altered, grown, deleted; records deleted; group listed, deleted", c.admin(func(ctx context.Context, a *kadm.Client) error {
		value := func(name string) string {
			all, _ := a.DescribeTopicConfigs(ctx, topic)
			for _, r := range all {
				for _, c := range r.Configs {
					if c.Key == name {
						return c.MaybeValue()
					}
				}
			}
			return ""
		}
		if err := compat.Same("123456789", value("retention.ms"), "retention.ms"); err != nil {
			return err
		}
		seven := "777"
		if _, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.ms", Value: &seven}}, topic); err != nil {
			return err
		}
		if _, err := a.CreatePartitions(ctx, 2, topic); err != nil {
			return err
		}
		err := compat.Until("retention.ms is altered, five partitions", func() (bool, error) {
			d, err := a.ListTopics(ctx, topic)
			return value("retention.ms") == "777" && len(d[topic].Partitions) == 5, err
		})
		if err != nil {
			return err
		}
		var rs []compat.Record
		for i := range 20 {
			rs = append(rs, compat.Record{Topic: topic, Partition: 4, Value: fmt.Append(nil, i), Millis: time.Now().UnixMilli()})
		}
		if err := c.Produce(compat.Options{}, rs); err != nil {
			return err
		}
		o := kadm.Offsets{}
		o.Add(kadm.Offset{Topic: topic, Partition: 4, At: 12})
		if _, err := a.DeleteRecords(ctx, o); err != nil {
			return err
		}
		first, end, err := c.Ends(topic, 4)
		if err := errors.Join(err, compat.Same(12, first, "the beginning after records were deleted"), compat.Same(20, end, "the end")); err != nil {
			return err
		}
		groups, err := a.ListGroups(ctx)
		if err := errors.Join(err, compat.Same(group, groups[group].Group, "the listed group")); err != nil {
			return err
		}
		if _, err := a.DeleteGroup(ctx, group); err != nil {
			return err
		}
		if _, err := a.DeleteTopic(ctx, topic); err != nil {
			return err
		}
		return compat.Until("the topic is gone", func() (bool, error) {
			all, err := a.ListTopics(ctx)
			return !all.Has(topic), err
		})
	})
}

// reset begins behind the end of a partition, with each rule for that.
func (c *client) reset(s *compat.Setting) (string, error) {
	topic := s.Reference + "-none"
	first := func(rule kgo.Offset) (int64, error) {
		k, err := c.open(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(5000)}}), kgo.ConsumeResetOffset(rule))
		if err != nil {
			return 0, err
		}
		defer k.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for {
			fetches := k.PollFetches(ctx)
			for _, e := range fetches.Errors() {
				return 0, e.Err
			}
			if records := fetches.Records(); len(records) > 0 {
				return records[0].Offset, nil
			}
		}
	}
	for want, rule := range map[int64]kgo.Offset{0: kgo.NewOffset().AtStart(), 99: kgo.NewOffset().AtEnd().Relative(-1)} {
		at, err := first(rule)
		if err := errors.Join(err, compat.Same(want, at, "the offset after a reset to "+rule.String())); err != nil {
			return "", err
		}
	}
	if at, err := first(kgo.NoResetOffset()); !errors.Is(err, kerr.OffsetOutOfRange) {
		return "", fmt.Errorf("an offset after the end was read without a rule: %d, %w", at, err)
	}
	return "earliest, latest, none", nil
}

func (c *client) transactions(s *compat.Setting) (string, error) {
	k, err := c.open(kgo.TransactionalID(s.Prefix+"-tx"), kgo.RetryTimeout(20*time.Second))
	if err != nil {
		return "", err
	}
	defer k.Close()
	began := time.Now()
	_, _, err = k.ProducerID(context.Background())
	switch {
	case err == nil:
		return "", errors.New("a transactional producer got an id, although there are no transactions")
	case time.Since(began) > 10*time.Second:
		return "", fmt.Errorf("only after %v: %w", time.Since(began), err)
	case !errors.Is(err, kerr.UnsupportedVersion):
		return "", err
	}
	return "told at once: UNSUPPORTED_VERSION", nil
}
