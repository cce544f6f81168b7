package main

import (
	"go/ast"
	"go/types"
)

// forbiddenNames lists package-level names that reach past the door in packages that are otherwise welcome,
// with what to use instead.
var forbiddenNames = map[string]map[string]string{
	"time": {
		"Now":          "host.Clock has Now and Wall",
		"Since":        "subtract instants of host.Clock",
		"Until":        "subtract instants of host.Clock",
		"Sleep":        "host.Clock has Sleep",
		"After":        "wait on a host.Waiter until an instant",
		"AfterFunc":    "wait on a host.Waiter until an instant",
		"Tick":         "wait on a host.Waiter until an instant",
		"NewTimer":     "wait on a host.Waiter until an instant",
		"NewTicker":    "wait on a host.Waiter until an instant",
		"Local":        "the zone differs between machines: use time.UTC",
		"LoadLocation": "zones come from the machine's files: use time.UTC",
	},
	"context": {
		"WithTimeout":       "wait on a host.Waiter until an instant",
		"WithTimeoutCause":  "wait on a host.Waiter until an instant",
		"WithDeadline":      "wait on a host.Waiter until an instant",
		"WithDeadlineCause": "wait on a host.Waiter until an instant",
		"AfterFunc":         "it starts a goroutine: use host.Tasks",
	},
	"iter": {
		"Pull":  "it starts a coroutine: use host.Tasks",
		"Pull2": "it starts a coroutine: use host.Tasks",
	},
	"log/slog": {
		"Default": "the host carries the logger", "SetDefault": "the host carries the logger",
		"Debug": "the host carries the logger", "DebugContext": "the host carries the logger",
		"Info": "the host carries the logger", "InfoContext": "the host carries the logger",
		"Warn": "the host carries the logger", "WarnContext": "the host carries the logger",
		"Error": "the host carries the logger", "ErrorContext": "the host carries the logger",
		"Log": "the host carries the logger", "LogAttrs": "the host carries the logger",
	},
	"fmt": {
		"Print": "the host carries the logger", "Println": "the host carries the logger", "Printf": "the host carries the logger",
		"Scan": "the world is reached through node/host", "Scanln": "the world is reached through node/host", "Scanf": "the world is reached through node/host",
	},
}

// seededRandom lists what math/rand and math/rand/v2 offer besides their global generators.
var seededRandom = map[string]bool{"New": true, "NewSource": true, "NewZipf": true, "NewPCG": true, "NewChaCha8": true}

// mapOrder lists functions that hand out a map in its own order.
var mapOrder = map[string]map[string]bool{
	"maps": {"Keys": true, "Values": true, "All": true},
}

// name checks one use of a package-level name.
func (c *checker) name(id *ast.Ident) {
	obj := c.pass.TypesInfo.Uses[id]
	if obj == nil {
		return
	}
	if b, ok := obj.(*types.Builtin); ok {
		if b.Name() == "recover" && c.level >= door && !c.inTest {
			c.report(id, "recover in a simulated package: a killed task must unwind, and a panic is the node's death")
		}
		if b.Name() == "close" && c.level >= door && !c.inTest {
			c.report(id, "channel operation in a simulated package: use host.Queue or host.Future")
		}
		return
	}
	if obj.Pkg() == nil || obj.Parent() != obj.Pkg().Scope() {
		c.method(id, obj)
		return
	}
	path := obj.Pkg().Path()
	switch path {
	case "math/rand", "math/rand/v2":
		if _, isFunc := obj.(*types.Func); isFunc && !seededRandom[obj.Name()] {
			c.report(id, "%s.%s draws from a generator without a seed: use the host's", path, obj.Name())
		}
		return
	case "maps":
		if mapOrder[path][obj.Name()] && !c.inTest && !c.sorted[id] {
			c.orderReport(id, "%s.%s follows the map's order: sort it at once with slices.Sorted", path, obj.Name())
		}
		return
	}
	if why := forbiddenNames[path][obj.Name()]; why != "" && c.level >= door && !c.inTest {
		c.report(id, "%s.%s in a simulated package: %s", path, obj.Name(), why)
	}
}

// method checks one use of a method or field.
func (c *checker) method(id *ast.Ident, obj types.Object) {
	if obj.Pkg() == nil || c.inTest {
		return
	}
	if obj.Pkg().Path() == "reflect" && (obj.Name() == "MapKeys" || obj.Name() == "MapRange") {
		c.orderReport(id, "reflect's %s follows the map's order", obj.Name())
	}
}

// sortedArgument marks the maps.Keys or maps.Values that is the direct argument of slices.Sorted. (SortedFunc is not
// enough: what compares equal keeps the map's order.)
func (c *checker) sortedArgument(call *ast.CallExpr) {
	if len(call.Args) == 0 || !c.isFunc(call.Fun, "slices", "Sorted") {
		return
	}
	if inner, ok := ast.Unparen(call.Args[0]).(*ast.CallExpr); ok {
		if sel, ok := ast.Unparen(inner.Fun).(*ast.SelectorExpr); ok {
			c.sorted[sel.Sel] = true
		}
	}
}

// isFunc reports whether e names one of the functions of the package with the given path.
func (c *checker) isFunc(e ast.Expr, path string, names ...string) bool {
	e = ast.Unparen(e)
	if ix, ok := e.(*ast.IndexExpr); ok {
		e = ix.X
	}
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	obj := c.pass.TypesInfo.Uses[sel.Sel]
	if obj == nil || obj.Pkg() == nil || obj.Pkg().Path() != path || obj.Parent() != obj.Pkg().Scope() {
		return false
	}
	for _, n := range names {
		if obj.Name() == n {
			return true
		}
	}
	return false
}
