package partition

import "millrace/node/host"

// Range is a piece of a log, ready to be sent: whole batches, the first of which holds the offset that was asked for (or
// is the first one above it, when compaction left a gap). What it refers to stays in place until Release.
type Range struct {
	Parts []host.Part
	// Bytes is the size of all parts.
	Bytes int
	// Next is the offset after the last batch of the range.
	Next int64
	// View is the state in which the range was found: its End and LogStart go into the answer of a fetch.
	View *View
}

// Release lets go of segments and buffers. The parts must not be used afterwards.
func (r *Range) Release() {}

// Read finds whole batches from the one that holds offset on, below the end, up to maxBytes; with atLeastOne the first
// batch is given even when it is larger. A range does not cross segments, and is empty at the end of the log.
// ErrOffsetOutOfRange below the log start and above the end; ErrDropped; ErrCorrupt.
func (l *Log) Read(offset int64, maxBytes int, atLeastOne bool) (*Range, error) {
	return nil, errNotBuilt
}

// ReadCommitted is Read below the last stable offset.
func (l *Log) ReadCommitted(offset int64, maxBytes int, atLeastOne bool) (*Range, error) {
	return nil, errNotBuilt
}

// Position is an offset found by ListOffsets, with the record's time (-1 for the special ones) and the leader epoch of
// its batch (-1 when not known).
type Position struct {
	Offset    int64
	Timestamp int64
	Epoch     int32
}

// OffsetForTime is the first record, from the log start on, whose timestamp is at least ts. false when there is none. It
// may decompress a batch.
func (l *Log) OffsetForTime(ts int64) (Position, bool, error) { return Position{}, false, errNotBuilt }

// MaxTimestamp is the first record with the greatest timestamp. false when the log is empty or no record has a time.
func (l *Log) MaxTimestamp() (Position, bool, error) { return Position{}, false, errNotBuilt }

// Earliest is the log start.
func (l *Log) Earliest() Position { return Position{} }

// Latest is the end.
func (l *Log) Latest() Position { return Position{} }

// EpochEnd answers OffsetForLeaderEpoch: the largest known epoch at most as large as asked for and where it ends;
// (-1, -1) when the epoch is above all known.
func (l *Log) EpochEnd(epoch int32) (int32, int64) { return -1, -1 }
