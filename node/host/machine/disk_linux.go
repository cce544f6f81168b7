package machine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"millrace/node/host"
)

// openFile opens with the flags that mode asks for. A file system without O_DIRECT refuses it with EINVAL; its cache is
// used then, which callers cannot tell apart. syncAfterWrite is never needed here: O_DSYNC does it in the write.
func openFile(path string, flags int, mode host.Mode) (f *os.File, syncAfterWrite bool, err error) {
	if mode.Durable {
		flags |= durableFlag
	}
	if mode.Direct {
		f, err = os.OpenFile(path, flags|unix.O_DIRECT, 0o644)
		if !errors.Is(err, syscall.EINVAL) {
			return f, false, err
		}
		if flags&os.O_EXCL != 0 {
			os.Remove(path) // some kernels make the file before they refuse the flag
		}
	}
	f, err = os.OpenFile(path, flags, 0o644)
	return f, false, err
}

// grow gives a new file its size with the space allocated.
func grow(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = f.Truncate(size)
	}
	runtime.KeepAlive(f)
	return err
}

func allocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
	runtime.KeepAlive(f)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

// write writes the slices with one call where it can, so that a durable write of several slices waits for the disk once.
func (f *file) write(off int64, slices [][]byte) error {
	if len(slices) == 1 {
		return f.writeEach(off, slices)
	}
	defer runtime.KeepAlive(f)
	rest := append(make([][]byte, 0, len(slices)), slices...)
	for len(rest) > 0 {
		n, err := unix.Pwritev(f.fd, rest[:min(len(rest), 1024)], off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "pwritev", Path: f.f.Name(), Err: err}
		}
		off += int64(n)
		rest = skip(rest, n)
	}
	return nil
}

// skip drops the first n bytes of the slices.
func skip(slices [][]byte, n int) [][]byte {
	for len(slices) > 0 && n >= len(slices[0]) {
		n -= len(slices[0])
		slices = slices[1:]
	}
	if n > 0 {
		slices[0] = slices[0][n:]
	}
	return slices
}

func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return fmt.Errorf("%s: %w", f.Name(), host.ErrLocked)
	}
	return err
}

func (d *disk) Usage() (host.Usage, error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(d.dir.Fd()), &s); err != nil {
		return host.Usage{}, fmt.Errorf("ask the file system for its free space: %w", err)
	}
	return host.Usage{Total: int64(s.Blocks) * s.Bsize, Free: int64(s.Bavail) * s.Bsize}, nil
}
