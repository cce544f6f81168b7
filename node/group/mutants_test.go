//go:build mutants

package group

import (
	"fmt"
	"strings"
	"testing"

	"millrace/node/host/mutant"
	"pgregory.net/rapid"
)

// TestMutantsAreFound plants this room's bugs one by one; the model must find each.
func TestMutantsAreFound(t *testing.T) {
	for _, m := range mutant.All() {
		if !strings.HasPrefix(m.Name, "group-") || m.Name == "group-read-unconfirmed" { // that one is of the room above
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			mutant.Enable(m.Name)
			defer mutant.Enable("")
			for round := range 20 {
				if why := finds(runConsumerModel); why != "" {
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
