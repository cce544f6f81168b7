package trial

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"millrace/partition/batch"
)

// replica is what one node's segments hold of a partition.
type replica struct {
	node    string
	damaged bool
	batches []stored
}

// stored is a batch as it is on a disk.
type stored struct {
	base, next int64
	sum        uint32 // of all its bytes
}

// compareReplicas reads the segments of all nodes after an orderly stop: what has the same offset has the same bytes, and
// every replica is whole.
func (t *trial) compareReplicas() bool {
	for _, l := range t.partitions() {
		dir := hex.EncodeToString(l.topic.id[:]) + "-" + fmt.Sprint(l.index)
		var all []replica
		for _, b := range t.whole() {
			r, there, err := b.segments(dir, b.node.Damaged() > 0 && (t.damagesLog() || l.limitless || l.mayStart > 0))
			if err != nil {
				t.failf("%v: on %s: %w", l, b.node.Name(), err)
				return false
			}
			if there {
				all = append(all, r)
			}
		}
		if err := l.compare(all); err != nil {
			t.failf("%v: %w", l, err)
			return false
		}
	}
	return true
}

// compare compares the replicas of a partition.
func (l *partitionLog) compare(all []replica) error {
	type origin struct {
		stored
		node string
	}
	known := make(map[int64]origin)
	for _, r := range all {
		var next int64 = -1
		for _, x := range r.batches {
			if next >= 0 && x.base != next && !r.damaged {
				return fmt.Errorf("on %s: offset %d follows %d", r.node, x.base, next-1)
			}
			next = x.next
			have, ok := known[x.base]
			if ok && have.stored != x {
				return fmt.Errorf("offset %d is %+v on %s and %+v on %s", x.base, have.stored, have.node, x, r.node)
			}
			known[x.base] = origin{x, r.node}
		}
		if r.damaged {
			continue
		}
		first := int64(-1)
		if len(r.batches) > 0 {
			first = r.batches[0].base
		}
		// The log start may have moved since it was looked at, and what is below it may be there or not.
		starts := first <= max(l.start, l.mayStart) || l.limitless
		if len(r.batches) == 0 && l.high > max(l.start, l.mayStart) && !l.limitless || len(r.batches) > 0 && (!starts || next != l.high) {
			return fmt.Errorf("on %s: offsets %d to %d are there, the log has %d to %d", r.node, first, next, l.start, l.high)
		}
	}
	return nil
}

// segments reads the batches in the segments of one of the node's directories. What does not check is left out where it
// may be damaged: because the log that could mend it is, or because it lies below the log start. Of several files with one
// base offset the newest counts that is whole: a fill that failed leaves its file behind when that cannot be removed either.
func (b *broker) segments(dir string, damaged bool) (r replica, there bool, err error) {
	r = replica{node: b.node.Name(), damaged: damaged}
	files := make(map[string][]string) // by base offset
	for _, name := range b.node.Files() {
		if strings.Contains(name, dir+"/") && isSegment(name) {
			base, _, _ := strings.Cut(strings.TrimSuffix(path.Base(name), ".log"), "-")
			files[base] = append(files[base], name)
		}
	}
	for _, base := range slices.Sorted(maps.Keys(files)) {
		var first error
		for _, name := range newestFirst(files[base]) {
			batches, err := readSegment(b.node.Contents(name), damaged)
			if err == nil {
				r.batches, first = append(r.batches, batches...), nil
				break
			}
			if first == nil {
				first = fmt.Errorf("%s: %w", path.Base(name), err)
			}
		}
		if first != nil {
			return r, true, first
		}
	}
	return r, len(files) > 0, nil
}

// newestFirst orders the generations of a segment.
func newestFirst(names []string) []string {
	generation := func(name string) int {
		_, g, _ := strings.Cut(strings.TrimSuffix(path.Base(name), ".log"), "-")
		n, _ := strconv.Atoi(g) // the first generation has none
		return n
	}
	return slices.SortedFunc(slices.Values(names), func(a, b string) int { return generation(b) - generation(a) })
}

// readSegment reads the batches of a segment file.
func readSegment(data []byte, damaged bool) (all []stored, err error) {
	for len(data) >= batch.HeaderSize {
		size := int(binary.BigEndian.Uint32(data[8:]))
		if size == 0 {
			break // the rest of the last block
		}
		if size += batch.Overhead; size < batch.HeaderSize || size > len(data) {
			if damaged {
				break
			}
			return nil, fmt.Errorf("a batch of %d bytes where %d are left", size, len(data))
		}
		one := data[:size]
		data = data[size:]
		base := int64(binary.BigEndian.Uint64(one))
		if crc32.Checksum(one[21:], castagnoli) != binary.BigEndian.Uint32(one[17:]) {
			if damaged {
				continue
			}
			return nil, fmt.Errorf("the batch at %d does not check", base)
		}
		all = append(all, stored{base, base + int64(binary.BigEndian.Uint32(one[23:])) + 1, crc32.Checksum(one, castagnoli)})
	}
	return all, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
