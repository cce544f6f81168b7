package node

import (
	"strings"
	"testing"
)

func TestReadiness(t *testing.T) {
	well := []Condition{{Name: "a", Met: true}, {Name: "b", Met: false, Told: true, Message: "m"}}
	if !ReadyBy(well) || ReadyBy(append(well, Condition{Name: "c"})) {
		t.Error("readiness is that every condition is met that is not only told")
	}
	if s := well[1].String(); s != "--  b: m" {
		t.Errorf("%q", s)
	}
	b, stop := startBroker(t, t.TempDir(), testConfig())
	if !b.Ready() {
		t.Errorf("a broker that has started is not ready: %v", b.Conditions())
	}
	if code := b.caughtUp.Load(); code != 1 {
		t.Errorf("it has caught up %d times", code)
	}
	stop()
	if b.Ready() {
		t.Errorf("a broker that has stopped is ready: %v", b.Conditions())
	}
	for _, c := range b.Conditions() {
		if c.Name == "staying" && (c.Met || !strings.Contains(c.Message, "about to stop")) {
			t.Errorf("%v", c)
		}
	}
	b.Metrics() // a scrape that comes late finds the numbers as they were
}
