package partition

import (
	"slices"

	"millrace/node/host"
)

// BeginCheckpoint hands everything appended to the disk and describes the log as it is now. It does not wait: the owner
// may go on at once, and whoever makes the checkpoint durable calls Wait first.
func (l *Log) BeginCheckpoint() *PendingCheckpoint {
	l.flushTail()
	l.flushIndex()
	p := &PendingCheckpoint{written: host.NewFuture[error](l.shared.host.Tasks)}
	for _, f := range l.fills {
		f.begun = true
	}
	if l.taken != nil {
		l.taken.begun = true
	}
	l.letGoOfDamaged()
	p.checkpoint = l.describe()
	l.writer.post(writeOp{kind: barrier, done: p.written})
	l.condemn()
	l.beginning = filePosition{l.info.Base, l.info.Bytes}
	l.settled, l.settledBase = l.flushed, l.info.Base
	l.dirty = false
	return p
}

// describe is the log as it is, with the fills that the checkpoint begun last has.
func (l *Log) describe() Checkpoint {
	c := Checkpoint{ID: l.id, LogStart: l.logStart, End: l.end, LastStable: l.end, Epochs: slices.Clone(l.epochs),
		Segments: l.planned(true), Generations: l.generations.Load(), Marks: l.marks, Producers: l.producers.Encode(nil)}
	if l.taken != nil && l.taken.begun {
		c.Marks = l.taken.marks
	}
	for _, r := range l.damaged {
		c.Damaged = append(c.Damaged, r.info)
	}
	c.Held = heldBy(c.Segments)
	return c
}

// Checkpoint is BeginCheckpoint and Wait.
func (l *Log) Checkpoint() (Checkpoint, error) { return l.BeginCheckpoint().Wait() }

// segments describes all segments, the one being written last.
func (l *Log) segments() []SegmentInfo {
	out := make([]SegmentInfo, 0, len(l.rolled)+1)
	for _, r := range l.rolled {
		out = append(out, r.info)
	}
	return append(out, l.info)
}

// planned are the segments as they are when the fills and compactions are part of the log that were handed over, or only
// those of the checkpoint that was begun last.
func (l *Log) planned(begun bool) []SegmentInfo {
	segments := l.segments()
	for _, f := range l.fills {
		if f.begun || !begun {
			segments = insertSegment(withoutSegments(segments, f.replaces), f.info)
		}
	}
	return segments
}

// flushIndex hands over the index entries that are not written yet, from the beginning of a block where they are in
// memory.
func (l *Log) flushIndex() {
	if l.info.Entries == l.flushed {
		return
	}
	first := l.flushed / indexPerBlock * indexPerBlock
	if first < l.entriesFrom {
		first = l.flushed
	}
	w := indexWrite{first: first, entries: l.entries[first-l.entriesFrom:]}
	l.writer.post(writeOp{kind: writeIndex, seg: l.active, index: w, size: l.info.Bytes})
	l.flushed = l.info.Entries
}

// settle forgets index entries that are known to be in the files.
func (l *Log) settle() {
	if from := max(0, l.settled-indexKept) / indexPerBlock * indexPerBlock; l.settledBase == l.info.Base && from > l.entriesFrom {
		l.entries = slices.Clone(l.entries[from-l.entriesFrom:])
		l.entriesFrom = from
	}
	for i, r := range l.rolled {
		if r.info.Base < l.settledBase && r.from < r.info.Entries {
			rolled := slices.Clone(l.rolled)
			rolled[i] = &rolledSegment{seg: r.seg, info: r.info, from: r.info.Entries}
			l.rolled = rolled
		}
	}
}
