package main

import (
	"go/ast"
	"go/token"
	"go/types"
)

// target checks the left side of an operation that is the same in every order only on integers.
func (b *bodyRule) target(e ast.Expr, integer bool) string {
	t, ok := b.c.pass.TypesInfo.TypeOf(e).Underlying().(*types.Basic)
	if integer && (!ok || t.Info()&types.IsInteger == 0) {
		return "only on integers is this operation the same in every order"
	}
	return b.indexes(e)
}

// indexes checks the index expressions on the way to an assigned element.
func (b *bodyRule) indexes(e ast.Expr) string {
	for {
		switch x := ast.Unparen(e).(type) {
		case *ast.Ident:
			return ""
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			if why := b.pure(x.Index); why != "" {
				return why
			}
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return "what it changes is not plain"
		}
	}
}

// purePackages hold only functions without effects.
var purePackages = map[string]bool{"strings": true, "bytes": true, "unicode": true, "unicode/utf8": true, "math": true, "math/bits": true, "cmp": true, "path": true}

// pure accepts expressions that have no effect and do not read what the body assigns.
func (b *bodyRule) pure(list ...ast.Expr) string {
	why := ""
	for _, e := range list {
		ast.Inspect(e, func(n ast.Node) bool {
			if why != "" {
				return false
			}
			switch n := n.(type) {
			case *ast.CallExpr:
				if !b.pureCall(n) {
					why = "it calls"
				}
			case *ast.FuncLit:
				why = "it makes a function"
			case *ast.UnaryExpr:
				if n.Op == token.ARROW {
					why = "it receives"
				}
			case *ast.Ident:
				if obj := b.c.pass.TypesInfo.Uses[n]; obj != nil && b.assigned[obj] {
					why = "it reads " + obj.Name() + ", which it also changes"
				}
			}
			return true
		})
	}
	return why
}

func (b *bodyRule) pureCall(call *ast.CallExpr) bool {
	if tv := b.c.pass.TypesInfo.Types[call.Fun]; tv.IsType() {
		return true // a conversion
	}
	switch b.builtin(call.Fun) {
	case "len", "cap", "min", "max", "make", "new", "complex", "real", "imag":
		return true
	}
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	obj := b.c.pass.TypesInfo.Uses[sel.Sel]
	return obj != nil && obj.Pkg() != nil && obj.Parent() == obj.Pkg().Scope() && purePackages[obj.Pkg().Path()]
}

// builtin returns the name of the built-in function that e is, or "".
func (b *bodyRule) builtin(e ast.Expr) string {
	if id, ok := ast.Unparen(e).(*ast.Ident); ok {
		if f, ok := b.c.pass.TypesInfo.Uses[id].(*types.Builtin); ok {
			return f.Name()
		}
	}
	return ""
}

func (b *bodyRule) isKey(e ast.Expr) bool {
	id, ok := ast.Unparen(e).(*ast.Ident)
	return ok && b.key != nil && b.c.pass.TypesInfo.Uses[id] == b.key
}

func isIdent(e ast.Expr) bool {
	_, ok := ast.Unparen(e).(*ast.Ident)
	return ok
}

func isMap(t types.Type) bool {
	_, ok := t.Underlying().(*types.Map)
	return ok
}
