package chaos

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Summary is what a run found.
type Summary struct {
	Seed         uint64         `json:"seed"`
	Seconds      float64        `json:"seconds"`
	Faults       map[string]int `json:"faults"`
	Sent         int64          `json:"sent"`
	Acknowledged int64          `json:"acknowledged"`
	Bytes        int64          `json:"bytes"`
	Counts       map[string]int `json:"counts"`
	Operations   int            `json:"operations"`
	// LongestGap is the longest time without any acknowledgement, LongestOfOne of any one log, in milliseconds.
	LongestGap   int64  `json:"longestGapMs"`
	LongestOfOne int64  `json:"longestGapOfOneLogMs"`
	GapLog       string `json:"longestGapLog"`
	GapAt        string `json:"longestGapAt"`
	// Violations are sentences; a run without any is clean.
	Violations []string `json:"violations"`
}

func (r *runner) summary() *Summary {
	log, one := r.worst()
	all := r.longest[anyLog]
	return &Summary{Seed: r.Seed, Seconds: time.Since(r.began).Seconds(), Faults: r.evil.kinds, Sent: r.sent.Load(), Acknowledged: r.acks.Load(),
		Bytes: r.bytes.Load(), Counts: r.counts, LongestGap: all.length().Milliseconds(), LongestOfOne: one.length().Milliseconds(), GapLog: log,
		GapAt: fmt.Sprintf("%.3f s", time.Duration(one.from).Seconds())}
}

// Print writes the summary for a person.
func (s *Summary) Print(w io.Writer) {
	n := 0
	for _, k := range s.Faults {
		n += k
	}
	fmt.Fprintf(w, "seed %d, %.0f s: %d faults (%s)\n", s.Seed, s.Seconds, n, list(s.Faults))
	fmt.Fprintf(w, "%d of %d records acknowledged, %.0f MB; %s\n", s.Acknowledged, s.Sent, float64(s.Bytes)/1e6, list(s.Counts))
	fmt.Fprintf(w, "longest gap between acknowledgements: %d ms; of one log: %d ms (%s, from %s on)\n", s.LongestGap, s.LongestOfOne, s.GapLog, s.GapAt)
	const most = 30
	for _, v := range s.Violations[:min(most, len(s.Violations))] {
		fmt.Fprintf(w, "VIOLATION %s\n", v)
	}
	fmt.Fprintf(w, "%d operations checked, %d violations\n", s.Operations, len(s.Violations))
}

func list(counts map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, counts[k]))
	}
	return strings.Join(parts, ", ")
}
