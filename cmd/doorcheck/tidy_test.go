package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write testdata/ratchet.txt anew")

// The measures of the house. What was above them when they came, or has a reason to be, stands with its size in
// testdata/ratchet.txt: it may shrink, but neither grow nor be joined by others.
const (
	fileLines     = 400
	testFileLines = 600
	functionLines = 70
)

const ratchetFile = "testdata/ratchet.txt"

// source is one Go file of the repository, parsed.
type source struct {
	name      string // slash-separated, from the repository's root
	lines     int
	test      bool
	generated bool
	file      *ast.File
	fset      *token.FileSet
}

func repositoryFiles(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Skip("not in a git repository: ", err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
}

func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	for _, name := range repositoryFiles(t) {
		if !strings.HasSuffix(name, ".go") || strings.Contains(name, "testdata/") {
			continue
		}
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			continue // removed, and not yet committed
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, data, parser.ParseComments)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		list = append(list, source{name, bytes.Count(data, []byte("\n")), strings.HasSuffix(name, "_test.go"), ast.IsGenerated(f), f, fset})
	}
	return list
}

// TestSizes is a ratchet on the length of files and functions.
func TestSizes(t *testing.T) {
	over := map[string]int{}
	for _, s := range sources(t) {
		limit := fileLines
		if s.test {
			limit = testFileLines
		}
		if s.lines > limit && !s.generated {
			over[s.name] = s.lines
		}
		if s.test || s.generated {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; n > functionLines {
					over[s.name+":"+functionName(f)] = n
				}
			}
		}
	}
	if *update {
		writeRatchet(t, over)
	}
	allowed := readRatchet(t)
	for name, n := range over {
		if n > allowed[name] {
			t.Errorf("%s has %d lines, which is above the measure or what it was: split it", name, n)
		}
	}
	for name, n := range allowed {
		if over[name] < n {
			t.Errorf("%s is down to %d lines from %d: lower it in %s (go test ./cmd/doorcheck -update)", name, over[name], n, ratchetFile)
		}
	}
}

func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	return receiver(f) + "." + f.Name.Name
}

func receiver(f *ast.FuncDecl) string {
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return "?"
		}
	}
}

func readRatchet(t *testing.T) map[string]int {
	t.Helper()
	data, err := os.ReadFile(ratchetFile)
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]int{}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		n, err := strconv.Atoi(fields[0])
		if err != nil || len(fields) != 2 {
			t.Fatalf("%s: what does %q mean?", ratchetFile, line)
		}
		allowed[fields[1]] = n
	}
	return allowed
}

func writeRatchet(t *testing.T, over map[string]int) {
	t.Helper()
	var lines []string
	for name, n := range over {
		lines = append(lines, fmt.Sprintf("%d %s\n", n, name))
	}
	sort.Slice(lines, func(i, j int) bool { return strings.Fields(lines[i])[1] < strings.Fields(lines[j])[1] })
	head := "# Lines of the files and functions above the measure. They may shrink; see tidy_test.go.\n"
	if err := os.WriteFile(ratchetFile, []byte(head+strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocs fails on packages and exported names without documentation.
func TestDocs(t *testing.T) {
	documented := map[string]bool{}
	dirs := map[string]bool{}
	for _, s := range sources(t) {
		dir := filepath.Dir(s.name)
		if s.test {
			continue
		}
		dirs[dir] = true
		if s.file.Doc != nil {
			documented[dir] = true
		}
		if s.generated {
			continue
		}
		for _, d := range s.file.Decls {
			for _, missing := range undocumented(d) {
				t.Errorf("%s: %s is exported without documentation", s.fset.Position(d.Pos()), missing)
			}
		}
	}
	for dir := range dirs {
		if !documented[dir] {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

// undocumented returns the exported names that a declaration leaves without a comment of their own, of their group or
// at the end of their line.
func undocumented(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) && !conventional(d) {
			return []string{functionName(d)}
		}
	case *ast.GenDecl:
		var names []string
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					names = append(names, s.Name.Name)
				}
			case *ast.ValueSpec:
				if d.Doc == nil && s.Doc == nil && s.Comment == nil && s.Names[0].IsExported() {
					names = append(names, s.Names[0].Name)
				}
			}
		}
		return names
	}
	return nil
}

// conventional methods are told by the interface that they implement.
func conventional(d *ast.FuncDecl) bool {
	switch d.Name.Name {
	case "Error", "String", "Unwrap", "Len", "Less", "Swap", "GoString", "LogValue":
		return d.Recv != nil
	}
	return false
}

// TestWords fails on text that belongs to one machine or to nobody. The patterns are put together here so that this
// file does not match them.
func TestWords(t *testing.T) {
	words := map[string]*regexp.Regexp{
		"a path of one machine":     regexp.MustCompile(`(^|[\s"'=(:` + "`" + `])/(work|root|home|Users|tmp)` + `/[a-zA-Z]`),
		"the host of a registry":    regexp.MustCompile(`proxy\.golang` + `\.org|repo1?\.maven|registry\.npm` + `js|pypi` + `\.org|maven\.apache` + `\.org/maven2`),
		"a note to finish it later": regexp.MustCompile(`\b(FIX` + `ME|XX` + `X)\b`),
	}
	for _, name := range repositoryFiles(t) {
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil || !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
			continue
		}
		for i, line := range strings.Split(string(data), "\n") {
			for what, re := range words {
				if m := re.FindString(line); m != "" {
					t.Errorf("%s:%d: %q is %s", name, i+1, m, what)
				}
			}
		}
	}
}
