package partition

import (
	"fmt"

	"millrace/partition/batch"
)

// Position is an offset found by ListOffsets, with the record's time (-1 for the special ones) and the leader epoch of
// its batch (-1 when not known).
type Position struct {
	Offset    int64
	Timestamp int64
	Epoch     int32
}

// Earliest is the log start.
func (l *Log) Earliest() Position {
	v := l.view.Load()
	return Position{v.LogStart, -1, v.EpochOf(v.LogStart)}
}

// Latest is the end, with the last leader epoch.
func (l *Log) Latest() Position {
	v := l.view.Load()
	return Position{v.End, -1, v.lastEpoch()}
}

// LatestStable is the last stable offset, the end for read_committed consumers.
func (l *Log) LatestStable() Position {
	v := l.view.Load()
	return Position{v.LastStable, -1, v.lastEpoch()}
}

func (v *View) lastEpoch() int32 {
	if n := len(v.Epochs); n > 0 {
		return v.Epochs[n-1].Epoch
	}
	return -1
}

// EpochEnd is View().EpochEnd.
func (l *Log) EpochEnd(epoch int32) (int32, int64) { return l.view.Load().EpochEnd(epoch) }

// OffsetForTime is the first record, from the log start on, whose timestamp is at least ts. false when there is none. It
// may decompress batches, under a bound. ErrMissing when the answer may lie in a hole.
func (l *Log) OffsetForTime(ts int64) (Position, bool, error) {
	for {
		v := l.view.Load()
		if v.Dropped {
			return Position{}, false, ErrDropped
		}
		p, found, again, err := l.search(v, ts)
		if again || l.left() {
			continue
		}
		if err != nil {
			err = fmt.Errorf("look for time %d in %v: %w", ts, l.id, err)
		}
		return p, found, err
	}
}

// search looks through the segments of a view. again says that one was deleted meanwhile.
func (l *Log) search(v *View, ts int64) (p Position, found, again bool, err error) {
	at := v.LogStart
	for i := v.segmentAt(at); i < v.Segments(); i++ {
		info := &v.segment(i).info
		if info.Base > at {
			return p, false, false, ErrMissing
		}
		at = info.End
		if info.MaxTimestamp < ts || info.Bytes == 0 {
			continue
		}
		x := l.shared.pin(v, i)
		if x == nil {
			return p, false, true, nil
		}
		p, found, err = x.search(ts, v.LogStart)
		x.close()
		if err != nil {
			l.suspect(v, i, err)
		}
		if found || err != nil {
			return p, found, false, err
		}
	}
	return p, false, false, nil
}

// search finds the first record from offset start on with a timestamp of at least ts.
func (x *source) search(ts, start int64) (Position, bool, error) {
	e, err := x.lookup(func(e indexEntry) bool { return e.before < ts })
	if err != nil {
		return Position{}, false, err
	}
	for pos := int64(e.pos); pos < x.size; {
		h, err := x.header(pos)
		if err != nil {
			return Position{}, false, err
		}
		if h.MaxTimestamp >= ts && h.LastOffset() >= start {
			p, found, err := x.searchBatch(pos, &h, ts, start)
			if found || err != nil {
				return p, found, err
			}
		}
		pos += int64(h.Size())
	}
	return Position{}, false, nil
}

// searchBatch looks at the records of one batch.
func (x *source) searchBatch(pos int64, h *batch.Header, ts, start int64) (p Position, found bool, err error) {
	b, err := x.batch(pos, h)
	if err != nil {
		return p, false, err
	}
	coders := x.shared.coders.Get()
	defer x.shared.coders.Put(coders)
	look := func() {
		var records *batch.Records
		if records, err = batch.Read(b, coders, 0); err != nil {
			return
		}
		var r batch.Record
		for records.Next(&r) {
			if r.Timestamp >= ts && r.Offset >= start {
				p, found = Position{r.Offset, r.Timestamp, h.LeaderEpoch}, true
				return
			}
		}
		err = records.Err()
	}
	if h.Codec() == batch.None {
		look()
	} else {
		x.shared.host.Tasks.Compute("search batch", len(b), look)
	}
	if err != nil {
		err = x.corrupt(pos, err)
	}
	return p, found, err
}

// MaxTimestamp is the first record with the greatest timestamp. false when the log is empty or no record has a time.
// ErrMissing when the log has holes.
func (l *Log) MaxTimestamp() (Position, bool, error) {
	for {
		v := l.view.Load()
		if v.Dropped {
			return Position{}, false, ErrDropped
		}
		if v.MaxTimestamp < 0 || v.LogStart == v.End {
			return Position{}, false, nil
		}
		if !v.Whole {
			return Position{}, false, fmt.Errorf("look for the greatest time of %v: %w", l.id, ErrMissing)
		}
		p, found, again, err := l.search(v, v.MaxTimestamp)
		if !again && !found && err == nil {
			// The record is below the log start, in a segment that is partly above it.
			var greatest int64
			if greatest, again, err = l.greatest(v); !again && err == nil && greatest >= 0 {
				p, found, again, err = l.search(v, greatest)
			}
		}
		if again || l.left() {
			continue
		}
		if err != nil {
			err = fmt.Errorf("look for the greatest time of %v: %w", l.id, err)
		}
		return p, found, err
	}
}

// greatest is the greatest timestamp from the log start on. Of the batch that the log start lies in all records count,
// which is as exact as batch headers are.
func (l *Log) greatest(v *View) (int64, bool, error) {
	first := v.segmentAt(v.LogStart)
	greatest := int64(-1)
	for i := first + 1; i < v.Segments(); i++ {
		greatest = max(greatest, v.segment(i).info.MaxTimestamp)
	}
	x := l.shared.pin(v, first)
	if x == nil {
		return 0, true, nil
	}
	defer x.close()
	pos, h, err := x.locate(v.LogStart)
	for err == nil && pos < x.size {
		if h.BaseOffset >= v.LogStart {
			greatest = max(greatest, latestOf(&h))
		}
		if pos += int64(h.Size()); pos >= x.size {
			break
		}
		h, err = x.header(pos)
	}
	return greatest, false, err
}

// Tail describes the segment being written, for the leader's decision when to roll.
func (l *Log) Tail() Tail {
	return Tail{Base: l.info.Base, Bytes: l.info.Bytes, Entries: l.info.Entries, FirstTimestamp: l.info.FirstTimestamp,
		FirstWall: l.info.FirstWall, Indexed: l.info.Indexed}
}

// RollNeeded says whether a batch must begin a new segment, from the applied state alone; a leader with batches in flight
// keeps a Tail of its own.
func (l *Log) RollNeeded(incoming Incoming, c RollConfig, wall int64) bool {
	t := l.Tail()
	return t.RollNeeded(incoming, c, wall)
}

// RetentionStart is the log start that retention asks for at that wall clock, and whether it is above the present one.
// It may be the end: then the segment being written is given up too.
func (l *Log) RetentionStart(c RetentionConfig, wall int64) (int64, bool) {
	start := retentionStart(l.logStart, l.segments(), l.rolledBytes+l.info.Bytes, c, wall)
	return start, start > l.logStart
}
