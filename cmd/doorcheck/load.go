package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// listed is what go list says about one package.
type listed struct {
	ImportPath  string
	Name        string
	Dir         string
	Export      string
	ForTest     string
	DepOnly     bool
	Standard    bool
	GoFiles     []string
	CgoFiles    []string
	TestGoFiles []string
	Imports     []string
	TestImports []string
	ImportMap   map[string]string
	Deps        []string
	Module      *struct{ Path string }
	Error       *struct{ Err string }
}

// goList runs go list with the arguments and returns the packages that it prints.
func goList(dir string, args ...string) ([]*listed, error) {
	cmd := exec.Command("go", append([]string{"list", "-json"}, args...)...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", strings.Join(args, " "), err)
	}
	var list []*listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		p := new(listed)
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading what go list printed: %w", err)
		}
		list = append(list, p)
	}
}

// finding is one report, with its place resolved.
type finding struct {
	Position token.Position
	Message  string
}

func (f finding) String() string { return fmt.Sprintf("%s: %s", f.Position, f.Message) }

// checkPackages loads the packages that the patterns name, with their tests, and runs the analyzer on each that is
// under a rule.
func checkPackages(dir string, patterns ...string) ([]finding, error) {
	list, err := goList(dir, append([]string{"-export", "-deps", "-test"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	hasTestVariant := map[string]bool{}
	for _, p := range list {
		exports[p.ImportPath] = p.Export
		if p.ForTest != "" && strings.HasPrefix(p.ImportPath, p.ForTest+" [") {
			hasTestVariant[p.ForTest] = true
		}
	}
	var found []finding
	for _, p := range list {
		if p.DepOnly || p.Standard || levelOf(p.ImportPath) == free || strings.HasSuffix(p.ImportPath, ".test") || hasTestVariant[p.ImportPath] {
			continue
		}
		var files []string
		for _, f := range p.GoFiles {
			files = append(files, filepath.Join(p.Dir, f))
		}
		lookup := func(path string) (io.ReadCloser, error) {
			if mapped, ok := p.ImportMap[path]; ok {
				path = mapped
			}
			if exports[path] == "" {
				return nil, fmt.Errorf("no export data of %s", path)
			}
			return os.Open(exports[path])
		}
		fs, err := checkFiles(p.ImportPath, files, lookup)
		if err != nil {
			return nil, err
		}
		found = append(found, fs...)
	}
	return found, nil
}

// checkFiles parses and types one package and runs the analyzer on it.
func checkFiles(path string, names []string, lookup importer.Lookup) ([]finding, error) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, n := range names {
		f, err := parser.ParseFile(fset, n, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	info := &types.Info{
		Types:      map[ast.Expr]types.TypeAndValue{},
		Defs:       map[*ast.Ident]types.Object{},
		Uses:       map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup), Sizes: types.SizesFor("gc", "amd64")}
	plain, _, _ := strings.Cut(path, " ")
	pkg, err := conf.Check(plain, fset, files, info)
	if err != nil {
		return nil, fmt.Errorf("checking the types of %s: %w", path, err)
	}
	var found []finding
	pass := &analysis.Pass{
		Analyzer: Analyzer, Fset: fset, Files: files, Pkg: pkg, TypesInfo: info, TypesSizes: conf.Sizes,
		Report: func(d analysis.Diagnostic) {
			found = append(found, finding{fset.Position(d.Pos), d.Message})
		},
	}
	if _, err := Analyzer.Run(pass); err != nil {
		return nil, fmt.Errorf("checking %s: %w", path, err)
	}
	return found, nil
}
