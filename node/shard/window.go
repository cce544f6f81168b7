package shard

import (
	"fmt"
	"slices"
	"sort"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
	"millrace/wal"
)

// window is raft's view of the log: the descriptors of the entries that raft or a peer may still ask for, all in memory.
// It implements raft.Storage and never touches the disk. It is ahead of the disk: raft knows from the answers to its
// append messages what is durable.
//
// An entry's payload stays in its slot until the entry is applied; after that a slow peer is served from the write-ahead
// log. A shard with several replicas keeps applied entries for slow followers, as long as the write-ahead log does and
// their descriptors do not take too much memory.
type window struct {
	hard   wal.HardState
	voters []uint64
	// snapshot makes a snapshot of the shard for a follower behind the window; nil while there is none.
	snapshot func() (*raftpb.Snapshot, error)
	// slots[head:] hold the entries from first on; before is the term of the entry before it.
	slots  []slot
	head   int
	first  uint64
	before uint64
	// memory and bytes are those of the entry before the first.
	memory, bytes uint64
}

// slot is one entry with what belongs to it.
type slot struct {
	entry   *raftpb.Entry
	payload wal.Payload
	at      wal.Location
	waits   []waiting
	// begun is when this replica proposed the entry, durable when it was durable here; zero when nobody here waits for it.
	begun, durable host.Instant
	// memory and bytes are the sizes of all entries up to this one since the window was made: in memory, without the
	// payload, and in the write-ahead log.
	memory, bytes uint64
}

const (
	// mostMemory bounds what the window keeps of applied entries, in bytes of memory; slotMemory is about what an entry
	// takes besides its data.
	mostMemory = 8 << 20
	slotMemory = 256
)

// slot returns the slot of an index in the window.
func (w *window) slot(index uint64) *slot { return &w.slots[w.head+int(index-w.first)] }

func (w *window) last() uint64 { return w.first + uint64(len(w.slots)-w.head) - 1 }

// truncate removes the entries from an index on, calling drop for each, the last one first.
func (w *window) truncate(index uint64, drop func(*slot)) {
	for w.last() >= index && len(w.slots) > w.head {
		end := len(w.slots) - 1
		drop(&w.slots[end])
		w.slots[end] = slot{}
		w.slots = w.slots[:end]
	}
}

// append adds an entry, whose index must be the next one.
func (w *window) append(s slot) {
	if s.entry.GetIndex() != w.last()+1 {
		panic(fmt.Sprintf("shard: entry %d appended after %d", s.entry.GetIndex(), w.last()))
	}
	s.memory, s.bytes = w.sums()
	s.memory += uint64(len(s.entry.GetData())) + slotMemory
	s.bytes += uint64(len(s.entry.GetData())+s.payload.Size()+s.at.Size()) + entryOverhead
	w.slots = append(w.slots, s)
}

// sums are memory and bytes up to the last entry.
func (w *window) sums() (memory, bytes uint64) {
	if len(w.slots) == w.head {
		return w.memory, w.bytes
	}
	s := &w.slots[len(w.slots)-1]
	return s.memory, s.bytes
}

// excess is the last index that must be forgotten so that the rest takes no more memory than it may.
func (w *window) excess() uint64 {
	memory, _ := w.sums()
	if memory-w.memory <= mostMemory {
		return 0
	}
	slots := w.slots[w.head:]
	n := sort.Search(len(slots), func(i int) bool { return memory-slots[i].memory <= mostMemory })
	return w.first + uint64(n)
}

// tail is the last index before the entries, up to and with the given one, that take no more than so many bytes in the
// write-ahead log.
func (w *window) tail(upTo, bytes uint64) uint64 {
	if upTo < w.first {
		return upTo
	}
	slots := w.slots[w.head : w.head+int(upTo-w.first)+1]
	sum := slots[len(slots)-1].bytes
	n := sort.Search(len(slots), func(i int) bool { return sum-slots[i].bytes <= bytes })
	return w.first + uint64(n)
}

// carried returns the payload of an entry for a peer; false when the window does not hold the entry any more.
func (w *window) carried(e *raftpb.Entry) (Carried, bool) {
	if e.GetIndex() < w.first || e.GetIndex() > w.last() {
		return Carried{}, false
	}
	s := w.slot(e.GetIndex())
	if s.entry.GetTerm() != e.GetTerm() {
		return Carried{}, false
	}
	return Carried{Payload: s.payload, At: s.at}, true
}

// forget moves the window's start behind an index, which must be applied.
func (w *window) forget(index uint64) {
	for w.first <= index && w.head < len(w.slots) {
		s := &w.slots[w.head]
		w.before, w.memory, w.bytes = s.entry.GetTerm(), s.memory, s.bytes
		*s = slot{}
		w.head++
		w.first++
	}
	switch {
	case w.head == len(w.slots):
		w.slots, w.head = w.slots[:0], 0
	case w.head >= 1024 && w.head*2 >= len(w.slots):
		n := copy(w.slots, w.slots[w.head:])
		clear(w.slots[n:])
		w.slots, w.head = w.slots[:n], 0
	}
}

// InitialState implements raft.Storage.
func (w *window) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	hard := w.hard
	return &raftpb.HardState{Term: &hard.Term, Vote: &hard.Vote, Commit: &hard.Commit},
		&raftpb.ConfState{Voters: slices.Clone(w.voters)}, nil
}

// Entries implements raft.Storage.
func (w *window) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	switch {
	case lo < w.first:
		return nil, raft.ErrCompacted
	case hi > w.last()+1:
		return nil, raft.ErrUnavailable
	}
	entries := make([]*raftpb.Entry, 0, hi-lo)
	size := uint64(0)
	for i := lo; i < hi; i++ {
		e := w.slot(i).entry
		size += uint64(len(e.GetData())) + 32
		if size > maxSize && len(entries) > 0 {
			break
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Term implements raft.Storage.
func (w *window) Term(i uint64) (uint64, error) {
	switch {
	case i+1 == w.first:
		return w.before, nil
	case i < w.first:
		return 0, raft.ErrCompacted
	case i > w.last():
		return 0, raft.ErrUnavailable
	}
	return w.slot(i).entry.GetTerm(), nil
}

// LastIndex implements raft.Storage.
func (w *window) LastIndex() (uint64, error) { return w.last(), nil }

// FirstIndex implements raft.Storage.
func (w *window) FirstIndex() (uint64, error) { return w.first, nil }

// Snapshot implements raft.Storage. Without a function that makes one, a replica behind the window waits.
func (w *window) Snapshot() (*raftpb.Snapshot, error) {
	if w.snapshot == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return w.snapshot()
}

// reset makes the window begin behind an entry that a snapshot has brought, calling drop for each entry that it held.
func (w *window) reset(index, term uint64, drop func(*slot)) {
	w.truncate(w.first, drop)
	w.memory, w.bytes = w.sums()
	w.slots, w.head, w.first, w.before = w.slots[:0], 0, index+1, term
}
