package main

import (
	"strings"
	"testing"
)

func TestFormatsGoBothWays(t *testing.T) {
	addr := testBroker(t)
	millrace("", "topic", "create", "formats", "--brokers", addr).want(t, 0, "created topic formats with 1 partition\n")
	ok := func(input string, args ...string) {
		t.Helper()
		if r := millrace(input, append([]string{"produce", "formats", "--brokers", addr}, args...)...); r.code != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
	}
	ok("6b:00ff\n", "--format", "hex", "--key-delimiter", ":")
	ok("AP8=\n", "--format", "base64", "--timestamp", "1700000000000")
	ok("one\ntwo\n", "--whole")
	read := func(args ...string) string {
		t.Helper()
		r := millrace("", append([]string{"consume", "formats", "--from-beginning", "--until-end", "--brokers", addr}, args...)...)
		if r.code != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
		return r.out
	}
	if out := read("--format", "hex"); out != "00ff\n00ff\n6f6e650a74776f0a\n" {
		t.Errorf("%q", out)
	}
	if out := read("--format", "base64"); !strings.HasPrefix(out, "AP8=\nAP8=\n") {
		t.Errorf("%q", out)
	}
	if out := read("--format", "raw"); out != "\x00\xff\x00\xffone\ntwo\n" {
		t.Errorf("%q", out)
	}
	if out := read("--format", "%o %K %S"); out != "0 1 2\n1 -1 2\n2 -1 8\n" {
		t.Errorf("%q", out)
	}
	// What consume prints is what produce reads.
	lines := read("--json")
	ok(lines, "--format", "json")
	again := strings.Split(strings.TrimSpace(read("--json")), "\n")
	if len(again) != 6 {
		t.Fatalf("%d records", len(again))
	}
	rest := func(line string) string { _, after, _ := strings.Cut(line, `"timestamp"`); return after }
	for i := range 3 {
		if rest(again[i]) != rest(again[i+3]) {
			t.Errorf("%s\nbecame\n%s", again[i], again[i+3])
		}
	}
	for _, bad := range []struct{ format, input, want string }{
		{"hex", "xyz\n", "is not hex"}, {"base64", "*\n", "is not base64"}, {"json", "{}{}\n", "more than one"}, {"json", `{"valu": "x"}` + "\n", "valu"},
		{"json", `{"value": "x", "valueBase64": "eA=="}` + "\n", "both"},
	} {
		r := millrace(bad.input, "produce", "formats", "--format", bad.format, "--brokers", addr)
		if r.code == 0 || !strings.Contains(r.err, bad.want) {
			t.Errorf("%s %q: %+v", bad.format, bad.input, r)
		}
	}
	millrace("", "produce", "formats", "x", "--format", "xml", "--brokers", addr).wantError(t, exitUsage, "--format xml")
}
