package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestDescribeCluster describes the broker of the tests, for people and for programs.
func TestDescribeCluster(t *testing.T) {
	addr := testBroker(t)
	if r := millrace("", "topic", "create", testTopic(t), "--partitions", "3", "--brokers", addr); r.code != exitDone {
		t.Fatalf("create: %+v", r)
	}
	r := millrace("", "cluster", "describe", "--brokers", addr, "--json")
	var d describedCluster
	if err := json.Unmarshal([]byte(r.out), &d); err != nil || r.code != exitDone {
		t.Fatalf("exit %d, %v: %q, errors %q", r.code, err, r.out, r.err)
	}
	if d.ID == "" || len(d.Brokers) < 1 || d.Brokers[0].Fenced || d.Brokers[0].Leads < 3/len(d.Brokers) || d.Partitions < 3 || d.Leaderless != 0 {
		t.Errorf("%+v", d)
	}
	if q := d.Quorum; q == nil || q.Committed < 1 || len(q.Voters) < 1 {
		t.Errorf("the quorum is %+v", q)
	}
	r = millrace("", "cluster", "describe", "--brokers", addr)
	for _, want := range []string{"cluster " + d.ID, "BROKER", "alive", "0 without a leader", "metadata led by", "now"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	millrace("", "cluster", "list").wantError(t, exitUsage, "no command")
}
