package main

import "testing"

func TestFailureKindIgnoresNumbers(t *testing.T) {
	a := failureKind("t0-1: offset 26 holds record 2:13, and now 1:64\nmore")
	b := failureKind("t0-0: offset 7 holds record 1:1, and now 2:4\nother")
	if a != b || a == failureKind("t0-0: offset 7 is gone") {
		t.Errorf("%q and %q", a, b)
	}
}
