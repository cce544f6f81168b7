package machine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"millrace/node/host"
)

type disk struct {
	root   string
	dir    *os.File
	spares *spares
	// farAhead says that the system by itself reads far ahead of who reads in order.
	farAhead bool
}

func openDisk(root string) (*disk, error) {
	dir, err := os.Open(root)
	if err != nil {
		return nil, fmt.Errorf("open the data directory: %w", err)
	}
	return &disk{root: root, dir: dir, spares: newSpares(), farAhead: readsFarAhead(dir)}, nil
}

// path refuses names that would leave the data directory.
func (d *disk) path(name string) (string, error) {
	if name != "" && !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fmt.Errorf("%q is not a name inside the data directory", name)
	}
	return filepath.Join(d.root, filepath.FromSlash(name)), nil
}

// translate adds the door's error to the system's, so that callers need not know the system.
func translate(err error) error {
	var kind error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		kind = host.ErrNotExist
	case errors.Is(err, fs.ErrExist):
		kind = host.ErrExist
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind = host.ErrNoSpace
	case errors.Is(err, fs.ErrClosed):
		kind = host.ErrClosed
	case errors.Is(err, syscall.EIO):
		kind = host.ErrIO
	default:
		return err
	}
	return fmt.Errorf("%w (%w)", err, kind)
}

func (d *disk) Create(name string, size int64, mode host.Mode) (host.File, error) {
	f, err := d.open(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, mode)
	if err != nil {
		return nil, err
	}
	if size > 0 {
		if err := grow(f.f, size); err != nil {
			f.f.Close()
			os.Remove(f.f.Name())
			return nil, translate(err)
		}
	}
	return f, nil
}

func (d *disk) Open(name string, mode host.Mode) (host.File, error) {
	flags := os.O_RDWR
	if mode.ReadOnly {
		flags = os.O_RDONLY
	}
	f, err := d.open(name, flags, mode)
	if err != nil {
		return nil, err // not f: a nil *file in a host.File is not nil
	}
	return f, nil
}

func (d *disk) open(name string, flags int, mode host.Mode) (*file, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	var f *os.File
	var after bool
	open := func() (err error) {
		f, after, err = openFile(path, flags, mode)
		return err
	}
	if mode.ReadOnly {
		err = open()
	} else {
		err = d.spares.must(open)
	}
	if err != nil {
		return nil, translate(err)
	}
	return &file{f: f, fd: int(f.Fd()), syncAfterWrite: after, farAhead: d.farAhead}, nil
}

func (d *disk) Rename(from, to string) error {
	a, err := d.path(from)
	if err != nil {
		return err
	}
	b, err := d.path(to)
	if err != nil {
		return err
	}
	return translate(os.Rename(a, b))
}

func (d *disk) Remove(name string) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	return translate(os.Remove(path))
}

func (d *disk) List(dir string) ([]string, error) {
	path, err := d.path(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, translate(err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name()+"/")
		} else {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (d *disk) Mkdir(dir string) error {
	path, err := d.path(dir)
	if err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return translate(err)
	}
	return nil
}

func (d *disk) SyncDir(dir string) error {
	path, err := d.path(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return err
	}
	var f *os.File
	if err := d.spares.must(func() (err error) { f, err = os.Open(path); return err }); err != nil {
		return translate(err)
	}
	defer f.Close()
	return translate(syncDir(f))
}

func (d *disk) SyncAll() error { return translate(syncAll(d)) }

func (d *disk) Lock(name string) (io.Closer, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, translate(err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

type file struct {
	f              *os.File
	fd             int
	syncAfterWrite bool
	farAhead       bool
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.f.ReadAt(p, off)
	if err == io.EOF {
		return n, io.EOF
	}
	return n, translate(err)
}

func (f *file) WriteAt(off int64, slices ...[]byte) error {
	if err := f.write(off, slices); err != nil {
		return translate(err)
	}
	if f.syncAfterWrite {
		return f.Sync()
	}
	return nil
}

func (f *file) Sync() error               { return translate(syncData(f.f)) }
func (f *file) Truncate(size int64) error { return translate(f.f.Truncate(size)) }
func (f *file) Allocate(size int64) error { return translate(allocate(f.f, size)) }
func (f *file) Close() error              { return translate(f.f.Close()) }
func (f *file) writeEach(off int64, slices [][]byte) error {
	for _, s := range slices {
		n, err := f.f.WriteAt(s, off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

func (f *file) Size() (int64, error) {
	info, err := f.f.Stat()
	if err != nil {
		return 0, translate(err)
	}
	return info.Size(), nil
}
