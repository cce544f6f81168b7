package partition

import (
	"encoding/binary"
	"fmt"

	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

// producersVersion is the format of an encoded table, drawn in the package comment.
const producersVersion = 0

// Encode appends the table with its format version to b. A fork cannot be encoded: it would be half a table.
func (p *Producers) Encode(b []byte) []byte {
	if p.parent != nil {
		panic("partition: a fork of a producer table is not encoded")
	}
	b = append(b, producersVersion)
	b = binary.AppendVarint(b, p.swept)
	ids := p.sorted()
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		e := p.known[id]
		b = binary.AppendVarint(b, id)
		b = binary.AppendVarint(b, int64(e.epoch))
		b = binary.AppendVarint(b, int64(e.coordinatorEpoch))
		b = binary.AppendVarint(b, e.transactionStart)
		b = binary.AppendVarint(b, e.wall)
		b = binary.AppendUvarint(b, uint64(len(e.batches)))
		for _, a := range e.batches {
			b = binary.AppendVarint(b, int64(a.first))
			b = binary.AppendVarint(b, int64(a.last))
			b = binary.AppendVarint(b, a.base)
			if mutant.On("producers-time-not-kept") {
				a.timestamp = e.wall
			}
			b = binary.AppendVarint(b, a.timestamp)
		}
	}
	return b
}

// DecodeProducers reads what Encode wrote.
func DecodeProducers(b []byte) (*Producers, error) {
	f := fields{b: b}
	if v := f.byte(); v != producersVersion || f.bad {
		return nil, fmt.Errorf("decode producers: format version %d is not known", v)
	}
	p := NewProducers()
	p.swept = f.signed()
	for range f.count(6) {
		id := f.signed()
		e := &producer{epoch: int16(f.signed()), coordinatorEpoch: int32(f.signed()), transactionStart: f.signed(), wall: f.signed()}
		for range f.count(4) {
			e.batches = append(e.batches, appended{int32(f.signed()), int32(f.signed()), f.signed(), f.signed()})
		}
		if n := len(e.batches); n > 1 && mutant.On("producers-last-batch-restored") {
			e.batches = e.batches[n-1:]
		}
		if id <= batch.NoProducer || p.known[id] != nil || len(e.batches) > rememberedBatches {
			f.bad = true
		}
		p.known[id] = e
	}
	if f.bad || len(f.b) != 0 {
		return nil, fmt.Errorf("decode producers: %w", ErrCorrupt)
	}
	return p, nil
}
