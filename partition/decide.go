package partition

// RollConfig are the topic's settings for segments.
type RollConfig struct {
	// SegmentBytes is segment.bytes, SegmentMs segment.ms, IndexBytes segment.index.bytes.
	SegmentBytes int64
	SegmentMs    int64
	IndexBytes   int64
}

// RetentionConfig are the topic's settings for retention: negative values mean no limit.
type RetentionConfig struct {
	RetentionMs, RetentionBytes int64
}

// Incoming is a batch as far as the decision to roll depends on it.
type Incoming struct {
	LastOffset   int64
	MaxTimestamp int64
	Bytes        int64
}

// Tail is the segment being written as far as the decision to roll depends on it. The leader copies it at the start of
// its term and Adds each batch that it proposes.
type Tail struct {
	Base           int64
	Bytes          int64
	Entries        int64
	FirstTimestamp int64
	FirstWall      int64
}

// RollNeeded says whether the batch must begin a new segment.
func (t *Tail) RollNeeded(b Incoming, c RollConfig, wall int64) bool { return false }

// Add counts a batch that begins at base.
func (t *Tail) Add(base int64, b Incoming, roll bool, wall int64) {}
