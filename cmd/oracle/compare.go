package main

import (
	"cmp"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// difference is a field that the two brokers answer differently.
type difference struct {
	exchange
	path            string
	kafka, millrace string
}

// key is what an accepted difference names: API, case and field, whatever the version and the place in a list.
func (d *difference) key() acceptedKey {
	path := places.ReplaceAllString(d.path, "")
	if d.kafka == listed || d.millrace == listed { // one that only one of them has
		path = path[:strings.LastIndexByte(path, '[')]
	}
	return acceptedKey{d.api, d.name, path}
}

var places = regexp.MustCompile(`\[\d*\]`)

// anyElement is an element of a keyed list; [*] in an accepted difference stands for all of them.
var anyElement = regexp.MustCompile(`\[[^\]]*\]`)

// absent is shown for a field that an answer does not have.
const absent = "(absent)"

// compare lists the differences between two runs of the same suites.
func compare(kafka, millrace []exchange) ([]difference, error) {
	if len(kafka) != len(millrace) {
		return nil, fmt.Errorf("%d exchanges with Kafka, %d with Millrace", len(kafka), len(millrace))
	}
	var all []difference
	for i := range kafka {
		k, m := &kafka[i], &millrace[i]
		if k.suite != m.suite || k.name != m.name || k.version != m.version {
			return nil, fmt.Errorf("exchange %d is %s with Kafka and %s with Millrace", i, k.name, m.name)
		}
		all = append(all, compareOne(k, m)...)
	}
	return all, nil
}

func compareOne(k, m *exchange) []difference {
	if len(k.fields) == 1 || len(m.fields) == 1 { // one of them is no answer
		if k.fields[0] != m.fields[0] {
			return []difference{{*k, "answer", k.fields[0].value, m.fields[0].value}}
		}
		return nil
	}
	var all []difference
	differ := func(path, kafka, millrace string) {
		if kafka != absent && millrace != absent || !partOfAbsent(all, path) {
			all = append(all, difference{*k, path, kafka, millrace})
		}
	}
	values := make(map[string]string, len(m.fields))
	for _, f := range m.fields {
		values[f.path] = f.value
	}
	for _, f := range k.fields {
		got, ok := values[f.path]
		if !ok {
			got = absent
		}
		if got != f.value && !saysWhy(f, got, values) {
			differ(f.path, f.value, got)
		}
	}
	for _, f := range k.fields {
		delete(values, f.path)
	}
	for _, f := range m.fields {
		if _, ok := values[f.path]; ok {
			differ(f.path, absent, f.value)
		}
	}
	return all
}

// saysWhy tells a refusal for which Kafka has no message and Millrace has one, which is no difference.
func saysWhy(f field, got string, millrace map[string]string) bool {
	at, isMessage := strings.CutSuffix(f.path, "ErrorMessage")
	return isMessage && f.value == "null" && got != absent && millrace[at+"ErrorCode"] != "NONE"
}

// partOfAbsent says that a field is of a list or an element whose absence has been told.
func partOfAbsent(told []difference, path string) bool {
	return slices.ContainsFunc(told, func(d difference) bool {
		list, isCount := strings.CutSuffix(d.path, "[]")
		return isCount && strings.HasPrefix(path, list+"[") ||
			(d.kafka == absent || d.millrace == absent) && strings.HasPrefix(path, d.path+".") ||
			(d.kafka == "null" || d.millrace == "null") && (path == d.path+"[]" || strings.HasPrefix(path, d.path+"."))
	})
}

// acceptedKey names an accepted difference.
type acceptedKey struct{ api, name, field string }

// accepted is a difference that is meant.
type accepted struct {
	acceptedKey
	reason string
	seen   int
}

//go:embed accepted.txt
var acceptedText string

// mostAccepted bounds the accepted differences: they are exceptions.
const mostAccepted = 20

// parseAccepted reads lines of API | case | field | reason.
func parseAccepted(text string) ([]*accepted, error) {
	var all []*accepted
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.SplitN(line, "|", 4)
		if len(parts) != 4 {
			return nil, fmt.Errorf("%q is not API | case | field | reason", line)
		}
		for i := range parts {
			if parts[i] = strings.TrimSpace(parts[i]); parts[i] == "" {
				return nil, fmt.Errorf("%q lacks something", line)
			}
		}
		a := &accepted{acceptedKey: acceptedKey{parts[0], parts[1], parts[2]}, reason: parts[3]}
		if slices.ContainsFunc(all, func(b *accepted) bool { return b.acceptedKey == a.acceptedKey }) {
			return nil, fmt.Errorf("%q stands there twice", line)
		}
		all = append(all, a)
	}
	if len(all) > mostAccepted {
		return nil, fmt.Errorf("%d differences are accepted, at most %d may be", len(all), mostAccepted)
	}
	return all, nil
}

// covers says that a difference is this one, or of a field in it.
func (a *accepted) covers(k acceptedKey) bool {
	field := k.field
	if strings.Contains(a.field, "[*]") {
		field = anyElement.ReplaceAllString(field, "[*]")
	}
	return a.api == k.api && a.name == k.name && (a.field == field || strings.HasPrefix(field, a.field+"."))
}

// split takes the accepted differences out; what is left has to be explained.
func split(all []difference, meant []*accepted) (unexplained []difference) {
	for _, d := range all {
		i := slices.IndexFunc(meant, func(a *accepted) bool { return a.covers(d.key()) })
		if i < 0 {
			unexplained = append(unexplained, d)
			continue
		}
		meant[i].seen++
	}
	return unexplained
}

// merged are differences that are the same in several versions.
type merged struct {
	difference
	versions []int16
}

// merge puts equal differences of different versions together, and elements that one of the brokers lacks in one line.
func merge(all []difference) []merged {
	var out []merged
	for _, d := range lacking(all) {
		i := slices.IndexFunc(out, func(m merged) bool {
			return m.suite == d.suite && m.api == d.api && m.name == d.name && m.path == d.path && m.kafka == d.kafka && m.millrace == d.millrace
		})
		if i < 0 {
			out = append(out, merged{d, []int16{d.version}})
		} else if !slices.Contains(out[i].versions, d.version) {
			out[i].versions = append(out[i].versions, d.version)
		}
	}
	slices.SortStableFunc(out, func(a, b merged) int { return cmp.Compare(a.suite, b.suite) })
	return out
}

// lacking puts the elements of a keyed list that only one of the brokers has into one difference.
func lacking(all []difference) []difference {
	var out []difference
	for _, d := range all {
		if d.kafka != listed && d.millrace != listed {
			out = append(out, d)
			continue
		}
		at := strings.LastIndexByte(d.path, '[')
		list, element := d.path[:at], strings.TrimSuffix(d.path[at+1:], "]")
		i := slices.IndexFunc(out, func(o difference) bool {
			return o.suite == d.suite && o.api == d.api && o.name == d.name && o.version == d.version && o.path == list
		})
		if i < 0 {
			i = len(out)
			out = append(out, difference{d.exchange, list, "also", "also"})
		}
		if d.kafka == listed {
			out[i].kafka += " " + element
		} else {
			out[i].millrace += " " + element
		}
	}
	return out
}
