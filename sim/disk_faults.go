package sim

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"millrace/node/host"
)

// DiskFaults is what is wrong with the disk of one node. Probabilities are per operation.
type DiskFaults struct {
	Times             int64   // every operation takes so many times as long
	Read, Write, Sync float64 // it fails
	Rot               float64 // a read returns one wrong bit, and the next one may be right
	Misdirect         float64 // a write goes to another place of its file; of a durable one, once another write follows it
	Lie               float64 // a write is gone after a power cut although it was synced; of a durable file, one that another follows
	Stale             float64 // a read gives what was there before the last write, if that was written while Remember was set
	Remember          bool
	// Only says to which files Read, Rot, Misdirect, Lie, Stale and Remember apply, by path; nil means all.
	Only func(path string) bool
}

// SetDiskFaults replaces what is wrong with the node's disk. A process that was given an error may die of it.
func (n *Node) SetDiskFaults(f DiskFaults) { n.disk.faults = f }

// StickDisk lets no operation of the node's disk end for a time.
func (n *Node) StickDisk(d time.Duration) {
	n.disk.stuck = max(n.disk.stuck, n.world.now+int64(d))
	n.world.fault("stuck disk")
}

// misread is what a faulty disk does to a read: an error, or a wrong bit.
func (h diskHandle) misread(f *file, p []byte, off int64) error {
	w, faults := h.inc.node.world, &h.d.faults
	for s := off / sector; f.node.bad != nil && s*sector < off+int64(len(p)); s++ {
		if f.node.bad[s] {
			h.inc.mayDie = true
			w.fault("bad sector read")
			return fmt.Errorf("read %s: %w", f.name, host.ErrIO)
		}
	}
	if faults.Read == 0 && faults.Rot == 0 && faults.Stale == 0 || faults.Only != nil && !faults.Only(f.name) {
		return nil
	}
	if h.inc.draws("disk.read.fail").Chance(faults.Read) {
		h.inc.mayDie = true
		w.fault("read failed")
		return fmt.Errorf("read %s: %w", f.name, host.ErrIO)
	}
	if draws := h.inc.draws("disk.read.rot"); len(p) > 0 && draws.Chance(faults.Rot) {
		if at := draws.Below(int64(len(p))); !h.d.tail.holds(f.node, off+at) {
			p[at] ^= 1 << draws.Below(8)
			h.d.misreads++
			w.fault("rot on read")
		}
	}
	if faults.Stale > 0 && f.node.before != nil && h.inc.draws("disk.read.stale").Chance(faults.Stale) && f.node.outdated(p, off) {
		h.d.misreads++
		w.fault("stale read")
	}
	return nil
}

// misdirected writes to a wrong place of the file instead of the right one, and says that it did. Another file is spared: a
// batch of another partition that has the same offset is right by everything that Kafka's format has.
func (f *file) misdirected(off int64, parts [][]byte) bool {
	d, inc, w := f.disk.d, f.disk.inc, f.world()
	if d.faults.Misdirect == 0 || f.mode.Durable || d.faults.Only != nil && !d.faults.Only(f.name) {
		return false
	}
	draws := inc.draws("disk.write.misdirect")
	if !draws.Chance(d.faults.Misdirect) {
		return false
	}
	other := f.node
	if other.size < host.Align {
		return false
	}
	at := draws.Below(other.size/host.Align) * host.Align
	if at == off {
		return false
	}
	b := slices.Concat(parts...)
	b = b[:min(int64(len(b)), other.size-at)] // no file grows by it
	other.write(at, b, false)
	f.node.grow(off + size(parts))
	d.damaged++
	w.fault("misdirected write")
	w.note("misdirected: %s at %d instead of %d", f.name, at, off)
	return true
}

func size(parts [][]byte) int64 {
	var n int64
	for _, b := range parts {
		n += int64(len(b))
	}
	return n
}

// Rot flips one bit of a synced sector of a file whose path matches, and returns where; "" when there is none. What was written
// last to durable files is spared.
func (n *Node) Rot(match func(path string) bool) string {
	f, p, at, ok := n.disk.settled("rot", match, n.disk.tail)
	if !ok {
		return ""
	}
	bit := byte(1) << n.disk.draws("rot.bit").Below(8)
	f.moves(at)
	f.stable[at] ^= bit
	if at < int64(len(f.data)) && !f.one {
		f.data[at] ^= bit
	}
	n.disk.damaged++
	n.world.fault("bit rot")
	return fmt.Sprintf("%s at %d", p, at)
}

// BadSector makes a synced sector of a file whose path matches unreadable until it is written again, and returns where.
func (n *Node) BadSector(match func(path string) bool) string {
	f, p, at, ok := n.disk.settled("bad", match, extent{})
	if !ok {
		return ""
	}
	if f.bad == nil {
		f.bad = make(map[int64]bool)
	}
	f.bad[at/sector] = true
	n.disk.damaged++
	n.world.fault("bad sector")
	return fmt.Sprintf("%s at %d", p, at)
}

// settled draws a byte of a matching file that no pending change covers, and that is not in the range that is spared.
func (d *disk) settled(site string, match func(path string) bool, spared extent) (f *inode, name string, at int64, ok bool) {
	var paths []string
	for _, p := range sortedPaths(d.stable) {
		if f := d.stable[p]; !f.dir && len(f.stable) > 0 && f.stableSize > 0 && match(p) && d.live[p] == f {
			paths = append(paths, p)
		}
	}
	if len(paths) == 0 {
		return nil, "", 0, false
	}
	draws := d.draws(site)
	for range 16 {
		name = paths[draws.Below(int64(len(paths)))]
		f = d.stable[name]
		at = draws.Below(min(int64(len(f.stable)), f.stableSize))
		if !spared.holds(f, at) && !slices.ContainsFunc(f.pending, func(c change) bool {
			return c.truncate || c.off/sector <= at/sector && at/sector <= (c.off+int64(len(c.data)))/sector
		}) {
			return f, name, at, true
		}
	}
	return nil, "", 0, false
}

// ReplaceDisk gives the node, which must not be running, an empty disk.
func (n *Node) ReplaceDisk() {
	if n.inc != nil {
		panic("sim: the disk of a running node is replaced")
	}
	n.disk = n.disk.emptied()
	n.world.fault("disk replaced")
}

// emptied is a new disk in the place of d.
func (d *disk) emptied() *disk {
	fresh := newDisk(d.node)
	fresh.inodes, fresh.crashes, fresh.created, fresh.syncs = d.inodes, d.crashes, d.created, d.syncs
	fresh.faults, fresh.stuck, fresh.capacity, fresh.scant = d.faults, d.stuck, d.capacity, d.scant
	return fresh
}

// Image is a copy of what is certain on a disk.
type Image struct{ files map[string]*inode }

// CopyDisk copies what a power cut would leave of a node's disk without losing or keeping anything by chance: what is
// synced.
func (n *Node) CopyDisk() *Image {
	c := &Image{files: make(map[string]*inode)}
	for _, p := range sortedPaths(n.disk.stable) {
		if f := n.disk.stable[p]; f.dir {
			c.files[p] = &inode{dir: true}
		} else {
			c.files[p] = &inode{id: f.id, stable: bytes.Clone(f.stable), stableSize: f.stableSize, bad: maps.Clone(f.bad)}
		}
	}
	return c
}

// RestoreDisk gives the node, which must not be running, a disk with the files of an image, its own or another node's.
func (n *Node) RestoreDisk(c *Image) {
	if n.inc != nil {
		panic("sim: the disk of a running node is replaced")
	}
	d := n.disk.emptied()
	for _, p := range sortedPaths(c.files) {
		f := c.files[p]
		g := &inode{dir: f.dir, stable: bytes.Clone(f.stable), stableSize: f.stableSize, bad: maps.Clone(f.bad)}
		if !f.dir {
			d.inodes++
			g.id = d.inodes
			g.restore()
		}
		d.live[p], d.stable[p] = g, g
	}
	n.disk = d
	n.world.fault("disk restored")
}
