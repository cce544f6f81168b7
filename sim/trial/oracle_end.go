package trial

import (
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
	counts := make(map[uint32]uint32)
	for _, offset := range slices.Sorted(maps.Keys(l.records)) {
		r := l.records[offset]
		if offset >= end {
			o.trial.failf("%v: offset %d (record %v) is gone, the log ends at %d", l, offset, r.id, end)
			return
		}
		if before, ok := counts[r.id.producer]; ok && r.id.count <= before {
			o.trial.failf("%v: record %v follows %d:%d", l, r.id, r.id.producer, before)
		}
		counts[r.id.producer] = r.id.count
		if r.epoch >= 0 && r.epoch < lastEpoch {
			o.trial.failf("%v: offset %d has leader epoch %d after %d", l, offset, r.epoch, lastEpoch)
		}
		lastEpoch = max(lastEpoch, r.epoch)
	}
	for _, b := range l.batches {
		o.checkBatch(l, b, start)
	}
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
	case b.Outcome == client.Acked && there == 0 && start == 0:
		o.trial.failf("%v: an acknowledged batch (offset %d) is not there", l, b.Offset)
	}
}

// operations bounds the history of one partition that is checked for linearizability.
const operations = 400

// record adds a produce to the history.
func (o *oracle) record(p *producerState, l *partitionLog, b *client.Batch) {
	if b.Attempts == 0 || b.Outcome == client.Refused {
		return
	}
	op := linearizability.Operation{Log: l.String() + "/" + l.topic.id.String(), Client: int(p.number), Kind: linearizability.Produce,
		Call: int64(b.Called), Return: int64(b.Returned), Offset: b.Offset}
	for _, r := range b.Records {
		op.Records = append(op.Records, hashOf(r.Key, r.Value))
	}
	// Only an answer to acks=all says that the batch can be read.
	if b.Outcome != client.Acked || p.acks != -1 || b.Offset < 0 {
		op.Unknown = true
	}
	o.history = append(o.history, op)
}

// recordEnd adds to the history that a log was seen to end somewhere.
func (o *oracle) recordEnd(l *partitionLog, who int, called host.Instant, end int64) {
	o.history = append(o.history, linearizability.Operation{Log: l.String() + "/" + l.topic.id.String(), Client: 1000 + who,
		Kind: linearizability.End, Call: int64(called), Return: int64(o.trial.host.Clock.Now()), Offset: end})
}

// checkHistory checks what clients saw for linearizability, and returns how many operations that were.
func (o *oracle) checkHistory(out io.Writer) (int, error) {
	final := make(map[string]map[uint64]int64) // per log: where a record is
	for _, s := range o.trial.topics {
		for _, l := range s.logs {
			where := make(map[uint64]int64, len(l.records))
			for offset, r := range l.records { //door:ordered values are unique
				where[o.values[r.id].hash] = offset
			}
			final[l.String()+"/"+s.id.String()] = where
		}
	}
	history := linearizability.Resolve(o.history, func(log string, record uint64) (int64, bool) {
		offset, ok := final[log][record]
		return offset, ok
	})
	history = linearizability.Limit(history, operations)
	if out != nil {
		if err := linearizability.Write(out, history); err != nil {
			return 0, err
		}
	}
	return len(history), linearizability.Check(history)
}
