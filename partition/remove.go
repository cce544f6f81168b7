package partition

import (
	"errors"
	"fmt"
	"strings"

	"millrace/node/host"
)

// removal is what is to be deleted: the files of a segment, or a directory that nothing needs any more.
type removal struct {
	seg *segment
	dir string
}

// removeAll is the task that deletes files. Deleting a large one may take a file system a long time (it gives the space
// back to the device), which must hold up neither writers nor readers.
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
				err = s.remove(r.seg.name+logSuffix, r.seg.name+indexSuffix)
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
