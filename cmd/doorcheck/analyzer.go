package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Analyzer is the check of one package; see the package comment.
var Analyzer = &analysis.Analyzer{
	Name: "doorcheck",
	Doc:  "reports code in simulated packages that sees the world past node/host",
	Run:  run,
}

// checker holds what the check of one package has found so far.
type checker struct {
	pass   *analysis.Pass
	level  level
	inTest bool // the file at hand is a test
	// excuses are the //door:ordered comments of the file at hand, by the line that they excuse.
	excuses map[int]*excuse
	// sorted holds the names of map iterators whose result is sorted at once.
	sorted map[*ast.Ident]bool
	// following gives, for a statement of a block, the statements after it.
	following map[ast.Stmt][]ast.Stmt
}

// excuse is one //door:ordered comment.
type excuse struct {
	pos  token.Pos
	used bool
}

func run(pass *analysis.Pass) (any, error) {
	c := &checker{pass: pass, level: levelOf(pass.Pkg.Path())}
	if c.level == free {
		return nil, nil
	}
	for _, f := range pass.Files {
		c.file(f)
	}
	return nil, nil
}

func (c *checker) file(f *ast.File) {
	c.inTest = strings.HasSuffix(c.pass.Fset.Position(f.FileStart).Filename, "_test.go")
	c.sorted = map[*ast.Ident]bool{}
	c.following = map[ast.Stmt][]ast.Stmt{}
	c.readExcuses(f)
	if !c.inTest {
		for _, imp := range f.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				continue
			}
			if why := importRefused(c.level, path); why != "" {
				c.report(imp, "import of %s in a simulated package: %s", path, why)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		c.node(n)
		return true
	})
	for _, e := range c.excuses {
		if !e.used && !c.inTest {
			e.used = true // it stands under two lines
			c.pass.Reportf(e.pos, "//door:ordered excuses nothing: no map is iterated here in a way that needs it")
		}
	}
}

// node checks one node of the syntax tree; parents come before their children.
func (c *checker) node(n ast.Node) {
	switch n := n.(type) {
	case *ast.BlockStmt:
		c.remember(n.List)
	case *ast.CaseClause:
		c.remember(n.Body)
	case *ast.CommClause:
		c.remember(n.Body)
	case *ast.CallExpr:
		c.sortedArgument(n)
	case *ast.Ident:
		c.name(n)
	case *ast.RangeStmt:
		c.rangeStmt(n)
	}
	if c.level < door || c.inTest {
		return
	}
	switch n := n.(type) {
	case *ast.GoStmt:
		c.report(n, "go statement in a simulated package: use host.Tasks")
	case *ast.ChanType:
		c.report(n, "channel type in a simulated package: use host.Queue or host.Future")
	case *ast.SendStmt:
		c.report(n, "channel operation in a simulated package: use host.Queue or host.Future")
	case *ast.SelectStmt:
		c.report(n, "select in a simulated package: wait on one host.Waiter, then look at each source")
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			c.report(n, "channel operation in a simulated package: use host.Queue or host.Future")
		}
	}
}

func (c *checker) rangeStmt(n *ast.RangeStmt) {
	t := c.pass.TypesInfo.TypeOf(n.X)
	if t == nil {
		return
	}
	switch t.Underlying().(type) {
	case *types.Chan:
		if c.level >= door && !c.inTest {
			c.report(n, "channel operation in a simulated package: use host.Queue or host.Future")
		}
	case *types.Map:
		if c.inTest {
			return
		}
		if why := c.orderMatters(n); why != "" {
			c.orderReport(n, "the order of this map could change what happens (%s): sort the keys, or say //door:ordered and why it cannot", why)
		}
	}
}

// remember notes which statements follow each statement of a block.
func (c *checker) remember(list []ast.Stmt) {
	for i, s := range list {
		c.following[s] = list[i+1:]
		for l, ok := s.(*ast.LabeledStmt); ok; l, ok = l.Stmt.(*ast.LabeledStmt) {
			c.following[l.Stmt] = list[i+1:]
		}
	}
}

const directive = "//door:ordered"

// readExcuses finds the //door:ordered comments of a file and the lines that they stand for: their own when code
// stands before them, else the next line that is not a comment.
func (c *checker) readExcuses(f *ast.File) {
	c.excuses = map[int]*excuse{}
	for _, g := range f.Comments {
		for _, com := range g.List {
			rest, ok := strings.CutPrefix(com.Text, directive)
			if !ok {
				continue
			}
			rest, _, _ = strings.Cut(rest, "//")
			if !strings.HasPrefix(rest, " ") || len(strings.Fields(rest)) < 2 {
				c.pass.Reportf(com.Pos(), "//door:ordered needs its reason: say why the order of the map cannot change what happens")
				continue
			}
			e := &excuse{pos: com.Pos()}
			c.excuses[c.line(com.Pos())] = e
			c.excuses[c.line(g.End())+1] = e
		}
	}
}

// orderReport reports unless a //door:ordered comment stands on the line or above it.
func (c *checker) orderReport(n ast.Node, format string, args ...any) {
	if e := c.excuses[c.line(n.Pos())]; e != nil {
		e.used = true
		return
	}
	c.report(n, format, args...)
}

func (c *checker) line(p token.Pos) int { return c.pass.Fset.Position(p).Line }

func (c *checker) report(n ast.Node, format string, args ...any) {
	c.pass.Report(analysis.Diagnostic{Pos: n.Pos(), End: n.End(), Message: fmt.Sprintf(format, args...)})
}
