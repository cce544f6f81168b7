package wal

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"millrace/node/host/mutant"
)

// ledger knows what in the log is still needed, and in which file it lies. It belongs to the writer task and does no I/O.
type ledger struct {
	shards map[uint64]*shard
	ids    []uint64 // of the shards, ascending
	books  []*book  // of the files, oldest first; the last one is being written
}

// book is what the ledger knows of one file.
type book struct {
	number  uint64
	size    int64
	entries int64 // live entries
	shards  int   // live shard records
	bytes   int64 // of live records, entries included
	states  []stateRef
}

// stateRef is a keyed record that was live when it was written.
type stateRef struct {
	shard  uint64
	key    string
	offset int64
}

// shard is one shard's part of the ledger.
type shard struct {
	id     uint64
	record shardRecord
	file   uint64 // that holds the latest shard record; 0 when there is none yet
	dirty  bool   // the record has changed in the group that is being put together

	entries []Location // live, of contiguous indexes from base on
	base    uint64
	// origins are the locations at which readers know the live entries that were copied, by index.
	origins map[uint64]Location
	states  map[string]Location
}

func newLedger() *ledger { return &ledger{shards: map[uint64]*shard{}} }

// last is the index of the shard's last entry, or its compaction point.
func (s *shard) last() uint64 {
	if len(s.entries) == 0 {
		return s.record.compact
	}
	return s.base + uint64(len(s.entries)) - 1
}

// shard returns the shard, made if need be.
func (l *ledger) shard(id uint64) *shard {
	s := l.shards[id]
	if s == nil {
		s = &shard{id: id, states: map[string]Location{}}
		l.shards[id] = s
		at, _ := slices.BinarySearch(l.ids, id)
		l.ids = slices.Insert(l.ids, at, id)
	}
	return s
}

// open begins a new file.
func (l *ledger) open(number uint64, size int64) {
	l.books = append(l.books, &book{number: number, size: size})
}

// book returns the book of a file that is in the log.
func (l *ledger) book(number uint64) *book {
	if tail := l.books[len(l.books)-1]; tail.number == number {
		return tail
	}
	at, found := slices.BinarySearchFunc(l.books, number, func(b *book, n uint64) int { return cmp.Compare(b.number, n) })
	if !found {
		panic(fmt.Sprintf("wal: file %d is not in the ledger", number))
	}
	return l.books[at]
}

// check says whether an append may follow what the shard has. It looks only at what recovery relies on.
func (l *ledger) check(a *Append) error {
	if a.Forget && (a.HardState != nil || len(a.Entries) > 0 || len(a.State) > 0 || a.Compact > 0) {
		return fmt.Errorf("wal: shard %d: an append that forgets the shard has more in it", a.Shard)
	}
	for i := range a.State {
		if s := &a.State[i]; len(s.Key) > MaxKey || len(s.Value) > MaxRecord {
			return fmt.Errorf("wal: shard %d: the record of a key of %d bytes has %d bytes", a.Shard, len(s.Key), len(s.Value))
		}
	}
	if len(a.Entries) == 0 {
		return nil
	}
	last := a.Compact
	if s := l.shards[a.Shard]; s != nil {
		last = max(last, s.record.compact, s.last())
	}
	first := a.Entries[0].Index
	if first == 0 || first > last+1 {
		return fmt.Errorf("wal: shard %d: entry %d does not follow entry %d", a.Shard, first, last)
	}
	for i := range a.Entries {
		e := &a.Entries[i]
		if e.Index != first+uint64(i) {
			return fmt.Errorf("wal: shard %d: entry %d follows entry %d", a.Shard, e.Index, first+uint64(i)-1)
		}
		if len(e.Data) > MaxRecord || e.Payload.Size() > MaxRecord {
			return fmt.Errorf("wal: shard %d: entry %d has %d+%d bytes", a.Shard, e.Index, len(e.Data), e.Payload.Size())
		}
	}
	return nil
}

// setRecord changes the shard's record; it is written with the group. It returns whether the shard became dirty by it.
func (l *ledger) setRecord(s *shard, hard *HardState, compact uint64) bool {
	if hard == nil && compact <= s.record.compact && s.file != 0 {
		return false
	}
	if hard != nil {
		s.record.hard = *hard
	}
	if compact > s.record.compact {
		l.dropBelow(s, compact)
		s.record.compact = compact
	}
	was := s.dirty
	s.dirty = true
	return !was
}

// wroteRecord notes where the shard's record lies.
func (l *ledger) wroteRecord(s *shard, file uint64) {
	if s.file != 0 {
		l.book(s.file).shards--
	}
	s.file, s.dirty = file, false
	l.book(file).shards++
}

// dropBelow forgets the entries up to index compact.
func (l *ledger) dropBelow(s *shard, compact uint64) {
	n := uint64(0)
	if len(s.entries) > 0 && compact >= s.base {
		n = min(compact-s.base+1, uint64(len(s.entries)))
	}
	l.died(s.entries[:n])
	maps.DeleteFunc(s.origins, func(index uint64, _ Location) bool { return index <= compact })
	if n == uint64(len(s.entries)) {
		s.entries = s.entries[:0]
	} else {
		s.entries = s.entries[n:]
	}
	s.base = compact + 1
}

// wroteEntry notes an entry that follows or supersedes what the shard has. One up to the compaction point is not kept,
// but supersedes all the same.
func (l *ledger) wroteEntry(s *shard, index uint64, at Location) {
	if len(s.entries) == 0 {
		s.base = max(index, s.record.compact+1)
	}
	if keep := max(index, s.base) - s.base; keep < uint64(len(s.entries)) {
		l.died(s.entries[keep:])
		s.entries = s.entries[:keep]
		maps.DeleteFunc(s.origins, func(old uint64, _ Location) bool { return old >= index })
	}
	if index <= s.record.compact {
		return
	}
	s.entries = append(s.entries, at)
	b := l.book(at.file)
	b.entries++
	b.bytes += at.stored()
}

// died takes entries out of their files' books.
func (l *ledger) died(entries []Location) {
	var b *book
	for _, at := range entries {
		if b == nil || b.number != at.file {
			b = l.book(at.file)
		}
		b.entries--
		b.bytes -= at.stored()
	}
}

// stored is the number of bytes that a record fills in the file.
func (l Location) stored() int64 {
	return recordHeader{data: l.data, pad: l.pad, payload: l.payload}.size()
}

// entryAt returns where the live entry of an index lies.
func (s *shard) entryAt(index uint64) (Location, bool) {
	if index < s.base || index-s.base >= uint64(len(s.entries)) {
		return Location{}, false
	}
	return s.entries[index-s.base], true
}

// movedEntry notes that a live entry was copied.
func (l *ledger) movedEntry(s *shard, index uint64, to Location) {
	slot := &s.entries[index-s.base]
	l.died([]Location{*slot})
	if s.origins == nil {
		s.origins = map[uint64]Location{}
	}
	if _, again := s.origins[index]; !again {
		s.origins[index] = *slot
	}
	*slot = to
	b := l.book(to.file)
	b.entries++
	b.bytes += to.stored()
}

// allMoved returns where the live entries are that were copied, by the locations at which readers know them.
func (l *ledger) allMoved() map[Location]Location {
	var all map[Location]Location
	for _, id := range l.ids {
		s := l.shards[id]
		for index, origin := range s.origins { //door:ordered copies into a map
			if all == nil {
				all = map[Location]Location{}
			}
			all[origin] = s.entries[index-s.base]
		}
	}
	return all
}

// wroteState notes a keyed record.
func (l *ledger) wroteState(s *shard, key string, at Location) {
	l.endState(s, key)
	s.states[key] = at
	b := l.book(at.file)
	b.states = append(b.states, stateRef{s.id, key, at.offset})
	b.bytes += at.stored()
}

// endState notes the end of a keyed record. The record that says so is not live: the oldest file is always freed first,
// so that what it ends is gone before it.
func (l *ledger) endState(s *shard, key string) {
	if old, ok := s.states[key]; ok {
		l.book(old.file).bytes -= old.stored()
		delete(s.states, key)
	}
}

// forget notes the end of a shard.
func (l *ledger) forget(id uint64) {
	s := l.shards[id]
	if s == nil {
		return
	}
	l.died(s.entries)
	for _, at := range s.states { //door:ordered only sums of bytes come out of it
		l.book(at.file).bytes -= at.stored()
	}
	if s.file != 0 {
		l.book(s.file).shards--
	}
	delete(l.shards, id)
	at, _ := slices.BinarySearch(l.ids, id)
	l.ids = slices.Delete(l.ids, at, at+1)
}

// pins returns the shards that have live entries in a file, ascending.
func (l *ledger) pins(number uint64) []uint64 {
	if l.book(number).entries == 0 {
		return nil
	}
	var ids []uint64
	for _, id := range l.ids {
		if slices.ContainsFunc(l.shards[id].entries, func(at Location) bool { return at.file == number }) {
			ids = append(ids, id)
		}
	}
	return ids
}

// moving is a live record of a file that is to be freed.
type moving struct {
	shard uint64
	kind  uint8
	index uint64 // of an entry
	key   string // of a keyed record
	at    Location
}

// live returns the live entries and keyed records of a file, in the order of the file's shards and indexes or of
// writing. Live shard records are not among them: the ledger has their contents.
func (l *ledger) live(number uint64) []moving {
	b := l.book(number)
	var all []moving
	for _, ref := range b.states {
		if s := l.shards[ref.shard]; s != nil {
			if at, ok := s.states[ref.key]; ok && at.file == number && at.offset == ref.offset {
				all = append(all, moving{shard: ref.shard, kind: kindState, key: ref.key, at: at})
			}
		}
	}
	if b.entries == 0 {
		return all
	}
	for _, id := range l.ids {
		s := l.shards[id]
		for i, at := range s.entries {
			if at.file == number {
				all = append(all, moving{shard: id, kind: kindCopy, index: s.base + uint64(i), at: at})
			}
		}
	}
	return all
}

// alive reports whether a record that was live still is.
func (l *ledger) alive(m moving) bool {
	s := l.shards[m.shard]
	if s == nil {
		return false
	}
	var at Location
	if m.kind == kindCopy {
		at, _ = s.entryAt(m.index)
	} else {
		at = s.states[m.key]
	}
	return at == m.at || mutant.On("wal-dead-state-copied") && m.kind == kindState
}

// recordsIn returns the shards whose latest shard record lies in a file.
func (l *ledger) recordsIn(number uint64) []*shard {
	var in []*shard
	for _, id := range l.ids {
		if s := l.shards[id]; s.file == number {
			in = append(in, s)
		}
	}
	return in
}
