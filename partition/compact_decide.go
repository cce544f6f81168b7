package partition

import (
	"math"
	"slices"
)

// CompactionConfig are the topic's settings for compaction.
type CompactionConfig struct {
	// MinDirtyRatio is min.cleanable.dirty.ratio.
	MinDirtyRatio float64
	// MinLagMs and MaxLagMs are min.compaction.lag.ms and max.compaction.lag.ms, DeleteRetentionMs delete.retention.ms.
	MinLagMs, MaxLagMs, DeleteRetentionMs int64
	// SegmentBytes is segment.bytes: how large a file compaction makes of several.
	SegmentBytes int64
}

// Dirt is how much of a log waits for compaction.
type Dirt struct {
	// Clean is the size of what is compacted, Dirty of what can be now, both in bytes; Offsets of the latter.
	Clean, Dirty, Offsets int64
	// Waiting is the size of the next segment when it only waits for a checkpoint.
	Waiting int64
	// From and To are the offsets that can be compacted now.
	From, To int64
	// Due says that it is time: the ratio is reached, a record waits for longer than it may, or something may be removed
	// whose delete horizon has passed.
	Due bool
	// Expired says that there is something whose delete horizon has passed.
	Expired bool
	// Held says why nothing can be compacted now; empty when something can, or there is nothing to do.
	Held string
}

// WantsCheckpoint says that compaction would be due if a checkpoint had what is closed.
func (d *Dirt) WantsCheckpoint(c CompactionConfig) bool {
	return d.Waiting > 0 && float64(d.Dirty+d.Waiting)/float64(d.Clean+d.Dirty+d.Waiting) > c.MinDirtyRatio
}

// Ratio is the share of what can be compacted in all that is, by which logs are chosen.
func (d *Dirt) Ratio() float64 {
	if d.Clean+d.Dirty == 0 {
		return 0
	}
	return float64(d.Dirty) / float64(d.Clean+d.Dirty)
}

// Cleaned is the offset below which the log is compacted.
func (v *View) Cleaned() int64 {
	if n := len(v.Marks); n > 0 {
		return max(v.LogStart, v.Marks[n-1].Offset)
	}
	return v.LogStart
}

// Settled is the offset below which this replica keeps no tombstone of which somebody may still have to hear: it is
// compacted, and all delete horizons have passed; 0 while something of the log is missing or damaged.
func (v *View) Settled(wall int64) (settled int64) {
	if !v.Whole || v.damaged || v.Dropped {
		return 0
	}
	for _, m := range v.Marks {
		if m.Horizon <= wall {
			settled = m.Offset
		}
	}
	return settled
}

// Life changes when the log is opened, and when something comes into it that is not compacted below where it was.
func (v *View) Life() int64 { return v.regress }

// Dirt says what compaction has to do, by Kafka's rules: the segment being written is left alone, and from the first
// segment on whose newest record is younger than min.compaction.lag.ms everything is; so is what no durable checkpoint
// has, and what lies behind the last stable offset.
func (v *View) Dirt(c CompactionConfig, wall int64) Dirt {
	from := v.Cleaned()
	d := Dirt{From: from, To: from}
	switch {
	case v.Dropped:
		return d
	case v.Compacting:
		d.Held = "it was compacted, and the new files take their place at the next checkpoint"
		return d
	case !v.Whole:
		d.Held = "records are missing here and are being filled in"
		return d
	}
	oldest := int64(math.MaxInt64)
	for _, r := range v.rolled {
		s := &r.info
		if s.End <= v.LogStart {
			continue
		}
		d.Expired = d.Expired || s.Horizon > 0 && s.Horizon <= wall && s.End <= from
		if s.End <= from {
			d.Clean += s.Bytes
			continue
		}
		if d.Held = v.held(s, c, wall); d.Held == heldByCheckpoint {
			d.Waiting = s.Bytes
		}
		if d.Held != "" {
			break
		}
		if s.Base < from { // a part of it was compacted when the map was full
			d.Clean += s.Bytes / 2
			d.Dirty += s.Bytes - s.Bytes/2
		} else {
			d.Dirty += s.Bytes
		}
		if s.FirstTimestamp > 0 {
			oldest = min(oldest, s.FirstTimestamp)
		}
		d.To = s.End
	}
	d.Offsets = d.To - d.From
	late := c.MaxLagMs > 0 && oldest < math.MaxInt64 && oldest < wall-c.MaxLagMs
	d.Due = d.Offsets > 0 && (late || d.Ratio() > c.MinDirtyRatio) || d.Expired
	return d
}

const heldByCheckpoint = "no checkpoint has it yet"

// held says why a segment cannot be compacted yet.
func (v *View) held(s *SegmentInfo, c CompactionConfig, wall int64) string {
	newest := s.MaxTimestamp
	if newest < 0 {
		newest = s.LastWall
	}
	switch {
	case s.End > v.LastStable:
		return "a transaction is open"
	case s.Generation == 0 && s.End > v.onDisk.base:
		return heldByCheckpoint
	case c.MinLagMs > 0 && newest > wall-c.MinLagMs:
		return "its newest record is younger than min.compaction.lag.ms"
	}
	return ""
}

// group is a run of segments that become one.
type group []*rolledSegment

// groups puts the segments of which compaction looks at records below end into runs: neighbours that together are not
// larger than a segment may be.
func (v *View) groups(end int64, c CompactionConfig) (out []group) {
	limit := int64(math.MaxInt32)
	if c.SegmentBytes > 0 {
		limit = min(limit, c.SegmentBytes)
	}
	var bytes int64
	for _, r := range v.rolled {
		if r.info.End <= v.LogStart {
			continue
		}
		if r.info.Base >= end {
			break
		}
		n := len(out)
		if n == 0 || bytes+r.info.Bytes > limit || r.info.End-out[n-1][0].info.Base > math.MaxInt32 {
			out = append(out, nil)
			n, bytes = n+1, 0
		}
		out[n-1] = append(out[n-1], r)
		bytes += r.info.Bytes
	}
	return out
}

// marksBelow are the marks that still hold when what is at offset and above is not compacted any more.
func marksBelow(marks []CleanMark, offset int64) []CleanMark {
	n := 0
	for n < len(marks) && marks[n].Offset <= offset {
		n++
	}
	if n == len(marks) {
		return marks
	}
	out := slices.Clone(marks[:n+1])
	out[n].Offset = offset
	return out
}

// mostMarks bounds the marks: of more, neighbours become one.
const mostMarks = 16

// addMark notes that the log is compacted below offset, with delete horizons of up to horizon. Marks whose time has come
// become one.
func addMark(marks []CleanMark, offset, horizon, wall int64) []CleanMark {
	if n := len(marks); n > 0 && offset <= marks[n-1].Offset {
		return marks
	}
	var out []CleanMark
	for i, m := range marks {
		if m.Horizon <= wall && i+1 < len(marks) && marks[i+1].Horizon <= wall {
			continue
		}
		out = append(out, m)
	}
	if n := len(out); n > 0 {
		horizon = max(horizon, out[n-1].Horizon)
	}
	out = append(out, CleanMark{offset, horizon})
	if n := len(out); n > mostMarks {
		out = slices.Delete(out, n-3, n-2)
	}
	return out
}
