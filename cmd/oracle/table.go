package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// The table stands between these in the file that it is written to.
const tableBegins, tableEnds = "<!-- written by make oracle -->\n", "<!-- end -->\n"

// asked is what was compared of one API.
type asked struct {
	cases     map[string]bool
	versions  map[int16]bool
	exchanges int
	accepted  int
}

// table says what was compared, API by API, and what was accepted.
func table(exchanges []exchange, meant []*accepted) string {
	apis := map[string]*asked{}
	for _, x := range exchanges {
		a := apis[x.api]
		if a == nil {
			a = &asked{cases: map[string]bool{}, versions: map[int16]bool{}}
			apis[x.api] = a
		}
		a.exchanges++
		a.cases[x.suite+"/"+x.name], a.versions[x.version] = true, true
	}
	seen := 0
	for _, m := range meant {
		if a := apis[m.api]; a != nil && m.seen > 0 {
			a.accepted++
			seen++
		}
	}
	var b strings.Builder
	b.WriteString("| API | versions | cases | exchanges | accepted differences |\n|---|---|---|---|---|\n")
	cases := 0
	for _, name := range slices.Sorted(maps.Keys(apis)) {
		a := apis[name]
		cases += len(a.cases)
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d |\n", name, ranges(slices.Sorted(maps.Keys(a.versions))), len(a.cases), a.exchanges, a.accepted)
	}
	fmt.Fprintf(&b, "| all | | %d | %d | %d |\n\n", cases, len(exchanges), seen)
	b.WriteString("| accepted | case | field | reason |\n|---|---|---|---|\n")
	for _, m := range meant {
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", m.api, m.name, m.field, m.reason)
	}
	return b.String()
}

// ranges writes sorted numbers as 0–2, 5.
func ranges(numbers []int16) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, fmt.Sprint(numbers[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d–%d", numbers[i], numbers[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

// writeTable puts the table into a file, between the marks.
func writeTable(file, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(old, []byte(tableBegins))
	_, after, ended := bytes.Cut(rest, []byte(tableEnds))
	if !ok || !ended {
		return fmt.Errorf("%s has no place for the table, between %q and %q", file, tableBegins, tableEnds)
	}
	return os.WriteFile(file, slices.Concat(before, []byte(tableBegins+text+tableEnds), after), 0o666)
}
