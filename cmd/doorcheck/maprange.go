package main

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
)

// A loop over a map is the same in every order when each statement of its body is one of
//
//	delete(m, e)                     m[k] = e where k is the loop's key
//	x++   x += e   x |= e …          on integers
//	x = max(x, e)   x = min(x, e)    x = constant, always the same one
//	s = append(s, e)                 when s is sorted next
//	v := e                           a name of the body's own
//	if e { … } else { … }            of such statements; continue
//	return constants                 always the same, in a body that otherwise changes nothing
//
// where no e calls anything but pure functions, nor reads what the body assigns. The rule is syntactic and strict: what
// it does not know, it refuses.

// bodyRule judges the body of one loop.
type bodyRule struct {
	c    *checker
	loop *ast.RangeStmt
	key  types.Object
	// assigned are the variables that the body changes, found before the judging.
	assigned map[types.Object]bool
	// constants are the values that plain assignments give, which must agree.
	constants map[types.Object]constant.Value
	appended  map[types.Object]bool
	effects   bool // something besides returning is done
	returns   *ast.ReturnStmt
}

// orderMatters says why the order could change what the loop does, or "" when it plainly cannot.
func (c *checker) orderMatters(loop *ast.RangeStmt) string {
	if loop.Key == nil && loop.Value == nil {
		return "" // as many rounds, each the same
	}
	b := &bodyRule{c: c, loop: loop, assigned: map[types.Object]bool{}, constants: map[types.Object]constant.Value{}, appended: map[types.Object]bool{}}
	if loop.Tok == token.ASSIGN {
		return "the loop's variables outlive it"
	}
	if id, ok := loop.Key.(*ast.Ident); ok {
		b.key = c.pass.TypesInfo.Defs[id]
	}
	b.findAssigned()
	if why := b.block(loop.Body.List); why != "" {
		return why
	}
	if b.returns != nil && b.effects {
		return "it returns in the middle of changes"
	}
	for obj := range b.appended {
		if !b.sortedNext(obj) {
			return "what is appended to " + obj.Name() + " is not sorted next"
		}
	}
	return ""
}

// findAssigned notes every variable, declared outside the loop, that the body assigns to or through.
func (b *bodyRule) findAssigned() {
	note := func(e ast.Expr) {
		if obj := b.root(e); obj != nil && !b.own(obj) {
			b.assigned[obj] = true
		}
	}
	ast.Inspect(b.loop.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, l := range n.Lhs {
				note(l)
			}
		case *ast.IncDecStmt:
			note(n.X)
		case *ast.CallExpr:
			if b.builtin(n.Fun) == "delete" || b.builtin(n.Fun) == "clear" {
				note(n.Args[0])
			}
		}
		return true
	})
}

// own reports whether obj is declared by the loop or inside it.
func (b *bodyRule) own(obj types.Object) bool {
	return obj.Pos() >= b.loop.Pos() && obj.Pos() < b.loop.End()
}

// root returns the variable at the start of an expression such as a.b[c].
func (b *bodyRule) root(e ast.Expr) types.Object {
	for {
		switch x := ast.Unparen(e).(type) {
		case *ast.Ident:
			if obj := b.c.pass.TypesInfo.Uses[x]; obj != nil {
				return obj
			}
			return b.c.pass.TypesInfo.Defs[x]
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func (b *bodyRule) block(list []ast.Stmt) string {
	for _, s := range list {
		if why := b.statement(s); why != "" {
			return why
		}
	}
	return ""
}

func (b *bodyRule) statement(s ast.Stmt) string {
	switch s := s.(type) {
	case *ast.EmptyStmt:
		return ""
	case *ast.BlockStmt:
		return b.block(s.List)
	case *ast.BranchStmt:
		if s.Tok == token.CONTINUE && s.Label == nil {
			return ""
		}
		return s.Tok.String() + " takes what comes first"
	case *ast.IfStmt:
		return b.ifStatement(s)
	case *ast.IncDecStmt:
		b.effects = true
		return b.target(s.X, true)
	case *ast.ExprStmt:
		if call, ok := s.X.(*ast.CallExpr); ok && b.builtin(call.Fun) == "delete" {
			b.effects = true
			if obj := b.root(call.Args[0]); obj != nil && obj == b.root(b.loop.X) && !b.isKey(call.Args[1]) {
				return "it deletes what it may not have met yet"
			}
			return b.pure(call.Args[1])
		}
		return "it calls"
	case *ast.ReturnStmt:
		return b.returnStatement(s)
	case *ast.AssignStmt:
		return b.assignment(s)
	}
	return "its body is not plain"
}

func (b *bodyRule) ifStatement(s *ast.IfStmt) string {
	if s.Init != nil {
		if why := b.statement(s.Init); why != "" {
			return why
		}
	}
	if why := b.pure(s.Cond); why != "" {
		return why
	}
	if why := b.block(s.Body.List); why != "" || s.Else == nil {
		return why
	}
	return b.statement(s.Else)
}

// returnStatement accepts the answer to "is there any?": whichever element is met first, the same is returned.
func (b *bodyRule) returnStatement(s *ast.ReturnStmt) string {
	for _, r := range s.Results {
		tv := b.c.pass.TypesInfo.Types[r]
		if tv.Value == nil && !tv.IsNil() {
			return "what it returns depends on what comes first"
		}
	}
	if b.returns != nil {
		for i, r := range s.Results {
			x, y := b.c.pass.TypesInfo.Types[r], b.c.pass.TypesInfo.Types[b.returns.Results[i]]
			if x.IsNil() != y.IsNil() || !x.IsNil() && !constant.Compare(x.Value, token.EQL, y.Value) {
				return "which return is met first depends on the order"
			}
		}
	}
	b.returns = s
	return ""
}

func (b *bodyRule) assignment(s *ast.AssignStmt) string {
	if s.Tok == token.DEFINE {
		return b.pure(s.Rhs...)
	}
	b.effects = true
	if len(s.Lhs) != 1 || len(s.Rhs) != 1 {
		return "it assigns several at once"
	}
	left, right := s.Lhs[0], s.Rhs[0]
	switch s.Tok {
	case token.ADD_ASSIGN, token.SUB_ASSIGN, token.MUL_ASSIGN, token.OR_ASSIGN, token.AND_ASSIGN, token.XOR_ASSIGN, token.AND_NOT_ASSIGN:
		if why := b.target(left, true); why != "" {
			return why
		}
		return b.pure(right)
	case token.ASSIGN:
	default:
		return "it uses " + s.Tok.String()
	}
	if obj := b.root(left); isIdent(left) && (obj == nil || b.own(obj)) { // nil: the blank name
		return b.pure(right)
	}
	if ix, ok := ast.Unparen(left).(*ast.IndexExpr); ok && b.isKey(ix.Index) && isMap(b.c.pass.TypesInfo.TypeOf(ix.X)) {
		return b.pure(right)
	}
	if tv := b.c.pass.TypesInfo.Types[right]; tv.Value != nil && isIdent(left) {
		return b.constant(b.root(left), tv.Value)
	}
	if call, ok := ast.Unparen(right).(*ast.CallExpr); ok {
		return b.accumulate(left, call)
	}
	return "what is assigned last depends on the order"
}

// accumulate accepts x = max(x, e), x = min(x, e) and s = append(s, e…).
func (b *bodyRule) accumulate(left ast.Expr, call *ast.CallExpr) string {
	obj := b.root(left)
	name := b.builtin(call.Fun)
	if obj == nil || name == "" || len(call.Args) == 0 || types.ExprString(call.Args[0]) != types.ExprString(left) {
		return "what is assigned last depends on the order"
	}
	switch name {
	case "max", "min":
		if why := b.indexes(left); why != "" {
			return why
		}
	case "append":
		if !isIdent(left) {
			return "what is appended to is not plain"
		}
		b.appended[obj] = true
	default:
		return "what is assigned last depends on the order"
	}
	return b.pure(call.Args[1:]...)
}

// constant accepts plain assignments of one constant to a variable.
func (b *bodyRule) constant(obj types.Object, v constant.Value) string {
	if old, ok := b.constants[obj]; ok && !constant.Compare(old, token.EQL, v) {
		return "which constant is assigned last depends on the order"
	}
	b.constants[obj] = v
	return ""
}

// sortedNext reports whether the first statement after the loop that mentions obj sorts it completely.
func (b *bodyRule) sortedNext(obj types.Object) bool {
	for _, s := range b.c.following[b.loop] {
		if !b.mentions(s, obj) {
			continue
		}
		es, ok := s.(*ast.ExprStmt)
		if !ok {
			return false
		}
		call, ok := es.X.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 || !isIdent(call.Args[0]) || b.root(call.Args[0]) != obj {
			return false
		}
		if b.c.isFunc(call.Fun, "slices", "Sort") || b.c.isFunc(call.Fun, "sort", "Strings", "Ints", "Float64s") {
			return true
		}
		// A comparison of our own may call two elements equal, which would leave them in the map's order;
		// keys differ from each other, so a comparison of keys seldom does.
		return b.onlyKeysAppended(obj) && (b.c.isFunc(call.Fun, "slices", "SortFunc") || b.c.isFunc(call.Fun, "sort", "Slice"))
	}
	return false
}

func (b *bodyRule) onlyKeysAppended(obj types.Object) bool {
	only := true
	ast.Inspect(b.loop.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && b.builtin(call.Fun) == "append" && b.root(call.Args[0]) == obj {
			for _, a := range call.Args[1:] {
				only = only && b.isKey(a)
			}
		}
		return true
	})
	return only
}

func (b *bodyRule) mentions(n ast.Node, obj types.Object) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && b.c.pass.TypesInfo.Uses[id] == obj {
			found = true
		}
		return !found
	})
	return found
}
