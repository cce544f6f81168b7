package main

import (
	"slices"
	"strings"
	"testing"
)

// rooms says for each package of the module which others it may import, outside its tests. Imports go downward only. A
// name that ends in "..." stands for the package and everything below it. A package that is not listed takes the entry
// of the nearest directory above it that ends in "...".
var rooms = map[string][]string{
	"node/host":          {},
	"node/host/mutant":   {},
	"node/host/hosttest": {"node/host"},
	"node/host/machine":  {"node/host"},
	"node/ordered":       {},

	"partition/batch": {"node/host"},
	"partition":       {"node/host", "node/ordered", "partition/batch"},
	"wal":             {"node/host", "partition/batch"},

	"net/wire":   {"node/host", "partition/batch"},
	"net/server": {"node/host", "net/wire"},
	"net/peer":   {"node/host", "partition/batch"},

	"node/catalog": {"node/host", "node/ordered", "partition/batch", "net/wire"},
	"node/group":   {"node/host", "node/ordered", "partition/batch", "net/wire"},
	"node/txn":     {"node/host", "node/ordered", "partition/batch", "net/wire"},
	"node/config":  {"node/host", "net/wire"},
	// net/wire for the names of Kafka's errors
	"node/shard": {"node/host", "node/ordered", "node/catalog", "partition...", "wal", "net/peer", "net/wire"},
	"node":       {"node/host", "node/ordered", "node/config", "node/shard", "node/catalog", "node/group", "node/txn", "partition...", "wal", "net..."},

	"linearizability": {},
	// The simulated world knows nothing of what runs in it but the door; what drives a node through it lies below.
	"sim":        {"node/host"},
	"sim/client": {"node/host", "net/wire", "partition/batch"},
	"sim/...":    {"node...", "net...", "partition...", "wal", "sim...", "linearizability"},
	// Chaos knows brokers as processes only.
	"chaos...": {"linearizability"},

	"cmd/millrace":     {"node...", "net...", "partition...", "wal", "sim...", "linearizability", "chaos...", "cmd/internal..."},
	"cmd/oracle":       {"net/wire", "partition/batch", "cmd/internal..."},
	"cmd/configpage":   {"node/config"},
	"cmd/internal/...": {"cmd/internal..."},
	"cmd/...":          {"cmd/internal..."},
}

// everywhere lists packages without effects of their own: the names of planted bugs.
var everywhere = []string{"node/host/mutant"}

// free of the rule above: nothing may import both worlds but these.
var bothWorlds = []string{"cmd/millrace"}

// modules says which packages may import a module of others, outside tests. Modules not listed are for tests only, and
// so is every module for packages not listed.
var modules = map[string][]string{
	"go.etcd.io/raft/v3":                      {"node/shard", "wal", "net/peer", "sim", "sim/..."},
	"google.golang.org/protobuf":              {"node/shard", "wal", "net/peer"},
	"github.com/klauspost/compress":           {"partition..."},
	"github.com/pierrec/lz4/v4":               {"partition..."},
	"github.com/prometheus/client_golang":     {"cmd/millrace", "node/host/machine"},
	"golang.org/x/sys":                        {"node/host/machine", "cmd..."},
	"golang.org/x/tools":                      {"cmd/doorcheck"},
	"github.com/spf13/cobra":                  {"cmd..."},
	"github.com/spf13/pflag":                  {"cmd..."},
	"github.com/HdrHistogram/hdrhistogram-go": {"cmd..."},
	// The public client: for the client's side of the command line and the tools around it, never in the broker.
	"github.com/twmb/franz-go":          {"cmd...", "chaos"},
	"github.com/twmb/franz-go/pkg/kadm": {"cmd...", "chaos"},
	"github.com/twmb/franz-go/pkg/kmsg": {"cmd...", "chaos"},
	"github.com/anishathalye/porcupine": {"linearizability"},
}

// outOfTheBinary lists modules that the released binary must not hold, however they would come in. (Porcupine is in it:
// millrace sim checks histories.)
var outOfTheBinary = []string{"pgregory.net/rapid", "golang.org/x/tools"}

func listModule(t *testing.T, args ...string) []*listed {
	t.Helper()
	list, err := goList("../..", append([]string{"-e", "-deps"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestImports fails on every import between rooms, or of a module, that the design does not have.
func TestImports(t *testing.T) {
	list := listModule(t, "./...")
	moduleOf := map[string]string{}
	for _, p := range list {
		if p.Module != nil {
			moduleOf[p.ImportPath] = p.Module.Path
		}
	}
	own := strings.TrimSuffix(module, "/")
	for _, p := range list {
		if p.Standard || moduleOf[p.ImportPath] != own {
			continue
		}
		room := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := allowedFor(room)
		if !known {
			t.Errorf("%s is a new room: say in the table of this test what it may import", room)
		}
		for _, imp := range p.Imports {
			to, inside := strings.CutPrefix(imp, module)
			switch {
			case inside && !matches(allowed, to) && !matches(everywhere, to):
				t.Errorf("%s must not import %s", room, to)
			case !inside && moduleOf[imp] != "" && !matches(modules[moduleOf[imp]], room):
				t.Errorf("%s must not import %s of module %s", room, imp, moduleOf[imp])
			}
		}
	}
}

// TestWorldsApart fails when a package reaches both the simulator and the machine, however indirectly.
func TestWorldsApart(t *testing.T) {
	for _, p := range listModule(t, "./...") {
		room, inside := strings.CutPrefix(p.ImportPath, module)
		if !inside || matches(bothWorlds, room) {
			continue
		}
		machine := slices.Contains(p.Deps, module+"node/host/machine") || room == "node/host/machine"
		sim := room == "sim" || slices.ContainsFunc(p.Deps, func(d string) bool { return d == module+"sim" || strings.HasPrefix(d, module+"sim/") })
		if machine && sim {
			t.Errorf("%s reaches both the simulator and the machine", room)
		}
	}
}

// TestBinary fails when the released binary holds what only tests need.
func TestBinary(t *testing.T) {
	for _, p := range listModule(t, "./cmd/millrace") {
		if p.Module != nil && slices.Contains(outOfTheBinary, p.Module.Path) {
			t.Errorf("cmd/millrace holds %s", p.ImportPath)
		}
		if p.ImportPath == "testing" {
			t.Errorf("cmd/millrace holds package testing")
		}
	}
}

// allowedFor returns the entry of rooms for a package.
func allowedFor(room string) ([]string, bool) {
	if allowed, ok := rooms[room]; ok {
		return allowed, true
	}
	for dir := room; dir != ""; {
		if allowed, ok := rooms[dir+"..."]; ok {
			return allowed, true
		}
		i := strings.LastIndexByte(dir, '/')
		if i < 0 {
			break
		}
		dir = dir[:i]
		if allowed, ok := rooms[dir+"/..."]; ok {
			return allowed, true
		}
	}
	return nil, false
}

// matches reports whether the list names the package, by itself or by a "..." above it.
func matches(list []string, room string) bool {
	for _, l := range list {
		dir, below := strings.CutSuffix(l, "...")
		if room == l || below && (room == dir || strings.HasPrefix(room, strings.TrimSuffix(dir, "/")+"/")) {
			return true
		}
	}
	return false
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		list []string
		room string
		want bool
	}{
		{[]string{"node"}, "node", true},
		{[]string{"node"}, "node/shard", false},
		{[]string{"node..."}, "node", true},
		{[]string{"node..."}, "node/shard", true},
		{[]string{"node..."}, "nodes", false},
	} {
		if got := matches(c.list, c.room); got != c.want {
			t.Errorf("matches(%v, %q) = %v", c.list, c.room, got)
		}
	}
}
