package node

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func produce(t testing.TB, cl *kgo.Client, r *kgo.Record) *kgo.Record {
	t.Helper()
	done, err := cl.ProduceSync(testContext(t), r).First()
	if err != nil {
		t.Fatalf("produce: %v", err)
	}
	return done
}

func TestMetadataCreatesTopicsAndTellsTheAddressThatTheClientUsed(t *testing.T) {
	b := newBroker(t)
	cl := newClient(t, b, kgo.AllowAutoTopicCreation())
	r := kmsg.NewPtrMetadataRequest()
	r.AllowAutoTopicCreation = true
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr("made.on.the.way")
	r.Topics = append(r.Topics, topic)
	m, err := r.RequestWith(testContext(t), cl)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Topics) != 1 || m.Topics[0].ErrorCode != 0 || len(m.Topics[0].Partitions) != 1 || m.Topics[0].Partitions[0].Leader != 1 {
		t.Errorf("topics: %+v", m.Topics)
	}
	name, port, _ := splitAddress(b.Addr())
	if len(m.Brokers) != 1 || m.Brokers[0].Host != name || m.Brokers[0].Port != port {
		t.Errorf("brokers: %+v, want %s:%d", m.Brokers, name, port)
	}
	r.AllowAutoTopicCreation = false
	r.Topics[0].Topic = kmsg.StringPtr("not.there")
	if m, err = r.RequestWith(testContext(t), cl); err != nil || m.Topics[0].ErrorCode != kerr.UnknownTopicOrPartition.Code {
		t.Errorf("unknown topic: %+v, %v", m, err)
	}
}

func TestProduceByAllCodecsIsReadBack(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "codecs", 1)
	value := bytes.Repeat([]byte("millrace "), 1000)
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
	for i, codec := range codecs {
		cl := newClient(t, b, kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic("codecs"))
		if r := produce(t, cl, &kgo.Record{Value: value}); r.Offset != int64(i) {
			t.Errorf("codec %d: offset %d", i, r.Offset)
		}
	}
	for i, r := range readTopic(t, b, "codecs", len(codecs)) {
		if !bytes.Equal(r.Value, value) {
			t.Errorf("codec %d: another value came back", i)
		}
	}
}

// readTopic reads n records of a topic from its start.
func readTopic(t testing.TB, b *Broker, topic string, n int) []*kgo.Record {
	t.Helper()
	cl := newClient(t, b, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx := testContext(t)
	var records []*kgo.Record
	for len(records) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(records), n, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func TestAcks(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "acks", 1)
	for i, acks := range []kgo.Acks{kgo.NoAck(), kgo.LeaderAck(), kgo.AllISRAcks()} {
		cl := newClient(t, b, kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite(), kgo.DefaultProduceTopic("acks"))
		produce(t, cl, &kgo.Record{Value: []byte{byte(i)}})
	}
	for i, r := range readTopic(t, b, "acks", 3) {
		if r.Value[0] != byte(i) {
			t.Errorf("record %d holds %d", i, r.Value[0])
		}
	}
}

func TestTopicConfigsHaveEffect(t *testing.T) {
	b := newBroker(t)
	cl := newClient(t, b, kgo.ProducerBatchCompression(kgo.NoCompression()))
	makeTopic(t, cl, "timed", 1, "message.timestamp.type", "LogAppendTime")
	makeTopic(t, cl, "small", 1, "max.message.bytes", "200")
	makeTopic(t, cl, "zipped", 1, "compression.type", "zstd")
	old := time.UnixMilli(1000)
	produce(t, cl, &kgo.Record{Topic: "timed", Value: []byte("x"), Timestamp: old})
	if r := readTopic(t, b, "timed", 1)[0]; r.Timestamp.Equal(old) || r.Attrs.TimestampType() != 1 {
		t.Errorf("LogAppendTime kept %v, type %d", r.Timestamp, r.Attrs.TimestampType())
	}
	err := cl.ProduceSync(testContext(t), &kgo.Record{Topic: "small", Value: make([]byte, 500)}).FirstErr()
	if !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("too large a batch: %v", err)
	}
	produce(t, cl, &kgo.Record{Topic: "zipped", Value: make([]byte, 5000)})
	if r := readTopic(t, b, "zipped", 1)[0]; r.Attrs.CompressionType() != 4 || len(r.Value) != 5000 {
		t.Errorf("compression.type=zstd stored codec %d", r.Attrs.CompressionType())
	}
	// A change is seen by connections that have produced before.
	admin := kadm.NewClient(cl)
	value := "100000"
	if _, err := admin.AlterTopicConfigs(testContext(t), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &value}}, "small"); err != nil {
		t.Fatal(err)
	}
	produce(t, cl, &kgo.Record{Topic: "small", Value: make([]byte, 500)})
}

func TestListOffsetsAndDeleteRecords(t *testing.T) {
	b := newBroker(t)
	cl := newClient(t, b, kgo.DefaultProduceTopic("offsets"))
	makeTopic(t, cl, "offsets", 1)
	start := time.Now().Truncate(time.Millisecond)
	for i := range 10 {
		produce(t, cl, &kgo.Record{Value: []byte{byte(i)}, Timestamp: start.Add(time.Duration(i) * time.Second)})
	}
	admin, ctx := kadm.NewClient(cl), testContext(t)
	at := func(name string, want int64, f func() (kadm.ListedOffsets, error)) {
		t.Helper()
		l, err := f()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if o, _ := l.Lookup("offsets", 0); o.Offset != want || o.Err != nil {
			t.Errorf("%s: %+v, want %d", name, o, want)
		}
	}
	at("start", 0, func() (kadm.ListedOffsets, error) { return admin.ListStartOffsets(ctx, "offsets") })
	at("end", 10, func() (kadm.ListedOffsets, error) { return admin.ListEndOffsets(ctx, "offsets") })
	at("committed", 10, func() (kadm.ListedOffsets, error) { return admin.ListCommittedOffsets(ctx, "offsets") })
	at("max timestamp", 9, func() (kadm.ListedOffsets, error) { return admin.ListMaxTimestampOffsets(ctx, "offsets") })
	at("by time", 4, func() (kadm.ListedOffsets, error) {
		return admin.ListOffsetsAfterMilli(ctx, start.Add(3500*time.Millisecond).UnixMilli(), "offsets")
	})
	var o kadm.Offsets
	o.Add(kadm.Offset{Topic: "offsets", Partition: 0, At: 6})
	deleted, err := admin.DeleteRecords(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := deleted.Lookup("offsets", 0); d.LowWatermark != 6 || d.Err != nil {
		t.Errorf("delete records: %+v", d)
	}
	at("start after", 6, func() (kadm.ListedOffsets, error) { return admin.ListStartOffsets(ctx, "offsets") })
	if r := readTopic(t, b, "offsets", 4); r[0].Offset != 6 {
		t.Errorf("first offset is %d after deleting below 6", r[0].Offset)
	}
}

func TestTopicsAreCreatedGrownDescribedAndDeleted(t *testing.T) {
	b := newBroker(t)
	cl := newClient(t, b)
	admin, ctx := kadm.NewClient(cl), testContext(t)
	makeTopic(t, cl, "x.y", 2, "retention.ms", "5000")
	for _, c := range []struct {
		name       string
		partitions int32
		replicas   int16
		want       error
	}{
		{"x.y", 1, 1, kerr.TopicAlreadyExists},
		{"x_y", 1, 1, kerr.InvalidTopicException},
		{"a b", 1, 1, kerr.InvalidTopicException},
		{"z", 1, 3, kerr.InvalidReplicationFactor},
		{"z", 0, 1, kerr.InvalidPartitions},
	} {
		if r, err := admin.CreateTopic(ctx, c.partitions, c.replicas, nil, c.name); !errors.Is(err, c.want) && !errors.Is(r.Err, c.want) {
			t.Errorf("create %q with %d partitions: %v %v, want %v", c.name, c.partitions, err, r.Err, c.want)
		}
	}
	if r, err := admin.UpdatePartitions(ctx, 5, "x.y"); err != nil || r.Error() != nil {
		t.Errorf("grow: %v %v", err, r)
	}
	topics, err := admin.ListTopics(ctx, "x.y")
	if err != nil || len(topics["x.y"].Partitions) != 5 {
		t.Errorf("list: %v %v", topics, err)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, "x.y")
	if err != nil || len(configs) != 1 || len(configs[0].Configs) != 33 {
		t.Fatalf("configs: %v %v", configs, err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == "retention.ms" && (c.MaybeValue() != "5000" || c.Source != kmsg.ConfigSourceDynamicTopicConfig) {
			t.Errorf("retention.ms: %+v", c)
		}
	}
	if r, err := admin.DeleteTopics(ctx, "x.y"); err != nil || r.Error() != nil {
		t.Errorf("delete: %v %v", err, r)
	}
	m := kmsg.NewPtrMetadataRequest() // kadm would answer from the client's cache
	if a, err := m.RequestWith(ctx, cl); err != nil || len(a.Topics) != 0 {
		t.Errorf("a deleted topic is listed: %v %v", a, err)
	}
}

func TestBrokerConfigsChangeWhatTopicsGet(t *testing.T) {
	b := newBroker(t)
	cl := newClient(t, b)
	admin, ctx := kadm.NewClient(cl), testContext(t)
	makeTopic(t, cl, "t", 1)
	value := "7777"
	for _, broker := range []int32{1} {
		r, err := admin.AlterBrokerConfigs(ctx, []kadm.AlterConfig{{Name: "log.retention.ms", Value: &value}}, broker)
		if err != nil || len(r) != 1 || r[0].Err != nil {
			t.Fatalf("alter broker: %v %v", r, err)
		}
	}
	configs, err := admin.DescribeTopicConfigs(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == "retention.ms" && (c.MaybeValue() != value || c.Source != kmsg.ConfigSourceDynamicBrokerConfig) {
			t.Errorf("retention.ms: %+v", c)
		}
	}
	fixed, err := admin.AlterBrokerConfigs(ctx, []kadm.AlterConfig{{Name: "num.partitions", Value: &value}}, 1)
	if err != nil || !errors.Is(fixed[0].Err, kerr.InvalidRequest) {
		t.Errorf("a fixed config was altered: %v %v", fixed, err)
	}
}

func TestProducerIDsAreNotGivenTwice(t *testing.T) {
	dir := t.TempDir()
	seen := make(map[int64]bool)
	for range 2 {
		b, stop := startBroker(t, dir, testConfig())
		cl := newClient(t, b)
		for range 3 {
			r := kmsg.NewPtrInitProducerIDRequest()
			r.ProducerID, r.ProducerEpoch = -1, -1
			a, err := r.RequestWith(testContext(t), cl)
			if err != nil || a.ErrorCode != 0 || a.ProducerEpoch != 0 || seen[a.ProducerID] {
				t.Errorf("%+v, %v", a, err)
			}
			seen[a.ProducerID] = true
		}
		r := kmsg.NewPtrInitProducerIDRequest()
		r.TransactionalID = kmsg.StringPtr("tx")
		if a, err := r.RequestWith(testContext(t), cl); !errors.Is(err, kerr.UnsupportedVersion) {
			t.Errorf("a transactional id was accepted: %+v, %v", a, err)
		}
		cl.Close()
		stop()
	}
}

func TestClusterTools(t *testing.T) {
	b := newBroker(t)
	cl := newClient(t, b, kgo.ProducerBatchCompression(kgo.NoCompression()))
	admin, ctx := kadm.NewClient(cl), testContext(t)
	makeTopic(t, cl, "t", 2)
	produce(t, cl, &kgo.Record{Topic: "t", Value: make([]byte, 5000)})
	if m, err := admin.BrokerMetadata(ctx); err != nil || m.Controller != 1 || m.Cluster == "" {
		t.Errorf("metadata: %+v %v", m, err)
	}
	dirs, err := admin.DescribeBrokerLogDirs(ctx, 1, nil)
	if err != nil || dirs.Size() < 5000 {
		t.Errorf("log dirs: %+v %v", dirs, err)
	}
	e := kmsg.NewPtrOffsetForLeaderEpochRequest()
	topic := kmsg.NewOffsetForLeaderEpochRequestTopic()
	topic.Topic = "t"
	for i := range int32(2) {
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = i, -1, 1000
		topic.Partitions = append(topic.Partitions, p)
	}
	e.Topics = append(e.Topics, topic)
	if a, err := e.RequestWith(ctx, cl); err != nil || len(a.Topics) != 1 || a.Topics[0].Partitions[0].EndOffset != -1 {
		t.Errorf("epoch of the future: %+v %v", a, err)
	}
}
