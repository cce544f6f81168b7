package partition

// Checkpoint is a log as of one applied entry, without its records: what recovery begins with.
type Checkpoint struct {
	ID                        ID
	LogStart, End, LastStable int64
	Held                      []OffsetRange
	Epochs                    []EpochStart
	Segments                  []SegmentInfo
	Producers                 []byte
}

// SegmentInfo describes a segment file.
type SegmentInfo struct {
	// Base is the offset that names the file. It holds offsets from Base up to, not including, End.
	Base, End int64
	// Bytes is its length.
	Bytes int64
	// MaxTimestamp is the greatest timestamp, FirstTimestamp that of the first batch; -1 when there is none.
	MaxTimestamp, FirstTimestamp int64
	// FirstWall and LastWall are the entry times of its first and last batch.
	FirstWall, LastWall int64
}

// Encode appends the checkpoint with its format version to b.
func (c *Checkpoint) Encode(b []byte) []byte { return b }

// DecodeCheckpoint reads what Encode wrote.
func DecodeCheckpoint(b []byte) (Checkpoint, error) { return Checkpoint{}, errNotBuilt }

// PendingCheckpoint is a checkpoint whose bytes are on their way to the disk.
type PendingCheckpoint struct{}

// Wait waits until everything the checkpoint speaks of is written, which is not yet durable: Disk.SyncAll comes next.
// Any one task may call it, once.
func (p *PendingCheckpoint) Wait() (Checkpoint, error) { return Checkpoint{}, errNotBuilt }
