package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
)

const tableHead = `# Clients

Made by ` + "`make compat`" + `, which runs every client against one broker and against three, and compares what comes out with what went in:
keys, values, headers, timestamps, offsets and their order; for groups, who owns which partition, that each record is read
once and by its partition's owner, and what is committed. What a check does is told by the harness beside the tool in
` + "`cmd/compat`" + `. What a client writes is read by itself and by franz-go, which also looks at how the batches are compressed; and each
client reads what franz-go wrote.

A check that fails fails the run, and so does a client that could not be run. The settings differ from the defaults
where that makes groups and compaction quick: no initial rebalance delay, heartbeats of one second for groups of KIP-848, a look for what to clean every 200 ms.

| client | version | checks | passed | failed | accepted |
|---|---|---|---|---|---|
`

// suites is about what is not part of a run: the tests of other projects.
//
//go:embed suites.md
var suites string

// tableOf is the page about the run.
func tableOf(reports []*report) []byte {
	var b bytes.Buffer
	b.WriteString(tableHead)
	total := [3]int{}
	for _, r := range reports {
		p, f, a := r.count(passed), r.count(failed), r.count(accepted)
		version := r.version
		if version == "" {
			version = "not run"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d |\n", r.client, version, p+f+a, p, f, a)
		total[0], total[1], total[2] = total[0]+p, total[1]+f, total[2]+a
	}
	fmt.Fprintf(&b, "| all | | %d | %d | %d | %d |\n", total[0]+total[1]+total[2], total[0], total[1], total[2])
	b.WriteString("\n## Accepted exceptions\n\n")
	if total[2] == 0 {
		b.WriteString("None.\n")
	} else {
		b.WriteString("| client | check | reason |\n|---|---|---|\n")
		for _, r := range reports {
			for _, x := range r.results {
				if x.status == accepted {
					fmt.Fprintf(&b, "| %s | %s: %s, %s | %s |\n", r.client, x.area, x.name, x.place, cell(x.detail))
				}
			}
		}
	}
	b.WriteString(suites)
	for _, r := range reports {
		fmt.Fprintf(&b, "\n## %s %s\n\n| area | check | at | |\n|---|---|---|---|\n", r.client, r.version)
		for _, x := range merged(r.results) {
			mark := ""
			if x.status != passed {
				mark = "**" + x.status + "** "
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s%s |\n", x.area, x.name, x.place, mark, cell(x.detail))
		}
	}
	return b.Bytes()
}

// cell is a text that cannot end its cell.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(s)
}

// merged puts a check that came out the same at several places on one line.
func merged(results []result) []result {
	var all []result
next:
	for _, x := range results {
		for i := range all {
			if all[i].area == x.area && all[i].name == x.name && all[i].status == x.status && all[i].detail == x.detail && all[i].place != x.place {
				all[i].place += ", " + x.place
				continue next
			}
		}
		all = append(all, x)
	}
	return all
}
