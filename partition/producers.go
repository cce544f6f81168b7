package partition

import (
	"math"
	"slices"

	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

const (
	// rememberedBatches is how many batches of a producer can be recognised when they come again: what a client may have
	// in flight.
	rememberedBatches = 5
	// ProducerExpiration is the default of producer.id.expiration.ms: after how much silence a producer is forgotten, in
	// milliseconds of entry time.
	ProducerExpiration = 86_400_000
	// forkKept is above how many producers of its own a fork drops those that its parent has caught up with.
	forkKept = 256
)

// Sequence is the producer's part of a batch.
type Sequence struct {
	ProducerID    int64
	Epoch         int16
	First         int32
	LastDelta     int32 // records - 1
	Transactional bool
}

// SequenceOf is the producer's part of a header.
func SequenceOf(h *batch.Header) Sequence {
	return Sequence{ProducerID: h.ProducerID, Epoch: h.ProducerEpoch, First: h.BaseSequence, LastDelta: h.LastOffsetDelta,
		Transactional: h.Transactional()}
}

// Last is the sequence number of the last record.
func (s *Sequence) Last() int32 { return batch.AddSequence(s.First, s.LastDelta) }

// Verdict is what to do with a batch.
type Verdict uint8

const (
	// Accept: append it.
	Accept Verdict = iota
	// Duplicate: it was appended before; answer with its first offset.
	Duplicate
)

// appended is a batch that a producer appended.
type appended struct {
	first, last int32
	base        int64
	timestamp   int64
}

// producer is what is known of one producer. It never changes; an update makes a new one, so that tables can share it.
type producer struct {
	epoch int16
	// coordinatorEpoch and transactionStart (-1: none open) belong to transactions.
	coordinatorEpoch int32
	transactionStart int64
	wall             int64
	batches          []appended // oldest first, at most rememberedBatches; none after a transaction marker of a new epoch
}

// Producers is the table of idempotent producers of a partition: for each the epoch and the last five batches. It is a
// pure state machine and belongs to one task.
type Producers struct {
	parent *Producers
	known  map[int64]*producer
	// swept is the entry time of the last search for expired producers.
	swept int64
}

// NewProducers returns an empty table.
func NewProducers() *Producers { return &Producers{known: map[int64]*producer{}} }

func (p *Producers) find(id int64) *producer {
	for ; p != nil; p = p.parent {
		if e := p.known[id]; e != nil {
			return e
		}
	}
	return nil
}

// Knows says whether a batch of the producer in this epoch was appended and is remembered.
func (p *Producers) Knows(id int64, epoch int16) bool {
	e := p.find(id)
	return e != nil && e.epoch == epoch && len(e.batches) > 0
}

// Check applies Kafka's rules to a batch that a client produced. For a Duplicate, base is the first offset and timestamp
// the greatest timestamp of the batch as it was appended. Errors are *batch.Error. The rules, for a producer that is
// known: one of its last five batches with the same sequence numbers is a duplicate; an older epoch is refused; a newer
// epoch begins with sequence 0; otherwise the sequence goes on where it ended, 0 after 2^31-1. A producer that is not
// known (its batches may all have been deleted) may begin with any sequence.
func (p *Producers) Check(s Sequence) (v Verdict, base, timestamp int64, err error) {
	if s.ProducerID <= batch.NoProducer {
		return Accept, 0, 0, nil
	}
	e := p.find(s.ProducerID)
	if e == nil {
		return Accept, 0, 0, nil
	}
	if s.Epoch == e.epoch {
		for _, b := range e.batches {
			if b.first == s.First && b.last == s.Last() {
				return Duplicate, b.base, b.timestamp, nil
			}
		}
	}
	if s.Epoch < e.epoch {
		return Accept, 0, 0, refuse(batch.InvalidProducerEpoch, "epoch %d of producer %d is older than its epoch %d",
			s.Epoch, s.ProducerID, e.epoch)
	}
	last := batch.NoSequence
	if s.Epoch == e.epoch && len(e.batches) > 0 {
		last = e.batches[len(e.batches)-1].last
	}
	next := int32(0)
	if last != batch.NoSequence {
		next = batch.AddSequence(last, 1)
	}
	if s.First != next {
		return Accept, 0, 0, refuse(batch.OutOfOrderSequenceNumber,
			"sequence %d of producer %d, epoch %d, does not follow %d of epoch %d", s.First, s.ProducerID, s.Epoch, last, e.epoch)
	}
	return Accept, 0, 0, nil
}

// lastOffsets are the last offsets of the last batches of all producers.
func (p *Producers) lastOffsets() map[int64]int64 {
	last := make(map[int64]int64, len(p.known))
	for _, id := range p.sorted() {
		batches := p.known[id].batches
		if n := len(batches); n > 0 {
			b := &batches[n-1]
			last[id] = b.base + int64((b.last-b.first)&math.MaxInt32)
		}
	}
	return last
}

// Undo takes back an Update; several are undone in reverse order.
type Undo struct {
	id   int64
	was  *producer
	done bool
}

// Update notes an appended batch; wall is the entry's time. The result undoes it.
func (p *Producers) Update(s Sequence, base, maxTimestamp, wall int64) Undo {
	if s.ProducerID <= batch.NoProducer {
		return Undo{}
	}
	was := p.find(s.ProducerID)
	next := &producer{epoch: s.Epoch, coordinatorEpoch: -1, transactionStart: -1, wall: wall}
	if was != nil {
		next.coordinatorEpoch, next.transactionStart = was.coordinatorEpoch, was.transactionStart
		if was.epoch == s.Epoch {
			next.batches = was.batches
		}
	}
	window := rememberedBatches
	if mutant.On("producers-window-of-four") {
		window = 4
	}
	keep := next.batches[max(0, len(next.batches)-window+1):]
	next.batches = append(slices.Clone(keep), appended{s.First, s.Last(), base, maxTimestamp})
	u := Undo{id: s.ProducerID, was: p.known[s.ProducerID], done: true}
	p.known[s.ProducerID] = next
	if p.parent != nil && len(p.known) > forkKept {
		p.shrink(s.ProducerID)
	}
	return u
}

// Undo takes back u.
func (p *Producers) Undo(u Undo) {
	switch {
	case !u.done:
	case u.was == nil:
		delete(p.known, u.id)
	default:
		p.known[u.id] = u.was
	}
}

// Fork returns a table that sees p, also its later updates, and whose own updates p does not see: the leader's table of
// appended batches over the table of applied ones. Both belong to the same task, and what is applied is what was
// appended, in the same order.
func (p *Producers) Fork() *Producers { return &Producers{parent: p, known: map[int64]*producer{}} }

// shrink forgets what the parent knows as well, except one producer.
func (p *Producers) shrink(except int64) {
	//door:ordered each is decided by itself, from what does not change here
	for id, own := range p.known {
		above := p.parent.find(id)
		if id == except || above == nil || above.epoch != own.epoch || len(above.batches) == 0 || len(own.batches) == 0 {
			continue
		}
		if above.batches[len(above.batches)-1] == own.batches[len(own.batches)-1] {
			delete(p.known, id)
		}
	}
}

// Expire forgets producers whose last batch is older than expiration milliseconds at the entry time wall. It looks at all
// of them, so it does so at most once in a 144th of the expiration (ten minutes of a day). The wall clock may go back.
func (p *Producers) Expire(wall, expiration int64) {
	if since := wall - p.swept; since >= 0 && since < expiration/144 {
		return
	}
	p.swept = wall
	for id, e := range p.known {
		if wall-e.wall >= expiration && e.transactionStart < 0 {
			delete(p.known, id)
		}
	}
}

// Len is the number of known producers, without those of the parent of a fork.
func (p *Producers) Len() int { return len(p.known) }

// sorted returns the producer ids in order.
func (p *Producers) sorted() []int64 {
	ids := make([]int64, 0, len(p.known))
	for id := range p.known {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
