package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The records that every client writes and reads. Each client's harness has the same rule in its own language: number i
// goes to partition i modulo 3 and so gets offset i/3 there, whatever the client.
const (
	ruleCount      = 300
	rulePartitions = 3
	ruleEpoch      = 1_700_000_000_000
)

// codecs are the names of the compressions as Kafka spells them, by their numbers.
var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func ruleKey(i int) []byte {
	switch {
	case i%7 == 0:
		return nil
	case i%11 == 0:
		return []byte{}
	}
	return fmt.Appendf(nil, "k%d", i)
}

func ruleValue(i int) []byte {
	switch {
	case i%13 == 0 && i%7 != 0: // not every client sends a record with neither
		return nil
	case i%17 == 0:
		return []byte{}
	}
	return fmt.Appendf(nil, "v%d-%s", i, strings.Repeat("x", i*37%500))
}

// ruleHeaders has the same key several times, and a header without a value where the client can say that.
func ruleHeaders(i int, null bool) []kgo.RecordHeader {
	var all []kgo.RecordHeader
	for j := range i % 3 {
		all = append(all, kgo.RecordHeader{Key: "h", Value: fmt.Appendf(nil, "w%d-%d", i, j)})
	}
	if null && i%5 == 0 {
		all = append(all, kgo.RecordHeader{Key: "null"})
	}
	return all
}

func ruleRecord(topic string, i int) *kgo.Record {
	return &kgo.Record{Topic: topic, Partition: int32(i % rulePartitions), Key: ruleKey(i), Value: ruleValue(i),
		Headers: ruleHeaders(i, true), Timestamp: time.UnixMilli(ruleEpoch + int64(i)*1000)}
}

// sameBytes tells an empty value from none.
func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// ruleDifference says what is wrong with a record that should be number i, or "".
func ruleDifference(i int, r *kgo.Record, null bool) string {
	at := fmt.Sprintf("record %d (partition %d, offset %d)", i, r.Partition, r.Offset)
	want := ruleHeaders(i, null)
	switch {
	case int(r.Partition) != i%rulePartitions || r.Offset != int64(i/rulePartitions):
		return at + " is in another place"
	case !sameBytes(r.Key, ruleKey(i)):
		return fmt.Sprintf("%s: key %q", at, r.Key)
	case !sameBytes(r.Value, ruleValue(i)):
		return fmt.Sprintf("%s: value %.40q", at, r.Value)
	case r.Timestamp.UnixMilli() != ruleEpoch+int64(i)*1000:
		return fmt.Sprintf("%s: timestamp %d", at, r.Timestamp.UnixMilli())
	case len(r.Headers) != len(want):
		return fmt.Sprintf("%s: %d headers", at, len(r.Headers))
	}
	for j, h := range r.Headers {
		if h.Key != want[j].Key || !sameBytes(h.Value, want[j].Value) {
			return fmt.Sprintf("%s: header %d is %q=%q", at, j, h.Key, h.Value)
		}
	}
	return ""
}

// compressions are franz-go's, in the order of codecs.
var compressions = []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}

// writeRule writes the records to a topic with franz-go, and checks the acknowledgements.
func writeRule(ctx context.Context, at []string, topic string, factor, codec int) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(at...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(compressions[codec]),
		kgo.ProducerLinger(10*time.Millisecond))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := createTopic(ctx, c, topic, rulePartitions, factor, nil); err != nil {
		return err
	}
	var all []*kgo.Record
	for i := range ruleCount {
		all = append(all, ruleRecord(topic, i))
	}
	if err := c.ProduceSync(ctx, all...).FirstErr(); err != nil {
		return fmt.Errorf("writing %s: %w", topic, err)
	}
	for i, r := range all {
		if d := ruleDifference(i, r, true); d != "" {
			return fmt.Errorf("%s as it was acknowledged: %s", topic, d)
		}
	}
	return nil
}

func createTopic(ctx context.Context, c *kgo.Client, topic string, partitions, factor int, configs map[string]string) error {
	given := map[string]*string{}
	for k, v := range configs {
		given[k] = &v
	}
	_, err := kadm.NewClient(c).CreateTopic(ctx, int32(partitions), int16(factor), given, topic)
	if err != nil {
		return fmt.Errorf("creating %s: %w", topic, err)
	}
	return nil
}

// compressible is the size of a value from which a batch with it gets smaller with any codec: nearly all of it is the same
// letter. librdkafka, kafka-python and aiokafka send a batch as it is that would not, and when their linger ends is a
// matter of time.
const compressible = 200

// readRule reads a topic that a client has written, and compares everything, also how the batches are compressed.
func readRule(ctx context.Context, at []string, topic, codec string, null bool) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers(at...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer c.Close()
	var next [rulePartitions]int
	for n := 0; n < ruleCount; {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("after %d records: %w", n, err)
		}
		for _, r := range fetches.Records() {
			if d := ruleDifference(next[r.Partition]*rulePartitions+int(r.Partition), r, null); d != "" {
				return fmt.Errorf("read by franz-go: %s", d)
			}
			if got := codecs[r.Attrs.CompressionType()]; got != codec && !(got == "none" && len(r.Value) < compressible) {
				return fmt.Errorf("record %d of partition %d is compressed by %s, not %s", r.Offset, r.Partition, got, codec)
			}
			next[r.Partition]++
			n++
		}
	}
	return nil
}
