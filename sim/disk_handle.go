package sim

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"millrace/node/host"
)

func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// clean is the path of a name, or an error when it leads out of the disk.
func clean(name string) (string, error) {
	if plain(name) {
		return name, nil
	}
	p := path.Clean("/" + name)[1:]
	if strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), "..") {
		return "", fmt.Errorf("sim: name %q leads out of the disk", name)
	}
	return p, nil
}

// plain says that a name is its path already: it has no dot before or behind a slash, and no slash too many.
func plain(name string) bool {
	before := byte('/')
	for i := range len(name) {
		c := name[i]
		if before == '/' && (c == '/' || c == '.') {
			return false
		}
		before = c
	}
	return name == "" || before != '/'
}

// diskHandle is host.Disk of an incarnation.
type diskHandle struct {
	inc *incarnation
	d   *disk
}

// slowest is how many nanoseconds an operation takes at most, however many reasons multiply: a disk that gives no answer
// for longer is a stuck one, and a fault that says for how long.
const slowest = 5_000_000_000

// begin takes the time of an operation. Nothing happens when the process is dead.
func (h diskHandle) begin(site string, span [2]int64, bytes int64) error {
	w := h.inc.node.world
	w.step()
	if h.inc.dead {
		return host.ErrClosed
	}
	draws := h.inc.draws(site)
	ns := draws.Between(span[0], span[1]) + bytes/2
	if draws.Chance(w.disk.slow) {
		ns *= 50
		w.fired["slow/"+site]++
	}
	if times := h.d.faults.Times; times > 1 {
		ns *= times
	}
	w.sleep(max(min(ns, slowest), h.d.stuck-w.now), site)
	if h.inc.dead {
		return host.ErrClosed
	}
	return nil
}

// full notes that there was no space. A process that was promised none may die of it.
func (h diskHandle) full() {
	h.inc.node.world.fault("no space")
	h.inc.mayDie = h.inc.mayDie || h.d.scant
}

// names is begin for an operation on names; it returns the path.
func (h diskHandle) names(op, name string) (string, error) {
	p, err := clean(name)
	if err == nil {
		err = h.begin("disk.name", h.inc.node.world.disk.device, 0)
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", op, name, err)
	}
	h.inc.node.world.io(op, p, h.inc.node.key, 0, 0, []byte(p))
	return p, nil
}

func (h diskHandle) dirOf(p string) bool {
	up, ok := h.d.live[parent(p)]
	return ok && up.dir
}

// Create makes a file of zeros.
func (h diskHandle) Create(name string, size int64, mode host.Mode) (host.File, error) {
	p, err := h.names("create", name)
	if err != nil {
		return nil, err
	}
	d := h.d
	f := &inode{one: true}
	switch _, there := d.live[p]; {
	case there:
		err = host.ErrExist
	case !h.dirOf(p):
		err = host.ErrNotExist
	case !d.room(f, size):
		err = host.ErrNoSpace
		h.full()
	}
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	d.created = append(d.created, p)
	d.inodes++
	f.id, f.size, f.allocated = d.inodes, size, size
	if size > 0 {
		f.add(change{size: size})
	}
	d.name(naming{paths: []string{p}, means: []*inode{f}})
	h.inc.reach(PointName)
	return h.open(f, p, mode), nil
}

// Open opens a file.
func (h diskHandle) Open(name string, mode host.Mode) (host.File, error) {
	p, err := h.names("open", name)
	if err != nil {
		return nil, err
	}
	f, ok := h.d.live[p]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", name, host.ErrNotExist)
	}
	if f.dir {
		return nil, fmt.Errorf("open %s: is a directory", name)
	}
	return h.open(f, p, mode), nil
}

func (h diskHandle) open(f *inode, name string, mode host.Mode) host.File {
	h.inc.files++
	return &file{disk: h, node: f, name: name, mode: mode}
}

// Rename moves a file.
func (h diskHandle) Rename(from, to string) error {
	p, err := h.names("rename", from)
	if err != nil {
		return err
	}
	q, err := clean(to)
	if err != nil {
		return err
	}
	f, ok := h.d.live[p]
	switch {
	case !ok || !h.dirOf(q):
		return fmt.Errorf("rename %s to %s: %w", from, to, host.ErrNotExist)
	case f.dir:
		return fmt.Errorf("rename %s: directories are not moved", from)
	case h.d.live[q] != nil && h.d.live[q].dir:
		return fmt.Errorf("rename %s to %s: is a directory", from, to)
	case p == q:
		return nil
	}
	h.d.name(naming{paths: []string{p, q}, means: []*inode{nil, f}})
	h.inc.reach(PointName)
	return nil
}

// Remove deletes a file or an empty directory.
func (h diskHandle) Remove(name string) error {
	p, err := h.names("remove", name)
	if err != nil {
		return err
	}
	f, ok := h.d.live[p]
	if !ok || p == "" {
		return fmt.Errorf("remove %s: %w", name, host.ErrNotExist)
	}
	if f.dir {
		for q := range h.d.live { //door:ordered any one will do
			if q != "" && parent(q) == p {
				return fmt.Errorf("remove %s: directory is not empty", name)
			}
		}
	}
	h.d.name(naming{paths: []string{p}, means: []*inode{nil}})
	h.inc.reach(PointName)
	if !f.dir {
		h.inc.reach(PointRemoved)
	}
	return nil
}

// List returns the names in a directory.
func (h diskHandle) List(dir string) ([]string, error) {
	p, err := h.names("list", dir)
	if err != nil {
		return nil, err
	}
	if f, ok := h.d.live[p]; !ok || !f.dir {
		return nil, fmt.Errorf("list %s: %w", dir, host.ErrNotExist)
	}
	names := []string{}
	for q, f := range h.d.live { //door:ordered sorted below
		if q == "" || parent(q) != p {
			continue
		}
		name := path.Base(q)
		if f.dir {
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// Mkdir makes a directory.
func (h diskHandle) Mkdir(dir string) error {
	p, err := h.names("mkdir", dir)
	if err != nil {
		return err
	}
	if f, ok := h.d.live[p]; ok {
		if f.dir {
			return nil
		}
		return fmt.Errorf("mkdir %s: %w", dir, host.ErrExist)
	}
	if !h.dirOf(p) {
		return fmt.Errorf("mkdir %s: %w", dir, host.ErrNotExist)
	}
	h.d.name(naming{paths: []string{p}, means: []*inode{{dir: true}}})
	h.inc.reach(PointName)
	return nil
}

// sync takes the time of a sync and tells whether it fails.
func (h diskHandle) sync(op, name string) error {
	w := h.inc.node.world
	h.inc.reach(PointSync)
	if err := h.begin("disk.sync", w.disk.sync, 0); err != nil {
		return fmt.Errorf("%s %s: %w", op, name, err)
	}
	if h.inc.draws("disk.sync.fail").Chance(max(w.disk.failSync, h.d.faults.Sync)) {
		h.inc.mayDie = true
		w.fault("sync failed")
		return fmt.Errorf("%s %s: %w", op, name, host.ErrIO)
	}
	return nil
}

// SyncDir makes the names that dir holds certain.
func (h diskHandle) SyncDir(dir string) error {
	p, err := clean(dir)
	if err != nil {
		return err
	}
	upto := h.d.namings
	if f, ok := h.d.live[p]; !ok || !f.dir {
		return fmt.Errorf("sync %s: %w", dir, host.ErrNotExist)
	}
	if err := h.sync("sync", dir); err != nil {
		return err
	}
	h.d.settle(upto, &p)
	h.inc.node.world.io("syncdir", p, h.inc.node.key, 0, 0)
	h.inc.reach(PointSynced)
	return nil
}

// Lock takes a lock that ends with its handle or with the process.
func (h diskHandle) Lock(name string) (io.Closer, error) {
	p, err := h.names("lock", name)
	if err != nil {
		return nil, err
	}
	if owner := h.d.locks[p]; owner != nil && !owner.dead {
		return nil, fmt.Errorf("lock %s: %w", name, host.ErrLocked)
	}
	if h.d.live[p] == nil {
		f, err := h.Create(name, 0, host.Mode{})
		if err != nil && !errors.Is(err, host.ErrExist) {
			return nil, err
		}
		if f != nil {
			f.Close()
		}
	}
	h.d.locks[p] = h.inc
	return lock{h, p}, nil
}

type lock struct {
	disk diskHandle
	name string
}

// Close gives the lock up.
func (l lock) Close() error {
	if !l.disk.inc.dead && l.disk.d.locks[l.name] == l.disk.inc {
		delete(l.disk.d.locks, l.name)
	}
	return nil
}

// Usage is the space of the disk.
func (h diskHandle) Usage() (host.Usage, error) {
	if _, err := h.names("usage", ""); err != nil {
		return host.Usage{}, err
	}
	if h.d.capacity == 0 {
		return host.Usage{Total: 1 << 40, Free: 1 << 40}, nil
	}
	return host.Usage{Total: h.d.capacity, Free: max(0, h.d.capacity-h.d.used())}, nil
}
