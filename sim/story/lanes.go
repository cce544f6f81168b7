package story

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// drawing is a tale as shapes. Every shape has two horizontal places: by the order of events, in which nothing lies on
// top of something else, and by time.
type drawing struct {
	Lanes  []lane
	Bars   []bar
	Marks  []mark
	Charts []chart
	// Height is that of the lanes, Width the one by order.
	Height, Width int
	Violation     *mark
	// Decided are the places between which it was decided, if that is known.
	Decided []place
	scale   scale
}

type lane struct {
	Name string
	Y    int
}

// place is where something is, by order and by time.
type place struct{ A, B float64 }

type bar struct {
	From, To place
	Y        int
	Class    string
	Title    string
}

type mark struct {
	At    place
	Y     int
	Class string
	Sign  string
	Title string
	Index int // of the event
}

// chart is the offsets of a partition over the run.
type chart struct {
	Log    string
	Lines  []line
	Boxes  []box
	Height int
	Most   int64
	Focus  bool
}

type line struct {
	Class, Title string
	Points       []point
}

type point struct {
	At place
	Y  float64
}

type box struct {
	At     place
	Y, H   float64
	Class  string
	Title  string
	Offset int64
}

const (
	laneHeight  = 26
	chartHeight = 220
	orderStep   = 9
	leftEdge    = 12
	leastWidth  = 1100
)

// scale turns times into places.
type scale struct {
	times []time.Duration // of the events, each once
	end   time.Duration
	width float64
}

func newScale(t *Tale) scale {
	s := scale{end: max(t.End, 1)}
	for _, e := range t.Events {
		s.times = append(s.times, e.At)
	}
	s.times = append(s.times, 0, s.end)
	slices.Sort(s.times)
	s.times = slices.Compact(s.times)
	s.end = s.times[len(s.times)-1]
	s.width = max(leastWidth, float64(len(s.times)*orderStep))
	return s
}

func (s scale) at(d time.Duration) place {
	i, exact := slices.BinarySearch(s.times, d)
	a := float64(i)
	if !exact && i > 0 && i < len(s.times) { // between two events
		a = float64(i-1) + float64(d-s.times[i-1])/float64(s.times[i]-s.times[i-1])
	}
	n := float64(max(1, len(s.times)-1))
	return place{leftEdge + a/n*s.width, leftEdge + float64(d)/float64(s.end)*s.width}
}

// draw makes a drawing of a tale.
func draw(t *Tale, v *Verdict) *drawing {
	d := &drawing{scale: newScale(t)}
	if from, to, ok := v.Decided(); ok {
		d.Decided = []place{d.scale.at(from), d.scale.at(to)}
	}
	d.Width = int(d.scale.width) + 2*leftEdge
	d.lanes(t)
	d.lives(t)
	d.marks(t)
	d.charts(t)
	return d
}

// laneOf is the lane of an event.
func laneOf(e *Event) string {
	switch e.Kind {
	case Ack, Refused, Unknown, Read, Ends, Admin:
		return "clients"
	case Fault, Over:
		if len(e.Other) > 0 {
			return linkName(e)
		}
	case World:
		if strings.Contains(e.Text, "reset") || strings.Contains(e.Text, "refused") {
			return "network"
		}
	}
	switch {
	case e.Node == "c" || e.Node == "" || e.Node == "clients":
		return "clients"
	case e.Disk:
		return e.Node + " disk"
	}
	return e.Node
}

// linkName names what lies between the nodes of a fault.
func linkName(e *Event) string { return e.Node + " – " + strings.Join(e.Other, ", ") }

func (d *drawing) lanes(t *Tale) {
	names := []string{"clients"}
	for i := range t.Nodes {
		names = append(names, fmt.Sprintf("n%d", i+1), fmt.Sprintf("n%d disk", i+1))
	}
	var links []string
	for i := range t.Events {
		if name := laneOf(&t.Events[i]); !slices.Contains(names, name) && !slices.Contains(links, name) {
			links = append(links, name)
		}
	}
	slices.Sort(links)
	for i, name := range append(names, links...) {
		d.Lanes = append(d.Lanes, lane{name, 8 + i*laneHeight})
	}
	d.Height = 16 + len(d.Lanes)*laneHeight
}

func (d *drawing) y(name string) int {
	for _, l := range d.Lanes {
		if l.Name == name {
			return l.Y
		}
	}
	return d.Lanes[0].Y
}

// lives draws what lasts: processes, pauses, faults.
func (d *drawing) lives(t *Tale) {
	type open struct {
		from time.Duration
		text string
	}
	up, paused, faults := map[string]open{}, map[string]open{}, map[int]open{}
	add := func(from, to time.Duration, lane, class, title string) {
		d.Bars = append(d.Bars, bar{d.scale.at(from), d.scale.at(to), d.y(lane), class, title})
	}
	shut := func(m map[string]open, node string, to time.Duration, class string) {
		if o, ok := m[node]; ok {
			add(o.from, to, node, class, o.text)
			delete(m, node)
		}
	}
	lanes := map[int]string{}
	for i := range t.Events {
		e := &t.Events[i]
		switch e.Kind {
		case Boot:
			up[e.Node] = open{e.At, e.Text}
		case End:
			shut(paused, e.Node, e.At, "paused")
			shut(up, e.Node, e.At, "up")
		case Pause:
			paused[e.Node] = open{e.At, e.Text}
		case Resume:
			shut(paused, e.Node, e.At, "paused")
		case Fault:
			faults[e.Fault], lanes[e.Fault] = open{e.At, e.Text}, laneOf(e)
		case Over:
			if o, ok := faults[e.Fault]; ok {
				add(o.from, e.At, lanes[e.Fault], "fault", o.text)
				delete(faults, e.Fault)
			}
		}
	}
	for _, l := range d.Lanes {
		shut(paused, l.Name, t.End, "paused")
		shut(up, l.Name, t.End, "up")
	}
	for i := range len(t.Faults) + 1 {
		if o, ok := faults[i]; ok {
			add(o.from, t.End, lanes[i], "fault", o.text)
		}
	}
}

// signs are the letters of marks; what has none is a small bar.
var signs = map[Kind]string{Fault: "✷", World: "✷", Boot: "▲", End: "✕", Gone: "!", Lead: "L", Refused: "r", Unknown: "?", Violation: "✖"}

func (d *drawing) marks(t *Tale) {
	for i := range t.Events {
		e := &t.Events[i]
		if e.Kind == Over || e.Kind == Resume || e.Kind == Pause {
			continue // ends of bars
		}
		m := mark{d.scale.at(e.At), d.y(laneOf(e)), string(e.Kind), signs[e.Kind], strings.TrimSpace(at(e.At)) + "  " + e.Text, i}
		if e.Kind == Violation {
			d.Violation = &m
			continue
		}
		d.Marks = append(d.Marks, m)
	}
}

// charts draws the offsets of each partition.
func (d *drawing) charts(t *Tale) {
	focus := t.about().log
	var logs []string
	most := map[string]int64{}
	for _, e := range t.Events {
		if e.Log == "" || e.Kind == Lead {
			continue
		}
		if !slices.Contains(logs, e.Log) {
			logs = append(logs, e.Log)
		}
		most[e.Log] = max(most[e.Log], e.To)
	}
	slices.SortFunc(logs, func(a, b string) int {
		if (a == focus) != (b == focus) {
			if a == focus {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	for i, log := range logs {
		c := chart{Log: log, Height: chartHeight, Most: max(1, most[log]), Focus: i == 0}
		d.chart(t, &c)
		d.Charts = append(d.Charts, c)
	}
}

func (c *chart) y(offset int64) float64 {
	return chartHeight - 10 - float64(offset)/float64(c.Most)*(chartHeight-20)
}

func (d *drawing) chart(t *Tale, c *chart) {
	high := line{Class: "high", Title: "end of the log, as brokers say"}
	for i := range t.Events {
		e := &t.Events[i]
		if e.Log != c.Log {
			continue
		}
		switch e.Kind {
		case Ack, Read:
			if e.To > e.From {
				c.Boxes = append(c.Boxes, box{d.scale.at(e.At), c.y(e.To), max(1.5, c.y(e.From)-c.y(e.To)), string(e.Kind), strings.TrimSpace(at(e.At)) + "  " + e.Text, e.From})
			}
		case Ends:
			high.step(d.scale.at(e.At), c.y(e.To))
		}
	}
	c.Lines = append(c.Lines, high)
	for i := range t.Nodes {
		l := line{Class: fmt.Sprintf("node%d", i%5), Title: fmt.Sprintf("what n%d holds durably", i+1)}
		for j := range t.Looks {
			for k := range t.Looks[j].Replicas {
				r := &t.Looks[j].Replicas[k]
				if r.Log == c.Log && r.Node == fmt.Sprintf("n%d", i+1) {
					l.step(d.scale.at(t.Looks[j].At), c.y(min(r.end(), c.Most)))
				}
			}
		}
		if len(l.Points) > 0 {
			c.Lines = append(c.Lines, l)
		}
	}
}

// step goes on to the right and then to another height.
func (l *line) step(p place, y float64) {
	if n := len(l.Points); n > 0 {
		l.Points = append(l.Points, point{p, l.Points[n-1].Y})
	}
	l.Points = append(l.Points, point{p, y})
}

// end is the offset behind what the replica holds durably.
func (r *Replica) end() int64 {
	end := r.Checkpoint
	for _, b := range r.Batches {
		if b.Synced {
			end = max(end, b.To)
		}
	}
	return end
}
