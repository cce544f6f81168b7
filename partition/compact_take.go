package partition

import (
	"slices"

	"millrace/node/host/mutant"
)

// takenCompaction is a compaction that the owner has taken: the marks that hold when its files are part of the log.
type takenCompaction struct {
	marks []CleanMark
	begun bool
}

// TakeCompaction makes what a run has made part of the log, when a checkpoint that begins from now on is durable: all of
// it or, when one of the files that it replaces is not part of the log any more, nothing. What the log start has passed
// meanwhile is left out. Only the owner calls it.
func (l *Log) TakeCompaction(c *Compaction) bool {
	c.unpin()
	if l.closed || l.dropped || l.taken != nil || l.regress != c.view.regress || !l.has(c.outputs) {
		c.Abandon()
		return false
	}
	fills := slices.Clip(l.fills)
	for _, out := range c.outputs {
		if out.info.End <= l.logStart {
			out.abandon()
			continue
		}
		fills = append(fills, &filled{seg: out.seg, info: out.info, replaces: out.replaces})
		out.seg = nil
	}
	c.outputs = nil
	l.fills = fills
	if mutant.On("compaction-forgets-full-map") {
		c.end = c.dirt.To
	}
	marks := addMark(l.marks, c.end, c.wall+c.config.DeleteRetentionMs, c.wall)
	l.taken = &takenCompaction{marks: marks}
	l.dirty = true
	l.Publish()
	if mutant.On("compaction-replaces-before-checkpoint") {
		l.replaceEarly()
	}
	return true
}

// has says whether everything that outputs replace is part of the log, as far as the log start has not passed it.
func (l *Log) has(outputs []*output) bool {
	for _, out := range outputs {
		for _, r := range out.replaces {
			if r.info.End > l.logStart && !slices.ContainsFunc(l.rolled, func(have *rolledSegment) bool { return have.seg == r.seg }) {
				return false
			}
		}
	}
	return true
}

// unclean notes that from offset on what is here is not compacted any more.
func (l *Log) unclean(offset int64) {
	l.regress++
	l.marks = marksBelow(l.marks, offset)
	if l.taken != nil {
		l.taken.marks = marksBelow(l.taken.marks, offset)
	}
}

// replaceEarly is a planted bug.
func (l *Log) replaceEarly() {
	for _, f := range l.fills {
		f.begun = true
	}
	l.taken.begun = true
	for _, r := range l.settleFills() {
		r.seg.doomed = true
		r.seg.ref.Release()
	}
	l.Publish()
}
