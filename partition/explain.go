package partition

import (
	"bytes"
	"errors"

	"millrace/partition/batch"
)

// Explanation says what is known of one offset of a log: whether there is a record, and why or why not.
type Explanation struct {
	// Offset is the one that was asked for; LogStart and End are those of the log, Cleaned how far it is compacted.
	Offset   int64 `json:"offset"`
	LogStart int64 `json:"logStartOffset"`
	End      int64 `json:"logEndOffset"`
	Cleaned  int64 `json:"compactedTo"`
	// State is one of "below", "beyond", "missing", "removed", "there" and "marker".
	State string `json:"state"`
	// Segment is the file of the offset: its base offset, the end of its offsets, its size, and its generation, 0 for one
	// that was never compacted. Active says that it is being written.
	Segment *ExplainedSegment `json:"segment,omitempty"`
	// Batch is the batch of the offset, or the next one.
	Batch *ExplainedBatch `json:"batch,omitempty"`
	// Timestamp, Key and the rest are of the record.
	Timestamp int64 `json:"timestamp,omitempty"`
	// Key is at most 128 bytes of the key; nil when there is none.
	Key       []byte `json:"key,omitempty"`
	Tombstone bool   `json:"tombstone,omitempty"`
	ValueSize int    `json:"valueSize,omitempty"`
	// Superseded is the offset of the next record with this key, -1 when there is none below Searched.
	Superseded int64 `json:"supersededAt"`
	Searched   int64 `json:"searchedTo,omitempty"`
	// Compaction is nil when the topic is not compacted.
	Compaction *ExplainedCompaction `json:"compaction,omitempty"`
}

// ExplainedSegment is a segment in an Explanation.
type ExplainedSegment struct {
	Base         int64 `json:"baseOffset"`
	End          int64 `json:"endOffset"`
	Bytes        int64 `json:"bytes"`
	Generation   int64 `json:"generation"`
	Active       bool  `json:"active"`
	Compacted    bool  `json:"compacted"`
	MaxTimestamp int64 `json:"maxTimestamp"`
}

// ExplainedBatch is a batch in an Explanation.
type ExplainedBatch struct {
	Base          int64  `json:"baseOffset"`
	Last          int64  `json:"lastOffset"`
	Records       int32  `json:"records"`
	Bytes         int    `json:"bytes"`
	Codec         string `json:"codec"`
	LeaderEpoch   int32  `json:"leaderEpoch"`
	ProducerID    int64  `json:"producerId"`
	DeleteHorizon int64  `json:"deleteHorizon,omitempty"`
}

// ExplainedCompaction is how compaction stands in an Explanation.
type ExplainedCompaction struct {
	// Dirty bytes can be compacted now, of Total that count; Ratio is their share, and MinRatio the one at which it begins.
	Dirty    int64   `json:"dirtyBytes"`
	Total    int64   `json:"bytes"`
	Ratio    float64 `json:"dirtyRatio"`
	MinRatio float64 `json:"minDirtyRatio"`
	Due      bool    `json:"due"`
	// To is the offset up to which it could be compacted now, and Held why not further.
	To   int64  `json:"to"`
	Held string `json:"held,omitempty"`
	// DeleteRetentionMs is delete.retention.ms.
	DeleteRetentionMs int64 `json:"deleteRetentionMs"`
}

const (
	// mostExplained bounds how much of a log is searched for a later record of a key.
	mostExplained = 256 << 20
	// shownKey bounds how much of a key is told.
	shownKey = 128
)

// Explain looks at one offset. c is nil when the topic is not compacted. Any task may call it; it reads up to 256 MiB of the
// log behind the offset.
func (l *Log) Explain(offset int64, c *CompactionConfig, wall int64) (Explanation, error) {
	v := l.view.Load()
	e := Explanation{Offset: offset, LogStart: v.LogStart, End: v.End, Cleaned: v.Cleaned(), Superseded: -1, Timestamp: -1}
	if c != nil {
		d := v.Dirt(*c, wall)
		e.Compaction = &ExplainedCompaction{Dirty: d.Dirty, Total: d.Dirty + d.Clean, Ratio: d.Ratio(), MinRatio: c.MinDirtyRatio, Due: d.Due,
			To: d.To, Held: d.Held, DeleteRetentionMs: c.DeleteRetentionMs}
	}
	switch {
	case v.Dropped:
		return e, ErrDropped
	case offset < v.LogStart:
		e.State = "below"
		return e, nil
	case offset >= v.End:
		e.State = "beyond"
		return e, nil
	}
	i := v.segmentAt(offset)
	info := v.segment(i).info
	if info.Base > offset {
		e.State = "missing"
		return e, nil
	}
	e.Segment = &ExplainedSegment{Base: info.Base, End: info.End, Bytes: info.Bytes, Generation: info.Generation,
		Active: i == len(v.rolled), Compacted: info.Sparse, MaxTimestamp: info.MaxTimestamp}
	return e, l.explainBatch(&e)
}

// explainBatch looks for the record.
func (l *Log) explainBatch(e *Explanation) error {
	e.State = "removed"
	one, h, _, err := l.batchAt(e.Offset)
	if errors.Is(err, ErrMissing) {
		e.State = "missing"
		return nil
	}
	if err != nil || one == nil {
		return err
	}
	e.Batch = &ExplainedBatch{Base: h.BaseOffset, Last: h.LastOffset(), Records: h.Count, Bytes: h.Size(), Codec: h.Codec().String(),
		LeaderEpoch: h.LeaderEpoch, ProducerID: h.ProducerID}
	if horizon, ok := h.Horizon(); ok {
		e.Batch.DeleteHorizon = horizon
	}
	coders := l.shared.coders.Get()
	defer l.shared.coders.Put(coders)
	records, err := batch.Read(one, coders, 0)
	if err != nil {
		return err
	}
	var r batch.Record
	var key []byte
	for records.Next(&r) {
		if r.Offset != e.Offset {
			continue
		}
		if e.State = "there"; h.Control() {
			e.State = "marker"
		}
		key = bytes.Clone(r.Key)
		e.Timestamp, e.Key, e.Tombstone, e.ValueSize = r.Timestamp, key[:min(len(key), shownKey)], r.Value == nil, len(r.Value)
	}
	if e.State != "there" || key == nil || e.Compaction == nil {
		return records.Err()
	}
	return l.findLater(e, key)
}

// batchAt reads the batch that holds an offset, or the next one, and returns where its range ends; nil at the end.
func (l *Log) batchAt(offset int64) ([]byte, batch.Header, int64, error) {
	r, err := l.Read(offset, 1, true)
	if err != nil {
		return nil, batch.Header{}, 0, err
	}
	defer r.Release()
	b, err := r.bytes()
	if err != nil || len(b) == 0 {
		return nil, batch.Header{}, r.Next, err
	}
	h, err := batch.Parse(b)
	return b, h, r.Next, err
}

// bytes copies the parts.
func (r *Range) bytes() ([]byte, error) {
	out := make([]byte, 0, r.Bytes)
	for _, p := range r.Parts {
		if p.File == nil {
			out = append(out, p.Bytes...)
			continue
		}
		at := len(out)
		out = out[:at+int(p.Len)]
		if n, err := p.File.ReadAt(out[at:], p.Off); n < int(p.Len) {
			return nil, errors.Join(err, ErrCorrupt)
		}
	}
	return out, nil
}

// findLater looks for the next record with a key.
func (l *Log) findLater(e *Explanation, key []byte) error {
	coders := l.shared.coders.Get()
	defer l.shared.coders.Put(coders)
	e.Searched = e.Offset + 1
	for read := 0; e.Superseded < 0 && e.Searched < e.End && read < mostExplained; {
		r, err := l.Read(e.Searched, compactStep, true)
		if err != nil {
			return err
		}
		b, err := r.bytes()
		next := r.Next
		r.Release()
		if err != nil {
			return err
		}
		read += len(b)
		l.shared.host.Tasks.Compute("explain", len(b), func() {
			err = batch.Batches(b, func(h *batch.Header, one []byte) error {
				if h.Control() || e.Superseded >= 0 {
					return nil
				}
				return batch.Keys(one, coders, func(k batch.Keyed) bool {
					if k.Offset > e.Offset && k.Key != nil && bytes.Equal(k.Key, key) {
						e.Superseded = k.Offset
					}
					return e.Superseded < 0
				})
			})
		})
		if err != nil || next <= e.Searched {
			return err
		}
		e.Searched = next
	}
	return nil
}
