package shard

import (
	"errors"

	"millrace/net/wire"
	"millrace/node/host/mutant"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/wal"
)

// appended is the leader's view of a partition with all that it has proposed in its term, applied or not.
type appended struct {
	term     uint64
	next     int64
	tail     partition.Tail
	settings Settings
	// producers is nil until the first idempotent batch of the term.
	producers *partition.Producers
}

// admission is what one call of propose knows.
type admission struct {
	wall  int64
	space Space
	// admitted are the batches of this call, to be undone if raft refuses them.
	admitted []admitted
}

type admitted struct {
	p    *held
	next int64
	tail partition.Tail
	undo partition.Undo
	// sequenced says that undo is to be used, and sequence what it undoes.
	sequenced bool
	sequence  partition.Sequence
}

func (r *replica) beginAdmission() {
	a := &r.admission
	clear(a.admitted)
	a.admitted = a.admitted[:0]
	a.wall = r.host.Clock.Wall().UnixMilli()
	a.space = Space{Produce: true, Grow: true}
	if r.o.Space != nil {
		a.space = *r.o.Space.Load()
	}
}

// newProposal begins an entry for about so many records.
func (r *replica) newProposal(records int) *proposal {
	size := entryHeaderSize + batchSize*min(records, mostRecords)
	return &proposal{most: r.o.EntryBytes, data: beginEntry(make([]byte, 0, size), r.admission.wall)}
}

// undo takes back what this call of propose admitted.
func (r *replica) undo() {
	a := &r.admission
	for i := len(a.admitted) - 1; i >= 0; i-- {
		u := &a.admitted[i]
		u.p.lead.next, u.p.lead.tail = u.next, u.tail
		if u.sequenced {
			u.p.lead.producers.Undo(u.undo)
			r.turnAway(u.p.id, u.sequence.ProducerID, u.sequence.Epoch, u.sequence.First)
		}
	}
	clear(a.admitted)
	a.admitted = a.admitted[:0]
}

// admit puts a request into an entry, or answers it.
func (r *replica) admit(q *request, p *proposal) {
	if refusal, refused := r.refuse(q); refused {
		r.turnAwayRequest(q)
		q.answer(refusal)
		return
	}
	switch q.kind {
	case kindBatch:
		r.admitBatch(q, p)
		return
	case kindLogStart:
		log := r.partitions[q.partition].log
		if q.value < 0 {
			q.value = log.End()
		}
		if start := log.View().LogStart; q.value <= start {
			q.answer(Result{LogStart: start})
			return
		}
		if q.value > log.End() {
			q.answer(Result{Error: wire.ErrOffsetOutOfRange})
			return
		}
	}
	rec := record{kind: q.kind, partition: q.partition, value: q.value, command: q.command, epoch: int32(q.value)}
	p.data = rec.put(p.data)
	if q.pending != nil {
		p.waits = append(p.waits, waiting{pending: q.pending, record: p.records, acks: -1})
	}
	p.records++
}

// refuse says whether the state of the disk, or of the shard, forbids a request.
func (r *replica) refuse(q *request) (Result, bool) {
	space := r.admission.space
	const full = "the disk is nearly full: make room, or delete records or topics"
	switch q.kind {
	case kindBatch, kindLogStart, kindRoll:
		if p := r.partitions[q.partition]; p == nil {
			return Result{Error: wire.ErrUnknownTopicOrPartition}, true
		}
		if q.kind == kindBatch && q.acks == -1 && r.minInSync(r.partitions[q.partition]) > r.inSync() {
			return Result{Error: wire.ErrNotEnoughReplicas, Message: "there are fewer replicas in sync than min.insync.replicas asks for"}, true
		}
		if q.kind == kindBatch && (!space.Produce || !r.o.Room.take(len(q.batch.Bytes))) {
			return Result{Error: wire.ErrKafkaStorageError, Message: full}, true
		}
		if q.kind == kindBatch && r.memberFull() {
			return Result{Error: wire.ErrKafkaStorageError, Message: "the disk of another replica in sync is nearly full: make room there, or delete records or topics"}, true
		}
	case kindCommand: // an adoption follows from one that had room: a start, which waits for it, must not fail
		if !space.Grow && !r.machine.Frees(q.command) {
			return Result{Error: wire.ErrKafkaStorageError, Message: full}, true
		}
	}
	return Result{}, false
}

// leads returns the appended state of a partition in the present term.
func (r *replica) leads(p *held) *appended {
	if p.lead.term != r.term && (p.lead.term == 0 || !mutant.On("replica-appended-survives-step-down")) {
		p.lead = appended{term: r.term, next: p.log.End(), tail: p.log.Tail(), settings: p.lead.settings}
	}
	return &p.lead
}

// admitBatch gives a batch its place in its partition.
func (r *replica) admitBatch(q *request, into *proposal) {
	p := r.partitions[q.partition]
	lead := r.leads(p)
	b := &q.batch
	sequence := partition.Sequence{
		ProducerID: b.ProducerID, Epoch: b.ProducerEpoch, First: b.BaseSequence, LastDelta: b.LastOffsetDelta,
		Transactional: b.Transactional(),
	}
	if b.Idempotent() {
		if lead.producers == nil {
			lead.producers = p.log.Producers().Fork()
		}
		if (r.followsTurnedAway(q) || q.next) && !lead.producers.Knows(b.ProducerID, b.ProducerEpoch) {
			q.answer(Result{Error: wire.ErrNotLeaderOrFollower, Message: "an earlier batch of this producer was refused and has not come again"})
			return
		}
		verdict, base, timestamp, err := lead.producers.Check(sequence)
		if err != nil {
			q.answer(refusal(err))
			return
		}
		if verdict == partition.Duplicate {
			r.duplicate(q, into, p, base, timestamp)
			return
		}
	}
	undo := admitted{p: p, next: lead.next, tail: lead.tail}
	base := lead.next
	incoming := partition.Incoming{
		LastOffset: base + int64(b.LastOffsetDelta), MaxTimestamp: b.MaxTimestamp, Bytes: int64(len(b.Bytes)),
	}
	wall := r.admission.wall
	roll := lead.tail.RollNeeded(incoming, lead.settings.Roll, wall)
	lead.tail.Add(base, incoming, roll, wall)
	lead.next = incoming.LastOffset + 1
	if b.Idempotent() {
		undo.undo, undo.sequenced, undo.sequence = lead.producers.Update(sequence, base, b.MaxTimestamp, wall), true, sequence
	}
	r.admission.admitted = append(r.admission.admitted, undo)
	epoch := leaderEpoch(p.base, r.term)
	if mutant.On("replica-epoch-of-last-term") {
		epoch--
	}
	batch.StampOffset(b.Bytes, base, epoch)
	rec := record{
		kind: kindBatch, partition: q.partition, roll: roll, baseOffset: base, count: b.LastOffsetDelta + 1, bytes: len(b.Bytes),
		crc: b.CRC, producerID: b.ProducerID, producerEpoch: b.ProducerEpoch, baseSequence: b.BaseSequence,
		maxTimestamp: b.MaxTimestamp,
	}
	into.data = rec.put(into.data)
	r.flies(len(b.Bytes))
	q.carry(into)
	result := Result{BaseOffset: base, LogAppendTime: -1, LogStart: p.log.View().LogStart}
	if b.LogAppendTime() {
		result.LogAppendTime = b.MaxTimestamp
	}
	r.expect(q, into, p, result)
	into.records++
}

// carry puts the request's bytes beside the entry's data, which takes over the hold on them.
func (q *request) carry(into *proposal) {
	sum := uint32(0)
	if len(q.batch.Bytes) >= wal.SumFrom {
		sum = batch.WholeSum(q.batch.Bytes)
	}
	into.payload.Parts = append(into.payload.Parts, q.batch.Bytes)
	into.payload.Sums = append(into.payload.Sums, sum)
	if q.hold != nil {
		into.payload.Holds = append(into.payload.Holds, q.hold)
		q.hold = nil
	}
	into.bytes += len(q.batch.Bytes)
}

// expect lets the request wait for what its acks asks for.
func (r *replica) expect(q *request, into *proposal, p *held, result Result) {
	acks := q.acks
	if r.alone() {
		acks = min(acks, -acks) // what is durable here is committed: answered a moment later, it can be read, too
	}
	if acks == 0 {
		q.pending.Set(result)
		return
	}
	w := waiting{pending: q.pending, record: into.records, acks: acks, batch: true, result: result}
	if acks == -1 {
		w.copies = r.copies(p)
	}
	into.waits = append(into.waits, w)
}

// duplicate answers a batch that was appended before with where it was; when the original is not applied, after it is.
func (r *replica) duplicate(q *request, into *proposal, p *held, base, timestamp int64) {
	result := Result{BaseOffset: base, LogAppendTime: timestamp, LogStart: p.log.View().LogStart}
	if base < p.log.End() || q.acks == 0 || mutant.On("shard-duplicate-before-original") {
		q.answer(result)
		return
	}
	q.drop()
	into.waits = append(into.waits, waiting{pending: q.pending, record: -1, acks: -1, result: result})
}

// refusal is the answer for an error of the producer table.
func refusal(err error) Result {
	var e *batch.Error
	if errors.As(err, &e) {
		return Result{Error: wire.ErrorCode(e.Code), Message: e.Message}
	}
	return Result{Error: wire.ErrUnknownServerError, Message: err.Error()}
}
