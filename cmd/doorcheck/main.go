package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

func main() {
	patterns := os.Args[1:]
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	found, err := checkPackages(".", patterns...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "doorcheck:", err)
		os.Exit(2)
	}
	sort.Slice(found, func(i, j int) bool { return found[i].String() < found[j].String() })
	here, _ := os.Getwd()
	for _, f := range found {
		if rel, err := filepath.Rel(here, f.Position.Filename); err == nil {
			f.Position.Filename = rel
		}
		fmt.Println(f)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
}
