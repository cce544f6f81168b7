package trial

import (
	"os"
	"strconv"
	"testing"
)

// TestSeeds runs a few seeds; .ci/run runs many. SIM_SEEDS sets how many, SIM_NODES with how many nodes.
func TestSeeds(t *testing.T) {
	n, nodes := 12, 0
	if s := os.Getenv("SIM_NODES"); s != "" {
		var err error
		if nodes, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	if s := os.Getenv("SIM_SEEDS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(n) {
		if r := Run(seed, Options{Plan: DrawNodes(seed, nodes)}); r.Err != nil {
			t.Errorf("seed %d: %v\n%s", seed, r.Err, r.Plan)
		}
	}
}

// TestSameSeedSameRun compares two runs of a seed in one process, which share what a process keeps.
func TestSameSeedSameRun(t *testing.T) {
	for seed := range uint64(4) {
		a, b := Run(seed, Options{}), Run(seed, Options{})
		if a.Hash != b.Hash || a.Events != b.Events || a.Acked != b.Acked {
			t.Errorf("seed %d: hash %x after %d events, then %x after %d", seed, a.Hash, a.Events, b.Hash, b.Events)
		}
	}
}

func BenchmarkTrial(b *testing.B) {
	seed := uint64(0)
	acked := 0
	for b.Loop() {
		seed++
		acked += Run(seed, Options{}).Acked
	}
	b.ReportMetric(float64(acked)/float64(b.N), "acked/op")
}
