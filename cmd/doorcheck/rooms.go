package main

import "strings"

// level says how much of the world a package may touch by itself.
type level int

const (
	// free packages are the world, or stand outside it: machine, cmd, chaos and everything not listed.
	free level = iota
	// repeatable packages make the simulated world. They may start goroutines and share memory (the race build does),
	// but they must neither draw from a generator without a seed nor follow the order of a map.
	repeatable
	// door is node/host: it implements the types that tasks share, so it may use sync, and nothing more.
	door
	// simulated packages see the world through node/host only.
	simulated
)

// levels is the one list of packages under a rule, by import path without the module's name.
var levels = map[string]level{
	"node/host":        door,
	"node/host/mutant": simulated,
	"node/ordered":     simulated,
	"wal":              simulated,
	"partition":        simulated,
	"partition/batch":  simulated,
	"net/wire":         simulated,
	"net/server":       simulated,
	"net/peer":         simulated,
	"node":             simulated,
	"node/shard":       simulated,
	"node/catalog":     simulated,
	"node/group":       simulated,
	"node/txn":         simulated,
	"sim":              repeatable,
	"sim/client":       simulated,
	"sim/trial":        repeatable,
}

// module is the name of this module, with the slash that follows it in import paths.
const module = "millrace/"

// levelOf returns the rule for an import path, which may be a test variant as go list names it
// ("millrace/wal [millrace/wal.test]") or an external test package ("millrace/wal_test").
func levelOf(path string) level {
	path, _, _ = strings.Cut(path, " ")
	path = strings.TrimSuffix(path, "_test")
	room, ok := strings.CutPrefix(path, module)
	if !ok {
		return free
	}
	return levels[room]
}

// forbiddenImports names packages that no simulated room may import, with what to use instead. A name that ends in a
// slash stands for everything below it.
var forbiddenImports = map[string]string{
	"sync":          "tasks share only through the types of node/host",
	"sync/":         "tasks share only through the types of node/host",
	"os":            "files are reached through host.Disk",
	"os/":           "the world is reached through node/host",
	"io/ioutil":     "files are reached through host.Disk",
	"path/filepath": "host.Disk takes slash-separated names: use path",
	"embed":         "files are reached through host.Disk",
	"net":           "connections are reached through host.Transport",
	"net/":          "connections are reached through host.Transport",
	"syscall":       "the world is reached through node/host",
	"crypto/rand":   "secure randomness comes from the host",
	"hash/maphash":  "its seed differs in every process: use a keyed hash with a seed from the host",
	"runtime":       "what the runtime says differs between runs",
	"runtime/":      "what the runtime says differs between runs",
	"log":           "the host carries the logger",
	"unique":        "its order and lifetime are the garbage collector's",
	"weak":          "its lifetime is the garbage collector's",
	"plugin":        "the world is reached through node/host",

	"golang.org/x/sys/": "the world is reached through node/host",
}

// allowedImports are exceptions to the prefixes of forbiddenImports: they only compute.
var allowedImports = map[string]bool{
	"net/netip": true,
	"net/url":   true,
}

// doorImports may be imported by node/host although they are forbidden in the rooms.
var doorImports = map[string]bool{
	"sync":        true,
	"sync/atomic": true,
}

// importRefused returns why a package of the given level may not import path, or "".
func importRefused(l level, path string) string {
	if l < door || allowedImports[path] || l == door && doorImports[path] {
		return ""
	}
	if why, ok := forbiddenImports[path]; ok {
		return why
	}
	for i := range path {
		if path[i] == '/' {
			if why, ok := forbiddenImports[path[:i+1]]; ok {
				return why
			}
		}
	}
	return ""
}
