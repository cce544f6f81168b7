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
// truncated is not durable, and need not be: after another crash it is truncated again. Files that are missing or too
// short are ErrCorrupt.
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
	l.logStart, l.end, l.epochs = c.LogStart, c.End, slices.Clone(c.Epochs)
	last := len(c.Segments) - 1
	l.info = c.Segments[last]
	var err error
	if l.producers, err = DecodeProducers(c.Producers); err != nil {
		return nil, err
	}
	l.forget(&c)
	exists, err := l.sweep(c.Segments)
	if err != nil {
		return nil, err
	}
	if exists {
		if err := l.truncate(); err != nil {
			return nil, err
		}
	}
	var rolled []*rolledSegment
	for _, i := range c.Segments[:last] {
		g := newSegment(s, l.writer, dir, l.hold, i.Base, true)
		rolled = append(rolled, &rolledSegment{seg: g, info: i, from: i.Entries})
	}
	l.setRolled(rolled)
	l.active = newSegment(s, l.writer, dir, l.hold, l.info.Base, exists)
	l.entriesFrom, l.flushed, l.settled, l.settledBase = l.info.Entries, l.info.Entries, l.info.Entries, l.info.Base
	l.tail.pos, l.tail.flushed = l.info.Bytes, l.info.Bytes
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

// sweep deletes what is in the directory and not in the checkpoint, and says whether the file of the segment being
// written is there.
func (l *Log) sweep(segments []SegmentInfo) (exists bool, err error) {
	names, err := l.shared.host.Disk.List(l.dir)
	if err != nil {
		if errors.Is(err, host.ErrNotExist) {
			err = fmt.Errorf("directory %s is missing: %w", l.dir, ErrCorrupt)
		}
		return false, err
	}
	found := 0
	for _, name := range names {
		base, suffix, ok := parseName(name)
		i, known := slices.BinarySearchFunc(segments, base, func(s SegmentInfo, b int64) int { return compare(s.Base, b) })
		switch {
		case !ok:
			return false, fmt.Errorf("%s/%s is not a file of a partition: move it away", l.dir, name)
		case !known:
			if err := l.shared.remove(l.dir + "/" + name); err != nil {
				return false, err
			}
		case suffix == logSuffix:
			found++
			exists = exists || i == len(segments)-1
		}
	}
	missing := len(segments) - found
	if !exists && l.info.Bytes == 0 {
		missing--
	}
	if missing > 0 {
		return false, fmt.Errorf("%d of %d segments are missing in %s: %w", missing, len(segments), l.dir, ErrCorrupt)
	}
	return exists, nil
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

func parseName(name string) (base int64, suffix string, ok bool) {
	for _, suffix := range []string{logSuffix, indexSuffix} {
		if digits, found := strings.CutSuffix(name, suffix); found && len(digits) == 20 {
			base, err := strconv.ParseInt(digits, 10, 64)
			return base, suffix, err == nil && base >= 0
		}
	}
	return 0, "", false
}

// truncate cuts the segment being written to the checkpoint's position: what is behind may be holes.
func (l *Log) truncate() error {
	name := segmentName(l.dir, l.info.Base) + logSuffix
	file, err := l.shared.host.Disk.Open(name, host.Mode{})
	if err != nil {
		return err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return err
	}
	if size < l.info.Bytes {
		return fmt.Errorf("%s has %d bytes, the checkpoint says %d: %w", name, size, l.info.Bytes, ErrCorrupt)
	}
	if mutant.On("recovery-does-not-truncate") {
		l.info.Bytes = size
		return nil
	}
	if size == l.info.Bytes {
		return nil
	}
	return file.Truncate(l.info.Bytes)
}
