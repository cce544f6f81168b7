package trial

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"millrace/net/wire"
	"millrace/partition/batch"
	"millrace/sim"
	"millrace/sim/client"
)

// compactedTopic is a compacted topic of the load with what is known of it. Each keeper has keys of its own, so that it is
// plain which record of a key is the last one.
type compactedTopic struct {
	*topicState
	plan CompactedPlan
	// base is the timestamp of each keeper's record number 0: a record without a value is known by its time.
	base int64
	logs []*compactedLog
}

// compactedLog is one partition of it.
type compactedLog struct {
	topic   *compactedTopic
	index   int32
	keys    map[string][]*kept // by key, in the order in which they were sent
	records map[recordID]*kept
	offsets map[int64]*kept
	// limit is how far the log start was seen.
	start int64
}

// kept is a record of a keeper.
type kept struct {
	id        recordID
	key       string
	value     string
	tombstone bool
	batch     *client.Batch
	offset    int64 // -1 as long as it is not known
}

func (l *compactedLog) String() string { return fmt.Sprintf("%s-%d", l.topic.plan.Name, l.index) }

// ofCompacted says that a file belongs to a partition of a compacted topic.
func (t *trial) ofCompacted(path string) bool {
	return slices.ContainsFunc(t.compacted, func(c *compactedTopic) bool { return strings.Contains(path, hex.EncodeToString(c.id[:])+"-") })
}

// createCompacted makes the compacted topics of the plan.
func (t *trial) createCompacted(c *client.Client) bool {
	for _, p := range t.plan.Compacted {
		state, err := t.createTopic(c, TopicPlan{Name: p.Name, Partitions: p.Partitions, Replicas: p.Replicas, Configs: p.configs()})
		if err != nil {
			t.failf("create topic %s: %w", p.Name, err)
			return false
		}
		topic := &compactedTopic{topicState: state, plan: p, base: t.host.Clock.Wall().UnixMilli()}
		for i := range p.Partitions {
			topic.logs = append(topic.logs, &compactedLog{topic: topic, index: i, keys: make(map[string][]*kept),
				records: make(map[recordID]*kept), offsets: make(map[int64]*kept)})
		}
		t.compacted = append(t.compacted, topic)
	}
	return true
}

// startCompacted starts the actors of compacted topics.
func (t *trial) startCompacted() {
	for _, topic := range t.compacted {
		start := func(kind string, i int, act func(name string, d *sim.Draws)) {
			name := fmt.Sprintf("%s-%s-%d", kind, topic.plan.Name, i)
			t.working++
			t.host.Tasks.Go(name, func() {
				act(name, t.world.Draws("actor/"+name))
				t.working--
				t.changed.Wake()
			})
		}
		for i, a := range topic.plan.Keepers {
			start("keeper", i, func(name string, d *sim.Draws) { t.keep(topic, name, d, a) })
		}
		for i, a := range topic.plan.Rebuilders {
			start("rebuilder", i, func(name string, d *sim.Draws) { t.rebuild(topic, name, d, a) })
		}
	}
}

// keep is a keeper's task.
func (t *trial) keep(topic *compactedTopic, name string, d *sim.Draws, a ActorPlan) {
	c := t.newClient(name, a)
	defer c.Close()
	t.sequence++
	number, count := uint32(t.sequence), uint32(0)
	// Without sequences a batch that got no answer may come behind a newer one of its keys, and nobody could say what a table
	// must have.
	a.Idempotent = true
	producer := client.NewProducer(c, client.ProducerOptions{Idempotent: true, Acks: -1, Delivery: delivery,
		Done: func(b *client.Batch) {
			t.keptDone(topic, b)
			t.checkCodec(&a, b)
		}})
	for !t.stop {
		for n := d.Between(1, int64(a.Depth)); int64(producer.Left()) < n; {
			producer.Send(topic.makeBatch(number, &count, d, a))
		}
		producer.Pump()
		t.restOf(producer, d, a)
	}
	for producer.Pump() {
	}
}

// makeBatch makes a keeper's next batch: records of keys that belong to one partition.
func (topic *compactedTopic) makeBatch(number uint32, count *uint32, d *sim.Draws, a ActorPlan) *client.Batch {
	l := topic.logs[d.Below(int64(len(topic.logs)))]
	b := &client.Batch{Topic: topic.plan.Name, Partition: l.index, Codec: batch.Codec(a.Codec)}
	for range d.Skewed(1, a.Records) {
		*count++
		k := &kept{id: recordID{number, *count}, key: fmt.Sprintf("k%d-%d", number, d.Skewed(1, topic.plan.Keys)), batch: b, offset: -1,
			tombstone: d.Chance(0.3)}
		r := client.Record{Key: []byte(k.key), Timestamp: topic.base + int64(k.id.count)}
		if !k.tombstone {
			r.Value = value(k.id, d.Skewed(1, a.Bytes))
			k.value = string(r.Value)
		}
		b.Records = append(b.Records, r)
		l.keys[k.key] = append(l.keys[k.key], k)
		l.records[k.id] = k
	}
	return b
}

// idOf names a record by its key and its time.
func (topic *compactedTopic) idOf(key []byte, timestamp int64) recordID {
	var number uint32
	if _, err := fmt.Sscanf(string(key), "k%d-", &number); err != nil {
		return recordID{}
	}
	return recordID{number, uint32(timestamp - topic.base)}
}

// keptDone takes the outcome of a keeper's batch.
func (t *trial) keptDone(topic *compactedTopic, b *client.Batch) {
	l := topic.logs[b.Partition]
	t.world.Note("compacted: %v: batch of %d records %v at %d: %v", l, len(b.Records), b.Outcome, b.Offset, b.Err)
	for i, r := range b.Records {
		k := l.records[topic.idOf(r.Key, r.Timestamp)]
		switch {
		case b.Outcome == client.Refused && k.offset >= 0:
			t.failf("%v: record %v was refused (%v) and is at offset %d", l, k.id, b.Err, k.offset)
		case b.Outcome == client.Acked && b.Offset >= 0:
			t.placeKept(l, k, b.Offset+int64(i), "acknowledged")
		}
	}
}

// placeKept notes where a record is: there and nowhere else, for ever.
func (t *trial) placeKept(l *compactedLog, k *kept, offset int64, how string) {
	have := l.offsets[offset]
	switch {
	case have != nil && have != k:
		t.failf("%v: offset %d holds record %v, and now %v (%s)", l, offset, have.id, k.id, how)
	case k.offset >= 0 && k.offset != offset:
		t.failf("%v: record %v is at offset %d and at %d (%s)", l, k.id, k.offset, offset, how)
	}
	l.offsets[offset], k.offset = k, offset
}

// acknowledged is the last record of each key that was acknowledged.
func (l *compactedLog) acknowledged() map[string]*kept {
	last := make(map[string]*kept)
	for key, records := range l.keys { //door:ordered one entry for each key, whatever the order
		for _, k := range records {
			if k.batch.Outcome == client.Acked {
				last[key] = k
			}
		}
	}
	return last
}

// table is what a reader makes of a compacted log: the last record of each key.
type table struct {
	last map[string]*kept
	// values are the last values, also where a tombstone follows; only of what a replica holds.
	values map[string]*kept
	// next is the least offset that may come.
	next int64
}

// add takes a record that was read.
func (t *trial) add(l *compactedLog, into *table, offset int64, key []byte, at int64, text string, null bool) {
	k := l.records[l.topic.idOf(key, at)]
	switch {
	case k == nil || k.key != string(key) || k.value != text || k.tombstone != null:
		t.failf("%v: offset %d holds what nobody sent: key %q, value %.60q, time %d", l, offset, key, text, at)
		return
	case k.batch.Outcome == client.Refused:
		t.failf("%v: offset %d holds record %v, which was refused: %v", l, offset, k.id, k.batch.Err)
		return
	case offset < into.next:
		t.failf("%v: offset %d comes where %d is the least", l, offset, into.next)
		return
	}
	t.placeKept(l, k, offset, "read")
	if was := into.last[k.key]; was != nil && was.id.count > k.id.count {
		t.failf("%v: offset %d has record %v of key %s, behind %v", l, offset, k.id, k.key, was.id)
	}
	into.last[k.key], into.next = k, offset+1
}

// judge compares a table with what had been acknowledged when the reader began. It must have a record of each key that is
// at least as new, unless the key was deleted: then it may have none, and with late an older one, whose tombstone it has
// come too late for.
func (t *trial) judge(l *compactedLog, got *table, acked map[string]*kept, late bool, who string) {
	if l.topic.plan.Deletes {
		return // anything may be gone
	}
	for _, key := range sortedKeys(acked) {
		want, have := acked[key], got.last[key]
		if have != nil && have.id.count >= want.id.count {
			continue
		}
		deleted := slices.ContainsFunc(l.keys[key], func(k *kept) bool {
			return k.tombstone && k.id.count >= want.id.count && k.batch.Outcome != client.Refused
		})
		if deleted && (have == nil || late) {
			continue
		}
		was := "nothing"
		if have != nil {
			was = fmt.Sprintf("record %v at offset %d", have.id, have.offset)
		}
		t.failf("%v: %s has %s of key %s, whose record %v (tombstone: %v) at offset %d was acknowledged before", l, who, was, key,
			want.id, want.tombstone, want.offset)
	}
}

// rebuild is the task of a reader that makes a table of a partition again and again.
func (t *trial) rebuild(topic *compactedTopic, name string, d *sim.Draws, a ActorPlan) {
	c := t.newClient(name, a)
	defer c.Close()
	for !t.stop {
		l := topic.logs[d.Below(int64(len(topic.logs)))]
		o := client.FetchOptions{Sessions: a.Sessions, MaxWait: time.Duration(d.Skewed(1, 200)) * time.Millisecond, MinBytes: 1,
			MaxBytes: int32(a.Bytes), PartitionMaxBytes: int32(d.Skewed(100, 1<<20))}
		t.rebuildOnce(c, l, o, name, func() bool {
			t.rest(d, a)
			return !t.stop
		})
		t.rest(d, a)
	}
}

// rebuildOnce reads a partition from its start to its end; goOn is called between two polls. False when it did not come
// to the end.
func (t *trial) rebuildOnce(c *client.Client, l *compactedLog, o client.FetchOptions, who string, goOn func() bool) bool {
	acked, began := l.acknowledged(), t.host.Clock.Now()
	start, _, err := c.ListOffset(l.topic.plan.Name, l.index, client.Earliest)
	if err != nil {
		t.host.Clock.Sleep(20 * time.Millisecond)
		_ = c.Refresh(l.topic.plan.Name)
		return false
	}
	f := client.NewFetcher(c, o)
	p := &client.Position{Topic: l.topic.plan.Name, Partition: l.index, Offset: start, Gaps: true}
	f.Add(p)
	got := &table{last: make(map[string]*kept)}
	for end := int64(-1); ; {
		nothing, ok := t.readKept(c, f, l, got)
		if !ok || !goOn() {
			return false
		}
		if p.Offset < end && !(nothing && p.High >= end) {
			continue
		}
		// What was missing above was superseded before it was asked for, so by something below this end.
		latest, _, err := c.ListOffset(l.topic.plan.Name, l.index, client.Latest)
		if err != nil {
			continue
		}
		if end == latest {
			break
		}
		end = latest
	}
	took := t.host.Clock.Now().Sub(began)
	late := t.plan.wallMoves() || took+took/20+50*time.Millisecond > l.topic.plan.DeleteRetention
	t.judge(l, got, acked, late, fmt.Sprintf("%s, which read it in %v,", who, took))
	t.tables++
	return true
}

// readKept fetches once. nothing says that nothing came although the log could be read; not ok that the reader must begin
// anew.
func (t *trial) readKept(c *client.Client, f *client.Fetcher, l *compactedLog, into *table) (nothing, ok bool) {
	deliveries, err := f.Poll()
	if err != nil {
		t.host.Clock.Sleep(5 * time.Millisecond)
		return false, true
	}
	for _, d := range deliveries {
		switch {
		case d.Code == wire.ErrNone:
			for _, r := range d.Records {
				t.add(l, into, r.Offset, r.Key, r.Timestamp, string(r.Value), r.Value == nil)
			}
			nothing = d.To == d.From
			if d.Position.Start > l.start {
				l.start = d.Position.Start
				if !l.topic.plan.Deletes {
					t.failf("%v: the log starts at %d, and nothing may have moved it", l, l.start)
				}
			}
		case d.Code == wire.ErrOffsetOutOfRange:
			if !l.topic.plan.Deletes && d.Position.Offset <= l.start {
				t.failf("%v: a fetch at offset %d is out of range", l, d.Position.Offset)
			}
			return false, false
		case d.Code.Retriable():
			if err := c.Refresh(d.Position.Topic); err != nil {
				t.host.Clock.Sleep(5 * time.Millisecond)
			}
		default:
			t.failf("%v: fetch at %d: %w", l, d.Position.Offset, d.Code)
		}
	}
	return nothing, true
}
