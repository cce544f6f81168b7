package partition

// OffsetRange is the offsets from Start up to, not including, End.
type OffsetRange struct{ Start, End int64 }

// EpochStart says where a leader epoch began.
type EpochStart struct {
	Epoch int32
	Start int64
}

// View is the state of a log as readers see it. It never changes.
type View struct {
	// LogStart is the first offset that may be read; End is the next offset, the high watermark; LastStable is the end
	// of what read_committed consumers see.
	LogStart, End, LastStable int64
	// Held are the offset ranges that are here, sorted, apart. A whole replica has one: from at most LogStart to End.
	Held []OffsetRange
	// Epochs are the known leader epochs, ascending.
	Epochs []EpochStart
	// MaxTimestamp is the greatest timestamp of all batches, -1 when there is none.
	MaxTimestamp int64
	// Bytes is the size of all segments.
	Bytes int64
	// Dropped says that the partition is gone.
	Dropped bool
}

// Whole says that nothing between log start and end is missing.
func (v *View) Whole() bool {
	return len(v.Held) == 1 && v.Held[0].Start <= v.LogStart && v.Held[0].End == v.End ||
		len(v.Held) == 0 && v.LogStart == v.End
}
