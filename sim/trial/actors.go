package trial

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
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
	case kindMetadata:
		t.tellMetadata(i, name, d, a)
	case "looker":
		t.look(i, name, d, a)
	case "offsets":
		t.commitOffsets(name, d, a)
	case kindForgetter:
		t.beForgetter(i, name, d, a)
	case kindMember:
		t.beMember(i, name, d, a)
	case kindZombie:
		t.beZombie(i, name, d, a)
	case kindWatcher:
		t.watch(i, name, d, a)
	}
}

// rest lets an actor pause, for the time of its plan on average, and through a lull; true when there was one.
func (t *trial) rest(d *sim.Draws, a ActorPlan) bool {
	if a.Pause > 0 {
		t.host.Clock.Sleep(time.Duration(d.Below(2 * int64(a.Pause))))
	}
	return t.lull(a)
}

// restOf is rest for a producer. The network thread of a client reads while the application has nothing to ask for: what was
// answered in a lull is known before more is sent. Otherwise a batch could follow one that was refused longer ago than brokers
// remember, and be taken for the first.
func (t *trial) restOf(producer *client.Producer, d *sim.Draws, a ActorPlan) {
	if t.rest(d, a) {
		producer.Take()
	}
}

// delivery is how long a batch of the load is tried for.
const delivery = 90 * time.Second

// newProducer returns a producer whose outcomes go to the oracle; what they teach changes how the actor goes on.
func (t *trial) newProducer(c *client.Client, a *ActorPlan) (*client.Producer, *producerState, map[*client.Batch]*dispatch) {
	t.sequence++
	p := &producerState{number: uint32(t.sequence), acks: a.Acks, idempotent: a.Idempotent,
		retries: a.Retries || a.Rules == client.Librdkafka}
	under := make(map[*client.Batch]*dispatch)
	o := client.ProducerOptions{Rules: a.Rules, InFlight: a.InFlight, Idempotent: a.Idempotent, Acks: a.Acks, Retries: a.Retries,
		Delivery: cmp.Or(a.Delivery, delivery), Refused: t.plan.refused(),
		Done: func(b *client.Batch) {
			x := under[b]
			delete(under, b)
			t.oracle.finished(p, x.log, b, x.ids)
			t.remember(p, b)
			t.checkCodec(a, b)
		}}
	if a.Rules == client.Librdkafka {
		o.Reached = func(what string) { t.world.Reach("(librdkafka) " + what) }
		o.Again = func(b *client.Batch) *client.Batch {
			copied, x := t.copyBatch(p, under[b], b)
			under[copied] = x
			return copied
		}
	}
	return client.NewProducer(c, o), p, under
}

// copyBatch makes the batch that a producer sends in the place of one which may be there already, where brokers cannot tell. To
// them a copy is one more batch. Its records have numbers of their own, so that each attempt is there once at most.
func (t *trial) copyBatch(p *producerState, x *dispatch, b *client.Batch) (*client.Batch, *dispatch) {
	copied := &client.Batch{Topic: b.Topic, Partition: b.Partition, Codec: b.Codec}
	y := &dispatch{log: x.log}
	for _, r := range b.Records {
		p.count++
		id := recordID{p.number, p.count}
		copied.Records = append(copied.Records, client.Record{Key: r.Key, Value: value(id, int64(len(r.Value))), Timestamp: r.Timestamp})
		y.ids = append(y.ids, id)
	}
	t.oracle.sending(p, x.log, copied, y.ids)
	for i, id := range y.ids {
		t.oracle.values[id].copies = t.oracle.values[x.ids[i]].original(x.ids[i])
	}
	return copied, y
}

// checkCodec: a codec is refused only where the version of the request is too old for it. The actor goes on without
// one: the version stays, and with the codec nothing of it would ever be acknowledged.
func (t *trial) checkCodec(a *ActorPlan, b *client.Batch) {
	if !client.IsCode(b.Err, wire.ErrUnsupportedCompressionType) {
		return
	}
	if !a.OldVersion || b.Codec != batch.Zstd {
		t.failf("%s-%d: a batch of codec %v was refused: %v", b.Topic, b.Partition, b.Codec, b.Err)
	}
	a.Codec = int(batch.None)
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

// mostUnheard is how many records a producer that awaits no answers sends at its pace, for each that is to be acknowledged to
// the others. Nothing holds it back: where disks and links are slow the others would wait behind it for most of the run.
const mostUnheard = 10

// produce is a producer's task.
func (t *trial) produce(name string, d *sim.Draws, a ActorPlan) {
	c := t.newClient(name, a)
	defer c.Close()
	producer, p, under := t.newProducer(c, &a)
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
		if a.Acks == 0 && p.count > mostUnheard*uint32(t.plan.Target) {
			t.host.Clock.Sleep(200 * time.Millisecond)
		}
		t.restOf(producer, d, a)
	}
	for producer.Pump() {
	}
}

// consume is a consumer's task.
func (t *trial) consume(i int, name string, d *sim.Draws, a ActorPlan) {
	o := client.FetchOptions{Rack: a.Rack, Sessions: a.Sessions, MaxWait: time.Duration(d.Skewed(1, 500)) * time.Millisecond,
		MinBytes: int32(d.Skewed(1, 1000)), MaxBytes: int32(a.Bytes), PartitionMaxBytes: int32(d.Skewed(100, 1<<20))}
	c := t.newClient(name, a)
	r := &reader{who: i, client: c, fetcher: client.NewFetcher(c, o)}
	for !t.stop {
		r.readAll(t.partitions())
		if n, err := t.poll(r); n == 0 && err == nil { // errors are what a broken broker gives
			t.host.Clock.Sleep(time.Duration(d.Below(int64(idle))))
		}
		for i := range r.list {
			r.list[i].wander(d, a)
		}
		if d.Chance(a.Rejoin) { // as when another member of a group goes on
			r.client.Close()
			a.First = int(d.Below(int64(len(t.brokers))))
			r.client = t.newClient(name, a)
			r.fetcher = client.NewFetcher(r.client, o)
			for i := range r.list {
				r.list[i].jump()
				r.fetcher.Add(r.list[i].position)
			}
		}
		t.rest(d, a)
	}
	r.client.Close()
}

// idle is how long a consumer waits, on average twice as long, after a poll that brought nothing.
const idle = 4 * time.Millisecond

// wander goes back now and then, to read something again, or forward to the end, as far as anybody has seen it.
func (x *reading) wander(d *sim.Draws, a ActorPlan) {
	switch {
	case d.Chance(a.Back) && x.position.Offset > x.log.start:
		x.sought = true
		x.position.Offset = x.log.start + d.Below(x.position.Offset-x.log.start+1)
	case d.Chance(a.Jump):
		x.jump()
	}
}

// jump goes to the end.
func (x *reading) jump() {
	if x.log.high > x.position.Offset {
		x.sought = true
		x.position.Offset = x.log.high
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
	sought   bool // the position was chosen anew
	// committed is what a member of a group has committed.
	committed int64
}

// readAll adds the partitions that are not read yet, at the log start.
func (r *reader) readAll(logs []*partitionLog) {
	for _, l := range logs {
		if slices.ContainsFunc(r.list, func(x reading) bool { return x.log == l }) {
			continue
		}
		p := &client.Position{Topic: l.topic.plan.Name, Partition: l.index, Offset: l.start}
		r.list = append(r.list, reading{position: p, log: l, sought: true})
		r.fetcher.Add(p)
	}
}

// poll fetches once and tells the oracle. It returns how many records came.
func (t *trial) poll(r *reader) (int, error) {
	before, boots := make([]bounds, len(r.list)), t.boots()
	served := make([]map[string]bounds, len(r.list))
	for i, x := range r.list {
		before[i], served[i] = t.oracle.bounds(x.log), maps.Clone(x.log.served)
	}
	got, err := r.fetcher.Poll()
	if err != nil {
		t.host.Clock.Sleep(5 * time.Millisecond)
		return 0, err
	}
	n := 0
	for _, delivery := range got {
		i := slices.IndexFunc(r.list, func(x reading) bool { return x.position == delivery.Position })
		x := &r.list[i]
		l, p, b := x.log, delivery.Position, before[i]
		switch code := delivery.Code; {
		case code == wire.ErrNone:
			t.oracle.watermarks(l, b, p.High, p.Start, false, "fetch")
			if who, ok := t.server(r.fetcher.Asked, boots); ok {
				t.oracle.serves(l, who, served[i][who], p.High, p.Start)
			}
			t.oracle.read(l, delivery)
			if len(t.brokers) == 1 {
				t.oracle.recordEnd(l, r.who, b.called, p.High)
			}
			t.oracle.recordFetch(l, r.who, b.called, delivery, x.sought)
			x.sought = x.sought && len(delivery.Records) == 0
			n += len(delivery.Records)
		case code == wire.ErrOffsetOutOfRange:
			// Whoever cannot tell says OFFSET_NOT_AVAILABLE: a consumer would begin elsewhere.
			if p.Offset <= b.high && p.Offset >= l.mayStart && !l.limitless {
				t.failf("%v: fetch at %d is out of range for %s, the log has %d to %d", l, p.Offset, r.fetcher.Asked, b.start, b.high)
			}
			if delivery.Near {
				continue // the leader knows
			}
			t.outOfRange(r.client, l, p)
			x.sought = true
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

// boots is how often each node was started.
func (t *trial) boots() []int {
	boots := make([]int, len(t.brokers))
	for i, b := range t.brokers {
		boots[i] = b.node.Boots()
	}
	return boots
}

// server names the start of the node at an address that answered; false when it may have been another start than the
// one that was asked.
func (t *trial) server(addr string, boots []int) (string, bool) {
	for i, b := range t.brokers {
		if b.node.Name()+":9092" == addr {
			return fmt.Sprintf("%s#%d", b.node.Name(), boots[i]), b.node.Boots() == boots[i]
		}
	}
	return "", false
}

// outOfRange is right only where the log start has moved beyond the position. Who is asked for that may have been
// deposed without knowing, so it is asked for until somebody knows.
func (t *trial) outOfRange(c *client.Client, l *partitionLog, p *client.Position) {
	for n := 0; ; n++ {
		b := t.oracle.bounds(l)
		start, _, err := c.ListOffset(p.Topic, p.Partition, client.Earliest)
		if err != nil {
			return
		}
		t.oracle.watermarks(l, b, -1, start, false, "ListOffsets(earliest)")
		if start > p.Offset {
			p.Offset = start
			return
		}
		if n == 10 || len(t.brokers) == 1 || t.healed {
			t.failf("%v: fetch at %d is out of range, and the log starts at %d", l, p.Offset, start)
			return
		}
		t.host.Clock.Sleep(time.Second)
		if err := c.Refresh(p.Topic); err != nil {
			return
		}
	}
}

// tolerable says that an error is one that a client meets while a broker is broken.
func tolerable(err error) bool {
	var code wire.ErrorCode
	return err == nil || !errors.As(err, &code) || code.Retriable()
}
