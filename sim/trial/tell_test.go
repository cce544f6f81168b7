package trial

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/sim/story"
)

// TestTellingChangesNothing: a run that is told of, and whose disks are looked at, goes the same way.
func TestTellingChangesNothing(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		x := &Teller{}
		for i := range time.Duration(50) {
			x.Looks = append(x.Looks, i*37*time.Millisecond)
		}
		p := DrawNodes(11, nodes)
		plain, told := Run(11, Options{Plan: p}), Run(11, Options{Plan: p, Tale: x})
		if plain.Hash != told.Hash || plain.Events != told.Events {
			t.Errorf("%d nodes: hash %x after %d events, and %x after %d when it is told", nodes, plain.Hash, plain.Events, told.Hash, told.Events)
		}
		kinds := map[story.Kind]int{}
		for _, e := range x.Tale.Events {
			kinds[e.Kind]++
		}
		for _, k := range []story.Kind{story.Boot, story.End, story.Ack, story.Read, story.Ends, story.Lead, story.Armed} {
			if kinds[k] == 0 {
				t.Errorf("%d nodes: no event of the kind %s in %v", nodes, k, kinds)
			}
		}
		checkLooks(t, &x.Tale)
	}
}

// checkLooks: in the end every replica that is up holds everything, without a gap, and durably.
func checkLooks(t *testing.T, tale *story.Tale) {
	t.Helper()
	last := tale.Looks[len(tale.Looks)-1]
	if len(last.Replicas) == 0 {
		t.Fatal("nobody holds anything")
	}
	most := map[string]int64{}
	for _, e := range tale.Events {
		if e.Kind == story.Ack {
			most[e.Log] = max(most[e.Log], e.To)
		}
	}
	for _, r := range last.Replicas {
		if r.State != "up" || r.Start >= most[r.Log] {
			continue
		}
		if _, ok := r.Holds(most[r.Log] - 1); !ok {
			t.Errorf("%s does not hold offset %d of %s durably, which was acknowledged: %+v", r.Node, most[r.Log]-1, r.Log, r.Batches)
		}
	}
}

// TestReseeding: what comes before the time stays as it was, what comes after it does not.
func TestReseeding(t *testing.T) {
	p := DrawNodes(5, 3)
	var plain, other strings.Builder
	a := Run(5, Options{Plan: p, Trace: &plain})
	b := Run(5, Options{Plan: p.Reseeded(ReseedPlan{At: 300 * time.Millisecond, Number: 1}), Trace: &other})
	if a.Hash == b.Hash {
		t.Fatal("a run that is drawn anew from a time on went the same way")
	}
	x, y := strings.Split(plain.String(), "\n"), strings.Split(other.String(), "\n")
	i := 0
	for i < len(x) && i < len(y) && x[i] == y[i] {
		i++
	}
	at := func(line string) int64 {
		n, err := strconv.ParseInt(strings.Fields(line)[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if first := min(at(x[i]), at(y[i])); first < int64(300*time.Millisecond) {
		t.Errorf("they differ at %d ns: %s and %s", first, x[i], y[i])
	}
	if c := Run(5, Options{Plan: p.Reseeded(ReseedPlan{At: 300 * time.Millisecond, Number: 1})}); c.Hash != b.Hash {
		t.Error("the same other way is not the same")
	}
}

// TestFailuresAreExplained: every failure that the trial can report has a meaning in stories.
func TestFailuresAreExplained(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	verbs := regexp.MustCompile(`%[.0-9]*[a-z]`)
	words := regexp.MustCompile(`[a-z]{3,}`)
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			literal, ok2 := call.Args[0].(*ast.BasicLit)
			if !ok || !ok2 || s.Sel.Name != "failf" {
				return true
			}
			format, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			text := verbs.ReplaceAllStringFunc(format, func(v string) string {
				if strings.HasSuffix(v, "d") {
					return "1"
				}
				return "t0-0"
			})
			if !words.MatchString(verbs.ReplaceAllString(format, "")) || slices.Contains(unexplained, format) {
				return true
			}
			if story.Explain(text).Rule == "" {
				t.Errorf("%s: %q has no meaning in sim/story/meaning.go", name, format)
			}
			return true
		})
	}
}

// unexplained are failures of the trial itself.
var unexplained = []string{}
