package shard

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/partition"
	"millrace/wal"
)

// apply applies committed entries in order, shows them to readers, and then answers who waits for them.
func (r *replica) apply(entries []*raftpb.Entry) {
	if mutant.On("replica-visible-before-commit") {
		entries = slices.DeleteFunc(slices.Clone(entries), func(e *raftpb.Entry) bool { return e.GetIndex() <= r.applied })
	}
	if len(entries) == 0 {
		return
	}
	var committed, applied host.Instant
	if r.leading {
		committed = r.host.Clock.Now()
	}
	for _, e := range entries {
		if err := r.applyEntry(e); err != nil {
			r.fail(fmt.Errorf("apply entry %d: %w", e.GetIndex(), err))
			return
		}
		r.applied, r.appliedTerm = e.GetIndex(), e.GetTerm()
	}
	r.show()
	if r.leading {
		applied = r.host.Clock.Now()
	}
	for _, e := range entries {
		s := r.window.slot(e.GetIndex())
		for _, w := range s.waits {
			w.result.Times = Times{Proposed: s.begun, Durable: s.durable, Committed: committed, Applied: applied}
			r.answerApplied(e.GetIndex(), w)
		}
		s.waits = nil
	}
	r.answerReads()
	if r.alone() {
		r.window.forget(r.applied)
	} else {
		r.window.forget(min(r.applied, r.window.excess()))
	}
	if r.applied >= r.recovered {
		r.endReplay()
	}
	if r.leading && !r.serving && r.appliedTerm == r.term {
		r.serving = true
		r.measure()
		r.publishStatus()
	}
}

// applyEarly is a planted bug.
func (r *replica) applyEarly(entries []wal.Entry) {
	var early []*raftpb.Entry
	for _, e := range entries {
		if e.Index > r.applied && e.Index <= r.window.last() {
			early = append(early, r.window.slot(e.Index).entry)
		}
	}
	r.apply(early)
}

// answerApplied answers who waits for an entry that is applied, unless it waits for more copies.
func (r *replica) answerApplied(index uint64, w waiting) {
	if w.copies > 0 && r.durableCopies(index) < w.copies {
		r.lagging = append(r.lagging, lagging{index, w})
		r.answered = true // what is known of the copies may be old
		return
	}
	w.pending.Set(w.result)
}

// endReplay lets go of what replaying recovered entries needed.
func (r *replica) endReplay() {
	if r.replay != nil {
		r.replay.Close()
		r.replay = nil
	}
}

// show publishes what was applied.
func (r *replica) show() {
	for i, p := range r.touched {
		p.touched = false
		if !p.gone {
			p.log.Publish()
			if !p.missing && !p.log.Whole() { // the end of its last segment could not be read
				r.noteHoles(p)
			}
		}
		r.touched[i] = nil
	}
	r.touched = r.touched[:0]
	if r.machine != nil {
		r.machine.Publish()
	}
	if r.moved {
		r.moved = false
		places := r.directory
		r.places.Store(&places)
		r.changes.Wake()
	}
}

// applyEntry applies one entry. It reads nothing but the entry and the state that earlier entries made.
func (r *replica) applyEntry(e *raftpb.Entry) error {
	if len(e.GetData()) == 0 { // the first entry of a term
		return nil
	}
	entry, err := readEntry(e.GetData())
	if err != nil {
		return err
	}
	s := r.window.slot(e.GetIndex())
	bytes, err := r.payload(s)
	if err != nil {
		return err
	}
	waits := s.waits
	var rec record
	for i := 0; ; i++ {
		more, err := entry.next(&rec)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		for len(waits) > 0 && waits[0].record < i {
			waits = waits[1:]
		}
		result := &Result{}
		if len(waits) > 0 && waits[0].record == i {
			result = &waits[0].result
		}
		if err := r.applyRecord(e, entry.wall, &rec, &bytes, result); err != nil {
			return err
		}
	}
	bytes.release()
	if size := s.payload.Size(); size > 0 {
		r.flies(-size)
		s.payload.Release()
		s.payload = wal.Payload{}
	}
	return nil
}

func (r *replica) applyRecord(e *raftpb.Entry, wall int64, rec *record, bytes *cursor, result *Result) error {
	switch rec.kind {
	case kindAdopt:
		return r.adopt(rec.partition, rec.epoch, e.GetTerm())
	case kindExpire:
		for _, p := range r.order {
			if p != nil && p.log.Producers().Len() > 0 {
				p.log.Producers().Expire(wall, rec.value)
				r.touch(p)
			}
		}
		return nil
	case kindCommand:
		value, err := r.machine.Apply(e.GetIndex(), wall, rec.command)
		result.Value = value
		return err
	}
	p := r.partitions[rec.partition]
	if rec.kind == kindBatch {
		b, err := bytes.take(rec.bytes)
		if err != nil {
			return err
		}
		if p != nil && rec.baseOffset < p.log.End() {
			return nil // a snapshot showed it to be committed: see applyAhead
		}
		if p != nil {
			r.touch(p)
			return p.log.Append(partition.Batch{Bytes: b, Wall: wall, Roll: rec.roll})
		}
	}
	if p == nil { // dropped by an earlier entry
		*result = Result{Error: wire.ErrUnknownTopicOrPartition}
		return nil
	}
	if rec.kind != kindLogStart || !mutant.On("shard-log-start-not-in-checkpoint") {
		r.touch(p)
	}
	switch rec.kind {
	case kindDrop:
		r.drop(p)
	case kindLogStart:
		if mutant.On("shard-log-start-not-replayed") && e.GetTerm() < r.term {
			return nil
		}
		if err := p.log.SetLogStart(min(rec.value, p.log.End())); err != nil {
			return err
		}
		result.LogStart = p.log.View().LogStart
		r.noteWhole(p)
	case kindRoll:
		p.log.Roll()
	}
	return nil
}

// touch notes that an entry changes a partition.
func (r *replica) touch(p *held) {
	if !p.touched {
		p.touched = true
		r.touched = append(r.touched, p)
	}
	if !p.changed {
		p.changed = true
		r.changed = append(r.changed, p)
	}
}

func (r *replica) adopt(id partition.ID, epoch int32, term uint64) error {
	if r.partitions[id] != nil {
		return nil
	}
	if epoch < 0 {
		epoch = int32(term)
	}
	log, err := partition.Create(r.o.Partitions, partitionDir(id), id, epoch)
	if err != nil {
		return err
	}
	p := &held{id: id, log: log, base: int32(int64(epoch) - int64(term))}
	r.add(p)
	r.touch(p)
	return nil
}

// add lists a partition.
func (r *replica) add(p *held) {
	p.lead.settings = r.settings[p.id]
	r.partitions[p.id] = p
	r.order = append(r.order, p)
	r.directory = r.directory.Set(key(p.id), &place{log: p.log, base: p.base, traffic: newTraffic(r.host.Tasks)})
	r.moved = true
}

// drop removes a partition. Its files stay until a checkpoint that does not name it is durable.
func (r *replica) drop(p *held) {
	p.gone = true
	p.log.Drop()
	r.noteHoles(p)
	delete(r.partitions, p.id)
	delete(r.settings, p.id)
	r.directory = r.directory.Delete(key(p.id))
	r.order[slices.Index(r.order, p)] = nil
	r.holes++
	if r.holes > 64 && r.holes*2 > len(r.order) {
		r.order = slices.DeleteFunc(r.order, func(p *held) bool { return p == nil })
		r.holes = 0
	}
	r.dropped = append(r.dropped, p)
	r.moved = true
}

// cursor hands out the payload of an entry batch by batch.
type cursor struct {
	parts [][]byte
	// buffer is what the parts were read into, if they were.
	buffer *host.Buffer
}

// payload returns the bytes beside an entry: from memory, or after a restart from the write-ahead log.
func (r *replica) payload(s *slot) (cursor, error) {
	if len(s.payload.Parts) > 0 || s.at.Size() == 0 {
		return cursor{parts: slices.Clone(s.payload.Parts)}, nil
	}
	if r.replay == nil {
		r.replay = r.wal.Reader()
	}
	b, err := r.replay.ReadPayload(s.at)
	if err != nil {
		return cursor{}, err
	}
	return cursor{parts: [][]byte{b.Bytes()}, buffer: b}, nil
}

// take returns the next n bytes.
func (c *cursor) take(n int) ([]byte, error) {
	for len(c.parts) > 0 && len(c.parts[0]) == 0 {
		c.parts = c.parts[1:]
	}
	if len(c.parts) > 1 && len(c.parts[0]) < n { // a peer cut it elsewhere
		c.parts = [][]byte{slices.Concat(c.parts...)}
	}
	if len(c.parts) == 0 || len(c.parts[0]) < n {
		return nil, fmt.Errorf("%w: the payload is shorter than its descriptors say", errMalformed)
	}
	b := c.parts[0][:n:n]
	c.parts[0] = c.parts[0][n:]
	return b, nil
}

func (c *cursor) release() {
	if c.buffer != nil {
		c.buffer.Release()
		c.buffer = nil
	}
}
