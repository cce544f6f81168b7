package partition

import (
	"slices"
	"sort"
)

// OffsetRange is the offsets from Start up to, not including, End.
type OffsetRange struct{ Start, End int64 }

// View is the state of a log as readers see it. It never changes.
type View struct {
	// LogStart is the first offset that may be read; End is the next offset, the high watermark; LastStable is the end
	// of what read_committed consumers see.
	LogStart, End, LastStable int64
	// Epochs are the known leader epochs, ascending.
	Epochs []EpochStart
	// MaxTimestamp is the greatest timestamp of all batches, -1 when there is none.
	MaxTimestamp int64
	// Bytes is the size of all segments.
	Bytes int64
	// Dropped says that the partition is gone.
	Dropped bool
	// Whole says that nothing between log start and end is missing.
	Whole bool
	// Marks say how far the log is compacted; Compacting that a compaction was taken and waits for a durable checkpoint.
	Marks      []CleanMark
	Compacting bool

	// regress counts what made compacted parts of the log something else, damaged says that there are damaged files.
	regress int64
	damaged bool

	// onDisk is the end of what a durable checkpoint has: the segment that was being written, and its length.
	onDisk filePosition
	rolled []*rolledSegment
	active rolledSegment
	chunks []*chunk
}

// filePosition is a position in a segment that apply writes.
type filePosition struct{ base, bytes int64 }

// Publish shows everything appended to readers and wakes watchers.
func (l *Log) Publish() {
	v := &View{LogStart: l.logStart, End: l.end, LastStable: l.end, Epochs: l.epochs,
		MaxTimestamp: max(l.rolledTime, l.info.MaxTimestamp), Bytes: l.rolledBytes + l.info.Bytes,
		rolled: l.rolled, chunks: l.tail.chunks, onDisk: l.onDisk,
		active: rolledSegment{seg: l.active, info: l.info, entries: l.entries, from: l.entriesFrom}, Whole: l.isWhole(),
		Marks: l.marks, Compacting: l.taken != nil, regress: l.regress, damaged: len(l.damaged) > 0}
	l.view.Store(v)
	l.watchers.Wake()
}

// View is the published state.
func (l *Log) View() *View { return l.view.Load() }

// Segments is the number of segment files.
func (v *View) Segments() int { return len(v.rolled) + 1 }

// segmentAt is the place of the segment that holds offset, or of the next one that holds anything above it.
func (v *View) segmentAt(offset int64) int {
	return sort.Search(len(v.rolled), func(i int) bool { return v.rolled[i].info.End > offset })
}

// segment returns segment number i; the one being written comes last.
func (v *View) segment(i int) *rolledSegment {
	if i < len(v.rolled) {
		return v.rolled[i]
	}
	return &v.active
}

// chunksOf returns the chunks of a segment that may be in memory.
func (v *View) chunksOf(g *segment) []*chunk {
	from := sort.Search(len(v.chunks), func(i int) bool { return v.chunks[i].seg.base >= g.base })
	to := sort.Search(len(v.chunks), func(i int) bool { return v.chunks[i].seg.base > g.base })
	if from < to && v.chunks[from].seg != g {
		return nil // of a file that this one replaced
	}
	return v.chunks[from:to]
}

// EpochStart says where a leader epoch began.
type EpochStart struct {
	Epoch int32
	Start int64
}

// epochsFrom are the epochs of a log that starts at offset: the one that offset belongs to starts there.
func epochsFrom(epochs []EpochStart, offset int64) []EpochStart {
	n := sort.Search(len(epochs), func(i int) bool { return epochs[i].Start > offset })
	if n == 0 {
		return epochs
	}
	out := slices.Clone(epochs[n-1:])
	out[0].Start = offset
	return out
}

// EpochOf is the leader epoch of a record, -1 when it is not known.
func (v *View) EpochOf(offset int64) int32 {
	n := sort.Search(len(v.Epochs), func(i int) bool { return v.Epochs[i].Start > offset })
	if n == 0 {
		return -1
	}
	return v.Epochs[n-1].Epoch
}

// EpochEnd answers OffsetForLeaderEpoch: the largest known epoch at most as large as asked for and where it ends; for an
// epoch below all known ones, that epoch and where the first known one begins; (-1, -1) when it is above all known.
func (v *View) EpochEnd(epoch int32) (int32, int64) {
	n := sort.Search(len(v.Epochs), func(i int) bool { return v.Epochs[i].Epoch > epoch })
	last := len(v.Epochs) - 1
	switch {
	case epoch < 0 || last < 0:
		return -1, -1
	case v.Epochs[last].Epoch == epoch:
		return epoch, v.End
	case n > last:
		return -1, -1
	case n == 0:
		return epoch, v.Epochs[0].Start
	}
	return v.Epochs[n-1].Epoch, v.Epochs[n].Start
}
