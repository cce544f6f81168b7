package partition

import (
	"errors"
	"fmt"

	"millrace/node/host"
)

// handle is a segment file open for reading through the page cache, with its index. The files task holds it as long as it
// is among the open ones, readers while they use it; then it is closed.
type handle struct {
	file host.File
	// index is nil when the segment has no index file yet.
	index host.File
	// indexBytes is the size that the index file had when it was opened.
	indexBytes int64
	// checked has a number for each piece of the doubtful part of the file that is not 0 when the piece was checked.
	checked []*host.Counter
	ref     *host.Ref
	uses    *host.Counter
}

// filesOp is an order to the files task: exactly one field of open and forget is set.
type filesOp struct {
	open *segment
	// withIndex says that a handle without an index does not do.
	withIndex bool
	opened    *host.Future[opened]
	forget    *segment
}

type opened struct {
	handle *handle
	err    error
}

// files is the task that opens segments for reading and bounds how many are open.
type files struct {
	shared *Shared
	queue  *host.Queue[filesOp]
	// open is in the order in which it is looked at for closing; seen is the number of uses at the last look.
	open []openRead
}

type openRead struct {
	seg    *segment
	handle *handle
	seen   int64
}

func (f *files) post(op filesOp) {
	if !f.queue.Post(op) && op.opened != nil {
		op.opened.Set(opened{err: ErrDropped})
	}
}

func (f *files) run() {
	var ops []filesOp
	for {
		more := true
		ops, more = f.queue.Take(ops[:0])
		if !more {
			break
		}
		for i := range ops {
			f.carryOut(&ops[i])
		}
		clear(ops)
	}
	for len(f.open) > 0 {
		f.close(0)
	}
}

func (f *files) carryOut(op *filesOp) {
	if op.forget != nil {
		f.forget(op.forget)
		return
	}
	h := op.open.handle.Load()
	if h != nil && op.withIndex && h.index == nil {
		f.forget(op.open)
		h = nil
	}
	if h == nil {
		var err error
		if h, err = f.make(op.open); err != nil {
			op.opened.Set(opened{err: err})
			return
		}
	}
	h.ref.Acquire() // for the reader; this task holds it already
	op.opened.Set(opened{handle: h})
}

func (f *files) make(g *segment) (*handle, error) {
	for len(f.open) >= f.shared.o.OpenFiles {
		f.closeOne()
	}
	disk := f.shared.host.Disk
	file, err := disk.Open(g.name+logSuffix, host.Mode{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("open segment %s: %w", g.name, err)
	}
	h := &handle{file: file, uses: host.NewCounter(f.shared.host.Tasks)}
	for range (g.doubtful + checkedPiece - 1) / checkedPiece {
		h.checked = append(h.checked, host.NewCounter(f.shared.host.Tasks))
	}
	h.index, err = disk.Open(g.name+indexSuffix, host.Mode{ReadOnly: true})
	if err == nil {
		h.indexBytes, err = h.index.Size()
	}
	if err != nil && !errors.Is(err, host.ErrNotExist) {
		file.Close()
		return nil, fmt.Errorf("open index of segment %s: %w", g.name, err)
	}
	h.ref = host.NewRef(f.shared.host.Tasks, h.close)
	g.handle.Store(h)
	f.open = append(f.open, openRead{seg: g, handle: h})
	return h, nil
}

func (h *handle) close() {
	h.file.Close()
	if h.index != nil {
		h.index.Close()
	}
}

// closeOne closes the handle that was looked at longest ago, but gives those used since then another round.
func (f *files) closeOne() {
	for range f.open {
		o := f.open[0]
		uses := o.handle.uses.Load()
		if uses == o.seen {
			break
		}
		o.seen = uses
		f.open = append(f.open[1:], o)
	}
	f.close(0)
}

func (f *files) close(i int) {
	o := f.open[i]
	f.open = append(f.open[:i], f.open[i+1:]...)
	o.seg.handle.Store(nil)
	o.handle.ref.Release()
}

func (f *files) forget(g *segment) {
	for i := range f.open {
		if f.open[i].seg == g {
			f.close(i)
			return
		}
	}
}

// acquireHandle returns the segment's file open for reading; the caller holds the segment, and releases the handle.
func (s *Shared) acquireHandle(g *segment, withIndex bool) (*handle, error) {
	h := g.handle.Load()
	if h != nil && (!withIndex || h.index != nil) && h.ref.Acquire() {
		h.uses.Add(1)
		return h, nil
	}
	answer := host.NewFuture[opened](s.host.Tasks)
	s.files.post(filesOp{open: g, withIndex: withIndex, opened: answer})
	o := answer.Get()
	return o.handle, o.err
}
