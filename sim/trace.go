package sim

import (
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
)

// trailStep is the number of hashed events after which the hash is noted, so that two runs that differ can be told
// where they began to.
const trailStep = 1000

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// trace hashes what happens, and writes it down when asked to.
type trace struct {
	sum    uint64
	events uint64
	trail  []uint64
	out    io.Writer
	from   uint64 // first event that is written
}

func (t *trace) word(v uint64) {
	t.sum = (bits.RotateLeft64(t.sum, 23) ^ v) * 0x9fb21c651e98df25
}

func (t *trace) end() {
	t.events++
	if t.events%trailStep == 0 {
		t.trail = append(t.trail, finish(t.sum))
	}
}

// choice notes that the scheduler resumed a task, or let it run on.
func (t *trace) choice(w *World, id uint64) {
	t.word(uint64(w.now))
	t.word(id)
	t.end()
}

// io notes one operation on a disk or a connection.
func (w *World) io(kind string, where string, id uint64, off, n int64, bytes ...[]byte) {
	t := &w.trace
	t.word(uint64(w.now))
	t.word(derive(id, kind))
	t.word(uint64(off))
	t.word(uint64(n))
	var sum uint32
	for _, b := range bytes {
		sum = crc32.Update(sum, castagnoli, b)
	}
	t.word(uint64(sum))
	t.end()
	if t.out != nil && t.events >= t.from {
		fmt.Fprintf(t.out, "%d %12d %s %s off=%d len=%d crc=%08x\n", t.events, w.now, kind, where, off, n, sum)
	}
}

// note writes a line about what is no I/O.
func (w *World) note(format string, args ...any) {
	if w.options.Watch != nil {
		w.watched(format, args)
	}
	if t := &w.trace; t.out != nil && t.events >= t.from {
		fmt.Fprintf(t.out, "%d %12d "+format+"\n", append([]any{t.events, w.now}, args...)...)
	}
}

// Note writes a line to the trace, if one is written, for people. It does not change the hash.
func (w *World) Note(format string, args ...any) { w.note(format, args...) }
