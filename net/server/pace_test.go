package server

import (
	"math"
	"testing"
	"time"

	"millrace/node/host"
)

// TestPace takes as many connections as it may, by a clock of its own.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		name string
		rate int64
		idle time.Duration // between two connections, beside what has to be waited
		want []time.Duration
	}{
		{"no bound", math.MaxInt32, 0, []time.Duration{0, 0, 0, 0}},
		{"a second's worth at once", 3, 0, []time.Duration{0, 0, time.Second / 3, time.Second / 3, time.Second / 3}},
		{"one a second", 1, 0, []time.Duration{time.Second, time.Second, time.Second}},
		{"none is one", 0, 0, []time.Duration{time.Second, time.Second}},
		{"slower than the bound", 2, time.Second, []time.Duration{0, 0, 0, 0, 0}},
	} {
		var p pace
		now := host.Instant(5 * time.Hour)
		for i, want := range c.want {
			if got := p.took(now, c.rate); (got - want).Abs() > time.Microsecond {
				t.Errorf("%s: %v after connection %d, want %v", c.name, got, i+1, want)
			} else {
				now = now.Add(got + c.idle)
			}
		}
	}
	// After a rest a second's worth is taken at once again, and not what was not used before.
	var p pace
	now, at := host.Instant(time.Hour), 0
	for p.took(now.Add(10*time.Hour), 100) == 0 {
		at++
	}
	if at < 98 || at > 100 {
		t.Errorf("%d connections at once", at)
	}
}

// TestConnectionsAreTakenAtTheirRate dials a few more at once than are taken in a second.
func TestConnectionsAreTakenAtTheirRate(t *testing.T) {
	s, _ := startEcho(t, Options{AcceptRate: func() int64 { return 20 }})
	began := time.Now()
	for range 30 {
		if !served(t, dial(t, s)) {
			t.Fatal("who comes too fast has to wait, and is served then")
		}
	}
	if took := time.Since(began); took < 400*time.Millisecond || s.Numbers.Paced.Load() == 0 {
		t.Errorf("30 connections at 20 a second took %v, and %d waited", took, s.Numbers.Paced.Load())
	}
}
