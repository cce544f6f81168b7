//go:build !linux

package machine

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"millrace/node/host"
)

// openFile knows no direct I/O here; a durable write is a write followed by a sync.
func openFile(path string, flags int, mode host.Mode) (f *os.File, syncAfterWrite bool, err error) {
	f, err = os.OpenFile(path, flags, 0o644)
	return f, mode.Durable, err
}

func grow(f *os.File, size int64) error                { return f.Truncate(size) }
func allocate(*os.File, int64) error                   { return nil }
func syncData(f *os.File) error                        { return f.Sync() }
func (f *file) write(off int64, slices [][]byte) error { return f.writeEach(off, slices) }

func readsFarAhead(*os.File) bool { return false }

// syncDir does nothing on Windows, which cannot open a directory for it and orders its metadata itself.
func syncDir(f *os.File) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return f.Sync()
}

// syncAll syncs every file one by one: there is no syncfs.
func syncAll(d *disk) error {
	return filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || runtime.GOOS == "windows" && e.IsDir() {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if e.IsDir() {
			f, err = os.Open(path)
		}
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}

// lockFile writes nothing: exclusive locks need a system call of each system. A lock is refused honestly.
func lockFile(f *os.File) error {
	held, err := os.OpenFile(f.Name()+".held", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if os.IsExist(err) {
		return fmt.Errorf("%s: %w (if no broker runs there, remove %s.held)", f.Name(), host.ErrLocked, f.Name())
	}
	if err != nil {
		return err
	}
	return held.Close()
}

// Usage is not known here; nothing is reserved.
func (d *disk) Usage() (host.Usage, error) {
	return host.Usage{Total: 1 << 62, Free: 1 << 62}, nil
}
