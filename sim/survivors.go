package sim

// Survivors decides what power cuts of the node leave from now on, instead of draws: of the changes that are not certain to
// survive, each exactly if keep says so of its number. Names come first, in the order of their changes, then the writes and
// truncations of each file, by path; a write survives whole, with its size. nil gives the decision back to the seed.
// For tests that try every outcome.
func (n *Node) Survivors(keep func(i int) bool) { n.disk.keeps = keep }

// keep leaves what a function says.
func (d *disk) keep(keep func(i int) bool) {
	i := -1
	next := func() bool {
		i++
		return keep(i)
	}
	var files []*inode
	seen := make(map[*inode]bool)
	for _, images := range []map[string]*inode{d.live, d.stable} {
		for _, p := range sortedPaths(images) {
			if f := images[p]; !f.dir && !seen[f] {
				seen[f] = true
				files = append(files, f)
			}
		}
	}
	for _, c := range d.pending {
		if next() {
			d.apply(c)
		}
	}
	d.pending = nil
	for _, f := range files {
		for _, c := range f.pending {
			if c.synced || next() {
				f.keep(c, nil)
			}
		}
		f.pending = nil
		f.restore()
	}
	d.live = make(map[string]*inode, len(d.stable))
	for _, p := range sortedPaths(d.stable) {
		if up, ok := d.live[parent(p)]; p != "" && (!ok || !up.dir) {
			delete(d.stable, p)
			d.renamed++
			continue
		}
		d.live[p] = d.stable[p]
	}
}
