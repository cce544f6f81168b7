package sim

import (
	"fmt"
	"io"
	"slices"
	"unsafe"

	"millrace/node/host"
)

// file is host.File of an incarnation.
type file struct {
	disk   diskHandle
	node   *inode
	name   string
	mode   host.Mode
	closed bool
}

func (f *file) world() *World { return f.disk.inc.node.world }

// check refuses what a closed handle, a dead process or a direct file cannot do.
func (f *file) check(op string, off int64, slices ...[]byte) error {
	if f.closed || f.disk.inc.dead {
		return fmt.Errorf("%s %s: %w", op, f.name, host.ErrClosed)
	}
	if off < 0 {
		return fmt.Errorf("%s %s: negative offset", op, f.name)
	}
	if !f.mode.Direct {
		return nil
	}
	for _, b := range slices {
		if off%host.Align != 0 || len(b)%host.Align != 0 ||
			len(b) > 0 && uintptr(unsafe.Pointer(unsafe.SliceData(b)))%host.Align != 0 {
			return fmt.Errorf("%s %s: direct I/O at offset %d, length %d is not aligned", op, f.name, off, len(b))
		}
	}
	return nil
}

// ReadAt reads what the node sees.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", off, p); err != nil {
		return 0, err
	}
	w := f.world()
	span := w.disk.cached
	if f.mode.Direct {
		span = w.disk.device
	}
	if err := f.disk.begin("disk.read", span, int64(len(p))); err != nil {
		return 0, err
	}
	if err := f.check("read", off); err != nil {
		return 0, err
	}
	n := f.node.read(p, off)
	if err := f.disk.misread(f, p[:n], off); err != nil {
		return 0, err
	}
	w.io("read", f.name, f.node.id, off, int64(n), p[:n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes the slices. They are read when the write ends, as a device does, so that a buffer given back too early
// is seen.
func (f *file) WriteAt(off int64, parts ...[]byte) error {
	if err := f.check("write", off, parts...); err != nil {
		return err
	}
	if f.mode.ReadOnly {
		return fmt.Errorf("write %s: opened read-only", f.name)
	}
	var n int64
	for _, b := range parts {
		n += int64(len(b))
	}
	d, w, inc := f.disk.d, f.world(), f.disk.inc
	span := w.disk.cached
	if f.mode.Direct {
		span = w.disk.device
	}
	if f.mode.Durable {
		span[0], span[1] = span[0]+w.disk.durable[0], span[1]+w.disk.durable[1]
	}
	if !d.room(f.node, off+n) {
		f.disk.full()
		return fmt.Errorf("write %s: %w", f.name, host.ErrNoSpace)
	}
	fl := &flight{inc: inc, file: f.node, off: off, slices: parts, durable: f.mode.Durable}
	d.writing = append(d.writing, fl)
	inc.reach(PointWrite)
	err := f.disk.begin("disk.write", span, n)
	if err != nil {
		return err
	}
	if i := slices.Index(d.writing, fl); i >= 0 {
		d.writing = slices.Delete(d.writing, i, i+1)
	}
	if inc.draws("disk.write.fail").Chance(d.faults.Write) {
		inc.mayDie = true
		w.fault("write failed")
		if inc.draws("disk.write.fail").Chance(0.5) && len(parts) > 0 {
			f.node.write(off, parts[0][:len(parts[0])/2], false)
		}
		return fmt.Errorf("write %s: %w", f.name, host.ErrIO)
	}
	if f.mode.Durable && inc.draws("disk.sync.fail").Chance(max(w.disk.failSync, d.faults.Sync)) {
		inc.mayDie = true
		w.fault("durable write failed")
		return fmt.Errorf("write %s: %w", f.name, host.ErrIO)
	}
	f.wrote(off, parts)
	misdirected := f.misdirected(off, parts)
	at := off
	for _, b := range parts {
		if misdirected {
			break
		}
		f.node.write(at, b, f.mode.Durable)
		at += int64(len(b))
	}
	w.io("write", f.name, f.node.id, off, n, parts...)
	if f.mode.Durable {
		inc.reach(PointSynced)
	}
	return nil
}

// Sync makes what was written before the call durable.
func (f *file) Sync() error {
	if err := f.check("sync", 0); err != nil {
		return err
	}
	upto := f.node.changes
	if err := f.disk.sync("sync", f.name); err != nil {
		f.node.lose(upto)
		return err
	}
	f.node.settle(upto)
	f.world().io("sync", f.name, f.node.id, 0, 0)
	f.disk.inc.reach(PointSynced)
	return nil
}

// SyncAll makes everything durable that was written or named before the call.
func (h diskHandle) SyncAll() error {
	d := h.d
	type mark struct {
		file *inode
		upto uint64
	}
	var marks []mark
	for _, f := range d.live { //door:ordered each file is settled for itself
		if len(f.pending) > 0 {
			marks = append(marks, mark{f, f.changes})
		}
	}
	names := d.namings
	err := h.sync("sync", "all")
	for _, m := range marks {
		if err != nil {
			m.file.lose(m.upto)
		} else {
			m.file.settle(m.upto)
		}
	}
	if err != nil {
		return err
	}
	d.settle(names, nil)
	d.syncs++
	h.inc.node.world.io("syncall", "", h.inc.node.key, 0, int64(len(marks)))
	h.inc.reach(PointSynced)
	return nil
}

// Truncate sets the size.
func (f *file) Truncate(size int64) error {
	if err := f.check("truncate", size); err != nil {
		return err
	}
	if err := f.disk.begin("disk.truncate", f.world().disk.device, 0); err != nil {
		return err
	}
	if !f.disk.d.room(f.node, size) {
		f.disk.full()
		return fmt.Errorf("truncate %s: %w", f.name, host.ErrNoSpace)
	}
	f.node.truncate(size)
	f.world().io("truncate", f.name, f.node.id, size, 0)
	return nil
}

// Allocate reserves space.
func (f *file) Allocate(size int64) error {
	if err := f.check("allocate", size); err != nil {
		return err
	}
	if err := f.disk.begin("disk.truncate", f.world().disk.device, 0); err != nil {
		return err
	}
	if !f.disk.d.room(f.node, size) {
		f.disk.full()
		return fmt.Errorf("allocate %s: %w", f.name, host.ErrNoSpace)
	}
	f.node.allocated = max(f.node.allocated, size)
	f.world().io("allocate", f.name, f.node.id, size, 0)
	return nil
}

// Size is the size as the node sees it.
func (f *file) Size() (int64, error) {
	f.world().step()
	if err := f.check("size", 0); err != nil {
		return 0, err
	}
	return f.node.size, nil
}

// Close ends the handle.
func (f *file) Close() error {
	f.world().step()
	if f.disk.inc.dead {
		return nil
	}
	if f.closed {
		return fmt.Errorf("close %s: %w", f.name, host.ErrClosed)
	}
	f.closed = true
	f.disk.inc.files--
	return nil
}

// late reads a range for a connection that sends it.
func (f *file) late(p []byte, off int64) error {
	if f.closed {
		return fmt.Errorf("send %s: %w", f.name, host.ErrClosed)
	}
	if n := f.node.read(p, off); n < len(p) {
		return fmt.Errorf("send %s: %d bytes at %d are not there", f.name, len(p)-n, off+int64(n))
	}
	return f.disk.misread(f, p, off)
}
