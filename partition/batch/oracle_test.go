package batch

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// TestRefusalsOfARealBroker asks a Kafka broker, named by KAFKA_ORACLE, what it says to the same bytes.
func TestRefusalsOfARealBroker(t *testing.T) {
	addr := os.Getenv("KAFKA_ORACLE")
	if addr == "" {
		t.Skip("KAFKA_ORACLE=host:port names no broker")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := func(o ...kgo.Opt) *kgo.Client {
		c, err := kgo.NewClient(append(o, kgo.SeedBrokers(addr))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	upTo := func(produce int16) *kgo.Client { // below 13, which names topics by id
		v := kversion.V3_9_0()
		v.SetMaxKeyVersion(0, produce)
		return client(kgo.MaxVersions(v))
	}
	now, old := upTo(11), upTo(6)
	say := func(s string) *string { return &s }
	configs := map[string]map[string]*string{
		"plain": nil, "old": nil, "compacted": {"cleanup.policy": say("compact")}, "small": {"max.message.bytes": say("100")},
		"append": {"message.timestamp.type": say("LogAppendTime")},
		"strict": {"message.timestamp.before.max.ms": say("10"), "message.timestamp.after.max.ms": say("500")},
	}
	for topic, c := range configs {
		topic = "oracle-" + topic
		_, _ = kadm.NewClient(now).DeleteTopics(ctx, topic)
		time.Sleep(200 * time.Millisecond)
		if _, err := kadm.NewClient(now).CreateTopic(ctx, 50, 1, c, topic); err != nil {
			t.Fatal(topic, err)
		}
	}
	time.Sleep(3 * time.Second) // until the broker knows them
	for i, c := range refusals(t) {
		if c.b == nil {
			continue // Kafka closes the connection
		}
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = -1, 10000
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic = "oracle-" + c.topic
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = int32(i), c.b
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		cl := now
		if c.topic == "old" {
			cl = old
		}
		resp, err := cl.Broker(1).Request(ctx, req)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		p := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		message := ""
		if p.ErrorMessage != nil {
			message = *p.ErrorMessage
		}
		unclear := p.ErrorCode == -1 && (c.want == InvalidRecord || c.want == UnsupportedCompressionType)
		if Code(p.ErrorCode) != c.want && !unclear {
			t.Errorf("%s: Kafka says %v (%s), Millrace %d", c.name, kerr.ErrorForCode(p.ErrorCode), message, c.want)
		} else if testing.Verbose() {
			t.Logf("%s: %v (%s) %+v", c.name, kerr.ErrorForCode(p.ErrorCode), message, p.ErrorRecords)
		}
	}
}
