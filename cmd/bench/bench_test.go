package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(c.in); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

// TestTable prints a pair whose second broker misses exactly one aim.
func TestTable(t *testing.T) {
	one := func(name string, mb, cpu, p99 float64, start time.Duration) *side {
		return &side{
			name: name,
			results: map[string][]result{
				"p1k": {{Kind: "produce", MBPerSecond: mb, CPUSecPerGB: cpu, SteadyP99: p99 / 3}},
				"lat": {{Kind: "latency", AckP99: p99}},
			},
			moments: moments{startToAck: start, idleMB: 20, restartToAck: start},
		}
	}
	p := &pair{
		sides:  [2]*side{one("kafka", 100, 2, 7, 5*time.Second), one("millrace", 120, 1, 9, 50*time.Millisecond)},
		loads:  pairLoads,
		rounds: 1,
		nodes:  1,
		stored: 1,
		floor:  map[string][]cost{floorOf: {{CPUSecPerGB: 0.9}}, directOf: {{CPUSecPerGB: 0.7}}},
	}
	var out bytes.Buffer
	p.print(&out)
	for _, want := range []string{
		"acks=all, one node, memory as it was; medians of 1 rounds",
		"| produce 1 KiB, 1 partition | MB/s | 100.00 | 120.00 | 1.20 |",
		"| start, empty | ms to the first acknowledged record | 5000.00 | 50.00 | 0.01 |",
		"| produce 1 KiB, 1 partition | ack p99 ms, steady | 2.33 | 3.00 | 1.29 |",
		"p1k: worse than kafka in p99 at a steady rate\n",
		"lat: worse than kafka in p99\n",
		"in throughput, p99 and CPU: 0 of 2",
		"NOT met: ack p99 at 2,000 records a second 9.00 ms, at most kafka's 7.00",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), "NOT met"); n != 1 {
		t.Errorf("%d aims not met, want 1:\n%s", n, out.String())
	}
}

func TestUsage(t *testing.T) {
	pids, err := parsePids("1,22")
	if err != nil || len(pids) != 2 || pids[1] != 22 {
		t.Fatalf("%v, %v", pids, err)
	}
	if _, err := parsePids("1,x"); err == nil {
		t.Error("x is no process id")
	}
}

// TestStage keeps frames in files as the floor does, without a connection.
func TestStage(t *testing.T) {
	const frames = 12
	for _, s := range steps[:3] {
		k, err := s.open(t.TempDir(), frames)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.take(bytes.NewReader(make([]byte, frames*frameBytes)), frames); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		k.remove()
	}
}

// TestDiskProbe writes for a moment and finds times.
func TestDiskProbe(t *testing.T) {
	d, err := startDiskProbe(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.remove()
	if err := d.run(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	var r result
	d.fill(&r)
	if r.DiskMax <= 0 || r.DiskP99 > r.DiskMax {
		t.Errorf("%+v", r)
	}
}

func TestUnknown(t *testing.T) {
	if err := dispatch(context.Background(), []string{"nothing"}); err == nil {
		t.Error("no error")
	}
}

func TestWarmMemory(t *testing.T) {
	cost, err := warmMemory(64 << 20)
	if err != nil || cost < 0 {
		t.Errorf("warm memory costs %v s/GB, %v", cost, err)
	}
	total, err := memoryInfo("MemTotal")
	if err != nil || total < 64<<20 {
		t.Errorf("MemTotal is %d, %v", total, err)
	}
	if free, err := memoryInfo("MemFree"); err != nil || free <= 0 || free >= total {
		t.Errorf("MemFree is %d of %d, %v", free, total, err)
	}
	if _, err := memoryInfo("Mem"); err == nil {
		t.Error("there is no Mem, and no error")
	}
}
