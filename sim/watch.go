package sim

import (
	"bytes"
	"time"
)

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
	b, size := f.certain()
	image := make([]byte, size)
	copy(image, b)
	return image
}

// Certain calls what for each file whose path matches, of those that are certain to survive a power cut, in the order of
// their paths, with what of the file is. The bytes belong to the disk. For one look; [Certainty] is for many.
func (n *Node) Certain(match func(path string) bool, what func(path string, b []byte)) {
	for _, p := range sortedPaths(n.disk.stable) {
		if f := n.disk.stable[p]; !f.dir && match(p) {
			b, size := f.certain()
			what(p, b[:min(int64(len(b)), size)])
		}
	}
}

// certain is the image of the file that a power cut leaves which keeps nothing that it may lose, and its size, which may be
// larger.
func (f *inode) certain() ([]byte, int64) {
	image, size, own := f.stable, f.stableSize, false
	for _, c := range f.pending {
		if !c.synced || c.truncate {
			continue
		}
		if !own {
			image, own = bytes.Clone(image), true
		}
		image, size = put(image, c.off, c.data), max(size, c.size)
	}
	return image, size
}
