package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

// compactStep is about how much is read, and written, at once.
const compactStep = 1 << 20

// Compaction is one run of compaction over a log. It belongs to one task, which is not the log's owner.
//
// It reads what is to be compacted twice: first what is new since the last run, for the last offset of each key; then
// everything up to there, from which it makes new files of what is left. When the map of keys is full before the end,
// the run ends there, and the next one goes on. Nobody sees the new files before the owner has taken the compaction and
// the checkpoint that has it is durable; then they take the place of the old ones, all at once.
type Compaction struct {
	log    *Log
	view   *View
	dirt   Dirt
	config CompactionConfig
	// last holds the last offset of the last batch of each producer that is remembered.
	last map[int64]int64
	// wall is the time of the run.
	wall    int64
	options CompactOptions
	keys    *keyMap
	// hashed are the keys of the batch that is looked at.
	hashed []hashed
	// end is the offset up to which all keys are in the map.
	end     int64
	aborted []abortedTransaction
	// open are the producers of transactions of which a record was seen in this walk.
	open    map[int64]bool
	outputs []*output
	pins    []*segment
	stats   CompactStats
}

// output is a file that takes the place of others.
type output struct {
	builder
	replaces []*rolledSegment
}

// CompactOptions are what a run may use.
type CompactOptions struct {
	// MapBytes bounds the memory for keys.
	MapBytes int64
	// Safe is the offset below which tombstones and transaction markers may be removed when their time has come: no other
	// replica has anything that they stand for, nor owes them to a reader (see View.Settled).
	Safe int64
	// Pace is called before each piece that is read or written with its size; false ends the run.
	Pace func(bytes int) bool
}

// CompactStats are what a run did.
type CompactStats struct {
	// Read and Written are in bytes, of the second reading only.
	Read, Written int64
	// Records were read and Kept; Tombstones were kept of them.
	Records, Kept, Tombstones int64
	// From and To are the offsets that were new in this run.
	From, To int64
	// Files is the number of files that were replaced.
	Files int
	// Full says that the map of keys was full before the end.
	Full bool
}

// ErrEnded is returned by a compaction that was told to end.
var ErrEnded = errors.New("the compaction was ended")

// errFull ends the first reading.
var errFull = errors.New("the map of keys is full")

// BeginCompaction prepares a run over what Dirt says; nil when there is nothing to do. Only the owner calls it. The caller
// ends it with TakeCompaction, by the owner, or with Abandon.
func (l *Log) BeginCompaction(c CompactionConfig, wall int64) *Compaction {
	v := l.view.Load()
	d := v.Dirt(c, wall)
	if l.closed || l.dropped || l.taken != nil || d.Offsets <= 0 && !d.Expired {
		return nil
	}
	run := &Compaction{log: l, view: v, dirt: d, config: c, wall: wall, end: d.To, last: l.producers.lastOffsets(),
		open: map[int64]bool{}}
	for _, r := range v.rolled {
		if r.info.End > v.LogStart && r.info.Base < d.To {
			r.seg.ref.Acquire() // the log holds it, so this cannot fail
			run.pins = append(run.pins, r.seg)
		}
	}
	return run
}

// Expired says that there is something whose delete horizon has passed, so that Options.Safe matters.
func (c *Compaction) Expired() bool { return c.dirt.Expired }

// Run does the work. After an error there is nothing to take. ErrCorrupt when a segment is damaged, which the log's
// owner is told of; ErrEnded; other errors are of the disk.
func (c *Compaction) Run(o CompactOptions) error {
	c.options = o
	err := c.run()
	if c.log.left() {
		err = ErrDropped
	}
	if err != nil {
		c.Abandon()
		return fmt.Errorf("compact %v: %w", c.log.id, err)
	}
	return nil
}

func (c *Compaction) run() error {
	var points [16]byte
	if _, err := io.ReadFull(c.log.shared.host.Secure, points[:]); err != nil {
		return err
	}
	c.keys = newKeyMap(c.options.MapBytes, c.dirt.From, c.dirt.Offsets,
		binary.LittleEndian.Uint64(points[:]), binary.LittleEndian.Uint64(points[8:]))
	if err := c.findAborted(); err != nil {
		return err
	}
	if err := c.mapKeys(); err != nil {
		return err
	}
	c.stats.From, c.stats.To = c.dirt.From, c.end
	for _, g := range c.view.groups(c.end, c.config) {
		if err := c.compactGroup(g); err != nil {
			return err
		}
	}
	c.keys, c.hashed = nil, nil
	return nil
}

// Stats are what the run did.
func (c *Compaction) Stats() CompactStats { return c.stats }

// Abandon gives up the run, with what it made.
func (c *Compaction) Abandon() {
	for _, out := range c.outputs {
		out.abandon()
	}
	c.outputs, c.keys, c.hashed = nil, nil, nil
	c.unpin()
}

func (c *Compaction) unpin() {
	for _, g := range c.pins {
		g.ref.Release()
	}
	c.pins = nil
}

// each reads a segment's batches, checked, and calls do for each from the one that holds offset on. The calls of one piece
// run as one computation, and after them after, if it is not nil, with the piece's position and size.
func (c *Compaction) each(r *rolledSegment, offset int64, do batchWork, after func(x *source, pos int64, n int) error) error {
	if r.info.vacant() {
		return nil
	}
	i := c.view.segmentAt(r.info.Base)
	x := c.log.shared.pin(c.view, i)
	if x == nil {
		return ErrDropped // it is pinned, so this cannot happen
	}
	defer x.close()
	walk := segmentWalk{Compaction: c, x: x, at: course{next: r.info.Base, sparse: r.info.Sparse}, do: do, after: after}
	if offset > r.info.Base && !r.info.Sparse {
		pos, h, err := x.locate(offset)
		if err != nil {
			return err
		}
		walk.pos, walk.at.next = pos, h.BaseOffset
	}
	err := walk.run()
	if err == nil {
		err = walk.at.finished(&r.info)
	}
	if errors.Is(err, ErrCorrupt) && !c.log.left() {
		c.log.suspect(c.view, i, err)
	}
	return err
}

// segmentWalk reads one segment.
type segmentWalk struct {
	*Compaction
	x     *source
	pos   int64
	at    course
	do    batchWork
	after func(x *source, pos int64, n int) error
}

// batchWork is pure work on one batch.
type batchWork func(h *batch.Header, one []byte, coders *batch.Coders) error

func (w *segmentWalk) run() error {
	buffers := w.log.shared.host.Buffers
	buf := buffers.Get(compactStep)
	defer func() { buf.Release() }()
	for w.pos < w.x.size {
		h, err := w.x.header(w.pos)
		if err != nil {
			return err
		}
		n := max(int(min(w.x.size-w.pos, compactStep)), h.Size())
		if n > buf.Cap() {
			buf.Release()
			buf = buffers.Get(n)
		}
		if !w.options.Pace(n) {
			return ErrEnded
		}
		buf.Resize(n)
		if err := w.x.read(buf.Bytes(), w.pos); err != nil {
			return err
		}
		done, err := w.compute(buf.Bytes())
		if err == nil && w.after != nil {
			err = w.after(w.x, w.pos, done)
		}
		if err != nil {
			return err
		}
		w.pos += int64(done)
	}
	return nil
}

// compute looks at the whole batches at the start of b.
func (w *segmentWalk) compute(b []byte) (done int, err error) {
	coders := w.log.shared.coders.Get()
	defer w.log.shared.coders.Put(coders)
	w.log.shared.host.Tasks.Compute("compaction", len(b), func() {
		if done, err = w.view.sound(b, &w.at); err != nil {
			err = w.x.corrupt(w.pos+int64(done), err)
			return
		}
		err = batch.Batches(b[:done], func(h *batch.Header, one []byte) error { return w.do(h, one, coders) })
	})
	return done, err
}

// mapKeys is the first reading.
func (c *Compaction) mapKeys() error {
	for _, r := range c.view.rolled {
		if r.info.End <= c.dirt.From || r.info.Base >= c.dirt.To {
			continue
		}
		err := c.each(r, c.dirt.From, c.mapBatch, nil)
		if errors.Is(err, errFull) {
			c.stats.Full = true
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Compaction) mapBatch(h *batch.Header, one []byte, coders *batch.Coders) error {
	if h.Control() || h.LastOffset() < c.dirt.From || c.isAborted(h) {
		return nil
	}
	c.hashed = c.hashed[:0]
	err := batch.Keys(one, coders, func(k batch.Keyed) bool {
		if k.Key != nil && k.Offset >= c.dirt.From {
			c.hashed = append(c.hashed, c.keys.hashed(k))
		}
		return true
	})
	if err != nil {
		return err
	}
	c.keys.near(c.hashed)
	for _, k := range c.hashed {
		if !c.keys.put(k) {
			c.end = k.offset
			return errFull
		}
	}
	return nil
}

// drawNear does for the second reading of a batch what mapBatch does in the first one, as far as that costs less than
// it brings: it opens the batch once more.
func (c *Compaction) drawNear(h *batch.Header, one []byte, coders *batch.Coders) error {
	if h.Codec() != batch.None {
		return nil
	}
	c.hashed = c.hashed[:0]
	err := batch.Keys(one, coders, func(k batch.Keyed) bool {
		c.hashed = append(c.hashed, c.keys.hashed(k))
		return true
	})
	c.keys.near(c.hashed)
	return err
}

// retain says whether a record stays.
func (c *Compaction) retain(k batch.Keyed, dropTombstones bool) bool {
	if k.Offset >= c.end {
		return true
	}
	if k.Key == nil {
		return false
	}
	last := c.keys.last(c.keys.hashed(k))
	if mutant.On("compaction-keeps-older") {
		return last < 0 || k.Offset <= last
	}
	return k.Offset >= last && !(k.Tombstone && dropTombstones)
}

// filterBatch is what the second reading does with a batch.
func (c *Compaction) filterBatch(dst []byte, h *batch.Header, one []byte, coders *batch.Coders) ([]byte, batch.Filtered, error) {
	if h.BaseOffset >= c.end {
		return append(dst, one...), batch.Filtered{Records: int(h.Count), Kept: int(h.Count), Same: true}, nil
	}
	clean := h.LastOffset() < c.dirt.From
	horizon, has := h.Horizon()
	passed := clean && has && horizon <= c.wall && h.LastOffset() < c.options.Safe
	if mutant.On("compaction-drops-tombstones-early") {
		passed = clean
	}
	f := batch.Filter{Horizon: c.wall + c.config.DeleteRetentionMs, Renew: !clean}
	if last, known := c.last[h.ProducerID]; known && h.Idempotent() {
		f.Empty = last == h.LastOffset()
	}
	switch {
	case h.Control():
		f.Ending = c.markerIsDone(h, one, coders)
		gone := f.Ending && passed
		f.Keep = func(batch.Keyed) bool { return !gone }
	case c.isAborted(h):
		c.open[h.ProducerID] = true
	default:
		if h.Transactional() {
			c.open[h.ProducerID] = true
		}
		if err := c.drawNear(h, one, coders); err != nil {
			return dst, batch.Filtered{}, err
		}
		f.Keep = func(k batch.Keyed) bool { return c.retain(k, passed) }
	}
	return f.Apply(dst, one, coders)
}
