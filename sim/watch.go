package sim

import "time"

// Happening is something that a world notes beside its I/O: a boot, the end of a process, a fault that strikes, and what
// the harness says with [World.Note].
type Happening struct {
	At    time.Duration
	Event uint64 // the number of hashed events before it
	// Node is that of the task that ran, "" when none did.
	Node string
	// Format and Args are the line of the trace.
	Format string
	Args   []any
}

// watched tells whoever watches the world. It changes nothing in it.
func (w *World) watched(format string, args []any) {
	h := Happening{At: time.Duration(w.now), Event: w.trace.events, Format: format, Args: args}
	if w.current != nil {
		h.Node = w.current.inc.node.name
	}
	w.options.Watch(h)
}

// salt changes every draw of the world of this process; see Reseed.
var salt uint64

// Reseed lets everything that is drawn from a time on be drawn anew, another way for each n but 0. What a plan says
// comes as before; what was drawn earlier stays.
func (w *World) Reseed(at time.Duration, n uint64) {
	w.After(at-w.Now(), func() { salt = finish(n * 0x9e3779b97f4a7c15) })
}

// Synced is a copy of what of a file is certain to survive a power cut, under the name that it has then; nil when there
// would be none.
func (n *Node) Synced(path string) []byte {
	f := n.disk.stable[path]
	if f == nil || f.dir {
		return nil
	}
	b := make([]byte, f.stableSize)
	copy(b, f.stable)
	return b
}
