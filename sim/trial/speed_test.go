package trial_test

import (
	"testing"
	"time"

	"millrace/sim/trial"
)

// BenchmarkSeeds runs clusters of three, a seed for each round from 1 on. With -cpuprofile it shows where the time goes:
//
//	go test ./sim/trial -run '^$' -bench Seeds -benchtime 100x -cpu 1 -cpuprofile cpu.prof
func BenchmarkSeeds(b *testing.B) {
	var virtual time.Duration
	acked := 0
	for i := range b.N {
		r := trial.Run(0, trial.Options{Plan: trial.DrawNodes(uint64(i)+1, 3)})
		if r.Err != nil {
			b.Fatalf("seed %d: %v", i+1, r.Err)
		}
		virtual += r.Virtual
		acked += r.Acked
	}
	b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "x-real-time")
	b.ReportMetric(float64(acked)/virtual.Seconds(), "acked/simulated-s")
}
