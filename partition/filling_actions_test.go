package partition_test

import (
	"cmp"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func (p *paper) pick(t *rapid.T) (int, *paperReplica) {
	i := rapid.IntRange(0, len(p.replicas)-1).Draw(t, "replica")
	return i, p.replicas[i]
}

// propose makes an entry, and replicas log entries in order.
func (p *paper) propose(t *rapid.T) {
	if p.end > p.start && rapid.IntRange(0, 5).Draw(t, "kind") == 0 {
		p.start = rapid.IntRange(p.start, p.end).Draw(t, "start")
		p.entries = append(p.entries, cell{base: p.start, variant: -1})
		return
	}
	n := rapid.IntRange(1, 3).Draw(t, "records")
	roll := rapid.IntRange(0, 3).Draw(t, "roll") == 0
	p.entries = append(p.entries, cell{base: p.end, end: p.end + n, bad: roll}) // bad says here that a segment rolls
	p.end += n
}

func (p *paper) logSome(t *rapid.T) {
	_, x := p.pick(t)
	x.logged = min(x.logged+rapid.IntRange(1, 5).Draw(t, "entries"), len(p.entries))
}

func (p *paper) applySome(t *rapid.T) {
	_, x := p.pick(t)
	for n := rapid.IntRange(1, 5).Draw(t, "entries"); n > 0 && x.applied < min(x.logged, p.committed()); n-- {
		x.apply(p.entries[x.applied], p)
	}
}

// goOn is the usual course of things while one replica is away.
func (p *paper) goOn(t *rapid.T) {
	_, away := p.pick(t)
	p.propose(t)
	for _, x := range p.replicas {
		if x != away {
			x.logged = len(p.entries)
		}
	}
	for _, x := range p.replicas {
		for x != away && x.applied < len(p.entries) {
			x.apply(p.entries[x.applied], p)
		}
	}
}

// install gives a replica the manifest of one that is ahead of its log, which forgets everything.
func (p *paper) install(t *rapid.T) {
	_, x := p.pick(t)
	_, from := p.pick(t)
	if from.applied <= x.logged {
		t.Skip("not ahead")
	}
	if p.logIsAppliedFirst {
		for x.applied < x.logged {
			x.apply(p.entries[x.applied], p)
		}
	}
	if p.checkpointComesFirst && (x.begun != nil || x.durable.applied < x.applied) {
		t.Skip("it takes a checkpoint first")
	}
	x.applied, x.logged = from.applied, from.applied
	x.setStart(min(from.start, x.end))
	if from.end > x.end {
		x.roll(p, from.end)
		x.end = from.end
	}
	x.setStart(from.start)
	x.durable = x.checkpoint() // in one append to the write-ahead log, without any other sync
}

func (p *paper) begin(t *rapid.T) {
	_, x := p.pick(t)
	if x.begun != nil {
		t.Skip("one at a time")
	}
	c := x.checkpoint()
	if p.fillsAreSynced {
		c.segments = append(c.segments, x.fills...)
		slices.SortFunc(c.segments, inOrder)
	}
	x.condemned = append(x.condemned, x.doomed...)
	x.doomed = nil
	x.begun = &c
}

func (p *paper) sync(t *rapid.T) {
	_, x := p.pick(t)
	if x.begun == nil || x.begun.synced {
		t.Skip("nothing to sync")
	}
	for _, f := range x.files {
		f.synced = len(f.cells)
	}
	x.begun.synced = true
}

// finish makes a checkpoint durable.
func (p *paper) finish(t *rapid.T) {
	_, x := p.pick(t)
	if x.begun == nil || !x.begun.synced {
		t.Skip("not synced")
	}
	c := *x.begun
	x.begun = nil
	if !p.fillsAreSynced {
		c.segments = append(c.segments, x.fills...)
		slices.SortFunc(c.segments, inOrder)
	}
	x.durable = c
	x.fills = slices.DeleteFunc(x.fills, func(s paperSegment) bool {
		if !slices.Contains(c.segments, s) {
			return false
		}
		x.segments = append(x.segments, s)
		return true
	})
	slices.SortFunc(x.segments, inOrder)
	for _, name := range x.condemned {
		delete(x.files, name)
	}
	x.condemned = nil
	x.damaged = slices.DeleteFunc(x.damaged, func(s paperSegment) bool {
		for o := max(s.base, x.start); o < s.end; o++ {
			if _, ok := p.at(x, o); !ok {
				return false
			}
		}
		x.doomed = append(x.doomed, s.file())
		return true
	})
}

func (p *paper) startPull(t *rapid.T) {
	_, x := p.pick(t)
	i, from := p.pick(t)
	holes := x.holes(true)
	if x.pull != nil || from == x || len(holes) == 0 {
		t.Skip("nothing to pull")
	}
	hole := rapid.SampledFrom(holes).Draw(t, "hole")
	for _, s := range from.segments {
		if s.base > hole[0] || s.end <= hole[0] {
			continue
		}
		position := 0
		cells := from.files[s.file()].cells
		for cells[position].end <= hole[0] {
			position++
		}
		base := cells[position].base
		x.pull = &pull{from: i, segment: s, position: position, hole: hole, file: fileName{base, p.newGeneration(x)}}
		return
	}
	t.Skip("it has not got it")
}

// stepPull fetches one batch. It races with whatever happened at the source meanwhile.
func (p *paper) stepPull(t *rapid.T) {
	_, x := p.pick(t)
	if x.pull == nil {
		t.Skip("no pull")
	}
	from := p.replicas[x.pull.from]
	if rapid.IntRange(0, 3).Draw(t, "meanwhile") == 0 {
		p.rewrite(from, x.pull.segment)
	}
	i := slices.IndexFunc(from.segments, func(s paperSegment) bool {
		return s.base == x.pull.segment.base && (s.generation == x.pull.segment.generation || !p.generationIsChecked)
	})
	if i < 0 {
		x.drop()
		return
	}
	s := from.segments[i]
	if x.pull.position >= s.cells {
		x.handOver(p)
		return
	}
	c := from.files[s.file()].cells[x.pull.position]
	if n := len(x.pull.got); n > 0 && c.base != x.pull.got[n-1].end || c.bad || n == 0 && c.base != x.pull.file.base {
		x.drop()
		return
	}
	if c.base >= x.pull.hole[1] {
		x.handOver(p)
		return
	}
	x.write(x.pull.file, len(x.pull.got), c)
	x.pull.got = append(x.pull.got, c)
	x.pull.position++
	if rapid.IntRange(0, 4).Draw(t, "enough") == 0 || c.end >= x.pull.hole[1] {
		x.handOver(p)
	}
}

func (x *paperReplica) drop() {
	if f := x.pull.file; len(x.pull.got) > 0 {
		delete(x.files, f)
	}
	x.pull = nil
}

// handOver gives the owner a file. It may not be wanted any more.
func (x *paperReplica) handOver(p *paper) {
	n := len(x.pull.got)
	if n == 0 {
		x.pull = nil
		return
	}
	s := paperSegment{base: x.pull.got[0].base, end: x.pull.got[n-1].end, generation: x.pull.file.generation, cells: n}
	wanted := s.end > x.start
	for _, have := range slices.Concat(x.segments, x.fills) {
		if p.fillsNeverOverlap && s.base < have.end && have.base < s.end {
			wanted = false
		}
	}
	if !wanted {
		x.drop()
		return
	}
	x.pull = nil
	x.fills = append(x.fills, s)
}

// rot spoils one batch of a replica; no batch in two places.
func (p *paper) rot(t *rapid.T) {
	_, x := p.pick(t)
	s := rapid.SampledFrom(x.segments).Draw(t, "segment")
	f := x.files[s.file()]
	if s.cells == 0 || f.synced < s.cells {
		t.Skip("nothing at rest")
	}
	c := &f.cells[rapid.IntRange(0, s.cells-1).Draw(t, "batch")]
	for o := c.base; o < c.end; o++ {
		if p.rotten[o] {
			t.Skip("the last copies stay sound")
		}
	}
	for o := c.base; o < c.end; o++ {
		p.rotten[o] = true
	}
	c.bad = true
	p.scrub(x)
}

// scrub finds the damage: the segment is marked, its sound batches become fills, and the rest is a hole.
func (p *paper) scrub(x *paperReplica) {
	for i, s := range x.segments {
		cells := x.files[s.file()].cells[:s.cells]
		if !slices.ContainsFunc(cells, func(c cell) bool { return c.bad }) {
			continue
		}
		if i == len(x.segments)-1 {
			x.roll(p, x.end)
		}
		x.segments = slices.Delete(slices.Clone(x.segments), i, i+1)
		if p.damageIsKept {
			x.damaged = append(x.damaged, s)
		} else {
			x.doomed = append(x.doomed, s.file())
		}
		return
	}
}

// salvage copies the sound batches of a damaged segment.
func (p *paper) salvage(t *rapid.T) {
	_, x := p.pick(t)
	if len(x.damaged) == 0 || x.pull != nil {
		t.Skip("nothing to salvage")
	}
	s := rapid.SampledFrom(x.damaged).Draw(t, "segment")
	for _, c := range slices.Clone(x.files[s.file()].cells[:s.cells]) {
		if c.bad {
			if x.pull != nil {
				x.handOver(p)
			}
			continue
		}
		if x.pull == nil {
			x.pull = &pull{file: fileName{c.base, p.newGeneration(x)}}
		}
		x.write(x.pull.file, len(x.pull.got), c)
		x.pull.got = append(x.pull.got, c)
	}
	if x.pull != nil {
		x.handOver(p)
	}
}

// rewrite is compaction, seen from afar: the same offsets in other bytes, in a new file that is synced before it counts.
func (p *paper) rewrite(x *paperReplica, old paperSegment) {
	i := slices.Index(x.segments, old)
	if i < 0 || i == len(x.segments)-1 {
		return // it grows, or is gone
	}
	s := old
	s.generation = x.generations
	x.generations++
	f := &paperFile{synced: old.cells}
	for _, c := range x.files[old.file()].cells[:old.cells] {
		c.variant++
		f.cells = append(f.cells, c)
	}
	x.files[s.file()] = f
	x.segments = slices.Clone(x.segments)
	x.segments[i] = s
	x.doomed = append(x.doomed, old.file())
}

func (p *paper) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"": p.check, "propose": p.propose, "log": p.logSome, "log again": p.logSome, "apply": p.applySome, "apply again": p.applySome, "go on": p.goOn, "install": p.install,
		"begin checkpoint": p.begin, "sync": p.sync, "finish checkpoint": p.finish, "start pull": p.startPull,
		"step pull": p.stepPull, "step pull again": p.stepPull, "rot": p.rot, "salvage": p.salvage,
		"crash": func(t *rapid.T) { i, _ := p.pick(t); p.crash(t, i) },
	}
}

func TestFillingOnPaper(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { t.Repeat(newPaper(allRules).actions()) })
}

// quiet takes what rapid says of a failure.
type quiet struct {
	*testing.T
	said []string
}

func (q *quiet) Errorf(format string, args ...any) {
	q.said = append(q.said, fmt.Sprintf(format, args...))
}
func (q *quiet) Logf(string, ...any) {}
func (q *quiet) Failed() bool        { return len(q.said) > 0 }
func (q *quiet) FailNow()            {}
func (q *quiet) Fail()               {}

// TestFillingRulesAreNeeded leaves out one rule at a time: each time the model must find what goes wrong then.
func TestFillingRulesAreNeeded(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for name, value := range map[string]string{"rapid.checks": "40000", "rapid.seed": "1", "rapid.steps": "80", "rapid.nofailfile": "true", "rapid.shrinktime": "100ms"} {
		was := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		defer flag.Set(name, was)
	}
	// What takes long to find is looked for where it was found soon.
	seeds := map[string]string{"fillsNeverOverlap": "4", "logIsAppliedFirst": "4", "damageIsKept": "5"}
	fields := reflect.TypeFor[rules]().NumField()
	for i := range fields {
		name := reflect.TypeFor[rules]().Field(i).Name
		t.Run(name, func(t *testing.T) {
			r := allRules
			*map[string]*bool{
				"namesHaveGenerations": &r.namesHaveGenerations, "generationIsChecked": &r.generationIsChecked,
				"fillsWaitForCheckpoint": &r.fillsWaitForCheckpoint, "fillsAreSynced": &r.fillsAreSynced,
				"fillsNeverOverlap": &r.fillsNeverOverlap, "holesAreRefused": &r.holesAreRefused,
				"logIsAppliedFirst": &r.logIsAppliedFirst, "checkpointComesFirst": &r.checkpointComesFirst,
				"damageIsKept": &r.damageIsKept,
			}[name] = false
			if err := flag.Set("rapid.seed", cmp.Or(seeds[name], "1")); err != nil {
				t.Fatal(err)
			}
			q := &quiet{T: t}
			rapid.Check(q, func(t *rapid.T) { t.Repeat(newPaper(r).actions()) })
			if !q.Failed() {
				t.Error("nothing goes wrong without it")
				return
			}
			t.Logf("%.300s", strings.Split(q.said[0], "\n")[0])
		})
	}
}
