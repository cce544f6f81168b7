package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/sim/trial"
)

// impossible is a plan that no cluster survives: two of three nodes go for good, and much besides happens.
func impossible() *trial.Plan {
	p := trial.DrawNodes(12, 3)
	p.Faults = append(p.Faults,
		trial.FaultPlan{Kind: "lose", After: 20, Within: 2 * time.Second, From: []int{2}},
		trial.FaultPlan{Kind: "lose", After: 30, Within: 2 * time.Second, From: []int{3}})
	for i := range p.Topics {
		p.Topics[i].Replicas = 3
	}
	return p
}

// TestWhy: of a failing plan hardly anything but what makes it fail is left, and the story says so.
func TestWhy(t *testing.T) {
	if testing.Short() {
		t.Skip("this runs a plan again and again")
	}
	t.Setenv("MILLRACE_TEST_MAIN", "1")
	dir := t.TempDir()
	plan, html := filepath.Join(dir, "plan"), filepath.Join(dir, "page.html")
	if err := os.WriteFile(plan, []byte(impossible().String()), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"sim", "why", plan, "--time", "3m", "--html", html, "--plans", dir}, streams{out: &out, err: &errs}); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	for _, want := range []string{"no progress", "Check D17", "n2 goes and never comes back", "n3 goes and never comes back", "WHAT EACH REPLICA HELD", "VIOLATION"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the story does not say %q:\n%s\n%s", want, out.String(), errs.String())
		}
	}
	names, err := filepath.Glob(filepath.Join(dir, "*-small.plan"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	small, err := trial.ReadPlan(text)
	if err != nil {
		t.Fatal(err)
	}
	if small.Strikes() > 5 {
		t.Errorf("%d faults are left of %d", small.Strikes(), impossible().Strikes())
	}
	if page, err := os.ReadFile(html); err != nil || !bytes.Contains(page, []byte("</html>")) {
		t.Errorf("the page: %v, %d bytes", err, len(page))
	}
}
