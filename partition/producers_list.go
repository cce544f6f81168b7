package partition

import "millrace/partition/batch"

// ProducerState is what is known of a producer, as DescribeProducers tells it.
type ProducerState struct {
	ID    int64
	Epoch int16
	// LastSequence is that of the last record, -1 when none of this epoch is remembered; LastTimestamp the greatest timestamp
	// of the last batch, -1 when there is none.
	LastSequence  int32
	LastTimestamp int64
	// CoordinatorEpoch is of the last transaction marker, -1 when there was none; TransactionStart the first offset of the open
	// transaction, -1 when none is.
	CoordinatorEpoch int32
	TransactionStart int64
}

// List returns all known producers, by id.
func (p *Producers) List() []ProducerState {
	list := make([]ProducerState, 0, len(p.known))
	for _, id := range p.sorted() {
		e := p.known[id]
		s := ProducerState{ID: id, Epoch: e.epoch, LastSequence: batch.NoSequence, LastTimestamp: -1,
			CoordinatorEpoch: e.coordinatorEpoch, TransactionStart: e.transactionStart}
		if n := len(e.batches); n > 0 {
			s.LastSequence, s.LastTimestamp = e.batches[n-1].last, e.batches[n-1].timestamp
		}
		list = append(list, s)
	}
	return list
}
