package trial

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"slices"

	"millrace/linearizability"
	"millrace/node/host"
	"millrace/sim/client"
)

// checkLog compares everything that is known of a partition with what is there at the end: records from start on, of
// which there are end.
func (o *oracle) checkLog(l *partitionLog, start, end int64) {
	for offset := start; offset < end; offset++ {
		if l.records[offset] == nil {
			o.trial.failf("%v: offset %d was not read", l, offset)
			return
		}
	}
	var lastEpoch int32 = -1
	latest := make(map[uint32]recordID)
	for _, offset := range slices.Sorted(maps.Keys(l.records)) {
		r := l.records[offset]
		if offset >= end {
			o.trial.failf("%v: offset %d (record %v) is gone, the log ends at %d", l, offset, r.id, end)
			return
		}
		if before, ok := latest[r.id.producer]; ok && o.original(r.id) <= o.original(before) && !o.mayFollow(r.id, before) {
			o.trial.failf("%v: record %v follows %v", l, r.id, before)
		}
		latest[r.id.producer] = r.id
		if r.doubtful && offset < start {
			continue // it cannot be read again now that disks are whole
		}
		if r.epoch >= 0 && r.epoch < lastEpoch {
			o.trial.failf("%v: offset %d has leader epoch %d after %d", l, offset, r.epoch, lastEpoch)
		}
		lastEpoch = max(lastEpoch, r.epoch)
	}
	for _, b := range l.batches {
		o.checkBatch(l, b, start)
	}
}

func (o *oracle) original(id recordID) uint32 { return o.values[id].original(id) }

// mayFollow says that a record may be behind a later one of its producer. One that sends again what was refused, without
// sequences, asks for it. And of one without an answer on a connection that ended nobody knows when it takes effect: the
// broker may have read it, and go on with it after what came on the next connection. An idempotent one keeps its order within an epoch.
func (o *oracle) mayFollow(id, later recordID) bool {
	s := o.values[id]
	if s.producer.idempotent { // librdkafka sends again under its next epoch what has no answer
		return s.copies > 0 && s.batch.Session > o.values[later].batch.Session
	}
	return s.producer.retries || s.batch.Outcome == client.Unknown && s.batch.Connection != o.values[later].batch.Connection
}

// checkBatch: a batch is there whole or not at all, once if it was acknowledged, and never if it was refused.
func (o *oracle) checkBatch(l *partitionLog, b *client.Batch, start int64) {
	there := 0
	var first int64 = -1
	for i, r := range b.Records {
		id, _ := parseValue(r.Value)
		s := o.values[id]
		if s.offset < 0 {
			continue
		}
		if there == 0 {
			first = s.offset - int64(i)
		}
		if s.offset-int64(i) != first {
			o.trial.failf("%v: the batch of record %v is not in one piece", l, id)
		}
		there++
	}
	switch {
	case b.Outcome == client.Pending:
		o.trial.failf("%v: a batch has no outcome", l)
	case there != 0 && there != len(b.Records) && first >= start:
		o.trial.failf("%v: %d records of a batch of %d are there, from offset %d", l, there, len(b.Records), first)
	case b.Outcome == client.Acked && there == 0 && start == 0 && o.certain(o.producer(b)):
		o.trial.failf("%v: an acknowledged batch (offset %d) is not there", l, b.Offset)
	}
}

// producer is who sent a batch.
func (o *oracle) producer(b *client.Batch) *producerState {
	id, _ := parseValue(b.Records[0].Value)
	return o.values[id].producer
}

// operations bounds the history of one partition that is checked for linearizability.
const operations = 400

// logName tells the lives of a topic apart.
func (l *partitionLog) logName() string { return l.String() + "/" + l.topic.id.String() }

// record adds a produce to the history.
func (o *oracle) record(p *producerState, l *partitionLog, b *client.Batch) {
	if b.Attempts == 0 {
		return
	}
	op := linearizability.Operation{Log: l.logName(), Client: int(p.number), Kind: linearizability.Produce, Call: int64(b.Called),
		Return: int64(b.Returned), Offset: b.Offset, Refused: b.Outcome == client.Refused, Loose: !p.idempotent}
	for _, r := range b.Records {
		op.Records = append(op.Records, linearizability.Hash(r.Key, r.Value))
	}
	// Only an answer to acks=all says that the batch can be read.
	if !op.Refused && (b.Outcome != client.Acked || p.acks != -1 || b.Offset < 0) {
		op.Unknown = true
	}
	o.history = append(o.history, op)
}

// recordEnd adds to the history that a log was seen to end somewhere.
func (o *oracle) recordEnd(l *partitionLog, who int, called host.Instant, end int64) {
	o.history = append(o.history, linearizability.Operation{Log: l.logName(), Client: 1000 + who,
		Kind: linearizability.End, Call: int64(called), Return: int64(o.trial.host.Clock.Now()), Offset: end})
}

// recordFetch adds to the history what a fetch brought.
func (o *oracle) recordFetch(l *partitionLog, who int, called host.Instant, d client.Delivery, seek bool) {
	if len(d.Records) == 0 {
		return
	}
	op := linearizability.Operation{Log: l.logName(), Client: 2000 + who, Kind: linearizability.Fetch, Call: int64(called),
		Return: int64(o.trial.host.Clock.Now()), Offset: d.From, To: d.To, Seek: seek}
	for _, r := range d.Records {
		op.Records = append(op.Records, linearizability.Hash(r.Key, r.Value))
		if o.trial.healed || !o.trial.rots() { // see place
			op.Epochs = append(op.Epochs, r.Epoch)
		}
	}
	o.history = append(o.history, op)
}

// recordFinal adds to the history what a log holds at the end. What was on its way without an answer may come between two
// looks, so the last one counts; that nothing has gone is checked at each.
func (o *oracle) recordFinal(l *partitionLog, start, end int64) {
	o.history = slices.DeleteFunc(o.history, func(op linearizability.Operation) bool {
		return op.Kind == linearizability.Final && op.Log == l.logName()
	})
	now := int64(o.trial.host.Clock.Now())
	op := linearizability.Operation{Log: l.logName(), Client: 3000, Kind: linearizability.Final, Call: now, Return: now, Offset: start, To: end}
	for offset := start; offset < end; offset++ {
		if r := l.records[offset]; r != nil {
			op.Records, op.Epochs = append(op.Records, o.values[r.id].hash), append(op.Epochs, r.epoch)
		}
	}
	o.history = append(o.history, op)
}

// answered counts the clients' operations that took effect and got their answer.
func (o *oracle) answered() int {
	n := 0
	for i := range o.history {
		if op := &o.history[i]; !op.Unknown && !op.Refused && op.Kind != linearizability.Final {
			n++
		}
	}
	return n
}

// checkHistory checks what clients saw, and returns how many operations that were.
func (o *oracle) checkHistory(out io.Writer) (int, error) {
	// Operations were noted when they ended; a client's produces are to be listed as it sent them.
	slices.SortStableFunc(o.history, func(a, b linearizability.Operation) int { return cmp.Compare(a.Call, b.Call) })
	if out != nil {
		if err := linearizability.Write(out, o.history); err != nil {
			return 0, err
		}
	}
	for _, v := range linearizability.Verify(o.history, linearizability.Options{Operations: operations}) {
		return 0, errors.New(v.String())
	}
	return len(o.history), nil
}
