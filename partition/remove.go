package partition

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"millrace/node/host"
)

// removal is what is to be deleted: the files of a segment, or a directory that nothing needs any more.
type removal struct {
	seg *segment
	dir string
}

// A large file is deleted in pieces of some of the largest chunks, from its end, with pauses: a file system that gives
// space back to the device (the mount option discard) holds up everybody's durable writes meanwhile, by some 50 ms for each
// GB that is deleted at once.
const (
	removedChunks = 4
	removalPause  = 10 * time.Millisecond
)

// removeAll is the task that deletes files, which may take long and must hold up neither writers nor readers.
func (s *Shared) removeAll() {
	var todo []removal
	for {
		more := true
		todo, more = s.removals.Take(todo[:0])
		if !more {
			return
		}
		for _, r := range todo {
			var err error
			if r.seg == nil {
				err = s.RemoveDir(r.dir)
			} else {
				if err = s.shrink(r.seg.name + logSuffix); err == nil {
					err = s.remove(r.seg.name+logSuffix, r.seg.name+indexSuffix)
				}
				r.seg.dir.Release()
			}
			if err != nil {
				// The space is not free, and nothing else is wrong: the next start deletes what no checkpoint names.
				s.host.Log.Error("files cannot be deleted", "error", err)
			}
		}
		clear(todo)
	}
}

// shrink leaves of a file at most a piece. No checkpoint names it and nobody reads it any more. When the node stops, it
// does not wait: the rest goes at once.
func (s *Shared) shrink(name string) error {
	f, err := s.host.Disk.Open(name, host.Mode{})
	if errors.Is(err, host.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	piece := removedChunks * int64(s.o.LargestChunk)
	size, err := f.Size()
	for size > piece && err == nil && s.leaving.Load() == 0 {
		size -= piece
		if err = f.Truncate(size); err == nil {
			s.host.Clock.Sleep(removalPause)
		}
	}
	return errors.Join(err, f.Close())
}

// remove deletes files; those that do not exist are no error.
func (s *Shared) remove(names ...string) error {
	for _, name := range names {
		if err := s.host.Disk.Remove(name); err != nil && !errors.Is(err, host.ErrNotExist) {
			return err
		}
	}
	return nil
}

// RemoveDir deletes a partition's directory that no checkpoint knows, with what is in it. No error if there is none.
func (s *Shared) RemoveDir(dir string) error {
	err := s.emptyDir(dir)
	if err == nil {
		err = s.host.Disk.Remove(dir)
	}
	if err != nil && !errors.Is(err, host.ErrNotExist) {
		return fmt.Errorf("remove directory %s: %w", dir, err)
	}
	return nil
}

func (s *Shared) emptyDir(dir string) error {
	names, err := s.host.Disk.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "/") {
			return fmt.Errorf("%s holds a directory %s that is not Millrace's", dir, name)
		}
		if err := s.remove(dir + "/" + name); err != nil {
			return err
		}
	}
	return nil
}
