package sim

import (
	"bytes"
	"slices"
)

// sector is what a device writes whole.
const sector = 512

// inode is a file: what the node sees, what a power cut leaves, and the changes between the two.
type inode struct {
	id        uint64
	dir       bool
	data      []byte // as the node sees it; bytes up to size that are not there are zeros
	size      int64
	allocated int64

	stable     []byte // as a power cut leaves it, without any of pending
	stableSize int64
	one        bool // data and stable are one image, until one of them changes alone
	pending    []change
	changes    uint64

	watchers []*CertainFile // they are told what changes of what is certain

	bad    map[int64]bool   // sectors that cannot be read until they are written
	before map[int64][]byte // what was in sectors before their last write, for stale reads
}

// moves says that what is certain changes from an offset on; before it does.
func (f *inode) moves(from int64) {
	for _, w := range f.watchers {
		w.moved = min(w.moved, from, int64(len(f.stable)), f.stableSize)
	}
}

// add notes a change that is not certain, or not as long as older ones are not.
func (f *inode) add(c change) {
	if c.synced {
		f.moves(c.off)
	}
	f.changes++
	c.seq = f.changes
	f.pending = append(f.pending, c)
}

// change is a write or a truncation that is not yet certain to survive.
type change struct {
	seq      uint64
	off      int64
	data     []byte
	size     int64 // the size that the file has after it
	truncate bool
	synced   bool // has survived already; kept because an older one has not
	stays    bool // chosen to survive a crash
}

// filling is from how many zeros on a write behind an image's end is one that gives a file its space: they need not be there.
const filling = 16 << 10

// fills says that a write to off of an image only gives the file its space.
func fills(image []byte, off int64, b []byte) bool {
	return len(b) >= filling && off >= int64(len(image)) && zero(b)
}

// put copies b to off of an image, growing it.
func put(image []byte, off int64, b []byte) []byte {
	end := off + int64(len(b))
	if int64(len(image)) < end {
		if fills(image, off, b) {
			return image
		}
		if int64(cap(image)) >= end {
			old := len(image)
			image = image[:end]
			clear(image[old:])
		} else {
			grown := make([]byte, end, max(end, 2*int64(cap(image))))
			copy(grown, image)
			image = grown
		}
	}
	copy(image[off:], b)
	return image
}

// separate gives the cache an image of its own.
func (f *inode) separate() {
	if f.one {
		f.one, f.stable = false, bytes.Clone(f.data)
	}
}

var zeros [64 << 10]byte

// zero says that b has nothing but zeros.
func zero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}

// cut makes everything from size on zeros.
func cut(image []byte, size int64) []byte {
	if int64(len(image)) > size {
		clear(image[size:])
		return image[:size]
	}
	return image
}

// write is what a WriteAt does to the cache. durable says that it has reached the disk.
func (f *inode) write(off int64, b []byte, durable bool) {
	if f.bad != nil {
		for s := off / sector; s*sector < off+int64(len(b)); s++ {
			delete(f.bad, s)
		}
	}
	f.size = max(f.size, off+int64(len(b)))
	f.allocated = max(f.allocated, f.size)
	if durable && len(f.pending) == 0 {
		f.moves(off)
		f.data = put(f.data, off, b)
		if f.one {
			f.stable = f.data
		} else {
			f.stable = put(f.stable, off, b)
		}
		f.stableSize = max(f.stableSize, f.size)
		return
	}
	c := change{off: off, size: f.size, synced: durable}
	if fills(f.data, off, b) && len(b) <= len(zeros) {
		c.data = zeros[:len(b)]
	} else {
		f.separate()
		f.data = put(f.data, off, b)
		c.data = bytes.Clone(b)
	}
	f.add(c)
}

// grow is what a write that went elsewhere does to the size.
func (f *inode) grow(size int64) {
	if size > f.size {
		f.size = size
		f.allocated = max(f.allocated, size)
		f.add(change{off: size, size: size})
	}
}

// truncate sets the size as the node sees it.
func (f *inode) truncate(size int64) {
	if int64(len(f.data)) > size {
		f.separate()
	}
	f.data = cut(f.data, size)
	f.size = size
	f.allocated = size
	f.add(change{size: size, truncate: true})
}

// read copies what the node sees.
func (f *inode) read(p []byte, off int64) int {
	if off >= f.size {
		return 0
	}
	n := int(min(int64(len(p)), f.size-off))
	have := 0
	if off < int64(len(f.data)) {
		have = copy(p[:n], f.data[off:])
	}
	clear(p[have:n])
	return n
}

// settle makes the changes up to one certain.
func (f *inode) settle(upto uint64) {
	for len(f.pending) > 0 && (f.pending[0].seq <= upto || f.pending[0].synced) {
		f.keep(f.pending[0], nil)
		f.pending = f.pending[1:]
	}
	if len(f.pending) > 0 {
		return
	}
	f.pending = nil
	if !f.one && len(f.data) <= 8*sector && bytes.Equal(f.data, f.stable) { // a file whose further writes may all be durable
		f.stable, f.one = f.data, true
	}
}

// lose forgets the changes up to one although the cache goes on showing them: what follows a failed sync.
func (f *inode) lose(upto uint64) {
	f.pending = slices.DeleteFunc(f.pending, func(c change) bool { return c.seq <= upto && !c.synced })
}

// keep applies a change to the stable image; when which is not nil, only the sectors that it allows.
func (f *inode) keep(c change, which func(sector int64) bool) {
	switch {
	case c.truncate:
		f.moves(c.size)
		if int64(len(f.stable)) > c.size {
			f.separate()
		}
		f.stable = cut(f.stable, c.size)
		f.stableSize = c.size
		return
	case which == nil:
		f.moves(c.off)
		if len(c.data) > 0 && !fills(f.stable, c.off, c.data) {
			f.separate()
			f.stable = put(f.stable, c.off, c.data)
		}
		f.stableSize = max(f.stableSize, c.size)
		return
	}
	f.separate()
	end := c.off + int64(len(c.data))
	for at := c.off; at < end; {
		next := min(end, (at/sector+1)*sector)
		if which(at / sector) {
			f.stable = put(f.stable, at, c.data[at-c.off:next-c.off])
		}
		at = next
	}
}

// powerCut decides what survives, and leaves that as what the node will see.
func (f *inode) powerCut(d *Draws) (torn, lost int) {
	f.data, f.one = nil, false // it goes
	f.moves(0)
	fate := d.Below(5)
	prefix := d.Below(int64(len(f.pending)) + 1)
	for i := range f.pending {
		c := &f.pending[i]
		switch fate {
		case 0: // nothing survives
		case 1:
			c.stays = true
		case 2: // the first ones do
			c.stays = int64(i) < prefix
		default: // any of them do
			c.stays = d.Chance(0.5)
		}
		c.stays = c.stays || c.synced
	}
	// A sector is written as the cache holds it at that moment: with every older change to it.
	newest := make(map[int64]int)
	for i, c := range f.pending {
		if c.truncate || len(c.data) == 0 {
			continue
		}
		tear := !c.synced && fate >= 2 && d.Chance(0.3)
		from, to := c.off/sector, (c.off+int64(len(c.data))-1)/sector
		if tear {
			torn++
		} else if !c.stays {
			lost++
		}
		for s := from; s <= to; s++ {
			if c.stays && !tear || tear && d.Chance(0.5) {
				newest[s] = i
			}
		}
	}
	for i, c := range f.pending {
		if c.truncate {
			if c.stays {
				f.keep(c, nil)
			}
			continue
		}
		f.keep(c, func(s int64) bool {
			last, ok := newest[s]
			return ok && i <= last
		})
		// The size is another block of the disk: it may survive without the data, and the data without it.
		if c.synced || fate == 1 || fate > 1 && d.Chance(0.5) {
			f.stableSize = max(f.stableSize, c.size)
		}
	}
	f.pending = nil
	f.stable = cut(f.stable, f.stableSize)
	f.restore()
	return torn, lost
}

// restore makes the cache what is on the disk.
func (f *inode) restore() {
	f.data, f.one = f.stable, true
	f.size = f.stableSize
	f.allocated = f.size
}
