package wal

import "millrace/node/host"

// HardState is what raft must remember of a shard besides its entries.
type HardState struct{ Term, Vote, Commit uint64 }

// Payload is the bytes that an entry carries beside its Data: record batches, by reference.
type Payload struct {
	// Parts are the bytes, in order.
	Parts [][]byte
	// Sums, when there are any, are the CRC32Cs of the parts, one for each, for whoever knows them from elsewhere. Only
	// those of parts of SumFrom bytes and more are looked at: a shorter one is summed sooner than joined.
	Sums []uint32
	// Holds are the counted buffers that the parts lie in. Each is held once by whoever holds the payload.
	Holds []*host.Buffer
}

// SumFrom is the length from which the CRC32C of a part is worth knowing.
const SumFrom = 32 << 10

// Size is the number of payload bytes.
func (p Payload) Size() int {
	n := 0
	for _, part := range p.Parts {
		n += len(part)
	}
	return n
}

// Retain holds every buffer of the payload once more.
func (p Payload) Retain() {
	for _, b := range p.Holds {
		b.Retain()
	}
}

// Release gives up one hold of every buffer of the payload.
func (p Payload) Release() {
	for _, b := range p.Holds {
		b.Release()
	}
}

// Entry is one raft entry of a shard.
type Entry struct {
	// Index counts from 1.
	Index, Term uint64
	// Type is raft's entry type; the log only keeps it.
	Type uint8
	// Data is what raft sees: a descriptor list or a command.
	Data []byte
	// Payload lies beside Data. It is empty in recovered entries: see At.
	Payload Payload
	// At is where the payload lies in the log. It is set in recovered entries, and in the entries of an Append before
	// its Done is called; see Log.ReadPayload.
	At Location
}

// State is a keyed record of a shard, such as the checkpoint of one partition. The latest one of a key wins; it lives
// until it is replaced or deleted, however old it is.
type State struct {
	// Key is at most MaxKey bytes long.
	Key string
	// Value is the record; nil deletes the key. An empty Value that is not nil is kept.
	Value []byte
}

// Append is what a shard wants to be durable together: all of it is recovered, or nothing.
type Append struct {
	Shard uint64
	// HardState replaces the shard's hard state; nil leaves it as it is.
	HardState *HardState
	// Entries have contiguous indexes. They supersede everything that the shard has appended from the first one's
	// index on.
	Entries []Entry
	// State is a set of records, such as a checkpoint; it lies in one file.
	State []State
	// Compact says that the shard's entries up to this index are not needed once this append is durable. 0, or less
	// than before, changes nothing. A Compact beyond the last entry makes the log continue there, as after a raft
	// snapshot.
	Compact uint64
	// Forget says that the shard is gone: everything of it may go. The other fields must be empty.
	Forget bool
	// Done is called from the log's task when the append is durable, or with an error when that will never be known:
	// then the node must stop. It must not block. An append without Done that has nothing but a HardState may wait for
	// the next group or for the log to be idle: raft does not need a commit index to be durable.
	Done func(error)
}

// bare reports whether the append may wait for company.
func (a *Append) bare() bool {
	return a.Done == nil && a.HardState != nil && len(a.Entries) == 0 && len(a.State) == 0 && a.Compact == 0 && !a.Forget
}

// release gives up the holds of the append's payloads.
func (a *Append) release() {
	for i := range a.Entries {
		a.Entries[i].Payload.Release()
	}
}

// RecoveredShard is what the log knows of a shard when it is opened.
type RecoveredShard struct {
	ID        uint64
	HardState HardState
	// State has every key's latest record, sorted by key.
	State []State
	// Compact is the largest Compact ever appended.
	Compact uint64
	// Entries have contiguous indexes from Compact+1 on. Their payloads are in the log, at At.
	Entries []Entry
}

// Location is where a record lies in the log. The zero value is nowhere. It stays good as long as its entry is neither
// compacted nor superseded; after that reading it fails with ErrGone.
type Location struct {
	file    uint64 // number
	offset  int64  // of the record's header in the file
	data    uint32 // bytes
	payload uint32 // bytes
	seed    uint32 // what the record's checksum starts from
	pad     uint16 // bytes between data and payload
}

// Size is the number of payload bytes at the location.
func (l Location) Size() int { return int(l.payload) }

// Nowhere reports whether the location is the zero value.
func (l Location) Nowhere() bool { return l == Location{} }
