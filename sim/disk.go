package sim

import (
	"slices"

	"millrace/node/host"
)

// diskProfile is how fast disks are and how often they fail, for a whole world.
type diskProfile struct {
	cached, device, durable, sync [2]int64 // nanoseconds: low, high
	slow                          float64  // probability that an operation takes much longer
	failSync                      float64  // probability that a sync fails and drops what was dirty
}

func defaultDiskProfile() diskProfile {
	return diskProfile{cached: [2]int64{500, 4000}, device: [2]int64{10_000, 80_000},
		durable: [2]int64{40_000, 900_000}, sync: [2]int64{50_000, 3_000_000}, slow: 0.01}
}

// SetSlowDisks sets the probability that an operation takes 50 times as long, for all nodes.
func (w *World) SetSlowDisks(p float64) { w.disk.slow = p }

// SetDiskSpeed makes synchronous writes and syncs of all nodes take so many times as long as usual.
func (w *World) SetDiskSpeed(times int64) {
	d := defaultDiskProfile()
	for _, span := range []*[2]int64{&d.durable, &d.sync} {
		span[0], span[1] = span[0]*times, span[1]*times
	}
	w.disk.durable, w.disk.sync = d.durable, d.sync
}

// SetFailingSyncs sets the probability that a sync fails. The node is then expected to die.
func (w *World) SetFailingSyncs(p float64) { w.disk.failSync = p }

// SetCapacity bounds the node's disk; 0 removes the bound.
func (n *Node) SetCapacity(bytes int64) { n.disk.capacity, n.disk.scant = bytes, false }

// Exhaust leaves so little room on the node's disk that a process may die of it.
func (n *Node) Exhaust(bytes int64) { n.disk.capacity, n.disk.scant = n.Used()+bytes, true }

// Used is the space that is taken on the node's disk.
func (n *Node) Used() int64 { return n.disk.used() }

// disk is a node's file system.
type disk struct {
	node     *Node
	live     map[string]*inode // by path; "" is the root
	stable   map[string]*inode // as a power cut leaves it
	renamed  int               // how often that has changed
	pending  []naming
	locks    map[string]*incarnation
	writing  []*flight
	capacity int64
	scant    bool // the process was not promised more
	inodes   uint64
	namings  uint64
	crashes  uint64
	created  []string
	syncs    int

	faults   DiskFaults
	keeps    func(i int) bool // what a power cut leaves; nil: what is drawn
	stuck    int64            // no operation ends before
	damaged  int
	misreads int
	last     *placed   // the last write to a durable file
	tail     extent    // the last one that does not begin its file
	lies     []*placed // writes that are gone after a power cut
}

// naming is one change of names that may not survive: paths and what they then mean, nil for nothing.
type naming struct {
	seq   uint64
	paths []string
	means []*inode
	dirs  []string // all of these must be synced
}

// flight is a write that has begun and not returned.
type flight struct {
	inc     *incarnation
	file    *inode
	off     int64
	slices  [][]byte
	durable bool
}

func newDisk(n *Node) *disk {
	root := &inode{dir: true}
	return &disk{node: n, live: map[string]*inode{"": root}, stable: map[string]*inode{"": root},
		locks: make(map[string]*incarnation)}
}

func (d *disk) draws(site string) *Draws {
	d.crashes++
	return &Draws{key: deriveNumber(derive(d.node.key, site), d.crashes)}
}

// name applies a change of names to what the node sees.
func (d *disk) name(c naming) {
	for i, p := range c.paths {
		if c.means[i] == nil {
			delete(d.live, p)
		} else {
			d.live[p] = c.means[i]
		}
		if dir := parent(p); !slices.Contains(c.dirs, dir) {
			c.dirs = append(c.dirs, dir)
		}
	}
	d.namings++
	c.seq = d.namings
	d.pending = append(d.pending, c)
}

// settle makes the changes of names up to one certain: all where dir is nil, else those that only wait for *dir.
func (d *disk) settle(upto uint64, dir *string) {
	var blocked []string
	kept := d.pending[:0]
	for _, c := range d.pending {
		if c.seq <= upto {
			if dir != nil {
				c.dirs = slices.DeleteFunc(slices.Clone(c.dirs), func(s string) bool { return s == *dir })
			} else {
				c.dirs = nil
			}
		}
		waits := len(c.dirs) > 0 || slices.ContainsFunc(c.paths, func(p string) bool { return slices.Contains(blocked, p) })
		if !waits {
			d.apply(c)
			continue
		}
		blocked = append(blocked, c.paths...)
		kept = append(kept, c)
	}
	clear(d.pending[len(kept):])
	d.pending = kept
}

func (d *disk) apply(c naming) {
	d.renamed++
	for i, p := range c.paths {
		if c.means[i] == nil {
			delete(d.stable, p)
		} else {
			d.stable[p] = c.means[i]
		}
	}
}

// ended is the end of a process, and of the machine when its power went.
func (d *disk) ended(inc *incarnation, how End) {
	draws := d.draws("end")
	for _, f := range d.writing {
		if f.inc != inc {
			continue
		}
		b := slices.Concat(f.slices...)
		if how == Kill {
			// The kernel ends a write between two pages.
			b = b[:min(int64(len(b)), draws.Below(int64(len(b))/host.Align+2)*host.Align)]
		}
		f.file.write(f.off, b, false)
	}
	d.writing = slices.DeleteFunc(d.writing, func(f *flight) bool { return f.inc == inc })
	for name, owner := range d.locks {
		if owner == inc {
			delete(d.locks, name)
		}
	}
	if how == Power {
		d.crash(draws)
	}
}

// crash leaves what survives the loss of power.
func (d *disk) crash(draws *Draws) {
	w := d.node.world
	if d.keeps != nil {
		d.keep(d.keeps)
		return
	}
	d.comeOut()
	fate, prefix := draws.Below(4), draws.Below(int64(len(d.pending))+1)
	for i, c := range d.pending {
		stays := fate == 1 || fate == 2 && int64(i) < prefix || fate == 3 && draws.Chance(0.5)
		if stays {
			d.apply(c)
		} else {
			w.fired["lost/name"]++
		}
	}
	d.pending = nil
	seen := make(map[*inode]bool)
	d.live = make(map[string]*inode, len(d.stable))
	for _, p := range sortedPaths(d.stable) {
		f := d.stable[p]
		if up, ok := d.live[parent(p)]; p != "" && (!ok || !up.dir) {
			delete(d.stable, p)
			d.renamed++
			w.fired["lost/orphan"]++
			continue
		}
		d.live[p] = f
		if !f.dir && !seen[f] {
			seen[f] = true
			if len(f.pending) == 0 {
				f.restore()
				continue
			}
			torn, lost := f.powerCut(draws)
			w.fired["lost/torn"] += torn
			w.fired["lost/write"] += lost
		}
	}
}

func sortedPaths(m map[string]*inode) []string {
	paths := make([]string, 0, len(m))
	for p := range m {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// used is the space taken by everything that has a name.
func (d *disk) used() int64 {
	var sum int64
	for _, f := range d.live {
		sum += f.allocated
	}
	return sum
}

// room says whether a file may grow to size.
func (d *disk) room(f *inode, size int64) bool {
	return d.capacity == 0 || size <= f.allocated || d.used()-f.allocated+size <= d.capacity
}
