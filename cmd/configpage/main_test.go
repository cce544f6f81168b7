package main

import (
	"os"
	"testing"
)

func TestThePageIsUpToDate(t *testing.T) {
	const file = "../../docs/configuration.md"
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != page() {
		t.Error("docs/configuration.md is older than node/config: run go generate ./node/config")
	}
}
