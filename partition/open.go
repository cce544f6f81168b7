package partition

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// Create makes an empty partition in dir, whose parent exists, from offset 0 on. What a crash may have left there is
// deleted. Its names are durable after Disk.SyncAll, which comes before the checkpoint that first speaks of it; until
// then the entry that adopted the partition is applied again after a crash.
func Create(s *Shared, dir string, id ID, epoch int32) (*Log, error) {
	err := s.host.Disk.Mkdir(dir)
	if err == nil {
		err = s.emptyDir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("create partition %v: %w", id, err)
	}
	l := newLog(s, dir, id)
	l.newActive()
	l.StartEpoch(epoch)
	l.dirty = true
	l.Publish()
	return l, nil
}

func newLog(s *Shared, dir string, id ID) *Log {
	l := &Log{shared: s, writer: s.writerOf(id), id: id, dir: dir, producers: NewProducers(), rolledTime: -1}
	l.generations = host.NewCounter(s.host.Tasks)
	l.generations.Add(1)
	l.regress = int64(s.host.Random.Uint64("partition-log") >> 8) // no other life of the log counts from there
	l.hold = host.NewRef(s.host.Tasks, l.leftDir)
	l.view = host.NewSnapshot(s.host.Tasks, &View{})
	l.watchers = host.NewWatchers(s.host.Tasks)
	return l
}

// leftDir runs when no segment needs the directory any more.
func (l *Log) leftDir() {
	if l.dropped {
		l.shared.removals.Post(removal{dir: l.dir})
	}
}

// Open opens a partition as the checkpoint describes it, which must be durable: the segment being written is truncated
// to the checkpoint's position, later segments are deleted, and the caller then applies again what came after. What was
// truncated is not durable, and need not be: after another crash it is truncated again. A file that is missing or too
// short is damaged: its range is a hole.
func Open(s *Shared, dir string, c Checkpoint) (*Log, error) {
	l, err := open(s, dir, c)
	if err != nil {
		return nil, fmt.Errorf("open partition %v: %w", c.ID, err)
	}
	return l, nil
}

func open(s *Shared, dir string, c Checkpoint) (*Log, error) {
	if !c.sound() {
		return nil, fmt.Errorf("its checkpoint makes no sense: %w", ErrCorrupt)
	}
	l := newLog(s, dir, c.ID)
	l.logStart, l.end, l.epochs, l.marks = c.LogStart, c.End, slices.Clone(c.Epochs), slices.Clone(c.Marks)
	last := len(c.Segments) - 1
	l.info = c.Segments[last]
	var err error
	if l.producers, err = DecodeProducers(c.Producers); err != nil {
		return nil, err
	}
	l.forget(&c)
	l.generations.Add(c.Generations - l.generations.Load())
	found, err := l.sweep(&c)
	if err != nil {
		return nil, err
	}
	var rolled []*rolledSegment
	for _, i := range c.Segments[:last] {
		if r := l.reopen(i); found[nameOf(&i)] || i.vacant() {
			rolled = append(rolled, r)
		} else {
			l.lose(r, "its file is missing")
		}
	}
	for _, i := range c.Damaged {
		l.damaged = append(l.damaged, l.reopen(i))
	}
	l.setRolled(rolled)
	if err := l.openActive(found[nameOf(&l.info)]); err != nil {
		return nil, err
	}
	l.entriesFrom, l.flushed, l.settled, l.settledBase = l.info.Entries, l.info.Entries, l.info.Entries, l.info.Base
	l.tail.pos, l.tail.flushed = l.info.Bytes, l.info.Bytes
	l.onDisk = filePosition{l.info.Base, l.info.Bytes}
	l.beginning = l.onDisk
	l.Publish()
	return l, nil
}

// forget is what mutants do at recovery.
func (l *Log) forget(c *Checkpoint) {
	if mutant.On("log-start-moved-back") {
		l.logStart = c.Segments[0].Base
	}
	if mutant.On("epochs-not-restored") {
		l.epochs = nil
	}
	if mutant.On("producers-not-restored") {
		l.producers = NewProducers()
	}
}

// reopen makes the segment that a checkpoint describes.
func (l *Log) reopen(i SegmentInfo) *rolledSegment {
	l.hold.Acquire() // the log holds it, so this cannot fail
	g := newSegment(l.shared, l.writer, l.dir, l.hold, i.Base, i.Generation, true)
	g.doubtful = i.Bytes
	return &rolledSegment{seg: g, info: i, from: i.Entries}
}

// lose notes that a segment is damaged. What it should hold was acknowledged, so this is never silent.
func (l *Log) lose(r *rolledSegment, why string) {
	l.damaged = append(l.damaged, r)
	l.regress++
	l.dirty = true
	l.shared.host.Log.Error("a segment is damaged and its records are not served until they are here again",
		"file", r.seg.name+logSuffix, "from", r.info.Base, "to", r.info.End, "reason", why)
}

// openActive opens the segment being written, cut to the checkpoint's position: what is behind may be holes. One that is
// missing or too short is damaged, and a new one begins at the end.
func (l *Log) openActive(exists bool) error {
	size := int64(0)
	var err error
	if exists {
		if size, err = l.size(l.info.Base, l.info.Generation); err != nil {
			return err
		}
	}
	if size < l.info.Bytes {
		why := fmt.Sprintf("it has %d bytes instead of %d", size, l.info.Bytes)
		l.lose(l.reopen(l.info), why)
		l.newActive()
		return nil
	}
	if exists {
		if err := l.truncate(size); err != nil {
			return err
		}
	}
	l.hold.Acquire() // the log holds it, so this cannot fail
	l.active = newSegment(l.shared, l.writer, l.dir, l.hold, l.info.Base, l.info.Generation, exists)
	l.active.doubtful = l.info.Bytes
	return nil
}

// fileID is what tells the files of a partition apart.
type fileID struct{ base, generation int64 }

func nameOf(s *SegmentInfo) fileID { return fileID{s.Base, s.Generation} }

// sweep deletes what is in the directory and not in the checkpoint, and returns which segment files are there.
func (l *Log) sweep(c *Checkpoint) (found map[fileID]bool, err error) {
	names, err := l.shared.host.Disk.List(l.dir)
	if errors.Is(err, host.ErrNotExist) {
		names, err = nil, l.shared.host.Disk.Mkdir(l.dir)
	}
	if err != nil {
		return nil, err
	}
	known := make(map[fileID]bool, len(c.Segments)+len(c.Damaged))
	for _, segments := range [][]SegmentInfo{c.Segments, c.Damaged} {
		for i := range segments {
			known[nameOf(&segments[i])] = true
		}
	}
	found = make(map[fileID]bool, len(known))
	for _, name := range names {
		base, generation, suffix, ok := parseName(name)
		id := fileID{base, generation}
		switch {
		case !ok:
			return nil, fmt.Errorf("%s/%s is not a file of a partition: move it away", l.dir, name)
		case !known[id]:
			if err := l.shared.remove(l.dir + "/" + name); err != nil {
				return nil, err
			}
		case suffix == logSuffix:
			found[id] = true
		}
	}
	return found, nil
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// parseName reads what segmentName and a suffix make.
func parseName(name string) (base, generation int64, suffix string, ok bool) {
	for _, suffix := range []string{logSuffix, indexSuffix} {
		stem, found := strings.CutSuffix(name, suffix)
		if !found {
			continue
		}
		digits, more, generated := strings.Cut(stem, "-")
		if len(digits) != 20 {
			return 0, 0, "", false
		}
		base, err := strconv.ParseInt(digits, 10, 64)
		if err == nil && generated {
			generation, err = strconv.ParseInt(more, 10, 64)
		}
		ok := err == nil && base >= 0 && generation >= 0 && generated == (generation > 0)
		return base, generation, suffix, ok
	}
	return 0, 0, "", false
}

// size is the length of a segment's file.
func (l *Log) size(base, generation int64) (int64, error) {
	file, err := l.shared.host.Disk.Open(segmentName(l.dir, base, generation)+logSuffix, host.Mode{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	size, err := file.Size()
	return size, errors.Join(err, file.Close())
}

// truncate cuts the segment being written to the checkpoint's position.
func (l *Log) truncate(size int64) error {
	if mutant.On("recovery-does-not-truncate") {
		l.info.Bytes = size
		return nil
	}
	if size == l.info.Bytes {
		return nil
	}
	file, err := l.shared.host.Disk.Open(segmentName(l.dir, l.info.Base, l.info.Generation)+logSuffix, host.Mode{})
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(l.info.Bytes), file.Close())
}
