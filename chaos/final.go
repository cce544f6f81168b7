package chaos

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	lin "millrace/linearizability"
)

// reader counts the bytes of fetches by node.
type reader struct {
	mu   sync.Mutex
	from map[int32]int
}

// OnBrokerRead is called by the client for every answer.
func (r *reader) OnBrokerRead(meta kgo.BrokerMetadata, key int16, bytes int, _, _ time.Duration, _ error) {
	const fetch = 1
	if key == fetch {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.from[meta.NodeID] += bytes
	}
}

// share is how much of everything came from a node, in percent.
func (r *reader) share(node int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := 0
	for _, n := range r.from {
		all += n
	}
	return 100 * r.from[int32(node)] / max(1, all)
}

// final reads every log from its start to its end, when all else is done: from the replicas of a node when racks name them,
// or from whoever leads. It returns how much came from that node, in percent.
func (l *load) final(ctx context.Context, node int, rack string) (int, error) {
	seen := &reader{from: map[int32]int{}}
	c, err := kgo.NewClient(l.options(kgo.ConsumeTopics(logTopic, bulkTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Rack(rack), kgo.WithHooks(seen))...)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	finals, err := l.ends(ctx, kadm.NewClient(c))
	if err != nil {
		return 0, err
	}
	missing := map[string]bool{}
	for log, f := range finals {
		f.Replica = fmt.Sprint("node ", node)
		if f.To > f.Offset {
			missing[log] = true
		}
	}
	for len(missing) > 0 {
		fetches := c.PollFetches(ctx)
		if ctx.Err() != nil {
			return 0, fmt.Errorf("reading all logs, with %d not read to the end: %w", len(missing), ctx.Err())
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			f := finals[logName(p.Topic, p.Partition)]
			if f == nil || len(p.Records) == 0 {
				return
			}
			op := fetched(f.Log, p.Records)
			f.Records, f.Offsets, f.Epochs = append(f.Records, op.Records...), append(f.Offsets, op.Offsets...), append(f.Epochs, op.Epochs...)
			if op.To >= f.To {
				delete(missing, f.Log)
			}
		})
	}
	for _, f := range finals {
		f.Return = l.now()
		l.add(*f)
	}
	return seen.share(node), nil
}

// ends returns where the logs start and end.
func (l *load) ends(ctx context.Context, admin *kadm.Client) (map[string]*lin.Operation, error) {
	call := l.now()
	var starts, ends kadm.ListedOffsets
	err := patiently(ctx, func() (err error) {
		if starts, err = admin.ListStartOffsets(ctx, logTopic, bulkTopic); err == nil {
			err = starts.Error()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("asking where the logs start: %w", err)
	}
	err = patiently(ctx, func() (err error) {
		if ends, err = admin.ListEndOffsets(ctx, logTopic, bulkTopic); err == nil {
			err = ends.Error()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("asking where the logs end: %w", err)
	}
	finals := map[string]*lin.Operation{}
	ends.Each(func(o kadm.ListedOffset) {
		log := logName(o.Topic, o.Partition)
		start, _ := starts.Lookup(o.Topic, o.Partition)
		finals[log] = &lin.Operation{Log: log, Client: l.client(), Kind: lin.Final, Call: call, Offset: start.Offset, To: o.Offset}
	})
	return finals, nil
}
