package partition

import "math"

const (
	// maxSegmentBytes bounds a segment file, since positions in the index have 32 bits; Kafka's segment.bytes has 31.
	maxSegmentBytes = math.MaxUint32
	// kafkaEntryBytes is the size of an entry of Kafka's offset index, by which segment.index.bytes is understood.
	kafkaEntryBytes = 8
)

// RollConfig are the topic's settings for segments; 0 means no limit.
type RollConfig struct {
	// SegmentBytes is segment.bytes, SegmentMs segment.ms, IndexBytes segment.index.bytes.
	SegmentBytes int64
	SegmentMs    int64
	IndexBytes   int64
}

// RetentionConfig are the topic's settings for retention; negative values mean no limit.
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
	Indexed        int64
}

// RollNeeded says whether the batch must begin a new segment, by Kafka's rules: the segment would become too large, its
// offsets or its index would; or it is too old, by the batch's timestamp against that of the segment's first batch, or by
// the wall clock where the first batch has none.
func (t *Tail) RollNeeded(b Incoming, c RollConfig, wall int64) bool {
	limit := int64(maxSegmentBytes)
	if c.SegmentBytes > 0 {
		limit = min(limit, c.SegmentBytes)
	}
	if t.Bytes == 0 {
		return false
	}
	if t.Bytes+b.Bytes > limit || b.LastOffset-t.Base > math.MaxInt32 {
		return true
	}
	if c.IndexBytes > 0 && (t.Entries+1)*kafkaEntryBytes > c.IndexBytes {
		return true
	}
	if c.SegmentMs <= 0 {
		return false
	}
	if t.FirstTimestamp >= 0 {
		return b.MaxTimestamp-t.FirstTimestamp > c.SegmentMs
	}
	return wall-t.FirstWall > c.SegmentMs
}

// Add counts a batch that begins at base.
func (t *Tail) Add(base int64, b Incoming, roll bool, wall int64) {
	if roll || t.Bytes == 0 {
		*t = Tail{Base: base, FirstTimestamp: b.MaxTimestamp, FirstWall: wall}
	}
	if due(t.Bytes, t.Indexed, defaultIndexInterval) {
		t.Entries, t.Indexed = t.Entries+1, t.Bytes
	}
	t.Bytes += b.Bytes
}

// retentionStart walks over segments from the oldest on and returns where the log should start, start or later. The last
// one, which is being written, may go too, when it has records: then the start is its end, and SetLogStart rolls. What is
// not here is not judged: the walk ends at a hole.
func retentionStart(start int64, segments []SegmentInfo, total int64, c RetentionConfig, wall int64) int64 {
	over := int64(-1)
	if c.RetentionBytes >= 0 {
		over = total - c.RetentionBytes
	}
	at := start
	for i := range segments {
		s := &segments[i]
		if s.Base > at {
			break
		}
		if s.vacant() { // compaction has left nothing of it
			at = s.End
			continue
		}
		large := s.Bytes > 0 && over >= s.Bytes
		newest := s.MaxTimestamp
		if newest < 0 {
			newest = s.LastWall
		}
		old := c.RetentionMs >= 0 && s.LastWall >= 0 && wall-newest > c.RetentionMs
		if !large && !old {
			break
		}
		over -= s.Bytes
		at, start = s.End, s.End
	}
	return start
}
