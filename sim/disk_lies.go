package sim

import (
	"bytes"
	"slices"

	"millrace/node/host"
)

// What a drive says and does not keep: writes that it acknowledged and that are gone after a power cut, writes that are gone
// elsewhere, and reads that give what was there before.
//
// Of a durable file only a write that another one follows is lost or moved, or rots. Of a write-ahead log, no reader can tell
// the end of it from an end that was cut short, and who asks for that asks for the impossible; a hole in it shows.

// placed is a write that was acknowledged.
type placed struct {
	file     *inode
	off      int64
	old, now []byte
}

// overlaps says whether the write covers any of a range.
func (x *placed) overlaps(off, n int64) bool { return off < x.off+int64(len(x.now)) && x.off < off+n }

// extent is a range of a file.
type extent struct {
	file     *inode
	off, end int64
}

// holds says whether a byte of a file lies in the range.
func (x extent) holds(f *inode, at int64) bool { return x.file == f && x.off <= at && at < x.end }

// wrote is told of every write before it is done.
func (f *file) wrote(off int64, parts [][]byte) {
	d, faults := f.disk.d, &f.disk.d.faults
	if f.mode.Durable && off > 0 {
		end := off
		for _, b := range parts {
			end += int64(len(b))
		}
		d.tail = extent{f.node, off, end}
	}
	if faults.Lie == 0 && !(faults.Misdirect > 0 && f.mode.Durable) && !faults.Remember || faults.Only != nil && !faults.Only(f.name) {
		return
	}
	now := slices.Concat(parts...)
	old := make([]byte, len(now))
	f.node.read(old, off)
	if faults.Remember {
		f.node.remember(off, old)
	}
	this := &placed{f.node, off, old, now}
	if !f.mode.Durable {
		f.lie(this)
		return
	}
	last := d.last
	d.last = this
	if last == nil || last.file != f.node || last.overlaps(off, int64(len(now))) {
		return
	}
	f.lie(last)
	if f.disk.inc.draws("disk.write.misplace").Chance(faults.Misdirect) {
		f.misplace(last)
	}
}

// lie decides whether a write will be gone after a power cut.
func (f *file) lie(x *placed) {
	if d := f.disk.d; f.disk.inc.draws("disk.write.lie").Chance(d.faults.Lie) {
		d.lies = append(d.lies, x)
	}
}

// misplace moves a write of a durable file to another place of it.
func (f *file) misplace(x *placed) {
	d, w := f.disk.d, f.world()
	if f.node.size < 2*host.Align {
		return
	}
	at := f.disk.inc.draws("disk.write.misplace").Below(f.node.size/host.Align) * host.Align
	b := x.now[:min(int64(len(x.now)), f.node.size-at)]
	if at == x.off {
		return
	}
	f.node.write(x.off, x.old, true)
	f.node.write(at, b, true)
	d.damaged++
	w.fault("misdirected write to the log")
	w.note("misdirected: %s at %d instead of %d", f.name, at, x.off)
}

// comeOut is what a power cut shows of lies: what was acknowledged and is still there as it was written is as it was before.
func (d *disk) comeOut() {
	for _, x := range d.lies {
		end := x.off + int64(len(x.now))
		if end > int64(len(x.file.stable)) || end > x.file.stableSize || !bytes.Equal(x.file.stable[x.off:end], x.now) || bytes.Equal(x.old, x.now) {
			continue
		}
		x.file.moves(x.off)
		copy(x.file.stable[x.off:], x.old)
		d.damaged++
		d.node.world.fault("acknowledged write gone after a power cut")
	}
	d.lies, d.last = nil, nil
}

// DriveFlushes makes what the drive of the node has not kept so far certain after all.
func (n *Node) DriveFlushes() { n.disk.lies, n.disk.last = nil, nil }

// Misread counts the reads of the node's disk that gave something wrong. Whoever noticed may have let go of what is good.
func (n *Node) Misread() int { return n.disk.misreads }

// remember keeps what was in the sectors of a range.
func (f *inode) remember(off int64, old []byte) {
	if f.before == nil {
		f.before = make(map[int64][]byte)
	}
	for s := (off + sector - 1) / sector; (s+1)*sector <= off+int64(len(old)); s++ {
		f.before[s] = bytes.Clone(old[s*sector-off:][:sector])
	}
}

// outdated puts what was there before into the sectors of a read, and says whether that changed anything.
func (f *inode) outdated(p []byte, off int64) bool {
	changed := false
	for s := off / sector; s*sector < off+int64(len(p)); s++ {
		old, ok := f.before[s]
		if !ok {
			continue
		}
		from, to := max(off, s*sector), min(off+int64(len(p)), (s+1)*sector)
		into, is := p[from-off:to-off], old[from-s*sector:to-s*sector]
		if !bytes.Equal(into, is) {
			copy(into, is)
			changed = true
		}
	}
	return changed
}
