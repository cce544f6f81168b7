package trial

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestPlans runs the plans that found bugs once more. Each is named by what it found; other code may take other ways
// with it, so it is no proof that the bug stays away, but a seed that has found something is worth more than a fresh one.
func TestPlans(t *testing.T) {
	names, err := filepath.Glob("testdata/*.plan")
	if err != nil || len(names) == 0 {
		t.Fatalf("no plans: %v", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ReadPlan(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r := Run(p.Seed, Options{Plan: p}); r.Err != nil {
			t.Errorf("%s: %v", name, r.Err)
		}
	}
}

// TestPlansSurviveWriting: what is read back is what was drawn, so that a plan runs as the seed did.
func TestPlansSurviveWriting(t *testing.T) {
	for seed := range uint64(200) {
		p := Draw(seed)
		q, err := ReadPlan([]byte(p.String()))
		if err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("seed %d: %v\n%s\n%s", seed, err, p, q)
		}
	}
	if _, err := ReadPlan([]byte(`{"Nodes": 3, "Faults": [{"Kind": "pause", "From": [4]}]}`)); err == nil {
		t.Error("a fault of a node that is not there was read")
	}
}
