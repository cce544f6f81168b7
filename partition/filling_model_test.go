package partition_test

import (
	"maps"
	"slices"

	"pgregory.net/rapid"
)

// This is filling on paper: replicas of one partition, their segment files with what of them would survive a power cut,
// their checkpoints, and pulls from one another, without a byte of I/O. It was written before the code, to find out which
// rules are needed. A rule is a field of rules; each is needed, since without it the model finds a lie within seconds
// (TestFillingRulesAreNeeded). What it showed, beyond what the design said:
//
//   - A file's name needs its generation: a damaged file keeps its name until a checkpoint without it is durable, and the
//     fill that replaces it begins at the same offset.
//   - A snapshot makes the log forget the entries behind it, and a replica that has holes counts for raft's majority: three
//     replicas can, one after the other, each forget the only copy that is not yet in a segment. So nothing is forgotten:
//     a replica applies what it has logged of the manifest, takes a checkpoint, and installs only then.
//   - A damaged file is marked, not deleted, until other files hold all of its range: its sound batches are the last copy
//     when other replicas rot elsewhere.
type rules struct {
	namesHaveGenerations, generationIsChecked, fillsWaitForCheckpoint, fillsAreSynced, fillsNeverOverlap, holesAreRefused,
	logIsAppliedFirst, checkpointComesFirst, damageIsKept bool
}

var allRules = rules{true, true, true, true, true, true, true, true, true}

// cell is a batch in a file. variant tells rewritten files (compaction) from others; bad is rot.
type cell struct {
	base, end, variant int
	bad                bool
}

type fileName struct{ base, generation int }

type paperFile struct {
	cells  []cell
	synced int // so many survive; -1 when the name does not either
}

type paperSegment struct {
	base, end, generation, cells int
}

func (s paperSegment) file() fileName { return fileName{s.base, s.generation} }

type paperCheckpoint struct {
	applied, start, end, generations int
	segments, damaged                []paperSegment
	synced                           bool // of one that was begun
}

type pull struct {
	from     int
	segment  paperSegment
	position int
	hole     [2]int
	file     fileName
	got      []cell
}

type paperReplica struct {
	applied, start, end int
	logged              int // entries in the write-ahead log, those that it forgot included
	generations         int
	segments            []paperSegment // the last one grows
	fills               []paperSegment // handed over, in no durable checkpoint
	damaged             []paperSegment
	doomed, condemned   []fileName
	files               map[fileName]*paperFile
	durable             paperCheckpoint
	begun               *paperCheckpoint
	pull                *pull
}

// paper is the state machine.
type paper struct {
	rules
	entries  []cell // variant -1: the log start moves to base; roll when end is odd
	end      int
	start    int
	replicas []*paperReplica
	rotten   map[int]bool // offsets that rotted somewhere: never again elsewhere
}

func newPaper(r rules) *paper {
	p := &paper{rules: r, rotten: map[int]bool{}}
	for range 3 {
		x := &paperReplica{files: map[fileName]*paperFile{}, generations: 1, segments: []paperSegment{{}}}
		x.durable = x.checkpoint()
		p.replicas = append(p.replicas, x)
	}
	return p
}

func (x *paperReplica) checkpoint() paperCheckpoint {
	return paperCheckpoint{applied: x.applied, start: x.start, end: x.end, generations: x.generations,
		segments: slices.Clone(x.segments), damaged: slices.Clone(x.damaged)}
}

// newGeneration names the next new file.
func (p *paper) newGeneration(x *paperReplica) int {
	if !p.namesHaveGenerations {
		return 0
	}
	x.generations++
	return x.generations - 1
}

func (x *paperReplica) active() *paperSegment { return &x.segments[len(x.segments)-1] }

func (x *paperReplica) write(name fileName, at int, c cell) {
	f := x.files[name]
	if f == nil {
		f = &paperFile{synced: -1}
		x.files[name] = f
	}
	f.cells = append(f.cells[:min(at, len(f.cells))], c)
	f.synced = min(f.synced, at)
}

func (x *paperReplica) apply(e cell, p *paper) {
	x.applied++
	if e.variant < 0 {
		x.setStart(e.base)
		return
	}
	if e.bad {
		x.roll(p, x.end)
	}
	a := x.active()
	x.write(a.file(), a.cells, cell{base: e.base, end: e.end})
	a.cells++
	a.end, x.end = e.end, e.end
}

func (x *paperReplica) roll(p *paper, base int) {
	if x.active().cells == 0 {
		x.segments = x.segments[:len(x.segments)-1]
	}
	g := 0
	if _, taken := x.files[fileName{base, 0}]; taken {
		g = p.newGeneration(x)
	}
	x.segments = append(x.segments, paperSegment{base: base, end: base, generation: g})
}

func (x *paperReplica) setStart(start int) {
	x.start = max(x.start, start)
	below := func(s paperSegment) bool {
		if gone := s.end <= x.start && s.cells > 0; !gone {
			return false
		}
		x.doomed = append(x.doomed, s.file())
		return true
	}
	last := *x.active()
	x.segments = append(slices.DeleteFunc(x.segments[:len(x.segments)-1], below), last)
	x.fills = slices.DeleteFunc(x.fills, below)
	x.damaged = slices.DeleteFunc(x.damaged, below)
}

func inOrder(a, b paperSegment) int {
	if a.base != b.base {
		return a.base - b.base
	}
	return a.end - b.end
}

// holes are the ranges between log start and end that are neither held nor, with pending, handed over.
func (x *paperReplica) holes(pending bool) [][2]int {
	all := slices.Clone(x.segments)
	if pending {
		all = append(all, x.fills...)
		slices.SortFunc(all, inOrder)
	}
	var out [][2]int
	at := x.start
	for _, s := range all {
		if s.base > at {
			out = append(out, [2]int{at, s.base})
		}
		at = max(at, s.end)
	}
	return out
}

func (p *paper) whole(x *paperReplica) bool {
	if !p.fillsWaitForCheckpoint {
		return len(x.holes(true)) == 0
	}
	return len(x.holes(false)) == 0
}

// at reads the batch that holds an offset as a reader would.
func (p *paper) at(x *paperReplica, offset int) (cell, bool) {
	for _, s := range x.segments {
		if offset >= s.end {
			continue
		}
		if offset < s.base && p.holesAreRefused {
			return cell{}, false
		}
		for _, c := range x.files[s.file()].cells[:s.cells] {
			if offset < c.end {
				return c, true
			}
		}
	}
	return cell{}, false
}

func (p *paper) crash(t *rapid.T, i int) {
	x := p.replicas[i]
	whole := p.whole(x)
	for _, name := range slices.SortedFunc(maps.Keys(x.files), func(a, b fileName) int {
		return (a.base-b.base)*1000 + a.generation - b.generation
	}) {
		f := x.files[name]
		keep := rapid.IntRange(f.synced, max(f.synced, len(f.cells))).Draw(t, "survives")
		if keep < 0 {
			delete(x.files, name)
			continue
		}
		f.cells, f.synced = f.cells[:keep], keep
	}
	d := x.durable
	y := &paperReplica{files: x.files, logged: x.logged, applied: d.applied, start: d.start, end: d.end, generations: d.generations,
		segments: slices.Clone(d.segments), damaged: slices.Clone(d.damaged), durable: d}
	known := map[fileName]bool{}
	for _, s := range slices.Concat(y.segments, y.damaged) {
		known[s.file()] = true
		f := y.files[s.file()]
		switch {
		case f == nil && s.cells == 0:
		case f == nil || len(f.cells) < s.cells:
			t.Fatalf("replica %d: a segment of its checkpoint %v is not in its files: %+v", i, s, f)
		default:
			f.cells = f.cells[:s.cells]
			f.synced = s.cells
		}
	}
	for name := range y.files {
		if !known[name] {
			delete(y.files, name)
		}
	}
	// How far the log is committed need not be known at once.
	for n := rapid.IntRange(y.applied, x.applied).Draw(t, "replayed"); y.applied < n; {
		y.apply(p.entries[y.applied], p)
	}
	p.replicas[i] = y
	for _, h := range y.holes(false) {
		if whole && h[1] > x.start { // the log start may move again
			t.Fatalf("replica %d was whole, and is not after a crash: %v", i, h)
		}
	}
}

// check is what must hold at any time.
func (p *paper) check(t *rapid.T) {
	for i, x := range p.replicas {
		holes := x.holes(false)
		for o := x.start; o < x.end; o++ {
			c, ok := p.at(x, o)
			if !ok {
				if p.whole(x) {
					t.Fatalf("replica %d is whole without offset %d", i, o)
				}
				continue
			}
			if c.base > o || c.end <= o {
				t.Fatalf("replica %d gives %v for offset %d; holes %v", i, c, o, holes)
			}
		}
		for n, s := range slices.Concat(x.segments, x.fills) {
			if n > 0 && n < len(x.segments) && x.segments[n-1].end > s.base {
				t.Fatalf("replica %d: segments %v overlap", i, x.segments)
			}
			if f := x.files[s.file()]; f != nil {
				at, variant := s.base, -1
				for _, c := range f.cells[:s.cells] {
					if c.base != at || variant >= 0 && c.variant != variant {
						t.Fatalf("replica %d: segment %v holds %v", i, s, f.cells)
					}
					at, variant = c.end, c.variant
				}
				if at != s.end {
					t.Fatalf("replica %d: segment %v ends at %d", i, s, at)
				}
			}
		}
	}
	start := 0
	for i, e := range p.entries[:p.committed()] {
		if e.variant < 0 {
			start = max(start, e.base)
		}
		for o := max(e.base, start); o < e.end; o++ {
			p.checkSomewhere(t, i, o)
		}
	}
}

// committed is how many entries a majority has logged.
func (p *paper) committed() int {
	var logged []int
	for _, x := range p.replicas {
		logged = append(logged, x.logged)
	}
	slices.Sort(logged)
	return logged[len(logged)/2]
}

// checkSomewhere looks for a sound copy, since rot is only where there is another one: nothing may be lost for good.
func (p *paper) checkSomewhere(t *rapid.T, entry, o int) {
	for _, x := range p.replicas {
		if x.start > o || x.durable.applied <= entry && entry < x.logged {
			return
		}
		for _, s := range slices.Concat(x.segments, x.fills, x.damaged) {
			if f := x.files[s.file()]; f != nil {
				for _, c := range f.cells[:min(s.cells, len(f.cells))] {
					if c.base <= o && o < c.end && !c.bad {
						return
					}
				}
			}
		}
	}
	t.Fatalf("no replica has offset %d any more", o)
}
