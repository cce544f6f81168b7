package main

import (
	"path"
	"strings"
)

// files is what the trace says about files: what was written where, and which of it would survive a power cut.
type files struct {
	// synchronous descriptors return from a write only when it is on disk.
	synchronous map[int]bool
	// dirty holds the marks written to each path and not synced since.
	dirty map[string]map[mark]int // the line of the write
	// unnamed are paths that were made and whose directory was not synced since.
	unnamed map[string]int // the line
	seen    map[string]bool
	durable map[mark]durability
	// syncing holds, for each thread inside a sync, what it will have made durable when it returns.
	syncing map[int]*pendingSync
	// how durability came about, counted
	bySynchronousWrite, bySync int
}

// durability is how a mark got to disk.
type durability struct {
	path string
	line int
}

type pendingSync struct {
	marks map[string][]mark
	names []string
}

func newFiles() *files {
	return &files{
		synchronous: map[int]bool{}, dirty: map[string]map[mark]int{}, unnamed: map[string]int{}, seen: map[string]bool{},
		durable: map[mark]durability{}, syncing: map[int]*pendingSync{},
	}
}

// opened notes a new descriptor.
func (f *files) opened(c *call) {
	fd, name, ok := file(c.result)
	if !ok {
		return
	}
	f.synchronous[fd] = strings.Contains(c.args, "O_DSYNC") || strings.Contains(c.args, "O_SYNC")
	if strings.Contains(c.args, "O_CREAT") && !f.seen[name] {
		f.unnamed[name] = c.line
	}
	f.seen[name] = true
}

// named notes a path made by mkdir, rename or link.
func (f *files) named(name string, line int) {
	f.unnamed[name] = line
	f.seen[name] = true
}

// renamed moves what is known of a path.
func (f *files) renamed(from, to string, line int) {
	if d := f.dirty[from]; d != nil {
		f.dirty[to] = d
		delete(f.dirty, from)
	}
	for m, d := range f.durable {
		if d.path == from {
			f.durable[m] = durability{to, d.line}
		}
	}
	delete(f.unnamed, from)
	f.named(to, line)
}

// wrote notes a write that returned.
func (f *files) wrote(c *call, fd int, name string, data []byte) {
	rwf := strings.Contains(c.args, "RWF_DSYNC") || strings.Contains(c.args, "RWF_SYNC")
	for _, m := range marksIn(data) {
		if f.synchronous[fd] || rwf {
			if _, ok := f.durable[m]; !ok {
				f.durable[m] = durability{name, c.line}
				f.bySynchronousWrite++
			}
			continue
		}
		if f.dirty[name] == nil {
			f.dirty[name] = map[mark]int{}
		}
		f.dirty[name][m] = c.line
	}
}

// syncBegins notes what a sync of the named file or directory, or of everything, will cover if it succeeds.
func (f *files) syncBegins(thread int, name string, everything bool) {
	p := &pendingSync{marks: map[string][]mark{}}
	for dirty, marks := range f.dirty {
		if everything || dirty == name {
			for m := range marks {
				p.marks[dirty] = append(p.marks[dirty], m)
			}
		}
	}
	for made := range f.unnamed {
		if everything || path.Dir(made) == name {
			p.names = append(p.names, made)
		}
	}
	f.syncing[thread] = p
}

// syncEnds notes that the thread's sync returned.
func (f *files) syncEnds(c *call) {
	p := f.syncing[c.thread]
	delete(f.syncing, c.thread)
	if _, ok := c.returned(); !ok || p == nil {
		return
	}
	for name, marks := range p.marks {
		for _, m := range marks {
			delete(f.dirty[name], m)
			if _, ok := f.durable[m]; !ok {
				f.durable[m] = durability{name, c.line}
				f.bySync++
			}
		}
	}
	for _, made := range p.names {
		delete(f.unnamed, made)
	}
}

// missing says why a mark would not survive a power cut now, or "".
func (f *files) missing(m mark) string {
	d, ok := f.durable[m]
	if !ok {
		for name, marks := range f.dirty {
			if line, ok := marks[m]; ok {
				return "its bytes were written to " + name + " at line " + itoa(line) + " of the trace and not synced since"
			}
		}
		return "its bytes were not written to any file"
	}
	for at := d.path; at != "/" && at != "."; at = path.Dir(at) {
		if line, ok := f.unnamed[at]; ok {
			return "its bytes are on disk, but the directory of " + at + ", made at line " + itoa(line) + " of the trace, was not synced since"
		}
	}
	return ""
}
