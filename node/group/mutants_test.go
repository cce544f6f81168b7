//go:build mutants

package group

import (
	"fmt"
	"testing"

	"millrace/node/host/mutant"
	"pgregory.net/rapid"
)

// TestMutantsAreFound plants those of this room's bugs one by one that its tests show sooner than whole runs (sim/trial); the
// model or the script must find each.
func TestMutantsAreFound(t *testing.T) {
	migration := func() string {
		probe := &probe{}
		runScript(probe, "testdata/consumer-migration.txt")
		return probe.why
	}
	for name, finds := range map[string]func() string{
		"group-assigned-before-released": func() string { return finds(runConsumerModel) },
		"group-migrated-without-claims":  migration,
		"group-migrated-with-old-target": migration,
		"group-downgraded-with-timers":   func() string { return finds(runMigrationModel) },
		"group-downgraded-with-target":   migration,
	} {
		t.Run(name, func(t *testing.T) {
			mutant.Enable(name)
			defer mutant.Enable("")
			for round := range 20 {
				if why := finds(); why != "" {
					t.Logf("found in round %d: %.300s", round, why)
					return
				}
			}
			t.Errorf("not found")
		})
	}
}

// finds runs a property and says why it does not hold, or "".
func finds(property func(*rapid.T)) (why string) {
	defer func() {
		if r := recover(); r != nil {
			why = fmt.Sprint(r)
		}
	}()
	probe := &probe{}
	rapid.Check(probe, property)
	return probe.why
}

// probe is a test that ends at its first failure by a panic.
type probe struct {
	testing.TB
	why string
}

func (p *probe) Helper()                   {}
func (p *probe) Name() string              { return "probe" }
func (p *probe) Logf(string, ...any)       {}
func (p *probe) Log(...any)                {}
func (p *probe) Failed() bool              { return p.why != "" }
func (p *probe) Fail()                     { p.why = "failed" }
func (p *probe) FailNow()                  { panic(p.why) }
func (p *probe) Errorf(f string, a ...any) { p.why += fmt.Sprintf(f, a...) }
func (p *probe) Error(a ...any)            { p.why += fmt.Sprint(a...) }
func (p *probe) Fatalf(f string, a ...any) { panic(p.why + fmt.Sprintf(f, a...)) }
func (p *probe) Fatal(a ...any)            { panic(p.why + fmt.Sprint(a...)) }
