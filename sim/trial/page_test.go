package trial

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// thePage is docs/simulation.md.
func thePage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/simulation.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPageOfScenarios runs the scenario of the page, and looks there for every actor, fault and plan.
func TestPageOfScenarios(t *testing.T) {
	_, section, _ := strings.Cut(thePage(t), "\n## Writing a scenario\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, text, _ := strings.Cut(section, "```json\n")
	text, _, _ = strings.Cut(text, "```")
	p, err := ReadPlan([]byte(text))
	if err != nil {
		t.Fatalf("the scenario: %v", err)
	}
	if r := Run(p.Seed, Options{Plan: p}); r.Err != nil {
		t.Errorf("the scenario: %v", r.Err)
	}
	actors := []string{"producer", "consumer", "looker", "admin", "offsets", kindMember, kindZombie, kindWatcher, kindForgetter, kindMetadata}
	for _, name := range append(actors, faultKinds...) {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("the page does not name %q", name)
		}
	}
}

// TestPageOfPlans looks for every plan that found a bug in the table of the page.
func TestPageOfPlans(t *testing.T) {
	page := thePage(t)
	names, err := filepath.Glob("testdata/*.plan")
	if err != nil || len(names) == 0 {
		t.Fatalf("no plans: %v", err)
	}
	for _, name := range names {
		name = strings.TrimSuffix(filepath.Base(name), ".plan")
		if !strings.Contains(page, "\n| `"+name+"` |") {
			t.Errorf("the page does not tell of the plan %s", name)
		}
	}
}
