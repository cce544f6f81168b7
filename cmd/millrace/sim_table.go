package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"millrace/sim/trial"
)

// frequency counts something over many runs.
type frequency struct {
	runs, times int
}

// summary adds up results.
type summary struct {
	runs, crashes      int
	acked, answered    int // records, operations
	nodes              map[int]int
	virtual, real, cpu time.Duration
	fired, reached     map[string]frequency
	beyond             bool
}

func newSummary() *summary {
	return &summary{nodes: make(map[int]int), fired: make(map[string]frequency), reached: make(map[string]frequency)}
}

func (x *summary) add(r simReport) {
	x.runs++
	x.nodes[r.Nodes]++
	x.acked += r.Acked
	x.answered += r.Answered
	x.crashes += r.Crashes
	x.virtual += r.Virtual
	x.real += r.Real
	x.cpu += r.CPU
	addCounts(x.fired, r.Fired)
	addCounts(x.reached, r.Reached)
}

func addCounts(into map[string]frequency, what map[string]int) {
	for _, kind := range slices.Sorted(maps.Keys(what)) {
		if n := what[kind]; n > 0 {
			t := into[kind]
			into[kind] = frequency{t.runs + 1, t.times + n}
		}
	}
}

// times are the counts alone.
func times(of map[string]frequency) map[string]int {
	counts := make(map[string]int)
	for kind, t := range of {
		counts[kind] = t.times
	}
	return counts
}

// enoughRuns is from how many runs on every kind of fault is expected.
const enoughRuns = 500

// unfired lists the kinds of fault that should have fired and did not. What only clusters have is not missed without them.
func (x *summary) unfired() []string {
	var missing []string
	for _, kind := range trial.Kinds() {
		if x.fired[kind].runs == 0 {
			missing = append(missing, kind)
		}
	}
	return missing
}

// print writes the tables: faults, states, and the speed.
func (x *summary) print(out io.Writer, took time.Duration) {
	runs := float64(max(1, x.runs))
	table := func(title string, of map[string]frequency) {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(w, "runs\ttimes\t  %s\n", title)
		kinds := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
			return cmp.Or(cmp.Compare(of[b].runs, of[a].runs), cmp.Compare(a, b))
		})
		for _, kind := range kinds {
			fmt.Fprintf(w, "%.1f%%\t%d\t  %s\n", 100*float64(of[kind].runs)/runs, of[kind].times, kind)
		}
		w.Flush()
		fmt.Fprintln(out)
	}
	table("faults fired", x.fired)
	table("states reached", x.reached)
	if missing := x.unfired(); x.runs < enoughRuns || x.beyond {
		fmt.Fprintf(out, "%d of %d kinds of fault fired\n", len(trial.Kinds())-len(missing), len(trial.Kinds()))
	} else if len(missing) > 0 {
		fmt.Fprintf(out, "never fired: %s\n", strings.Join(missing, ", "))
	} else {
		fmt.Fprintf(out, "every kind of fault fired (%d kinds)\n", len(trial.Kinds()))
	}
	fmt.Fprintf(out, "%d runs (%d of one node, %d of three, %d of five), %d records acknowledged, %d crashes\n", x.runs, x.nodes[1],
		x.nodes[3], x.nodes[5], x.acked, x.crashes)
	simulated := max(1e-9, x.virtual.Seconds())
	fmt.Fprintf(out, "%v simulated in %v and %v of CPU: %.0f times real time per core, %.0f ms of a core a run\n", x.virtual.Round(time.Second),
		took.Round(time.Millisecond), x.cpu.Round(time.Millisecond), x.virtual.Seconds()/max(1e-9, x.cpu.Seconds()), x.cpu.Seconds()*1000/runs)
	fmt.Fprintf(out, "a simulated second had %.1f acknowledged records and %.1f acknowledged operations\n", float64(x.acked)/simulated,
		float64(x.answered)/simulated)
}
