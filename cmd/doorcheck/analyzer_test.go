package main

import (
	"go/importer"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAnalyzer checks each package below testdata/src: each line must give exactly the findings that its comments
// beginning with "want" match, one pattern each.
func TestAnalyzer(t *testing.T) {
	std, err := goList(".", "-export", "-deps", "context", "crypto/rand", "fmt", "iter", "log/slog", "maps", "math/rand/v2",
		"net/http", "os/signal", "reflect", "slices", "sort", "testing")
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for _, p := range std {
		exports[p.ImportPath] = p.Export
	}
	var lookup importer.Lookup = func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }

	root := filepath.Join("testdata", "src")
	packages := map[string][]string{}
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".go") {
			rel, _ := filepath.Rel(root, filepath.Dir(path))
			packages[filepath.ToSlash(rel)] = append(packages[filepath.ToSlash(rel)], path)
		}
		return err
	})
	if err != nil || len(packages) < 5 {
		t.Fatalf("%d packages under %s, error %v", len(packages), root, err)
	}
	for path, files := range packages {
		t.Run(path, func(t *testing.T) {
			found, err := checkFiles(path, files, lookup)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, files, found)
		})
	}
}

var (
	wantComment = regexp.MustCompile(`// want (.*)$`)
	wantPattern = regexp.MustCompile(`"([^"]*)"`)
)

func compare(t *testing.T, files []string, found []finding) {
	t.Helper()
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(data), "\n") {
			var wants []string
			if m := wantComment.FindStringSubmatch(line); m != nil {
				for _, p := range wantPattern.FindAllStringSubmatch(m[1], -1) {
					wants = append(wants, p[1])
				}
			}
			for _, f := range found {
				if f.Position.Filename != name || f.Position.Line != i+1 {
					continue
				}
				hit := -1
				for j, w := range wants {
					if strings.Contains(f.Message, w) {
						hit = j
					}
				}
				if hit < 0 {
					t.Errorf("unexpected: %s", f)
					continue
				}
				wants = append(wants[:hit], wants[hit+1:]...)
			}
			for _, w := range wants {
				t.Errorf("%s:%d: nothing found that says %q", name, i+1, w)
			}
		}
	}
}

func TestLevelOf(t *testing.T) {
	for path, want := range map[string]level{
		"millrace/wal":                          simulated,
		"millrace/wal [millrace/wal.test]":      simulated,
		"millrace/wal_test [millrace/wal.test]": simulated,
		"millrace/node/host":                    door,
		"millrace/node/host/machine":            free,
		"millrace/cmd/millrace":                 free,
		"fmt":                                   free,
	} {
		if got := levelOf(path); got != want {
			t.Errorf("levelOf(%q) = %d, want %d", path, got, want)
		}
	}
}
