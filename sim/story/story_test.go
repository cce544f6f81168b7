package story

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// lostRecord is the tale of a record that one node alone had when it was acknowledged.
func lostRecord(events int) *Tale {
	t := &Tale{Seed: 7, Nodes: 3, Setting: []string{"topic t0: 1 partitions, 3 replicas"}, End: 500 * ms,
		Faults: []string{"n1 loses its power", "nothing gets between n1 and n2, n3 for 100ms"}, Weather: []string{"1 % of syncs fail"},
		Failure: "t0-0: offset 5 holds record 1:5, and now 2:1 (acknowledged)"}
	add := func(at time.Duration, e Event) {
		e.At, e.Number = at, uint64(len(t.Events))
		t.Events = append(t.Events, e)
	}
	for _, n := range []string{"n1", "n2", "n3"} {
		add(0, Event{Kind: Boot, Node: n, Text: n + " starts"})
	}
	add(10*ms, Event{Kind: Lead, Node: "n1", Log: "t0-0", From: 1, Text: "t0-0: n1 leads in epoch 1"})
	for i := range events {
		add(20*ms+time.Duration(i)*100*time.Microsecond, Event{Kind: Read, Node: "c", Log: "t0-0", From: int64(i % 5), To: int64(i%5 + 1), Text: "t0-0: read"})
	}
	add(100*ms, Event{Kind: Fault, Fault: 2, Node: "n1", Other: []string{"n2", "n3"}, Text: t.Faults[1]})
	add(110*ms, Event{Kind: Ack, Node: "c", Log: "t0-0", From: 5, To: 6, Text: "t0-0: record 1:5 acknowledged at 5"})
	add(110*ms, Event{Kind: Armed, Fault: 1, Node: "n1", Text: "n1 loses its power"})
	add(150*ms, Event{Kind: World, Node: "n2", Disk: true, Text: "n2: sync failed <&>"})
	add(200*ms, Event{Kind: End, Node: "n1", Text: "n1 loses its power"})
	add(200*ms, Event{Kind: Over, Fault: 2, Node: "n1", Other: []string{"n2", "n3"}, Text: "over"})
	add(300*ms, Event{Kind: Lead, Node: "n2", Log: "t0-0", From: 2, Text: "t0-0: n2 leads in epoch 2"})
	add(400*ms, Event{Kind: Ack, Node: "c", Log: "t0-0", From: 5, To: 6, Text: "t0-0: record 2:1 acknowledged at 5"})
	add(400*ms, Event{Kind: Violation, Node: "c", Text: "failed: " + t.Failure})
	holds := func(node string, to int64, synced bool) Replica {
		return Replica{Node: node, State: "up", Log: "t0-0", Term: 1, Checkpoint: 3, Batches: []Batch{
			{From: 0, To: 3, Epoch: 1, CRC: 1, Segment: true, Synced: true}, {From: 3, To: to, Epoch: 1, CRC: 2, Synced: synced}}}
	}
	t.Looks = []Look{
		{110 * ms, []Replica{holds("n1", 6, true), holds("n2", 6, true), holds("n3", 4, true)}},
		{200 * ms, []Replica{holds("n1", 6, true), holds("n2", 5, true), holds("n3", 4, true)}},
		{400 * ms, []Replica{holds("n1", 6, true), holds("n2", 5, true), holds("n3", 6, false)}},
	}
	return t
}

func verdict() *Verdict {
	return &Verdict{Before: Size{9, 5, 2, 3}, After: Size{3, 1, 1, 3}, Runs: 80, Took: 12 * time.Second, Command: "millrace sim --plan p",
		Odds: []Odds{{0, 8, 1}, {100 * ms, 8, 1}, {195 * ms, 8, 1}, {201 * ms, 8, 8}, {400 * ms, 1, 1}}}
}

func TestPage(t *testing.T) {
	var b strings.Builder
	if err := Page(&b, lostRecord(50), verdict()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"offset 5 holds record 1:5, and now 2:1", "Check D1 fell", "1. n1 loses its power (at", "0.200000 s)", "all the time: 1 % of syncs fail",
		"9 faults, 5 clients, 2 topics and 3 nodes", "It was decided between  0.195000 s and  0.201000 s.",
		"until  0.110000 s it was durable on 2 of 3 replicas (n1, n2); from  0.200000 s on on 1 (n1)",
		"holds 0-2 of epoch 1 (segments), 3-5 of epoch 1 (write-ahead log, NOT SYNCED)", "VIOLATION: t0-0", "millrace sim --plan p",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in the story:\n%s", want, b.String())
		}
	}
	if n := strings.Count(b.String(), "\n"); n > 75 {
		t.Errorf("%d lines are not one page", n)
	}
}

// TestHTMLStructure: the page needs nothing from elsewhere, has every lane and every event, and escapes what it shows.
func TestHTMLStructure(t *testing.T) {
	tale := lostRecord(400)
	var b bytes.Buffer
	if err := HTML(&b, tale, verdict()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if at := regexp.MustCompile(`(?:src|href)=|@import|url\(|https?:`).FindString(page); at != "" {
		t.Errorf("the page refers to something outside of it: %s", at)
	}
	for _, lane := range []string{"clients", "n1", "n1 disk", "n3 disk", "n1 – n2, n3"} {
		if !strings.Contains(page, `<div class="lane">`+lane+`</div>`) {
			t.Errorf("there is no lane for %s", lane)
		}
	}
	for what, want := range map[string]int{`<g class="x mark `: len(tale.Events) - 2, `<tr data-i=`: len(tale.Events), `class="x violation"`: 2,
		`class="x fault"`: 1, `class="x up"`: 3, `class="x node`: 3, `class="x decided"`: 1} {
		if n := strings.Count(page, what); n != want {
			t.Errorf("%d times %s, want %d", n, what, want)
		}
	}
	if strings.Contains(page, "<&>") || !strings.Contains(page, "&lt;&amp;&gt;") {
		t.Error("the text of an event is not escaped")
	}
}

// TestHTMLInABrowser opens the page in a headless Chromium, if there is one, and wants its script to have run.
func TestHTMLInABrowser(t *testing.T) {
	var browser string
	for _, name := range []string{os.Getenv("CHROME"), "chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			browser = path
			break
		}
	}
	if browser == "" && os.Getenv("CI") != "" {
		t.Fatal("there is no Chromium here, and CI wants the page to be opened")
	}
	if browser == "" {
		t.Skip("there is no Chromium on this machine to open the page in (CHROME names one elsewhere)")
	}
	if testing.Short() {
		t.Skip("a browser takes long")
	}
	tale := lostRecord(400)
	name := filepath.Join(t.TempDir(), "page.html")
	var b bytes.Buffer
	if err := HTML(&b, tale, verdict()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	c := exec.CommandContext(ctx, browser, "--headless", "--disable-gpu", "--no-sandbox", "--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+name)
	var said bytes.Buffer
	c.Stderr = &said
	dom, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", browser, err, said.Bytes())
	}
	if want := fmt.Sprintf(`data-ready="%d"`, len(tale.Events)-2); !bytes.Contains(dom, []byte(want)) {
		t.Errorf("the page's script has not come to its end: no %s in %d bytes", want, len(dom))
	}
}

func TestExplain(t *testing.T) {
	for failure, check := range map[string]string{
		"t0-1: offset 26 holds record 2:13, and now 1:64 (read)":                                             "D1",
		"no progress: the load waits after 2m0s (1 records acknowledged)":                                    "D17",
		"t0-0/abc: lost: record 12 is not there":                                                             "D1, D2",
		"t0-0: ListOffsets(latest) says that the log ends at 45, 47 was seen before":                         "D5",
		"n2: task shard 1 panicked: index out of range":                                                      "process",
		"group-offsets-3: the committed offset is 3 (\"m3\"), it may be map[4:true]":                         "D13",
		"n1, start 3: start: wal: it is corrupt":                                                             "process",
		"producer-1: violation: Produce to t0-0, producer 0/0, sequence 95: OUT_OF_ORDER_SEQUENCE_NUMBER: x": "D10",
	} {
		if m := Explain(failure); m.Check != check {
			t.Errorf("%s: check %q, want %q", failure, m.Check, check)
		}
	}
}
