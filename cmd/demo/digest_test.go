package main

import (
	"strings"
	"testing"
)

func digestOf(lines ...string) *digest {
	d := newDigest()
	for _, l := range lines {
		key, value, _ := strings.Cut(l, ":")
		d.add(key, []byte(value))
	}
	return d
}

func TestDigest(t *testing.T) {
	want := digestOf("a:1", "a:2", "b:1", "a:3")
	same := digestOf("b:1", "a:1", "a:2", "a:3")
	if want.difference(same) != "" || want.sum() != same.sum() {
		t.Fatalf("the order of keys counts: %s", want.difference(same))
	}
	for name, got := range map[string]*digest{
		"lost":      digestOf("a:1", "a:2", "b:1"),
		"doubled":   digestOf("a:1", "a:2", "a:2", "b:1", "a:3"),
		"reordered": digestOf("a:2", "a:1", "b:1", "a:3"),
		"changed":   digestOf("a:1", "a:2", "b:2", "a:3"),
		"shifted":   digestOf("a:12", "a:", "b:1", "a:3"),
		"key lost":  digestOf("a:1", "a:2", "a:3"),
		"new key":   digestOf("a:1", "a:2", "b:1", "a:3", "c:1"),
	} {
		if want.difference(got) == "" || want.sum() == got.sum() {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func TestEachLine(t *testing.T) {
	var got []string
	err := eachLine(strings.NewReader("one\r\n\ntwo\n"+strings.Repeat("x", lineBytesMax+5)+"\nlast"), func(line []byte) error {
		got = append(got, string(line))
		return nil
	})
	if err != nil || len(got) != 5 || got[0] != "one" || got[1] != "" || len(got[3]) != lineBytesMax || got[4] != "last" {
		t.Fatalf("%d lines, error %v", len(got), err)
	}
}
