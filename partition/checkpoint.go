package partition

import (
	"encoding/binary"
	"fmt"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// checkpointVersion is the format of an encoded checkpoint, drawn in the package comment. Version 0 had neither
// generations nor damaged segments; before version 2 nothing was compacted, and segments had no gaps.
const checkpointVersion = 2

// Checkpoint is a log as of one applied entry, without its records: what recovery begins with.
type Checkpoint struct {
	ID                        ID
	LogStart, End, LastStable int64
	// Held are the offset ranges whose bytes are in the segments, sorted, apart: they follow from Segments.
	Held []OffsetRange
	// Epochs are the leader epochs, ascending.
	Epochs []EpochStart
	// Segments are the files, ascending, apart; the last one is being written. Their Bytes are the positions to truncate
	// to. What lies between two of them, or between the log start and the first, is missing.
	Segments []SegmentInfo
	// Damaged are files that hold something bad: nothing of them is held, and they are kept for what is good in them.
	Damaged []SegmentInfo
	// Generations is the generation of the next file that is not written by apply.
	Generations int64
	// Marks say how far the log is compacted.
	Marks []CleanMark
	// Producers is the encoded table of producers.
	Producers []byte
}

// SegmentInfo describes a segment file.
type SegmentInfo struct {
	// Base is the offset that names the file. It holds offsets from Base up to, not including, End.
	Base, End int64
	// Generation tells files with the same Base apart; 0 for what apply writes.
	Generation int64
	// Bytes is its length.
	Bytes int64
	// Entries is the number of its index entries.
	Entries int64
	// MaxTimestamp is the greatest timestamp, FirstTimestamp that of the first batch; -1 when there is none.
	MaxTimestamp, FirstTimestamp int64
	// FirstWall and LastWall are the entry times of its first and last batch; -1 when it is empty.
	FirstWall, LastWall int64
	// Indexed is the position that the last index entry points to.
	Indexed int64
	// Sparse says that compaction may have left gaps between offsets. Then Sum is a checksum of where its batches are and
	// what they say of their offsets, which nothing else can check; and there may be no bytes and no file at all.
	Sparse bool
	Sum    uint32
	// Transactional says that batches of transactions, or their markers, may be in it.
	Transactional bool
	// Horizon is the earliest time at which something in it may be removed that waits for its delete horizon (a tombstone,
	// a transaction marker), in milliseconds since 1970; 0 when nothing waits.
	Horizon int64
}

// CleanMark says that the log is compacted below Offset: there, no record is followed by a later one of its key. The
// tombstones between the mark before and this one have delete horizons of Horizon at most.
type CleanMark struct{ Offset, Horizon int64 }

const (
	flagSparse        = 1
	flagTransactional = 2
)

func (s *SegmentInfo) flags() (flags int64) {
	if s.Sparse {
		flags |= flagSparse
	}
	if s.Transactional {
		flags |= flagTransactional
	}
	return flags
}

func emptySegment(base int64) SegmentInfo {
	return SegmentInfo{Base: base, End: base, MaxTimestamp: -1, FirstTimestamp: -1, FirstWall: -1, LastWall: -1}
}

// Encode appends the checkpoint with its format version to b.
func (c *Checkpoint) Encode(b []byte) []byte {
	b = append(b, checkpointVersion)
	b = append(b, c.ID.Topic[:]...)
	b = binary.AppendVarint(b, int64(c.ID.Index))
	b = binary.AppendVarint(b, c.LogStart)
	b = binary.AppendVarint(b, c.End)
	b = binary.AppendVarint(b, c.LastStable)
	b = binary.AppendUvarint(b, uint64(len(c.Held)))
	for _, r := range c.Held {
		b = binary.AppendVarint(b, r.Start)
		b = binary.AppendVarint(b, r.End)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Epochs)))
	for _, e := range c.Epochs {
		b = binary.AppendVarint(b, int64(e.Epoch))
		b = binary.AppendVarint(b, e.Start)
	}
	b = appendSegments(b, c.Segments)
	b = appendSegments(b, c.Damaged)
	b = binary.AppendVarint(b, c.Generations)
	b = binary.AppendUvarint(b, uint64(len(c.Marks)))
	for _, m := range c.Marks {
		b = binary.AppendVarint(b, m.Offset)
		b = binary.AppendVarint(b, m.Horizon)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Producers)))
	return append(b, c.Producers...)
}

func appendSegments(b []byte, segments []SegmentInfo) []byte {
	b = binary.AppendUvarint(b, uint64(len(segments)))
	for i := range segments {
		b = segments[i].append(b)
	}
	return b
}

// append encodes a segment.
func (s *SegmentInfo) append(b []byte) []byte {
	for _, v := range [...]int64{s.Base, s.End - s.Base, s.Bytes, s.Entries, s.MaxTimestamp, s.FirstTimestamp, s.FirstWall,
		s.LastWall, s.Indexed, s.Generation, s.flags(), int64(s.Sum), s.Horizon} {
		b = binary.AppendVarint(b, v)
	}
	return b
}

// segment reads what SegmentInfo.append wrote, before version 1 without a generation, before version 2 without what compaction makes.
func (f *fields) segment(version byte) SegmentInfo {
	s := SegmentInfo{Base: f.signed(), End: f.signed(), Bytes: f.signed(), Entries: f.signed(), MaxTimestamp: f.signed(),
		FirstTimestamp: f.signed(), FirstWall: f.signed(), LastWall: f.signed(), Indexed: f.signed()}
	s.End += s.Base
	if version > 0 {
		s.Generation = f.signed()
	}
	if version > 1 {
		flags, sum := f.signed(), f.signed()
		s.Sparse, s.Transactional, s.Sum = flags&flagSparse != 0, flags&flagTransactional != 0, uint32(sum)
		s.Horizon = f.signed()
		f.bad = f.bad || flags&^(flagSparse|flagTransactional) != 0 || sum != int64(s.Sum) || s.Horizon < 0
	}
	return s
}

// segments reads what appendSegments wrote.
func (f *fields) segments(version byte) (segments []SegmentInfo) {
	for range f.count(9) {
		segments = append(segments, f.segment(version))
	}
	return segments
}

// DecodeCheckpoint reads what Encode wrote. A newer format is refused.
func DecodeCheckpoint(b []byte) (Checkpoint, error) {
	f := fields{b: b}
	c := Checkpoint{Generations: 1}
	version := f.byte()
	if version > checkpointVersion || f.bad {
		return Checkpoint{}, fmt.Errorf("decode a partition's checkpoint: format version %d is not known", version)
	}
	copy(c.ID.Topic[:], f.bytes(len(c.ID.Topic)))
	c.ID.Index = int32(f.signed())
	c.LogStart, c.End, c.LastStable = f.signed(), f.signed(), f.signed()
	for range f.count(2) {
		c.Held = append(c.Held, OffsetRange{f.signed(), f.signed()})
	}
	for range f.count(2) {
		c.Epochs = append(c.Epochs, EpochStart{int32(f.signed()), f.signed()})
	}
	c.Segments = f.segments(version)
	if version > 0 {
		c.Damaged = f.segments(version)
		c.Generations = f.signed()
	}
	if version > 1 {
		for range f.count(2) {
			c.Marks = append(c.Marks, CleanMark{f.signed(), f.signed()})
		}
	}
	c.Producers = f.bytes(f.count(1))
	if f.bad || len(f.b) != 0 || !c.sound() {
		return Checkpoint{}, fmt.Errorf("decode a partition's checkpoint: %w", ErrCorrupt)
	}
	return c, nil
}

// sound says whether a checkpoint can have been taken from a log.
func (c *Checkpoint) sound() bool {
	if c.LogStart < 0 || c.LogStart > c.End || c.LastStable < c.LogStart || c.LastStable > c.End || len(c.Segments) == 0 {
		return false
	}
	last := int64(0)
	for i := range c.Segments {
		s := &c.Segments[i]
		if s.Base < last || !s.sound() || s.Generation >= c.Generations {
			return false
		}
		last = s.End
	}
	for i := range c.Damaged {
		if s := &c.Damaged[i]; !s.sound() || s.Generation >= c.Generations {
			return false
		}
	}
	for i, m := range c.Marks {
		if m.Offset > c.End || i > 0 && (m.Offset < c.Marks[i-1].Offset || m.Horizon < c.Marks[i-1].Horizon) {
			return false
		}
	}
	return last == c.End
}

func (s *SegmentInfo) sound() bool {
	return s.Base >= 0 && s.End >= s.Base && s.Bytes >= 0 && s.Bytes <= maxSegmentBytes && s.Entries >= 0 &&
		s.Indexed <= s.Bytes && s.Generation >= 0 && (s.Bytes == 0) == (s.End == s.Base || s.Sparse && s.Bytes == 0)
}

// vacant says that a segment holds offsets and no records: compaction removed all of them. It has no file.
func (s *SegmentInfo) vacant() bool { return s.Bytes == 0 && s.End > s.Base }

// PendingCheckpoint is a checkpoint whose bytes are on their way to the disk.
type PendingCheckpoint struct {
	checkpoint Checkpoint
	written    *host.Future[error]
}

// Wait waits until everything the checkpoint speaks of is written, which is not yet durable: Disk.SyncAll comes next.
// Any task may call it.
func (p *PendingCheckpoint) Wait() (Checkpoint, error) {
	if mutant.On("checkpoint-before-write") {
		return p.checkpoint, nil
	}
	if err := p.written.Get(); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint %v: %w", p.checkpoint.ID, err)
	}
	return p.checkpoint, nil
}

// EncodeSegments appends a list of segments to b.
func EncodeSegments(b []byte, segments []SegmentInfo) []byte { return appendSegments(b, segments) }

// DecodeSegments reads what EncodeSegments wrote.
func DecodeSegments(b []byte) ([]SegmentInfo, error) {
	f := fields{b: b}
	segments := f.segments(checkpointVersion)
	for i := range segments {
		f.bad = f.bad || !segments[i].sound()
	}
	if f.bad || len(f.b) > 0 {
		return nil, fmt.Errorf("decode a list of segments: %w", ErrCorrupt)
	}
	return segments, nil
}
