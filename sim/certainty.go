package sim

import (
	"math"
	"slices"
)

// Certainty is what of some files of a node is certain to survive a power cut, for one who looks again and again. Looking
// changes nothing in the world.
type Certainty struct {
	node    *Node
	match   func(path string) bool
	disk    *disk
	renamed int
	files   []*CertainFile
}

// CertainFile is a file of a [Certainty].
type CertainFile struct {
	// Path is its name after a power cut.
	Path string
	// Changed says that its bytes may have changed since the last look, or that there was none. All below From are as they
	// were then, and those that are gone count as changed.
	Changed bool
	From    int64
	// Bytes are those of a file that has changed. They belong to the disk, and are good as long as the world stands still.
	Bytes []byte
	// Known is for the one who looks: what he has made of the file. nil at the first look.
	Known any

	inode *inode
	moved int64 // from where on the file has changed since
}

// Certainty watches the files of the node whose path matches.
func (n *Node) Certainty(match func(path string) bool) *Certainty {
	return &Certainty{node: n, match: match}
}

// Look lists the files in the order of their paths, and says whether any of them has changed, or which there are.
func (c *Certainty) Look() (files []*CertainFile, changed bool) {
	if d := c.node.disk; c.disk != d || c.renamed != d.renamed {
		changed = c.list(d)
	}
	for _, f := range c.files {
		f.Changed, f.From, f.Bytes = f.moved != math.MaxInt64, f.moved, nil
		if f.Changed {
			f.moved, changed = math.MaxInt64, true
			b, size := f.inode.certain()
			f.Bytes = b[:min(int64(len(b)), size)]
		}
	}
	return c.files, changed
}

// list finds the files again, and says whether others are there than before.
func (c *Certainty) list(d *disk) bool {
	var paths []string
	for p, f := range d.stable { //door:ordered sorted below
		if !f.dir && c.match(p) {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	files := make([]*CertainFile, 0, len(paths))
	for _, p := range paths {
		f := d.stable[p]
		i := slices.IndexFunc(c.files, func(x *CertainFile) bool { return x.inode == f && x.Path == p })
		if i >= 0 {
			files = append(files, c.files[i])
			continue
		}
		x := &CertainFile{Path: p, inode: f}
		f.watchers = append(f.watchers, x)
		files = append(files, x)
	}
	for _, x := range c.files {
		if !slices.Contains(files, x) {
			x.inode.watchers = slices.DeleteFunc(x.inode.watchers, func(w *CertainFile) bool { return w == x })
		}
	}
	changed := !slices.Equal(files, c.files)
	c.disk, c.renamed, c.files = d, d.renamed, files
	return changed
}
