package main

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestRuleDifference: each thing in which a record can differ is noticed.
func TestRuleDifference(t *testing.T) {
	read := func(i int) *kgo.Record {
		r := ruleRecord("t", i)
		r.Offset = int64(i / rulePartitions)
		return r
	}
	for i := range ruleCount {
		if d := ruleDifference(i, read(i), true); d != "" {
			t.Fatal(d)
		}
	}
	for name, spoil := range map[string]func(*kgo.Record){
		"offset":      func(r *kgo.Record) { r.Offset++ },
		"partition":   func(r *kgo.Record) { r.Partition++ },
		"no key":      func(r *kgo.Record) { r.Key = nil },
		"empty value": func(r *kgo.Record) { r.Value = []byte{} },
		"timestamp":   func(r *kgo.Record) { r.Timestamp = r.Timestamp.Add(1e6) },
		"no headers":  func(r *kgo.Record) { r.Headers = nil },
		"header":      func(r *kgo.Record) { r.Headers[0].Value = []byte("other") },
		"null header": func(r *kgo.Record) { r.Headers[len(r.Headers)-1].Value = []byte{} },
	} {
		r := read(65) // it has a key, no value, and headers of both kinds
		spoil(r)
		if ruleDifference(65, r, true) == "" {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func TestLines(t *testing.T) {
	r := &report{client: "kafkajs"}
	p := &place{name: "one node"}
	var rest bytes.Buffer
	wrote := r.lines(p, bufio.NewScanner(strings.NewReader("version\t1.2\nok\tgroups\teager\tfine\nFAIL\tgroups\tstatic\tbad | worse\nwrote\tt\tgzip\t-\nnoise\n")), &rest)
	if r.version != "1.2" || r.count(passed) != 1 || r.count(failed) != 1 || len(wrote) != 1 || wrote[0][1] != "t" || rest.String() != "noise\n" {
		t.Fatalf("%+v, wrote %v, rest %q", r, wrote, rest.String())
	}
	table := string(tableOf([]*report{r, {client: "gone"}}))
	for _, want := range []string{"| kafkajs | 1.2 | 2 | 1 | 1 | 0 |", "| gone | not run | 0 |", `**FAIL** bad \| worse`} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in the table:\n%s", want, table)
		}
	}
}

// TestExceptions: a failure is accepted only where it says what it is known for.
func TestExceptions(t *testing.T) {
	e := exceptions[0]
	r := &report{client: e.client}
	p := &place{name: "one node"}
	r.add(p, e.area, e.name, failed, "… "+e.says+" …")
	r.add(p, e.area, e.name, failed, "something else")
	if r.count(accepted) != 1 || r.count(failed) != 1 {
		t.Fatalf("%+v", r.results)
	}
}

// TestReadmeHasTheNumbers: the README says of every client how many checks it had in the run that wrote the page.
func TestReadmeHasTheNumbers(t *testing.T) {
	page, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(readme)), " ")
	clients := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, " | ")
		if line == "\n" && clients > 0 {
			break
		}
		if len(cells) != 6 || cells[0] == "| client" || cells[0] == "| all" {
			continue
		}
		clients++
		if want := strings.TrimPrefix(cells[0], "| ") + " " + cells[2]; !strings.Contains(text, want+",") && !strings.Contains(text, want+".") {
			t.Errorf("the README does not say %q", want)
		}
	}
	if clients < 10 {
		t.Errorf("the page tells of %d clients", clients)
	}
}
