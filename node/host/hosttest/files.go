package hosttest

import (
	"bytes"
	"fmt"
	"io"

	"millrace/node/host"
)

var fileChecks = []check{
	{"a new file is zeros", func(h host.Host, _ string) error {
		f, err := h.Disk.Create("f", 10_000, host.Mode{})
		if err != nil {
			return err
		}
		b := pattern(10_000)
		n, err := f.ReadAt(b, 0)
		size, sizeErr := f.Size()
		return first(err, sizeErr, same("read", n, 10_000), same("size", size, 10_000),
			same("zeros", bytes.Count(b, []byte{0}), 10_000), f.Close())
	}},
	{"writes land where they should", func(h host.Host, _ string) error {
		f, err := h.Disk.Create("f", 0, host.Mode{})
		if err != nil {
			return err
		}
		p := pattern(9000)
		b := make([]byte, 9000)
		err = first(f.WriteAt(1000, p[1000:3000], nil, p[3000:9000]), f.WriteAt(0, p[:1000]), f.Sync())
		if err != nil {
			return err
		}
		if _, err := f.ReadAt(b, 0); err != nil {
			return err
		}
		if !bytes.Equal(b, p) {
			return fmt.Errorf("read something else than was written")
		}
		n, err := f.ReadAt(b, 8000)
		return first(same("short read", n, 1000), wants("short read", err, io.EOF), f.Close())
	}},
	{"a hole is zeros", func(h host.Host, _ string) error {
		f, err := h.Disk.Create("f", 0, host.Mode{})
		if err != nil {
			return err
		}
		b := pattern(100)
		err = first(f.WriteAt(5000, []byte("x")), f.Truncate(5000), f.Truncate(6000))
		n, readErr := f.ReadAt(b, 4950)
		return first(err, readErr, same("read", n, 100), same("zeros", bytes.Count(b, []byte{0}), 100), f.Close())
	}},
	{"allocate changes nothing", func(h host.Host, _ string) error {
		f, err := h.Disk.Create("f", 0, host.Mode{})
		if err != nil {
			return err
		}
		err = first(f.WriteAt(0, []byte("abc")), f.Allocate(1<<16))
		size, sizeErr := f.Size()
		return first(err, sizeErr, same("size", size, 3), f.Close())
	}},
	{"two handles see one file", func(h host.Host, _ string) error {
		f, err := h.Disk.Create("f", 0, host.Mode{Direct: true})
		if err != nil {
			return err
		}
		p := aligned(h, 8192)
		copy(p, pattern(8192))
		if err := f.WriteAt(0, p); err != nil {
			return err
		}
		g, err := h.Disk.Open("f", host.Mode{ReadOnly: true})
		if err != nil {
			return err
		}
		b := make([]byte, 5000)
		if _, err := g.ReadAt(b, 100); err != nil {
			return err
		}
		if !bytes.Equal(b, pattern(8192)[100:5100]) {
			return fmt.Errorf("the second handle read something else")
		}
		if g.WriteAt(0, b) == nil {
			return fmt.Errorf("a read-only handle wrote")
		}
		return first(f.Close(), g.Close())
	}},
	{"durable and direct files", func(h host.Host, _ string) error {
		f, err := h.Disk.Create("wal", 1<<16, host.Mode{Direct: true, Durable: true})
		if err != nil {
			return err
		}
		p, b := aligned(h, 4096), aligned(h, 4096)
		copy(p, pattern(4096))
		if err := f.WriteAt(8192, p); err != nil {
			return err
		}
		_, err = f.ReadAt(b, 8192)
		return first(err, same("content", bytes.Equal(p, b), true), f.Close())
	}},
	{"open handles outlive the name", func(h host.Host, _ string) error {
		f, err := h.Disk.Create("f", 0, host.Mode{})
		if err != nil {
			return err
		}
		b := make([]byte, 3)
		err = first(f.WriteAt(0, []byte("abc")), h.Disk.Remove("f"), f.WriteAt(0, []byte("b")))
		_, readErr := f.ReadAt(b, 0)
		return first(err, readErr, same("content", string(b), "bbc"), f.Close())
	}},
}

var nameChecks = []check{
	{"create, open and remove", func(h host.Host, _ string) error {
		_, missing := h.Disk.Open("f", host.Mode{})
		f, err := h.Disk.Create("f", 0, host.Mode{})
		if err != nil {
			return err
		}
		_, twice := h.Disk.Create("f", 0, host.Mode{})
		_, nowhere := h.Disk.Create("d/f", 0, host.Mode{})
		return first(wants("open", missing, host.ErrNotExist), wants("create twice", twice, host.ErrExist),
			wants("create without directory", nowhere, host.ErrNotExist), f.Close(), h.Disk.Remove("f"),
			wants("remove twice", h.Disk.Remove("f"), host.ErrNotExist), h.Disk.SyncDir(""))
	}},
	{"lists are sorted", func(h host.Host, _ string) error {
		if err := first(h.Disk.Mkdir("d"), h.Disk.Mkdir("d"), h.Disk.Mkdir("d/sub")); err != nil {
			return err
		}
		for _, n := range []string{"d/b", "d/a", "d/c", "x"} {
			f, err := h.Disk.Create(n, 0, host.Mode{})
			if err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
		}
		in, err := h.Disk.List("d")
		root, rootErr := h.Disk.List("")
		_, missing := h.Disk.List("nothing")
		if h.Disk.Remove("d") == nil {
			return fmt.Errorf("a directory with files was removed")
		}
		return first(err, rootErr, equalLists("d", in, []string{"a", "b", "c", "sub/"}), equalLists("root", root, []string{"d/", "x"}),
			wants("list", missing, host.ErrNotExist), h.Disk.Remove("d/sub"), h.Disk.SyncDir("d"), h.Disk.SyncAll())
	}},
	{"rename replaces", func(h host.Host, _ string) error {
		for _, n := range []string{"a", "b"} {
			f, err := h.Disk.Create(n, 0, host.Mode{})
			if err != nil {
				return err
			}
			if err := first(f.WriteAt(0, []byte(n)), f.Close()); err != nil {
				return err
			}
		}
		if err := h.Disk.Rename("a", "b"); err != nil {
			return err
		}
		f, err := h.Disk.Open("b", host.Mode{})
		if err != nil {
			return err
		}
		b := make([]byte, 1)
		_, err = f.ReadAt(b, 0)
		names, listErr := h.Disk.List("")
		return first(err, listErr, same("content", string(b), "a"), equalLists("names", names, []string{"b"}), f.Close(),
			wants("rename", h.Disk.Rename("a", "c"), host.ErrNotExist))
	}},
	{"a lock excludes", func(h host.Host, _ string) error {
		l, err := h.Disk.Lock("lock")
		if err != nil {
			return err
		}
		_, second := h.Disk.Lock("lock")
		if err := first(wants("second lock", second, host.ErrLocked), l.Close()); err != nil {
			return err
		}
		l, err = h.Disk.Lock("lock")
		if err != nil {
			return err
		}
		return l.Close()
	}},
	{"usage", func(h host.Host, _ string) error {
		u, err := h.Disk.Usage()
		if err != nil || u.Total <= 0 || u.Free <= 0 || u.Free > u.Total {
			return fmt.Errorf("%+v: %v", u, err)
		}
		return nil
	}},
}
