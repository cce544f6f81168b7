package chaos

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	lin "millrace/linearizability"
)

// probe asks for the ends of all logs, again and again, as a client does: whoever leads.
func (l *load) probe(ctx context.Context, every time.Duration) error {
	c, err := kgo.NewClient(l.options()...)
	if err != nil {
		return err
	}
	defer c.Close()
	admin, id := kadm.NewClient(c), l.client()
	for ctx.Err() == nil {
		call := l.now()
		ends, err := admin.ListEndOffsets(ctx, logTopic, bulkTopic)
		now := l.now()
		if err == nil {
			err = ends.Error()
		}
		if err != nil && !passing(err) {
			l.complain("asking for the ends: %v", err)
		}
		ends.Each(func(o kadm.ListedOffset) {
			if o.Err == nil {
				l.count("ends asked", 1)
				l.add(lin.Operation{Log: logName(o.Topic, o.Partition), Client: id, Kind: lin.End, Call: call, Return: now, Offset: o.Offset})
			}
		})
		wait(ctx, every)
	}
	return nil
}

// probeNode asks one node for the ends of all logs, whoever leads them: one that led and does not know that it leads no
// longer must not answer. Refusals and silence are expected.
func (l *load) probeNode(ctx context.Context, node int, every time.Duration) error {
	c, err := kgo.NewClient(l.options(kgo.RequestRetries(0), kgo.RetryTimeout(3*time.Second))...)
	if err != nil {
		return err
	}
	defer c.Close()
	id := l.client()
	for ; ctx.Err() == nil; wait(ctx, every) {
		call := l.now()
		answer, err := c.Broker(node).Request(ctx, endsOf(map[string]int32{logTopic: logPartitions, bulkTopic: bulkPartitions}))
		now := l.now()
		if err != nil {
			continue
		}
		for _, t := range answer.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 {
					l.count("ends asked", 1)
					l.add(lin.Operation{Log: logName(t.Topic, p.Partition), Client: id, Kind: lin.End, Call: call, Return: now, Offset: p.Offset})
				}
			}
		}
	}
	return nil
}

// endsOf asks for the ends of topics with so many partitions.
func endsOf(topics map[string]int32) *kmsg.ListOffsetsRequest {
	const latest = -1
	q := kmsg.NewPtrListOffsetsRequest()
	q.ReplicaID = -1
	for topic, partitions := range topics {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for i := range partitions {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp, p.CurrentLeaderEpoch = i, latest, -1
			t.Partitions = append(t.Partitions, p)
		}
		q.Topics = append(q.Topics, t)
	}
	return q
}
