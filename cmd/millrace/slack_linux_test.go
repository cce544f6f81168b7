package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The broker is still the process that was started, and each of its threads has the slack.
func TestStartedProcessIsRelaxed(t *testing.T) {
	testBroker(t)
	if own.pid == 0 {
		t.Skip("the broker is not our own")
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", own.pid))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Base(os.Args[0]); !strings.HasPrefix(want, strings.TrimSpace(string(name))) {
		t.Errorf("it is called %q, not %q", name, want)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", own.pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		b, err := os.ReadFile("/proc/" + thread.Name() + "/timerslack_ns")
		if err != nil {
			t.Skipf("the slack of another process cannot be read here: %v", err)
		}
		if got := strings.TrimSpace(string(b)); got != fmt.Sprint(timerSlack.Nanoseconds()) {
			t.Errorf("thread %s has a slack of %s ns", thread.Name(), got)
		}
	}
}
