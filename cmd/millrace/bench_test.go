package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestBench(t *testing.T) {
	addr := testBroker(t)
	var m measured
	run := func(args ...string) {
		t.Helper()
		r := millrace("", append(args, "--topic", "bench", "--brokers", addr, "--json")...)
		if r.code != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
		m = measured{}
		if err := json.Unmarshal([]byte(r.out), &m); err != nil {
			t.Fatal(err)
		}
	}
	run("bench", "produce", "--records", "3000", "--size", "100", "--partitions", "2")
	if m.Records != 3000 || m.Failed != 0 || m.RecordsPerSecond <= 0 || m.Acknowledged == nil || m.Acknowledged.Max < m.Acknowledged.P50 {
		t.Errorf("produce: %+v", m)
	}
	run("bench", "consume", "--records", "3000")
	if m.Records < 3000 || m.MBPerSecond <= 0 {
		t.Errorf("consume: %+v", m)
	}
	run("bench", "latency", "--rate", "500", "--records", "200")
	if m.Records != 200 || m.Read == nil || m.Read.P50 <= 0 || m.Seconds < 0.39 {
		t.Errorf("latency: %+v", m)
	}
	r := millrace("", "bench", "produce", "--topic", "bench", "--records", "10", "--brokers", addr)
	if r.code != 0 || !strings.HasPrefix(r.out, "wrote 10 records in ") || !strings.Contains(r.out, "\nacknowledged after: mean ") {
		t.Errorf("for people: %+v", r)
	}
	millrace("", "bench", "latency", "--rate", "0", "--brokers", addr).wantError(t, exitUsage, "--rate")
	millrace("", "bench", "produce", "--records", "0", "--brokers", addr).wantError(t, exitUsage, "--records and --seconds")
	millrace("", "bench", "consume", "--topic", "no-such-topic", "--seconds", "1", "--brokers", addr)
}

// TestStallsAreCharged has a thousand records that were due while nothing could be sent.
func TestStallsAreCharged(t *testing.T) {
	took := newLatencies()
	for i := range 1000 {
		took.note(time.Duration(1000-i) * time.Millisecond)
	}
	if p := took.percentiles(); p.P50 < 450 || p.P50 > 550 || p.Max < 990 {
		t.Errorf("%v", p)
	}
	took.note(time.Hour)
	took.note(-time.Second)
	if took.percentiles().Max > float64(longestLatency.Milliseconds())*1.01 {
		t.Error("what is too long has a bound")
	}
}

func TestProgressLine(t *testing.T) {
	for want, have := range map[string]string{
		"10 s: 500 records, 50/s, 10 s to go": progressLine(10*time.Second, "record", 500, 50, 0.5),
		"10 s: 500 records, 50/s, 5 s to go":  progressLine(10*time.Second, "record", 500, 50, 10./15),
		"3 s: 0 records, 0/s":                 progressLine(3*time.Second, "record", 0, 0, 0),
	} {
		if have != want {
			t.Errorf("%q, want %q", have, want)
		}
	}
}
