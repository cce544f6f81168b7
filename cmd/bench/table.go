package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// figure is one column of a result.
type figure struct {
	name string
	of   func(result) float64
}

// figures of each kind of load.
var figures = map[string][]figure{
	"produce": {
		{"MB/s", func(r result) float64 { return r.MBPerSecond }},
		{"broker CPU-s/GB", func(r result) float64 { return r.CPUSecPerGB }},
		{"ack p50 ms, buffers full", func(r result) float64 { return r.AckP50 }},
		{"ack p99 ms, buffers full", func(r result) float64 { return r.AckP99 }},
		{"produce request p50 ms", func(r result) float64 { return r.RequestP50 }},
		{"produce request p99 ms", func(r result) float64 { return r.RequestP99 }},
		{"ack p50 ms, steady", func(r result) float64 { return r.SteadyP50 }},
		{"ack p99 ms, steady", func(r result) float64 { return r.SteadyP99 }},
		{"resident MB", func(r result) float64 { return r.RSSMB }},
	},
	"consume": {
		{"MB/s", func(r result) float64 { return r.MBPerSecond }},
		{"broker CPU-s/GB", func(r result) float64 { return r.CPUSecPerGB }},
		{"fetch p50 ms", func(r result) float64 { return r.RequestP50 }},
		{"fetch p99 ms", func(r result) float64 { return r.RequestP99 }},
	},
	"latency": {
		{"ack p50 ms", func(r result) float64 { return r.AckP50 }},
		{"ack p99 ms", func(r result) float64 { return r.AckP99 }},
		{"ack p99.9 ms", func(r result) float64 { return r.AckP999 }},
		{"ack p99 ms from when it was due", func(r result) float64 { return r.IntendedAckP99 }},
		{"end to end p50 ms", func(r result) float64 { return r.EndToEndP50 }},
		{"end to end p99 ms", func(r result) float64 { return r.EndToEndP99 }},
		{"broker CPU-s", func(r result) float64 { return r.CPUSec }},
		{"the disk alone, before and after: write p50 ms", func(r result) float64 { return r.DiskP50 }},
		{"the disk alone, before and after: write p99 ms", func(r result) float64 { return r.DiskP99 }},
		{"the disk alone, before and after: longest write ms", func(r result) float64 { return r.DiskMax }},
	},
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func medianOf(results []result, of func(result) float64) float64 {
	var values []float64
	for _, r := range results {
		values = append(values, of(r))
	}
	return median(values)
}

// print writes the pairs as a table, then the floor, then what was wanted.
func (p *pair) print(w io.Writer) {
	a, b := p.sides[0], p.sides[1]
	nodes := "one node"
	if p.nodes > 1 {
		nodes = fmt.Sprintf("%d nodes, %d replicas, CPU and memory of all nodes together", p.nodes, p.nodes)
	}
	memory := "memory as it was"
	if p.warm > 0 {
		memory = fmt.Sprintf("%.3g GB of memory touched before each run", float64(p.warm)/1e9)
	}
	fmt.Fprintf(w, "acks=all, %s, %s; medians of %d rounds, the first discarded\n\n", nodes, memory, p.rounds)
	fmt.Fprintf(w, "| load | figure | %s | %s | ratio |\n|---|---|---:|---:|---:|\n", a.name, b.name)
	for _, l := range p.loads {
		ra, rb := a.results[l.name], b.results[l.name]
		if len(ra) == 0 || len(rb) == 0 {
			continue
		}
		for _, f := range figures[ra[0].Kind] {
			// What was not measured on either side has no row.
			if x, y := medianOf(ra, f.of), medianOf(rb, f.of); x > 0 || y > 0 {
				row(w, l.title, f.name, x, y)
			}
		}
	}
	if p.nodes == 1 {
		p.printMoments(w)
	}
	if p.floor != nil {
		fmt.Fprintf(w, "\n| floor of this machine | CPU-s/GB | MB/s |\n|---|---:|---:|\n")
		for _, s := range steps {
			cpu, speed := p.floorMedian(s.name)
			fmt.Fprintf(w, "| %s | %.2f | %.0f |\n", s.name, cpu, speed)
		}
	}
	fmt.Fprintln(w)
	p.wanted(w)
	p.wantedOfLoads(w)
}

func (p *pair) printMoments(w io.Writer) {
	a, b := p.sides[0].moments, p.sides[1].moments
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	row(w, "start, empty", "ms to the first acknowledged record", ms(a.startToAck), ms(b.startToAck))
	row(w, "idle", "resident MB", a.idleMB, b.idleMB)
	if p.stored > 0 {
		row(w, fmt.Sprintf("start after kill -9 with %.3g GB", p.stored), "ms to the first acknowledged record", ms(a.restartToAck), ms(b.restartToAck))
	}
}

func row(w io.Writer, load, figure string, a, b float64) {
	ratio := "-"
	if a > 0 {
		ratio = fmt.Sprintf("%.2f", b/a)
	}
	fmt.Fprintf(w, "| %s | %s | %.2f | %.2f | %s |\n", load, figure, a, b, ratio)
}

func (p *pair) floorMedian(name string) (cpu, speed float64) {
	var cpus, speeds []float64
	for _, c := range p.floor[name] {
		cpus, speeds = append(cpus, c.CPUSecPerGB), append(speeds, c.MBPerSecond)
	}
	return median(cpus), median(speeds)
}

// aims of each kind of load: in which figures the second broker is to be as good as the first, the lower the better.
var aims = map[string][]figure{
	"produce": {
		{"throughput", func(r result) float64 { return -r.MBPerSecond }},
		{"p99 at full speed", func(r result) float64 { return r.AckP99 }},
		{"p99 at a steady rate", func(r result) float64 { return r.SteadyP99 }},
		{"CPU", func(r result) float64 { return r.CPUSecPerGB }},
	},
	"consume": {
		{"throughput", func(r result) float64 { return -r.MBPerSecond }},
		{"p99", func(r result) float64 { return r.RequestP99 }},
		{"CPU", func(r result) float64 { return r.CPUSecPerGB }},
	},
	"latency": { // both send at the same rate
		{"p99", func(r result) float64 { return r.AckP99 }},
		{"CPU", func(r result) float64 { return r.CPUSec }},
	},
}

// wantedOfLoads says how many loads meet all their aims, and which aims the others miss.
func (p *pair) wantedOfLoads(w io.Writer) {
	a, b := p.sides[0], p.sides[1]
	met, all := 0, 0
	for _, l := range p.loads {
		ra, rb := a.results[l.name], b.results[l.name]
		if len(ra) == 0 || len(rb) == 0 {
			continue
		}
		var missed []string
		for _, f := range aims[ra[0].Kind] {
			if medianOf(rb, f.of) > medianOf(ra, f.of) {
				missed = append(missed, f.name)
			}
		}
		all++
		if len(missed) == 0 {
			met++
		} else {
			fmt.Fprintf(w, "%s: worse than %s in %s\n", l.name, a.name, strings.Join(missed, ", "))
		}
	}
	fmt.Fprintf(w, "loads at least as good as with %s in throughput, p99 and CPU: %d of %d (aim: five of seven)\n", a.name, met, all)
}

// wanted says of each aim whether the second broker met it.
func (p *pair) wanted(w io.Writer) {
	a, b := p.sides[0], p.sides[1]
	aim := func(met bool, format string, args ...any) {
		word := "met:    "
		if !met {
			word = "NOT met:"
		}
		fmt.Fprintf(w, "%s %s\n", word, fmt.Sprintf(format, args...))
	}
	get := func(s *side, load string, of func(result) float64) float64 { return medianOf(s.results[load], of) }
	speed := func(r result) float64 { return r.MBPerSecond }
	cpu := func(r result) float64 { return r.CPUSecPerGB }
	p99 := func(r result) float64 { return r.AckP99 }
	if x, y := get(a, "p1k", speed), get(b, "p1k", speed); x > 0 {
		aim(y >= x, "throughput of 1 KiB records %.0f MB/s, at least %s's %.0f", y, a.name, x)
	}
	if x, y := get(a, "p1k", cpu), get(b, "p1k", cpu); x > 0 && p.nodes > 1 {
		aim(y <= x/2, "CPU of all nodes %.2f s/GB, at most half of %s's %.2f (ratio %.2f)", y, a.name, x, y/x)
		return
	}
	if x, y := get(a, "p1k", cpu), get(b, "p1k", cpu); x > 0 {
		aim(y < x, "broker CPU %.2f s/GB, below %s's %.2f (ratio %.2f, aim 0.7)", y, a.name, x, y/x)
		if floor, _ := p.floorMedian(floorOf); floor > 0 {
			direct, _ := p.floorMedian(directOf)
			aim(y <= 1.4*floor, "broker CPU %.2f s/GB, at most 1.4 times the floor of %.2f (with direct segments %.2f)", y, floor, direct)
		}
	}
	if x, y := get(a, "lat", p99), get(b, "lat", p99); x > 0 {
		aim(y <= x, "ack p99 at 2,000 records a second %.2f ms, at most %s's %.2f", y, a.name, x)
	}
	aim(b.moments.startToAck.Milliseconds() < 150, "start to the first acknowledged record %d ms, below 150", b.moments.startToAck.Milliseconds())
	aim(b.moments.idleMB < 48, "resident memory when idle %.1f MB, below 48", b.moments.idleMB)
	if p.stored > 0 {
		aim(b.moments.restartToAck.Milliseconds() < 500, "restart with %.3g GB stored %d ms, below 500", p.stored, b.moments.restartToAck.Milliseconds())
	}
}
