package partition

import (
	"fmt"

	"millrace/node/host"
)

const (
	logSuffix   = ".log"
	indexSuffix = ".index"
)

// segmentName is the name of a segment's file without its suffix. What apply writes has generation 0; every other file
// that ever begins at the same offset has a generation of its own.
func segmentName(dir string, base, generation int64) string {
	if generation == 0 {
		return fmt.Sprintf("%s/%020d", dir, base)
	}
	return fmt.Sprintf("%s/%020d-%d", dir, base, generation)
}

// segment is a segment file as tasks share it. What grows (its length, its timestamps) is in the views.
//
// ref is held by the log while the segment belongs to it, and by readers. When it ends, and the log has marked the
// segment as doomed before letting go, the files are deleted.
type segment struct {
	base, generation int64

	name   string
	shared *Shared
	ref    *host.Ref
	// dir is held as long as the directory is needed by this segment's files.
	dir *host.Ref
	// handle is the file opened for reading, nil when it is not open. Only the files task stores it.
	handle *host.Snapshot[handle]
	// doomed is set by the log before its last Release.
	doomed bool
	// doubtful is how much of the file is from an earlier life of the node: it may have rotted while nobody looked, and is
	// checked before it is read the first time.
	doubtful int64
	// exists says that the file is there; it belongs to the writer.
	exists bool
	writer *writer
}

// newSegment makes a segment whose directory the caller holds for it.
func newSegment(s *Shared, w *writer, dir string, hold *host.Ref, base, generation int64, exists bool) *segment {
	g := &segment{base: base, generation: generation, name: segmentName(dir, base, generation), shared: s, dir: hold,
		exists: exists, writer: w}
	g.handle = host.NewSnapshot[handle](s.host.Tasks, nil)
	g.ref = host.NewRef(s.host.Tasks, g.end)
	return g
}

// end runs when nobody needs the segment any more.
func (g *segment) end() {
	g.shared.files.post(filesOp{forget: g})
	g.writer.post(writeOp{kind: endSegment, seg: g})
}
