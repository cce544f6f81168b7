package main

import "testing"

func TestFirstWord(t *testing.T) {
	for _, c := range []struct {
		arguments []string
		want      string
	}{{nil, ""}, {[]string{"--json"}, ""}, {[]string{"start"}, "start"}, {[]string{"--json", "start", "--data", "d"}, "start"}, {[]string{"topic", "start"}, "topic"}} {
		if got := firstWord(c.arguments); got != c.want {
			t.Errorf("%q: %q, want %q", c.arguments, got, c.want)
		}
	}
}
