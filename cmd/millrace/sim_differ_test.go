package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/sim/trial"
)

func TestCompareTraces(t *testing.T) {
	lines := func(n int, last ...string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%d event\n", i)
		}
		return b.String() + strings.Join(last, "\n")
	}
	d, err := compareTraces(strings.NewReader(lines(100)), strings.NewReader(lines(100)))
	if d != nil || err != nil {
		t.Errorf("equal traces: %v, %v", d, err)
	}
	d, err = compareTraces(strings.NewReader(lines(100, "100 read", "101 x")), strings.NewReader(lines(100, "100 write", "101 x")))
	if err != nil || d == nil || d.a != "100 read" || d.b != "100 write" || len(d.before) != linesBefore || d.before[4] != "99 event" {
		t.Errorf("%+v, %v", d, err)
	}
	d, err = compareTraces(strings.NewReader(lines(100)), strings.NewReader(lines(99)))
	if err != nil || d == nil || d.a != "99 event" || d.b != "" {
		t.Errorf("one ends early: %+v, %v", d, err)
	}
}

func TestPartingOf(t *testing.T) {
	a := simReport{Seed: 7, Trail: []uint64{1, 2, 3}}
	for _, c := range []struct {
		trail []uint64
		from  uint64
	}{{[]uint64{1, 9, 9}, 1000}, {[]uint64{1, 2, 3}, 3000}, {[]uint64{1, 2}, 2000}} {
		if p := partingOf(a, simReport{Seed: 7, Trail: c.trail}); p.from != c.from || p.seed != 7 {
			t.Errorf("%v: %+v", c.trail, p)
		}
	}
}

// TestFirstDifference: two processes that run the same plan, of which one draws anew from a time on, differ there and
// not before; those of one plan do not differ.
func TestFirstDifference(t *testing.T) {
	t.Setenv("MILLRACE_TEST_MAIN", "1") // this binary runs the simulator, too
	dir := t.TempDir()
	write := func(name string, p *trial.Plan) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(p.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p := trial.DrawNodes(3, 1)
	const at = 20 * time.Millisecond
	a, b := write("a", p), write("b", p.Reseeded(trial.ReseedPlan{At: at, Number: 1}))
	d, err := firstDifference(t.Context(), []string{"--plan", a}, []string{"--plan", b})
	if err != nil || d == nil {
		t.Fatalf("%v, %v", d, err)
	}
	var event, now int64
	if _, err := fmt.Sscan(d.a, &event, &now); err != nil || now < int64(at) || len(d.before) != linesBefore {
		t.Errorf("the first difference is\n%s", d)
	}
	if d, err := firstDifference(t.Context(), []string{"--plan", a}, []string{"--plan", a}); err != nil || d != nil {
		t.Errorf("the same plan twice: %v\n%s", err, d)
	}
}
