package trial

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/partition/batch"
	"millrace/sim"
	"millrace/sim/client"
)

// act is the task of one actor.
func (t *trial) act(i int, a ActorPlan) {
	name := fmt.Sprintf("%s-%d", a.Kind, i)
	d := t.world.Draws("actor/" + name)
	switch a.Kind {
	case "producer":
		t.produce(name, d, a)
	case "consumer":
		t.consume(i, name, d, a)
	case "admin":
		t.administer(i, name, d, a)
	case "offsets":
		t.commitOffsets(name, d, a)
	}
}

// rest lets an actor pause, for the time of its plan on average.
func (t *trial) rest(d *sim.Draws, a ActorPlan) {
	if a.Pause > 0 {
		t.host.Clock.Sleep(time.Duration(d.Below(2 * int64(a.Pause))))
	}
}

// delivery is how long a batch of the load is tried for.
const delivery = 90 * time.Second

// newProducer returns a producer whose outcomes go to the oracle.
func (t *trial) newProducer(c *client.Client, a ActorPlan) (*client.Producer, *producerState, map[*client.Batch]*dispatch) {
	t.sequence++
	p := &producerState{number: uint32(t.sequence), acks: a.Acks}
	under := make(map[*client.Batch]*dispatch)
	producer := client.NewProducer(c, client.ProducerOptions{Idempotent: a.Idempotent, Acks: a.Acks, Delivery: delivery,
		Done: func(b *client.Batch) {
			x := under[b]
			delete(under, b)
			t.oracle.finished(p, x.log, b, x.ids)
		}})
	return producer, p, under
}

// dispatch is a batch of the load on its way.
type dispatch struct {
	log *partitionLog
	ids []recordID
}

// makeBatch makes the next batch of a producer.
func (t *trial) makeBatch(p *producerState, l *partitionLog, d *sim.Draws, a ActorPlan) (*client.Batch, *dispatch) {
	b := &client.Batch{Topic: l.topic.plan.Name, Partition: l.index, Codec: batch.Codec(a.Codec)}
	x := &dispatch{log: l}
	now := t.host.Clock.Wall().UnixMilli()
	for range d.Skewed(1, a.Records) {
		p.count++
		id := recordID{p.number, p.count}
		r := client.Record{Value: value(id, d.Skewed(1, a.Bytes)), Timestamp: now + d.Between(-1000, 1000)}
		if d.Chance(0.5) {
			r.Key = fmt.Appendf(nil, "k%d", d.Below(20))
		}
		b.Records = append(b.Records, r)
		x.ids = append(x.ids, id)
	}
	t.oracle.sending(p, l, b, x.ids)
	return b, x
}

// produce is a producer's task.
func (t *trial) produce(name string, d *sim.Draws, a ActorPlan) {
	c := t.newClient(name, a)
	defer c.Close()
	producer, p, under := t.newProducer(c, a)
	var l *partitionLog
	for !t.stop {
		for n := d.Between(1, int64(a.Depth)); int64(producer.Left()) < n; {
			if logs := t.partitions(); l == nil || !a.Sticky || d.Chance(0.02) {
				l = logs[d.Below(int64(len(logs)))]
			}
			b, x := t.makeBatch(p, l, d, a)
			under[b] = x
			producer.Send(b)
		}
		producer.Pump()
		t.rest(d, a)
	}
	for producer.Pump() {
	}
}

// consume is a consumer's task.
func (t *trial) consume(i int, name string, d *sim.Draws, a ActorPlan) {
	c := t.newClient(name, a)
	defer c.Close()
	f := client.NewFetcher(c, client.FetchOptions{Sessions: a.Sessions, MaxWait: time.Duration(d.Skewed(1, 500)) * time.Millisecond,
		MinBytes: int32(d.Skewed(1, 1000)), MaxBytes: int32(a.Bytes), PartitionMaxBytes: int32(d.Skewed(100, 1<<20))})
	r := &reader{who: i, client: c, fetcher: f}
	for !t.stop {
		r.readAll(t.partitions())
		t.poll(r) // errors are what a broken broker gives
		for _, x := range r.list {
			if d.Chance(a.Back) && x.position.Offset > x.log.start {
				x.position.Offset = x.log.start + d.Below(x.position.Offset-x.log.start+1)
			}
		}
		t.rest(d, a)
	}
}

// reader is a fetcher and the partitions that it reads.
type reader struct {
	who     int
	client  *client.Client
	fetcher *client.Fetcher
	list    []reading
}

type reading struct {
	position *client.Position
	log      *partitionLog
}

// readAll adds the partitions that are not read yet, at the log start.
func (r *reader) readAll(logs []*partitionLog) {
	for _, l := range logs {
		if slices.ContainsFunc(r.list, func(x reading) bool { return x.log == l }) {
			continue
		}
		p := &client.Position{Topic: l.topic.plan.Name, Partition: l.index, Offset: l.start}
		r.list = append(r.list, reading{p, l})
		r.fetcher.Add(p)
	}
}

// poll fetches once and tells the oracle. It returns how many records came.
func (t *trial) poll(r *reader) (int, error) {
	before := make([]bounds, len(r.list))
	for i, x := range r.list {
		before[i] = t.oracle.bounds(x.log)
	}
	got, err := r.fetcher.Poll()
	if err != nil {
		t.host.Clock.Sleep(5 * time.Millisecond)
		return 0, err
	}
	n := 0
	for _, delivery := range got {
		i := slices.IndexFunc(r.list, func(x reading) bool { return x.position == delivery.Position })
		l, p, b := r.list[i].log, delivery.Position, before[i]
		switch code := delivery.Code; {
		case code == wire.ErrNone:
			t.oracle.watermarks(l, b, p.High, p.Start, "fetch")
			t.oracle.read(l, delivery)
			t.oracle.recordEnd(l, r.who, b.called, p.High)
			n += len(delivery.Records)
		case code == wire.ErrOffsetOutOfRange:
			t.outOfRange(r.client, l, p)
		case code.Retriable():
			if err := r.client.Refresh(p.Topic); err != nil {
				t.host.Clock.Sleep(5 * time.Millisecond)
			}
		default:
			t.failf("%v: fetch at %d: %w", l, p.Offset, code)
		}
	}
	return n, nil
}

// outOfRange is right only where the log start has moved beyond the position.
func (t *trial) outOfRange(c *client.Client, l *partitionLog, p *client.Position) {
	b := t.oracle.bounds(l)
	start, _, err := c.ListOffset(p.Topic, p.Partition, client.Earliest)
	if err != nil {
		return
	}
	t.oracle.watermarks(l, b, -1, start, "ListOffsets(earliest)")
	if start <= p.Offset {
		t.failf("%v: fetch at %d is out of range, and the log starts at %d", l, p.Offset, start)
		return
	}
	p.Offset = start
}

// tolerable says that an error is one that a client meets while a broker is broken.
func tolerable(err error) bool {
	var code wire.ErrorCode
	return err == nil || !errors.As(err, &code) || code.Retriable()
}
