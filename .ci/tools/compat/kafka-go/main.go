// Command kafka-go has the checks of segmentio/kafka-go.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"millrace/tools/compat"
)

func main() {
	s := compat.Given()
	c := &client{at: s.Brokers, k: &kafka.Client{Addr: kafka.TCP(s.Brokers...), Timeout: 20 * time.Second}}
	s.Run(&compat.Suite{Client: c, Module: "github.com/segmentio/kafka-go", Strategies: []string{"range"}, Blurs: true,
		More: []compat.More{{Area: "admin", Name: "topics, configs, groups", Fn: c.administer}, {Area: "transactions", Name: "refused", Fn: c.transactions}}})
}

type client struct {
	at []string
	k  *kafka.Client
}

func (c *client) Create(topic string, partitions, factor int, configs map[string]string) error {
	t := kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: factor}
	for k, v := range configs {
		t.ConfigEntries = append(t.ConfigEntries, kafka.ConfigEntry{ConfigName: k, ConfigValue: v})
	}
	answer, err := c.k.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{t}})
	if err == nil {
		err = answer.Errors[topic]
	}
	if err != nil {
		return err
	}
	// Its writer does not wait for the topic to be known.
	return compat.Until("the topic is known", func() (bool, error) {
		m, err := c.k.Metadata(context.Background(), &kafka.MetadataRequest{Topics: []string{topic}})
		if err != nil || m.Topics[0].Error != nil || len(m.Topics[0].Partitions) != partitions {
			return false, err
		}
		return !slices.ContainsFunc(m.Topics[0].Partitions, func(p kafka.Partition) bool { return p.Error != nil || p.Leader.Host == "" }), nil
	})
}

var codecs = map[string]kafka.Compression{"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}

// Produce sends one batch for each partition, by its client: its writer does not tell offsets.
func (c *client) Produce(o compat.Options, records []compat.Record) error {
	by := map[int32][]int{}
	for i, r := range records {
		by[r.Partition] = append(by[r.Partition], i)
	}
	for p, all := range by {
		var rs []kafka.Record
		for _, i := range all {
			r := records[i]
			one := kafka.Record{Key: asBytes(r.Key), Value: asBytes(r.Value), Time: time.UnixMilli(r.Millis)}
			for _, h := range r.Headers {
				one.Headers = append(one.Headers, kafka.Header{Key: h.Key, Value: h.Value})
			}
			rs = append(rs, one)
		}
		answer, err := c.k.Produce(context.Background(), &kafka.ProduceRequest{Topic: records[all[0]].Topic, Partition: int(p), RequiredAcks: kafka.RequireAll,
			Compression: codecs[o.Codec], Records: kafka.NewRecordReader(rs...)})
		if err == nil {
			err = answer.Error
		}
		if err != nil {
			return err
		}
		for n, i := range all {
			records[i].Offset = answer.BaseOffset + int64(n)
		}
	}
	return nil
}

func asBytes(b []byte) kafka.Bytes {
	if b == nil {
		return nil
	}
	return kafka.NewBytes(b)
}

func (c *client) TooLarge(err error) bool { return errors.Is(err, kafka.MessageSizeTooLarge) }

type reader struct{ r *kafka.Reader }

func (c *client) Read(topic string, partition int32, from int64) (compat.Reader, error) {
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: c.at, Topic: topic, Partition: int(partition), MaxBytes: 10_000_000, MaxWait: 100 * time.Millisecond})
	return &reader{r}, r.SetOffset(from)
}

func (r *reader) Next(ctx context.Context) (compat.Record, error) {
	m, err := r.r.ReadMessage(ctx)
	if err != nil {
		return compat.Record{}, err
	}
	out := compat.Record{Topic: m.Topic, Partition: int32(m.Partition), Offset: m.Offset, Key: m.Key, Value: m.Value, Millis: m.Time.UnixMilli()}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, compat.Header{Key: h.Key, Value: h.Value})
	}
	return out, nil
}

func (r *reader) Close() error { return r.r.Close() }

// Join reads each partition of each generation by a reader of its own, and commits through the generation.
func (c *client) Join(j compat.Join, m *compat.Member) error {
	g, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: j.Group, Brokers: c.at, Topics: []string{j.Topic}, HeartbeatInterval: 300 * time.Millisecond,
		SessionTimeout: 10 * time.Second, RebalanceTimeout: 10 * time.Second, JoinGroupBackoff: 100 * time.Millisecond, StartOffset: kafka.FirstOffset,
		GroupBalancers: []kafka.GroupBalancer{kafka.RangeGroupBalancer{}}})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			gen, err := g.Next(ctx)
			if err != nil {
				if ctx.Err() == nil {
					m.Failed(err)
				}
				return
			}
			for _, a := range gen.Assignments[j.Topic] {
				m.Gained(int32(a.ID))
				readers.Add(1)
				gen.Start(func(ctx context.Context) {
					defer readers.Done()
					defer m.Lost(int32(a.ID))
					c.follow(ctx, j.Topic, a, gen, m)
				})
			}
		}
	}()
	m.End = func() error {
		stop()
		err := g.Close()
		<-ended
		readers.Wait()
		return err
	}
	return nil
}

func (c *client) follow(ctx context.Context, topic string, a kafka.PartitionAssignment, gen *kafka.Generation, m *compat.Member) {
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: c.at, Topic: topic, Partition: a.ID, MaxBytes: 10_000_000, MaxWait: 100 * time.Millisecond})
	defer r.Close() //nolint:errcheck // it only read
	if err := r.SetOffset(a.Offset); err != nil {
		m.Failed(err)
		return
	}
	for {
		x, err := r.ReadMessage(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, kafka.ErrGenerationEnded) {
				m.Failed(err)
			}
			return
		}
		m.Saw(int32(x.Partition), x.Offset, x.Value)
		if err := gen.CommitOffsets(map[string]map[int]int64{topic: {a.ID: x.Offset + 1}}); err != nil {
			m.Failed(err)
			return
		}
	}
}

func (c *client) Commit(group, topic string, partition int32, at compat.Committed) error {
	answer, err := c.k.OffsetCommit(context.Background(), &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: int(partition), Offset: at.Offset, Metadata: at.Metadata}}}})
	if err != nil {
		return err
	}
	return answer.Topics[topic][0].Error
}

func (c *client) Committed(group, topic string, partition int32) (compat.Committed, error) {
	answer, err := c.k.OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {int(partition)}}})
	if err != nil {
		return compat.Committed{}, err
	}
	p := answer.Topics[topic][0]
	return compat.Committed{Offset: p.CommittedOffset, Metadata: p.Metadata}, errors.Join(answer.Error, p.Error)
}

func (c *client) list(topic string, r kafka.OffsetRequest) (kafka.PartitionOffsets, error) {
	answer, err := c.k.ListOffsets(context.Background(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {r}}})
	if err != nil {
		return kafka.PartitionOffsets{}, err
	}
	return answer.Topics[topic][0], answer.Topics[topic][0].Error
}

func (c *client) At(topic string, partition int32, millis int64) (int64, error) {
	p, err := c.list(topic, kafka.TimeOffsetOf(int(partition), time.UnixMilli(millis)))
	for o := range p.Offsets {
		return o, err
	}
	return -1, err
}

func (c *client) Ends(topic string, partition int32) (first, end int64, err error) {
	a, err := c.list(topic, kafka.FirstOffsetOf(int(partition)))
	if err != nil {
		return 0, 0, err
	}
	b, err := c.list(topic, kafka.LastOffsetOf(int(partition)))
	return a.FirstOffset, b.LastOffset, err
}

func (c *client) administer(s *compat.Setting) (string, error) {
	ctx := context.Background()
	topic, err := s.Topic("topics", 3, map[string]string{"retention.ms": "123456789"})
	if err != nil {
		return "", err
	}
	value := func(name string) string {
		answer, err := c.k.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{name}}}})
		if err != nil || len(answer.Resources) != 1 || len(answer.Resources[0].ConfigEntries) != 1 {
			return ""
		}
		return answer.Resources[0].ConfigEntries[0].ConfigValue
	}
	if err := compat.Same("123456789", value("retention.ms"), "retention.ms"); err != nil {
		return "", err
	}
	if _, err := c.k.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
		Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: "retention.ms", Value: "777", ConfigOperation: kafka.ConfigOperationSet}}}}}); err != nil {
		return "", err
	}
	grown, err := c.k.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 5}}})
	if err := cmp.Or(err, grown.Errors[topic]); err != nil {
		return "", err
	}
	err = compat.Until("retention.ms is altered, five partitions", func() (bool, error) {
		m, err := c.k.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
		return err == nil && value("retention.ms") == "777" && len(m.Topics[0].Partitions) == 5, err
	})
	if err != nil {
		return "", err
	}
	group := s.Prefix + "-administered"
	if err := c.Commit(group, topic, 0, compat.Committed{Offset: 9}); err != nil {
		return "", err
	}
	listed, err := c.k.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(listed.Groups, func(g kafka.ListGroupsResponseGroup) bool { return g.GroupID == group }) {
		return "", fmt.Errorf("the group is not listed: %v", listed.Groups)
	}
	deleted, err := c.k.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	if err := cmp.Or(err, deleted.Errors[group]); err != nil {
		return "", err
	}
	gone, err := c.k.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err := cmp.Or(err, gone.Errors[topic]); err != nil {
		return "", err
	}
	return "topic created, described, altered, grown, deleted; group listed, deleted", nil
}

func (c *client) transactions(s *compat.Setting) (string, error) {
	answer, err := c.k.InitProducerID(context.Background(), &kafka.InitProducerIDRequest{TransactionalID: s.Prefix + "-tx", TransactionTimeoutMs: 10_000})
	if err == nil {
		err = answer.Error
	}
	if err == nil {
		return "", errors.New("a transactional producer got an id, although there are no transactions")
	}
	return "told at once: " + err.Error(), nil
}
