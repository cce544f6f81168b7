// Command sarama has the checks of the client of that name.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"millrace/tools/compat"
)

func main() {
	s := compat.Given()
	c := &client{at: s.Brokers}
	s.Run(&compat.Suite{Client: c, Module: "github.com/IBM/sarama", Idempotent: true, Strategies: []string{"range", "cooperative"}, Static: true,
		More: []compat.More{{Area: "offsets", Name: "reset", Fn: c.reset}, {Area: "admin", Name: "topics, configs, records, groups", Fn: c.administer}, {Area: "transactions", Name: "refused", Fn: c.transactions}}})
}

type client struct{ at []string }

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Metadata.Retry.Backoff = 50 * time.Millisecond
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	return c
}

func (c *client) admin(fn func(a sarama.ClusterAdmin) error) error {
	a, err := sarama.NewClusterAdmin(c.at, config())
	if err != nil {
		return err
	}
	return errors.Join(fn(a), a.Close())
}

func (c *client) Create(topic string, partitions, factor int, configs map[string]string) error {
	given := map[string]*string{}
	for k, v := range configs {
		given[k] = &v
	}
	return c.admin(func(a sarama.ClusterAdmin) error {
		return a.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: int16(factor), ConfigEntries: given}, false)
	})
}

var codecs = map[string]sarama.CompressionCodec{"gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}

// encoder tells no value from an empty one.
func encoder(b []byte) sarama.Encoder {
	if b == nil {
		return nil
	}
	return sarama.ByteEncoder(b)
}

func (c *client) Produce(o compat.Options, records []compat.Record) error {
	k := config()
	k.Producer.RequiredAcks, k.Producer.Partitioner = sarama.WaitForAll, sarama.NewManualPartitioner
	k.Producer.Compression, k.Producer.MaxMessageBytes = codecs[o.Codec], 4_000_000
	k.Producer.Return.Successes, k.Producer.Return.Errors = true, true
	k.Producer.Flush.Frequency = 5 * time.Millisecond
	k.Net.MaxOpenRequests = 1
	if o.Idempotent {
		k.Producer.Idempotent = true
	}
	if o.Batch > 0 {
		k.Producer.Flush.MaxMessages = max(1, o.Batch/20)
	}
	p, err := sarama.NewAsyncProducer(c.at, k)
	if err != nil {
		return err
	}
	go func() {
		for i, r := range records {
			m := &sarama.ProducerMessage{Topic: r.Topic, Partition: r.Partition, Key: encoder(r.Key), Value: encoder(r.Value), Timestamp: time.UnixMilli(r.Millis), Metadata: i}
			for _, h := range r.Headers {
				m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
			}
			p.Input() <- m
		}
		p.AsyncClose()
	}()
	var first error
	successes, failures := p.Successes(), p.Errors()
	for successes != nil || failures != nil {
		select {
		case m, ok := <-successes:
			if !ok {
				successes = nil
				continue
			}
			records[m.Metadata.(int)].Offset = m.Offset
		case e, ok := <-failures:
			if !ok {
				failures = nil
			} else if first == nil {
				first = e.Err
			}
		}
	}
	return first
}

func (c *client) TooLarge(err error) bool { return errors.Is(err, sarama.ErrMessageSizeTooLarge) }

type reader struct {
	consumer sarama.Consumer
	p        sarama.PartitionConsumer
}

func (c *client) Read(topic string, partition int32, from int64) (compat.Reader, error) {
	consumer, err := sarama.NewConsumer(c.at, config())
	if err != nil {
		return nil, err
	}
	p, err := consumer.ConsumePartition(topic, partition, from)
	if errors.Is(err, sarama.ErrOffsetOutOfRange) { // records before were deleted or compacted
		p, err = consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
	}
	return &reader{consumer, p}, err
}

func (r *reader) Next(ctx context.Context) (compat.Record, error) {
	select {
	case m, ok := <-r.p.Messages():
		if !ok {
			return compat.Record{}, errors.New("the consumer ended")
		}
		out := compat.Record{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Key: m.Key, Value: m.Value, Millis: m.Timestamp.UnixMilli()}
		for _, h := range m.Headers {
			out.Headers = append(out.Headers, compat.Header{Key: string(h.Key), Value: h.Value})
		}
		return out, nil
	case <-ctx.Done():
		return compat.Record{}, ctx.Err()
	}
}

func (r *reader) Close() error { return errors.Join(r.p.Close(), r.consumer.Close()) }

// handler tells a member's state of what its sessions have.
type handler struct {
	m *compat.Member
	j compat.Join
}

func (h *handler) Setup(s sarama.ConsumerGroupSession) error {
	if h.j.Strategy != "cooperative" {
		h.m.Gained(s.Claims()[h.j.Topic]...)
	}
	return nil
}

func (h *handler) Cleanup(s sarama.ConsumerGroupSession) error {
	if h.j.Strategy != "cooperative" {
		h.m.Lost(s.Claims()[h.j.Topic]...)
	}
	return nil
}

func (h *handler) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	if h.j.Strategy == "cooperative" { // claims live through rebalances
		h.m.Gained(c.Partition())
		defer h.m.Lost(c.Partition())
	}
	for {
		select {
		case m, ok := <-c.Messages():
			if !ok {
				return nil
			}
			h.m.Saw(m.Partition, m.Offset, m.Value)
			s.MarkMessage(m, "")
			s.Commit()
		case <-s.Context().Done():
			return nil
		}
	}
}

func (c *client) Join(j compat.Join, m *compat.Member) error {
	k := config()
	k.ClientID = j.Name
	k.Consumer.Group.Session.Timeout, k.Consumer.Group.Heartbeat.Interval = 10*time.Second, 300*time.Millisecond
	k.Consumer.Offsets.AutoCommit.Enable = false
	k.Consumer.Group.InstanceId = j.Instance
	k.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	if j.Strategy == "cooperative" {
		k.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	}
	g, err := sarama.NewConsumerGroup(c.at, j.Group, k)
	if err != nil {
		return err
	}
	var ending atomic.Bool
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if err := g.Consume(ctx, []string{j.Topic}, &handler{m, j}); err != nil && !ending.Load() {
				m.Failed(err)
				return
			}
		}
	}()
	m.End = func() error {
		ending.Store(true)
		stop()
		<-ended
		return g.Close()
	}
	return nil
}

func (c *client) Commit(group, topic string, partition int32, at compat.Committed) error {
	return c.admin(func(a sarama.ClusterAdmin) error {
		answer, err := a.AlterConsumerGroupOffsets(group, map[string]map[int32]sarama.OffsetAndMetadata{topic: {partition: {Offset: at.Offset, LeaderEpoch: -1, Metadata: at.Metadata}}}, nil)
		if err == nil {
			if e := answer.Errors[topic][partition]; e != sarama.ErrNoError {
				err = e
			}
		}
		return err
	})
}

func (c *client) Committed(group, topic string, partition int32) (at compat.Committed, err error) {
	err = c.admin(func(a sarama.ClusterAdmin) error {
		all, err := a.ListConsumerGroupOffsets(group, map[string][]int32{topic: {partition}})
		if err != nil {
			return err
		}
		b := all.GetBlock(topic, partition)
		if b == nil {
			return errors.New("no answer about the partition")
		}
		at = compat.Committed{Offset: b.Offset, Metadata: b.Metadata}
		if b.Err != sarama.ErrNoError {
			return b.Err
		}
		return nil
	})
	return at, err
}

func (c *client) offset(topic string, partition int32, at int64) (int64, error) {
	k, err := sarama.NewClient(c.at, config())
	if err != nil {
		return 0, err
	}
	defer k.Close() //nolint:errcheck // it only asked
	return k.GetOffset(topic, partition, at)
}

func (c *client) At(topic string, partition int32, millis int64) (int64, error) {
	return c.offset(topic, partition, millis)
}

func (c *client) Ends(topic string, partition int32) (first, end int64, err error) {
	first, err = c.offset(topic, partition, sarama.OffsetOldest)
	if err == nil {
		end, err = c.offset(topic, partition, sarama.OffsetNewest)
	}
	return first, end, err
}

// configOf returns a topic's config, "" if it cannot be had.
func configOf(a sarama.ClusterAdmin, topic, name string) string {
	all, err := a.DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{name}}}, sarama.DescribeConfigsOptions{})
	if err != nil || len(all) != 1 || len(all[0].Configs) != 1 {
		return ""
	}
	return all[0].Configs[0].Value
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
	return "topic created, described, altered, grown, deleted; records deleted; group listed, described, deleted", c.admin(func(a sarama.ClusterAdmin) error {
		value := func(name string) string { return configOf(a, topic, name) }
		if err := compat.Same("123456789", value("retention.ms"), "retention.ms"); err != nil {
			return err
		}
		seven := "777"
		if err := a.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &seven}}, false); err != nil {
			return err
		}
		if err := a.CreatePartitions(topic, 5, nil, false); err != nil {
			return err
		}
		err := compat.Until("retention.ms is altered, five partitions", func() (bool, error) {
			d, err := a.DescribeTopics([]string{topic})
			return err == nil && value("retention.ms") == "777" && len(d[0].Partitions) == 5, err
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
		if err := a.DeleteRecords(topic, map[int32]int64{4: 12}); err != nil {
			return err
		}
		first, end, err := c.Ends(topic, 4)
		if err := errors.Join(err, compat.Same(12, first, "the beginning after records were deleted"), compat.Same(20, end, "the end")); err != nil {
			return err
		}
		groups, err := a.ListConsumerGroups()
		if _, ok := groups[group]; err != nil || !ok {
			return fmt.Errorf("the group is not listed: %v, %w", groups, err)
		}
		d, err := a.DescribeConsumerGroups([]string{group})
		if err != nil {
			return err
		}
		if err := compat.Same("Empty", d[0].State, "the state of the group"); err != nil {
			return err
		}
		if err := a.DeleteConsumerGroup(group); err != nil {
			return err
		}
		if err := a.DeleteTopic(topic); err != nil {
			return err
		}
		return compat.Until("the topic is gone", func() (bool, error) {
			all, err := a.ListTopics()
			_, there := all[topic]
			return !there, err
		})
	})
}

func (c *client) transactions(s *compat.Setting) (string, error) {
	k := config()
	k.Producer.Transaction.ID, k.Producer.Idempotent, k.Producer.RequiredAcks, k.Net.MaxOpenRequests = s.Prefix+"-tx", true, sarama.WaitForAll, 1
	k.Producer.Return.Successes = true
	k.Producer.Transaction.Retry.Max = 3
	began := time.Now()
	p, err := sarama.NewAsyncProducer(c.at, k)
	if err == nil {
		p.AsyncClose()
		return "", errors.New("a transactional producer started, although there are no transactions")
	}
	if time.Since(began) > 10*time.Second {
		return "", fmt.Errorf("only after %v: %w", time.Since(began), err)
	}
	return "told at once: " + err.Error(), nil
}
