package wal

import (
	"fmt"

	"millrace/node/host/mutant"
)

// write puts the group together, shard records first, and writes it. What it returns nil for is durable.
func (w *writer) write() error {
	header := groupHeader{
		generation: w.tail.header.generation,
		number:     w.tail.header.number,
		offset:     w.used,
		sequence:   w.written + 1,
		first:      w.open[0].header.number,
	}
	p := putter{w: w, seed: header.seed()}
	w.staging.begin()
	p.copies()
	if err := p.appends(); err != nil {
		return err
	}
	header.length, header.records = w.staging.size, p.records
	slices := w.staging.finish(header)
	if w.used+w.staging.size > w.tail.header.size {
		return fmt.Errorf("wal: a group of %d bytes does not fit into %s at offset %d", w.staging.size, w.tail.name, w.used)
	}
	if mutant.On("wal-ack-before-sync") {
		w.answer(nil)
	}
	began := w.host.Clock.Now()
	if err := w.tail.handle.WriteAt(w.used, slices...); err != nil {
		return fmt.Errorf("wal: writing %s at offset %d: %w", w.tail.name, w.used, err)
	}
	now := w.host.Clock.Now()
	w.writes.Observe(int64(now.Sub(began)))
	w.groups.Observe(w.staging.size)
	w.shared.Observe(int64(len(w.group)))
	w.used += w.staging.size
	w.written++
	w.wrote.Add(w.staging.size)
	w.unmarked = p.matters
	w.deadline = now.Add(w.o.MarkAfter)
	w.dismiss(header.first)
	w.staging.shrink(w.o.GroupBytes/w.staging.chunk + 1)
	if !p.matters { // idle
		w.staging.shrink(1)
	}
	return nil
}

// putter puts records into the group that is being staged, and into the ledger.
type putter struct {
	w       *writer
	seed    uint32
	records uint32
	matters bool // somebody relies on the group
}

// put stages one record; sums are as in Payload.
func (p *putter) put(h recordHeader, data []byte, parts [][]byte, sums []uint32) Location {
	h.data = uint32(len(data))
	for _, part := range parts {
		h.payload += uint32(len(part))
	}
	at := p.w.staging.record(p.seed, h, data, parts, sums)
	p.records++
	return Location{
		file: p.w.tail.header.number, offset: p.w.used + at, data: h.data, payload: h.payload, pad: h.pad, seed: p.seed,
	}
}

// copies puts the records that were read from the oldest file and still live. They come before everything that might
// replace them.
func (p *putter) copies() {
	for i := range p.w.copied {
		c := &p.w.copied[i]
		if p.w.ledger.alive(c.moving) {
			p.copy(c)
		}
		c.payload.Release()
	}
	clear(p.w.copied)
	p.w.copied = p.w.copied[:0]
}

func (p *putter) copy(c *copied) {
	p.matters = true
	s := p.w.ledger.shards[c.shard]
	header := c.header
	header.kind, header.data, header.payload, header.pad = c.kind, 0, 0, 0
	p.w.parts = append(p.w.parts[:0], c.payload.Bytes())
	if c.kind == kindCopy {
		p.w.ledger.movedEntry(s, c.index, p.put(header, c.body, p.w.parts, nil))
		return
	}
	to := Location{file: p.w.tail.header.number, offset: p.w.used}
	if !mutant.On("wal-live-state-not-copied") {
		to = p.put(header, c.body, p.w.parts, nil)
	}
	p.w.ledger.wroteState(s, c.key, to)
}

// appends puts the shard records of all appends, then the rest of each.
func (p *putter) appends() error {
	w := p.w
	for i := range w.group {
		a := &w.group[i]
		p.matters = p.matters || !a.bare()
		w.changed = w.changed || a.Compact > 0 || a.Forget
		if a.Forget {
			continue
		}
		s := w.ledger.shard(a.Shard)
		if w.ledger.setRecord(s, a.HardState, a.Compact) {
			w.dirty = append(w.dirty, s)
		}
	}
	p.shardRecords()
	for i := range w.group {
		// Appends of the group's later members may have moved the compaction point already, which is no harm: what is
		// below it then is only not kept.
		if err := w.ledger.check(&w.group[i]); err != nil {
			return err
		}
		p.append(&w.group[i])
	}
	w.releaseGroup()
	return nil
}

// shardRecords puts the hard state and the compaction point of each shard for which they have changed or must move.
func (p *putter) shardRecords() {
	w := p.w
	for i, s := range w.dirty {
		w.dirty[i] = nil
		if w.ledger.shards[s.id] != s {
			continue // forgotten
		}
		s.record.put(w.scratch[:])
		at := p.put(recordHeader{kind: kindShard, shard: s.id}, w.scratch[:], nil, nil)
		w.ledger.wroteRecord(s, at.file)
	}
	w.dirty = w.dirty[:0]
}

// append puts an append's keyed records and entries.
func (p *putter) append(a *Append) {
	w := p.w
	if a.Forget {
		p.put(recordHeader{kind: kindForget, shard: a.Shard}, nil, nil, nil)
		w.ledger.forget(a.Shard)
		return
	}
	s := w.ledger.shard(a.Shard)
	for i := range a.State {
		st := &a.State[i]
		w.key = append(w.key[:0], st.Key...)
		if st.Value == nil {
			p.put(recordHeader{kind: kindDelete, shard: a.Shard}, w.key, nil, nil)
			w.ledger.endState(s, st.Key)
			continue
		}
		w.parts = append(w.parts[:0], st.Value)
		at := p.put(recordHeader{kind: kindState, shard: a.Shard}, w.key, w.parts, nil)
		w.ledger.wroteState(s, st.Key, at)
	}
	for i := range a.Entries {
		e := &a.Entries[i]
		h := recordHeader{kind: kindEntry, entryType: e.Type, shard: a.Shard, index: e.Index, term: e.Term}
		e.At = p.put(h, e.Data, e.Payload.Parts, e.Payload.Sums)
		w.ledger.wroteEntry(s, e.Index, e.At)
	}
	clear(w.parts)
}
