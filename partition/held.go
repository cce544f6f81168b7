package partition

import (
	"errors"
	"slices"

	"millrace/node/host/mutant"
)

// heldBy are the ranges that segments hold, which are ascending and apart.
func heldBy(segments []SegmentInfo) []OffsetRange {
	var out []OffsetRange
	for i := range segments {
		s := &segments[i]
		switch {
		case s.Base == s.End:
		case len(out) > 0 && out[len(out)-1].End == s.Base:
			out[len(out)-1].End = s.End
		default:
			out = append(out, OffsetRange{s.Base, s.End})
		}
	}
	return out
}

// holesIn are the ranges from start to end that held, sorted and apart, leaves out.
func holesIn(start, end int64, held []OffsetRange) []OffsetRange {
	var out []OffsetRange
	for _, r := range held {
		if r.End <= start {
			continue
		}
		if r.Start > start {
			out = append(out, OffsetRange{start, min(r.Start, end)})
		}
		start = max(start, r.End)
	}
	if start < end {
		out = append(out, OffsetRange{start, end})
	}
	return out
}

// insertSegment puts a segment into its place in an ascending list.
func insertSegment(segments []SegmentInfo, s SegmentInfo) []SegmentInfo {
	i, _ := slices.BinarySearchFunc(segments, s.Base, inFrontOf)
	return slices.Insert(segments, i, s)
}

// withoutSegments is a list without the files that another one replaces.
func withoutSegments(segments []SegmentInfo, replaced []*rolledSegment) []SegmentInfo {
	return slices.DeleteFunc(segments, func(s SegmentInfo) bool {
		return slices.ContainsFunc(replaced, func(r *rolledSegment) bool { return nameOf(&r.info) == nameOf(&s) })
	})
}

// inFrontOf orders a segment and the base of one that is put into the list. An empty segment, left by a roll in front of a hole,
// stays in front of what fills the hole: the list ascends by where segments end, too, and a search by offset finds the one
// with records.
func inFrontOf(a SegmentInfo, base int64) int {
	if a.Base == base && a.End == base {
		return -1
	}
	return compare(a.Base, base)
}

// Held are the offset ranges that are here, sorted, apart. A whole replica has one, or none when it has no records.
func (v *View) Held() []OffsetRange { return heldBy(v.infos()) }

// Holes are the ranges between log start and end that are missing, sorted, apart.
func (v *View) Holes() []OffsetRange {
	if v.Whole {
		return nil
	}
	return holesIn(v.LogStart, v.End, v.Held())
}

// infos describes the segments.
func (v *View) infos() []SegmentInfo {
	out := make([]SegmentInfo, v.Segments())
	for i := range out {
		out[i] = v.segment(i).info
	}
	return out
}

// Whole says that nothing between log start and end is missing, in what is published.
func (l *Log) Whole() bool { return l.view.Load().Whole }

func (l *Log) isWhole() bool {
	n := len(l.rolled)
	return !l.gaps && l.firstBase() <= l.logStart && (n == 0 || l.rolled[n-1].info.End == l.info.Base)
}

// MarkDamaged takes a segment away from readers in which something bad was found, and says whether there is such a
// segment. Its range becomes a hole. The file is kept as long as other files do not hold all of its range, since what is
// good in it may be the last copy.
func (l *Log) MarkDamaged(base, generation int64) bool {
	if l.dropped || l.closed {
		return false
	}
	if l.info.Base == base && l.info.Generation == generation {
		l.Roll()
	}
	i := slices.IndexFunc(l.rolled, func(r *rolledSegment) bool {
		return r.info.Base == base && r.info.Generation == generation
	})
	if i < 0 {
		return false
	}
	r := l.rolled[i]
	l.damaged = append(slices.Clip(l.damaged), r)
	l.setRolled(slices.Delete(slices.Clone(l.rolled), i, i+1))
	l.tail.forget(r.seg)
	l.regress++
	l.dirty = true
	l.Publish()
	return true
}

// forget takes the chunks of a segment away from readers to come.
func (t *tail) forget(g *segment) {
	t.chunks = slices.DeleteFunc(slices.Clone(t.chunks), func(c *chunk) bool { return c.seg == g })
}

// letGoOfDamaged dooms the damaged files whose range other files hold, or that the log start has passed.
func (l *Log) letGoOfDamaged() {
	if len(l.damaged) == 0 {
		return
	}
	held := heldBy(l.planned(false))
	l.damaged = slices.DeleteFunc(slices.Clone(l.damaged), func(r *rolledSegment) bool {
		if len(holesIn(max(r.info.Base, l.logStart), r.info.End, held)) > 0 {
			return false
		}
		l.doomed = append(l.doomed, r.seg)
		return true
	})
}

// forgetFillsBelow dooms what the log start has passed before it was ever held.
func (l *Log) forgetFillsBelow(offset int64) {
	l.fills = slices.DeleteFunc(slices.Clone(l.fills), func(f *filled) bool {
		if f.info.End > offset {
			return false
		}
		l.doomed = append(l.doomed, f.seg)
		return true
	})
}

// settleFills makes the fills and compactions of the checkpoint that is durable now part of the log, and returns the
// segments that they replace, which the log no longer refers to.
func (l *Log) settleFills() (replaced []*rolledSegment) {
	rolled, fills := l.rolled, l.fills[:0:0]
	for _, f := range l.fills {
		if !f.begun && !mutant.On("fill-settled-unsynced") {
			fills = append(fills, f)
			continue
		}
		r := &rolledSegment{seg: f.seg, info: f.info, from: f.info.Entries}
		if len(f.replaces) > 0 {
			rolled = slices.DeleteFunc(slices.Clone(rolled), func(old *rolledSegment) bool {
				gone := slices.ContainsFunc(f.replaces, func(r *rolledSegment) bool { return r.seg == old.seg })
				if gone {
					replaced = append(replaced, old)
					l.tail.forget(old.seg)
				}
				return gone
			})
		}
		i, _ := slices.BinarySearchFunc(rolled, f.info.Base, func(a *rolledSegment, base int64) int { return inFrontOf(a.info, base) })
		rolled = slices.Insert(slices.Clone(rolled), i, r)
	}
	if l.taken != nil && l.taken.begun {
		l.marks, l.taken = l.taken.marks, nil
	}
	if len(fills) == len(l.fills) {
		return nil
	}
	l.fills = fills
	l.setRolled(rolled)
	return replaced
}

// suspect tells the node that a reader found segment number i of a view damaged.
func (l *Log) suspect(v *View, i int, err error) {
	if l.shared.o.Damaged != nil && errors.Is(err, ErrCorrupt) {
		s := v.segment(i)
		l.shared.o.Damaged(l.id, s.info.Base, s.info.Generation)
	}
}
