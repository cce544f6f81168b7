package trial

import (
	"cmp"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"millrace/linearizability"
	"millrace/net/wire"
	"millrace/node/host"
	"millrace/sim/client"
)

// oracle knows what was sent, what was acknowledged and what was read, and compares. It is no task's and is never
// yielded in.
type oracle struct {
	trial   *trial
	acked   int
	reads   int
	values  map[recordID]*sent
	history []linearizability.Operation
	leaders map[leadership]int32 // who led a partition in an epoch
	named   map[naming]int32     // the highest epoch that each start of each node has named
	epochs  map[partitionKey]int32
}

// partitionKey is a partition, of one life of its topic.
type partitionKey struct {
	topic     wire.UUID
	partition int32
}

// naming is what one start of a node says of a partition, of one life of its topic.
type naming struct {
	who       string
	topic     wire.UUID
	partition int32
}

// leadership is a partition, of one life of its topic, in one leader epoch.
type leadership struct {
	topic     wire.UUID
	partition int32
	epoch     int32
}

// recordID names a record of the load: who sent it, and the how many-th it was.
type recordID struct {
	producer uint32
	count    uint32
}

func (r recordID) String() string { return fmt.Sprintf("%d:%d", r.producer, r.count) }

// sent is a record that was given to a producer.
type sent struct {
	log       *partitionLog
	batch     *client.Batch
	hash      uint64
	timestamp int64
	offset    int64 // where it was seen or acknowledged, -1 before
	least     int32 // the highest leader epoch of its partition that was known when it was given to the producer
	producer  *producerState
	// copies is the record in whose place it was sent, 0 when it is not a copy. For the order it counts as that.
	copies uint32
}

// original is the number of the record that this one, of an id, is a copy of, or its own.
func (s *sent) original(id recordID) uint32 { return cmp.Or(s.copies, id.count) }

// producerState is what the checks need to know of a producer.
type producerState struct {
	number uint32
	count  uint32
	acks   int16
	// idempotent producers keep their order whatever is sent again; others that send again do not.
	idempotent, retries bool
}

// topicState is one life of a topic.
type topicState struct {
	plan       TopicPlan
	id         wire.UUID
	partitions int32
	logs       []*partitionLog
}

// partitionLog is what is known of one partition.
type partitionLog struct {
	topic   *topicState
	index   int32
	dir     string // the name of its directory, once it was asked for
	records map[int64]*seen
	batches []*client.Batch
	high    int64 // no answer to a later request may be below it
	start   int64
	ends    int64 // the end that acknowledgements of acks=all prove
	// served is the high watermark and the log start that each start of each node has shown.
	served map[string]bounds
	// mayStart is how far the log start may have moved.
	mayStart  int64
	limitless bool // retention may move it anywhere below the high watermark
}

// seen is what an offset holds, once it was acknowledged or read.
type seen struct {
	id    recordID
	epoch int32 // -1 as long as it was only acknowledged
	// doubtful says that the epoch was read while disks may have rotted: it is not in the checksum.
	doubtful bool
	time     int64
}

func newOracle(t *trial) *oracle {
	return &oracle{trial: t, values: make(map[recordID]*sent), leaders: make(map[leadership]int32),
		named: make(map[naming]int32), epochs: make(map[partitionKey]int32)}
}

func newTopicState(p TopicPlan, id wire.UUID, partitions int32) *topicState {
	s := &topicState{plan: p, id: id, partitions: partitions}
	for i := range int32(8) { // with room for CreatePartitions
		l := &partitionLog{topic: s, index: i, records: make(map[int64]*seen), served: make(map[string]bounds)}
		for c := 0; c < len(p.Configs); c += 2 {
			l.limitless = l.limitless || strings.HasPrefix(p.Configs[c], "retention.")
		}
		s.logs = append(s.logs, l)
	}
	return s
}

func (l *partitionLog) String() string { return l.topic.plan.Name + "-" + strconv.Itoa(int(l.index)) }

// value is the content of a record: its id, its place, and filling that is known from them.
func value(id recordID, size int64) []byte {
	b := fmt.Appendf(nil, "%d:%d:", id.producer, id.count)
	for i := len(b); i < int(size); i++ {
		b = append(b, byte('a'+(uint32(i)*7+id.count+id.producer*31)%26))
	}
	return b
}

func parseValue(b []byte) (recordID, bool) {
	parts := strings.SplitN(string(b), ":", 3)
	if len(parts) != 3 {
		return recordID{}, false
	}
	producer, err := strconv.ParseUint(parts[0], 10, 32)
	count, err2 := strconv.ParseUint(parts[1], 10, 32)
	return recordID{uint32(producer), uint32(count)}, err == nil && err2 == nil
}

// sending notes that a batch is given to a producer.
func (o *oracle) sending(p *producerState, l *partitionLog, b *client.Batch, ids []recordID) {
	l.batches = append(l.batches, b)
	least := o.epochs[partitionKey{l.topic.id, l.index}]
	for i, r := range b.Records {
		o.values[ids[i]] = &sent{log: l, batch: b, hash: linearizability.Hash(r.Key, r.Value), timestamp: r.Timestamp, offset: -1,
			least: least, producer: p}
	}
}

// finished takes the outcome of a batch.
func (o *oracle) finished(p *producerState, l *partitionLog, b *client.Batch, ids []recordID) {
	defer o.trial.changed.Wake()
	o.trial.world.Note("oracle: %v: batch of %v (%d records) %v at %d: %v", l, ids[0], len(ids), b.Outcome, b.Offset, b.Err)
	for _, id := range ids {
		if s := o.values[id]; b.Outcome == client.Refused && s.offset >= 0 {
			o.trial.failf("%v: record %v was refused (%v) and is at offset %d", l, id, b.Err, s.offset)
		}
	}
	o.record(p, l, b)
	if b.Outcome != client.Acked {
		return
	}
	o.acked += len(ids)
	if b.Offset < 0 || !o.certain(p) {
		return // the broker only said that it has it, or only one node has it
	}
	for i, id := range ids {
		o.place(l, b.Offset+int64(i), id, -1, b.Time, "acknowledged")
	}
	if p.acks == -1 {
		l.ends = max(l.ends, b.Offset+int64(len(ids)))
		o.trial.outages.finished(l, b)
	}
}

// certain says that an answer to a producer promises that the records stay: a leader that answers acks=1 alone may be
// followed by one that does not have them.
func (o *oracle) certain(p *producerState) bool { return p.acks == -1 || len(o.trial.brokers) == 1 }

// asked is called when metadata is asked for, and returns what takes the answer: leaders as they were led takes them, and an
// epoch that one start of one node names never goes back.
func (o *oracle) asked(addr string) func(topic string, id wire.UUID, partition, epoch, leader int32) {
	boots := o.trial.boots()
	before := maps.Clone(o.named)
	return func(topic string, id wire.UUID, partition, epoch, leader int32) {
		o.led(topic, id, partition, epoch, leader)
		who, ok := o.trial.server(addr, boots)
		if !ok {
			return
		}
		k := naming{who, id, partition}
		if was, known := before[k]; known && epoch < was {
			o.trial.failf("%s-%d: %s names leader epoch %d, it named %d before", topic, partition, who, epoch, was)
		}
		o.named[k] = max(epoch, o.named[k])
	}
}

// led takes what a broker says of a partition's leader.
func (o *oracle) led(topic string, id wire.UUID, partition, epoch, leader int32) {
	k := leadership{id, partition, epoch}
	have, ok := o.leaders[k]
	if !ok {
		o.trial.world.Note("oracle: %s-%d of %v: node %d leads in epoch %d", topic, partition, id, leader, epoch)
	}
	if ok && have != leader {
		o.trial.failf("%s-%d: in leader epoch %d both nodes %d and %d lead", topic, partition, epoch, have, leader)
	}
	o.leaders[k] = leader
	o.epochs[partitionKey{id, partition}] = max(epoch, o.epochs[partitionKey{id, partition}])
}

// place notes that an offset holds a record, and that it always did.
func (o *oracle) place(l *partitionLog, offset int64, id recordID, epoch int32, at int64, how string) {
	have := l.records[offset]
	s := o.values[id]
	switch {
	case have != nil && have.id != id:
		o.trial.failf("%v: offset %d holds record %v, and now %v (%s)", l, offset, have.id, id, how)
		return
	case s.offset >= 0 && s.offset != offset:
		o.trial.failf("%v: record %v is at offset %d and at %d (%s)", l, id, s.offset, offset, how)
		return
	case have == nil:
		have = &seen{id: id, epoch: -1, time: -1}
		l.records[offset] = have
	}
	s.offset = offset
	if epoch >= 0 {
		rotting := o.trial.rots() && !o.trial.healed
		if have.epoch >= 0 && have.epoch != epoch && rotting {
			return // nothing has found the wrong bit yet, here or there
		}
		if have.epoch >= 0 && have.epoch != epoch && !have.doubtful {
			o.trial.failf("%v: offset %d had leader epoch %d, and now %d", l, offset, have.epoch, epoch)
		}
		// Whoever leads in an epoch that clients hear of has committed something in it: nothing older comes behind that.
		if epoch < s.least && !rotting {
			o.trial.failf("%v: offset %d has leader epoch %d, and epoch %d was known before the record was sent", l, offset, epoch, s.least)
		}
		have.epoch, have.doubtful = epoch, rotting
	}
	if at >= 0 && l.topic.plan.AppendTime {
		if have.time >= 0 && have.time != at {
			o.trial.failf("%v: offset %d had time %d, and now %d (%s)", l, offset, have.time, at, how)
		}
		have.time = at
	}
}

// bounds is what an answer to a request that starts now must at least say.
type bounds struct {
	high, start int64
	called      host.Instant
}

func (o *oracle) bounds(l *partitionLog) bounds {
	return bounds{high: max(l.high, l.ends), start: l.start, called: o.trial.host.Clock.Now()}
}

// watermarks takes what an answer says of a partition's ends. high or start is -1 when it does not say. An answer is
// firm when whoever gave it had to make sure that it still leads; others may be late, as long as links and nodes fail.
func (o *oracle) watermarks(l *partitionLog, b bounds, high, start int64, firm bool, what string) {
	o.trial.world.Note("oracle: %v: %s: start %d, end %d; at least %d and %d", l, what, start, high, b.start, b.high)
	if len(o.trial.brokers) == 1 || o.trial.healed {
		firm = true
	}
	if high >= 0 && high < b.high && firm {
		o.trial.failf("%v: %s says that the log ends at %d, %d was seen before", l, what, high, b.high)
	}
	if start >= 0 && start < b.start && firm {
		o.trial.failf("%v: %s says that the log starts at %d, %d was seen before", l, what, start, b.start)
	}
	if high >= 0 && start > high {
		o.trial.failf("%v: %s says that the log starts at %d and ends at %d", l, what, start, high)
	}
	if !l.limitless && start > l.mayStart {
		o.trial.failf("%v: %s says that the log starts at %d, nothing may have moved it beyond %d", l, what, start, l.mayStart)
	}
	l.high, l.start = max(l.high, high), max(l.start, start)
}

// serves takes what one start of one node shows of a partition's ends, which never goes back.
func (o *oracle) serves(l *partitionLog, who string, before bounds, high, start int64) {
	have := l.served[who]
	if high >= 0 && high < before.high || start >= 0 && start < before.start {
		o.trial.failf("%v: %s shows start %d and end %d, it showed %d and %d before", l, who, start, high, before.start, before.high)
	}
	l.served[who] = bounds{high: max(have.high, high), start: max(have.start, start)}
}

// read takes what a fetch brought.
func (o *oracle) read(l *partitionLog, d client.Delivery) {
	for _, r := range d.Records {
		o.trial.world.Note("oracle: %v: %d holds %.12q", l, r.Offset, r.Value)
	}
	if int64(len(d.Records)) != d.To-d.From {
		o.trial.failf("%v: offsets %d to %d hold %d records", l, d.From, d.To, len(d.Records))
	}
	for i, r := range d.Records {
		o.reads++
		id, ok := parseValue(r.Value)
		s := o.values[id]
		switch {
		case r.Offset != d.From+int64(i):
			o.trial.failf("%v: offset %d where %d was expected", l, r.Offset, d.From+int64(i))
			return
		case !ok || s == nil || s.log != l || s.hash != linearizability.Hash(r.Key, r.Value):
			o.trial.failf("%v: offset %d holds what nobody sent there: key %q, value %.60q", l, r.Offset, r.Key, r.Value)
			return
		case s.batch.Outcome == client.Refused:
			o.trial.failf("%v: offset %d holds record %v, which was refused: %v", l, r.Offset, id, s.batch.Err)
			return
		case !l.topic.plan.AppendTime && r.Timestamp != s.timestamp:
			o.trial.failf("%v: offset %d has time %d, it was sent with %d", l, r.Offset, r.Timestamp, s.timestamp)
			return
		}
		o.place(l, r.Offset, id, r.Epoch, r.Timestamp, "read")
	}
}
