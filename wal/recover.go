package wal

import (
	"fmt"
	"maps"
	"slices"

	"millrace/node/host/mutant"
)

// recovery puts together what the groups say, in their order. It does no I/O.
type recovery struct {
	shards   map[uint64]*recovering
	sequence uint64 // of the last group; 0 before the first one
	first    uint64 // the oldest file that the last group needs
}

// recovering is one shard while it is recovered.
type recovering struct {
	record  shardRecord
	file    uint64           // of the latest shard record
	entries []Entry          // contiguous, in the order of their groups
	copies  map[uint64]Entry // written again for files that are gone or will be
	states  map[string]scanned
	listed  []State // what list has made of the states; nil when they have changed since
}

func newRecovery() *recovery { return &recovery{shards: map[uint64]*recovering{}} }

// follows reports whether a group comes next.
func (r *recovery) follows(g groupHeader) bool {
	return r.sequence == 0 || g.sequence == r.sequence+1 || mutant.On("wal-recycled-group-accepted")
}

// add takes over a whole group.
func (r *recovery) add(g groupHeader, records []scanned) error {
	for i := range records {
		if err := r.record(&records[i]); err != nil {
			return fmt.Errorf("%w (group %d)", err, g.sequence)
		}
	}
	r.sequence, r.first = g.sequence, g.first
	return nil
}

func (r *recovery) record(rec *scanned) error {
	if rec.kind == kindForget {
		delete(r.shards, rec.shard)
		return nil
	}
	s := r.shards[rec.shard]
	if s == nil {
		s = &recovering{states: map[string]scanned{}, copies: map[uint64]Entry{}}
		r.shards[rec.shard] = s
	}
	switch rec.kind {
	case kindShard:
		record, ok := parseShardRecord(rec.body)
		if !ok {
			return fmt.Errorf("%w: shard %d has a hard state of %d bytes", ErrCorrupt, rec.shard, len(rec.body))
		}
		record.compact = max(record.compact, s.record.compact)
		if mutant.On("wal-old-hard-state") && s.file != 0 {
			record.hard = s.record.hard
		}
		s.record, s.file = record, rec.at.file
		s.compact(record.compact)
	case kindEntry, kindCopy:
		e := Entry{Index: rec.index, Term: rec.term, Type: rec.entryType, Data: rec.body, At: rec.at}
		if rec.kind == kindCopy {
			s.copied(e)
		} else if !s.append(e) {
			return fmt.Errorf("%w: shard %d has entry %d, and none before it since entry %d", ErrCorrupt, rec.shard, e.Index, s.last())
		}
	case kindState:
		s.states[string(rec.body)], s.listed = *rec, nil
	case kindDelete:
		delete(s.states, string(rec.body))
		s.listed = nil
	default:
		return fmt.Errorf("%w: it has records of kind %d, which this version of Millrace does not know", ErrForeign, rec.kind)
	}
	return nil
}

func (s *recovering) last() uint64 {
	if n := len(s.entries); n > 0 {
		return s.entries[n-1].Index
	}
	return s.record.compact
}

// compact drops the entries that are not needed.
func (s *recovering) compact(to uint64) {
	n := 0
	for n < len(s.entries) && s.entries[n].Index <= to {
		n++
	}
	s.entries = s.entries[n:]
	maps.DeleteFunc(s.copies, func(index uint64, _ Entry) bool { return index <= to })
}

// append adds an entry in the place of all that has its index or a later one. The first one may have any index: those
// before it may have been copied out of files that are gone. It returns false when the entry leaves a gap.
func (s *recovering) append(e Entry) bool {
	if n := len(s.entries); n > 0 && e.Index <= s.entries[n-1].Index {
		keep := 0
		if first := s.entries[0].Index; e.Index > first {
			keep = int(e.Index - first)
		}
		if mutant.On("wal-superseded-entries-resurrected") {
			if keep < n {
				s.entries[keep] = e
			}
			return true
		}
		clear(s.entries[keep:])
		s.entries = s.entries[:keep]
	}
	if len(s.copies) > 0 {
		maps.DeleteFunc(s.copies, func(index uint64, _ Entry) bool { return index >= e.Index })
	}
	if e.Index <= s.record.compact {
		return true
	}
	if n := len(s.entries); n > 0 && e.Index != s.entries[n-1].Index+1 {
		return false
	}
	s.entries = append(s.entries, e)
	return true
}

// copied takes over an entry that was live when it was written again.
func (s *recovering) copied(e Entry) {
	if e.Index <= s.record.compact {
		return
	}
	if n := len(s.entries); n > 0 && e.Index >= s.entries[0].Index && e.Index <= s.entries[n-1].Index {
		s.entries[e.Index-s.entries[0].Index] = e
		return
	}
	s.copies[e.Index] = e
}

// whole puts the copies in front of the other entries, and checks that nothing is missing.
func (s *recovering) whole(id uint64) error {
	next := s.record.compact + 1
	if len(s.copies) > 0 {
		front := make([]Entry, 0, len(s.copies)+len(s.entries))
		for _, index := range slices.Sorted(maps.Keys(s.copies)) {
			if len(s.entries) > 0 && index >= s.entries[0].Index {
				return fmt.Errorf("%w: shard %d: copied entry %d lies behind the log's end", ErrCorrupt, id, index)
			}
			front = append(front, s.copies[index])
		}
		s.entries, s.copies = append(front, s.entries...), nil
	}
	for i := range s.entries {
		if s.entries[i].Index != next {
			return fmt.Errorf("%w: shard %d: entry %d is missing", ErrCorrupt, id, next)
		}
		next++
	}
	return nil
}

// finish returns the shards, sorted, and what the ledger must know of them. The ledger has its books already.
func (r *recovery) finish(l *ledger) ([]RecoveredShard, error) {
	var all []RecoveredShard
	for _, id := range slices.Sorted(maps.Keys(r.shards)) {
		s := r.shards[id]
		if err := s.whole(id); err != nil {
			return nil, err
		}
		out := RecoveredShard{ID: id, HardState: s.record.hard, Compact: s.record.compact, Entries: s.entries}
		kept := l.shard(id)
		kept.record, kept.base = s.record, s.record.compact+1
		if s.file != 0 {
			l.wroteRecord(kept, s.file)
		}
		for i := range s.entries {
			l.wroteEntry(kept, s.entries[i].Index, s.entries[i].At)
		}
		for _, key := range slices.Sorted(maps.Keys(s.states)) {
			rec := s.states[key]
			value := rec.value
			if value == nil {
				value = []byte{}
			}
			out.State = append(out.State, State{key, value})
			l.wroteState(kept, key, rec.at)
		}
		all = append(all, out)
	}
	return all, nil
}
