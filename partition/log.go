package partition

import (
	"fmt"
	"slices"

	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

// Batch is one committed batch as its raft entry describes it. Append uses nothing else: neither clock nor configuration.
type Batch struct {
	// Bytes is the whole batch, with base offset and leader epoch stamped.
	Bytes []byte
	// Wall is the leader's wall clock for the entry, in milliseconds since 1970.
	Wall int64
	// Roll starts a new segment before the batch.
	Roll bool
}

// Log is the log of one partition. The methods of its owner (Append, Publish, SetLogStart, StartEpoch, Roll, checkpoints,
// Idle, Drop, Close, Producers, and the leader's decisions) belong to one task; View, Read, Watch and the look-ups may be
// called from any task.
type Log struct {
	shared *Shared
	writer *writer
	id     ID
	dir    string
	// hold is the log's hold on its directory.
	hold *host.Ref

	logStart, end int64
	epochs        []EpochStart // only appended to, or replaced
	producers     *Producers
	rolled        []*rolledSegment // only replaced
	active        *segment
	info          SegmentInfo // of the active segment
	tail          tail

	// entries are index entries of the active segment from number entriesFrom on; the first flushed ones are written.
	entries     []indexEntry
	entriesFrom int64
	flushed     int64

	// fills are files that wait for a durable checkpoint, damaged those that have something bad in them; replaced only.
	fills   []*filled
	damaged []*rolledSegment
	// gaps says that something is missing between two of rolled; generations is that of the next file to be filled.
	gaps        bool
	generations *host.Counter

	// marks say how far the log is compacted, ascending; replaced only. taken is a compaction that waits for a durable
	// checkpoint. regress counts what the marks do not hold for any more, from a number drawn when the log was opened.
	marks   []CleanMark
	taken   *takenCompaction
	regress int64

	// doomed segments wait for the next checkpoint to begin, condemned ones for that checkpoint to be durable.
	doomed, condemned []*segment
	// onDisk is where the durable checkpoint ends, beginning where the one does that was begun last.
	onDisk, beginning filePosition
	// settled is the number of entries of the segment at settledBase that were written when the last checkpoint began.
	settled, settledBase int64
	// rolledBytes and rolledTime are sums over rolled.
	rolledBytes, rolledTime int64

	dirty   bool
	dropped bool
	closed  bool

	view     *host.Snapshot[View]
	watchers *host.Watchers
}

// rolledSegment is a segment that no longer grows. It never changes.
type rolledSegment struct {
	seg  *segment
	info SegmentInfo
	// entries are the index entries from number from on that may not be in the file yet.
	entries []indexEntry
	from    int64
}

// ID is the partition's name.
func (l *Log) ID() ID { return l.id }

// End is the next offset, with what is appended and not published.
func (l *Log) End() int64 { return l.end }

// Producers is the state of idempotent producers as of the last Append.
func (l *Log) Producers() *Producers { return l.producers }

// Append adds a batch at the end; its base offset must be the end. The bytes are copied, so the caller may let go of them
// at return. Readers see them after Publish. It waits while too much waits to be written to disk. An error is the node's
// death: the entry cannot be applied.
func (l *Log) Append(b Batch) error {
	h, err := batch.Parse(b.Bytes)
	switch {
	case l.closed || l.dropped:
		err = ErrDropped
	case err != nil:
	case h.Size() != len(b.Bytes):
		err = fmt.Errorf("a batch of %d bytes says that it has %d", len(b.Bytes), h.Size())
	case h.BaseOffset != l.end:
		err = fmt.Errorf("a batch begins at offset %d, the log ends at %d", h.BaseOffset, l.end)
	case h.LastOffsetDelta < 0:
		err = fmt.Errorf("a batch has the last offset delta %d", h.LastOffsetDelta)
	}
	if err != nil {
		return fmt.Errorf("append to %v: %w", l.id, err)
	}
	size := int64(len(b.Bytes))
	// The limits of the format are kept whatever the entry says; this too depends on nothing but the log.
	if b.Roll || l.info.Bytes+size > maxSegmentBytes || h.LastOffset()-l.info.Base > 1<<31-1 {
		l.Roll()
	}
	l.resume(len(b.Bytes))
	l.index(&h)
	if err := l.write(b.Bytes); err != nil {
		return fmt.Errorf("append to %v: %w", l.id, err)
	}
	if l.info.Bytes == 0 {
		l.info.FirstTimestamp, l.info.FirstWall = h.MaxTimestamp, b.Wall
	}
	l.info.Bytes += size
	l.info.Transactional = l.info.Transactional || h.Transactional() || h.Control()
	l.info.MaxTimestamp = max(l.info.MaxTimestamp, h.MaxTimestamp)
	l.info.LastWall = b.Wall
	l.end = h.LastOffset() + 1
	l.info.End = l.end
	l.startEpoch(h.LeaderEpoch, h.BaseOffset)
	if h.Idempotent() && !h.Control() {
		l.producers.Update(SequenceOf(&h), h.BaseOffset, h.MaxTimestamp, b.Wall)
	}
	l.dirty = true
	return nil
}

// index adds an entry for the batch that comes at the end, when one is due.
func (l *Log) index(h *batch.Header) {
	if !due(l.info.Bytes, l.info.Indexed, l.shared.o.IndexInterval) {
		return
	}
	e := indexEntry{rel: uint32(h.BaseOffset - l.info.Base), pos: uint32(l.info.Bytes), before: l.info.MaxTimestamp}
	if mutant.On("index-off-by-one-batch") ||
		l.entriesFrom > 0 && len(l.entries) == 0 && mutant.On("index-first-entry-after-start-off") {
		e.pos += uint32(h.Size())
	}
	l.entries = append(l.entries, e)
	l.info.Entries++
	l.info.Indexed = l.info.Bytes
}

// Roll starts a new segment at the end, unless the current one is empty.
func (l *Log) Roll() {
	if l.info.Bytes == 0 {
		return
	}
	l.finishTail()
	l.writer.post(writeOp{kind: finishSegment, seg: l.active, size: l.info.Bytes})
	l.flushIndex()
	r := &rolledSegment{seg: l.active, info: l.info, entries: l.entries, from: l.entriesFrom}
	l.setRolled(append(slices.Clip(l.rolled), r))
	l.newActive()
	l.dirty = true
}

// newActive makes an empty segment at the end. Its file comes into being with its first bytes.
func (l *Log) newActive() {
	l.hold.Acquire() // the log holds it, so this cannot fail
	l.active = newSegment(l.shared, l.writer, l.dir, l.hold, l.end, 0, false)
	l.info = emptySegment(l.end)
	l.entries, l.entriesFrom, l.flushed = nil, 0, 0
}

// StartEpoch notes that leader epoch began at the current end, if it is newer than the last one.
func (l *Log) StartEpoch(epoch int32) {
	l.startEpoch(epoch, l.end)
}

func (l *Log) startEpoch(epoch int32, start int64) {
	if n := len(l.epochs); epoch < 0 || n > 0 && l.epochs[n-1].Epoch >= epoch {
		return
	}
	if n := len(l.epochs); n > 0 && l.epochs[n-1].Start == start {
		l.epochs = slices.Clip(l.epochs[:n-1]) // an epoch without records leaves no trace
	}
	l.epochs = append(l.epochs, EpochStart{epoch, start})
	l.dirty = true
}

// SetLogStart moves the log start up to offset, which is at most the end, and publishes; lower values are ignored. Whole
// segments below disappear from the view at once, the one being written too when the new start is the end; their files
// are deleted after the last reader and after the next durable checkpoint (see Checkpointed).
func (l *Log) SetLogStart(offset int64) error {
	if offset > l.end {
		return fmt.Errorf("set the log start of %v to %d: the log ends at %d: %w", l.id, offset, l.end, ErrOffsetOutOfRange)
	}
	if offset <= l.logStart {
		return nil
	}
	l.logStart = offset
	if offset == l.end {
		l.Roll()
	}
	n := 0
	for n < len(l.rolled) && l.rolled[n].info.End <= offset {
		l.doomed = append(l.doomed, l.rolled[n].seg)
		n++
	}
	l.setRolled(slices.Clone(l.rolled[n:]))
	l.forgetFillsBelow(offset)
	l.tail.forgetBelow(l.firstBase())
	l.epochs = epochsFrom(l.epochs, offset)
	l.dirty = true
	l.Publish()
	return nil
}

func (l *Log) setRolled(rolled []*rolledSegment) {
	l.rolled, l.rolledBytes, l.rolledTime, l.gaps = rolled, 0, -1, false
	for i, r := range rolled {
		l.gaps = l.gaps || i > 0 && rolled[i-1].info.End < r.info.Base
		l.rolledBytes += r.info.Bytes
		l.rolledTime = max(l.rolledTime, r.info.MaxTimestamp)
	}
}

func (l *Log) firstBase() int64 {
	if len(l.rolled) > 0 {
		return l.rolled[0].info.Base
	}
	return l.info.Base
}

// Dirty says whether anything changed since the last BeginCheckpoint.
func (l *Log) Dirty() bool { return l.dirty }

// Drop ends the partition: reads and appends fail with ErrDropped. Its files are deleted by Checkpointed, which the owner
// calls when a checkpoint that does not name the partition is durable.
func (l *Log) Drop() {
	if l.dropped || l.closed {
		return
	}
	l.dropped = true
	l.leave()
	l.doomed = append(l.doomed, l.files()...)
	l.rolled, l.fills, l.damaged = nil, nil, nil
	l.condemn()
}

// condemn makes the doomed segments wait for the checkpoint that begins now.
func (l *Log) condemn() {
	l.condemned = append(l.condemned, l.doomed...)
	l.doomed = nil
}

// release deletes the condemned segments, each after its last reader.
func (l *Log) release() {
	condemned := l.condemned
	l.condemned = nil
	for _, g := range condemned {
		g.doomed = true
		if mutant.On("segment-deleted-while-pinned") {
			g.writer.post(writeOp{kind: truncateSegment, seg: g})
		}
		g.ref.Release()
	}
}

// Close ends the partition and keeps its files. What was not checkpointed is lost, as in a crash.
func (l *Log) Close() {
	if l.dropped || l.closed {
		return
	}
	l.closed = true
	l.leave()
	for _, g := range slices.Concat(l.files(), l.doomed, l.condemned) {
		g.ref.Release()
	}
	l.hold.Release()
}

// leave shows everybody that the log is gone.
func (l *Log) leave() {
	v := *l.view.Load()
	v.Dropped = true
	l.view.Store(&v)
	l.watchers.Wake()
	l.tail.release(l.shared)
}

// Checkpointed tells the log that the checkpoint that was begun last is durable: files that only earlier ones needed are
// deleted. For a dropped log it deletes the directory. Without it no file is ever deleted.
func (l *Log) Checkpointed() {
	if l.closed {
		return
	}
	l.release()
	if l.dropped {
		l.closed = true
		l.hold.Release()
		return
	}
	l.onDisk = l.beginning
	l.settle()
	replaced := l.settleFills()
	l.Publish()
	for _, r := range replaced { // readers find the files that took their place
		r.seg.doomed = true
		r.seg.ref.Release()
	}
}

// files are all segments that belong to the log.
func (l *Log) files() []*segment {
	out := []*segment{l.active}
	for _, r := range slices.Concat(l.rolled, l.damaged) {
		out = append(out, r.seg)
	}
	for _, f := range l.fills {
		out = append(out, f.seg)
	}
	return out
}

// Watch wakes w whenever something is published, until Unwatch. First watch, then read, then wait.
func (l *Log) Watch(w host.Waiter) { l.watchers.Add(w) }

// Unwatch ends Watch.
func (l *Log) Unwatch(w host.Waiter) { l.watchers.Remove(w) }
