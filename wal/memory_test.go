package wal

import (
	"fmt"
	"io"
	"path"
	"slices"
	"sync"

	"millrace/node/host"
)

// memory is a disk that notes everything that is done to it, so that a test can make what any crash might leave.
type memory struct {
	mu    sync.Mutex
	names map[string]*memFile
	notes []note
}

// note is one thing that was done, or one thing that the test itself notes.
type note struct {
	what     string // "create", "rename", "remove", "syncdir", "write", "sync", "ack"
	name, to string
	file     *memFile
	off      int64
	data     []byte
	durable  bool
	ack      int
}

type memFile struct{ data []byte }

func newMemory() *memory { return &memory{names: map[string]*memFile{}} }

func (m *memory) note(n note) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes = append(m.notes, n)
}

func (m *memory) find(name string) (*memFile, error) {
	if f := m.names[name]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("%s: %w", name, host.ErrNotExist)
}

func (m *memory) Create(name string, size int64, mode host.Mode) (host.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.names[name] != nil {
		return nil, host.ErrExist
	}
	f := &memFile{make([]byte, size)}
	m.names[name] = f
	m.notes = append(m.notes, note{what: "create", name: name, file: f, off: size})
	return &memHandle{m, f, mode}, nil
}

func (m *memory) Open(name string, mode host.Mode) (host.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.find(name)
	return &memHandle{m, f, mode}, err
}

func (m *memory) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.find(from)
	if err == nil {
		delete(m.names, from)
		m.names[to] = f
		m.notes = append(m.notes, note{what: "rename", name: from, to: to, file: f})
	}
	return err
}

func (m *memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.find(name)
	if err == nil {
		delete(m.names, name)
		m.notes = append(m.notes, note{what: "remove", name: name})
	}
	return err
}

func (m *memory) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.names {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (m *memory) SyncDir(dir string) error {
	if dir != "" {
		m.note(note{what: "syncdir", name: dir})
	}
	return nil
}

func (m *memory) Mkdir(string) error             { return nil }
func (m *memory) SyncAll() error                 { return nil }
func (m *memory) Lock(string) (io.Closer, error) { return nil, host.ErrLocked }
func (m *memory) Usage() (host.Usage, error)     { return host.Usage{}, nil }

type memHandle struct {
	m    *memory
	f    *memFile
	mode host.Mode
}

func (h *memHandle) ReadAt(p []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if off >= int64(len(h.f.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memHandle) WriteAt(off int64, slices ...[]byte) error {
	var b []byte
	for _, s := range slices {
		b = append(b, s...)
	}
	if off%host.Align != 0 || len(b)%host.Align != 0 {
		return fmt.Errorf("%d bytes at %d are not aligned", len(b), off)
	}
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if off+int64(len(b)) > int64(len(h.f.data)) {
		return fmt.Errorf("%d bytes at %d are more than the file holds", len(b), off)
	}
	copy(h.f.data[off:], b)
	h.m.notes = append(h.m.notes, note{what: "write", file: h.f, off: off, data: b, durable: h.mode.Durable})
	return nil
}

func (h *memHandle) Sync() error {
	h.m.note(note{what: "sync", file: h.f})
	return nil
}

func (h *memHandle) Size() (int64, error) { return int64(len(h.f.data)), nil }
func (h *memHandle) Truncate(int64) error { return host.ErrIO }
func (h *memHandle) Allocate(int64) error { return host.ErrIO }
func (h *memHandle) Close() error         { return nil }

// image is the disk after the first n notes, as a crash in the middle of the next one may leave it: of the names that
// were not synced those that keepName chooses, of the sectors of the write under way those that keepSector chooses.
func (m *memory) image(n int, keepName, keepSector func(i int) bool) *memory {
	files := map[*memFile]*memFile{}
	of := func(f *memFile) *memFile {
		if files[f] == nil {
			files[f] = &memFile{}
		}
		return files[f]
	}
	image := newMemory()
	var pending []note
	settle := func(keep func(i int) bool) {
		for i, p := range pending {
			if !keep(i) {
				continue
			}
			switch p.what {
			case "create":
				image.names[p.name] = of(p.file)
			case "remove":
				delete(image.names, p.name)
			case "rename":
				delete(image.names, p.name)
				image.names[p.to] = of(p.file)
			}
		}
		pending = nil
	}
	for _, o := range m.notes[:n] {
		switch o.what {
		case "create":
			of(o.file).data = make([]byte, o.off)
			pending = append(pending, o)
		case "rename", "remove":
			pending = append(pending, o)
		case "syncdir":
			settle(func(int) bool { return true })
		case "write": // what is not durable is zeros over zeros
			copy(of(o.file).data[o.off:], o.data)
		}
	}
	if n < len(m.notes) {
		if o := m.notes[n]; o.what == "write" {
			for s := range len(o.data) / sectorBytes {
				if keepSector(s) {
					copy(of(o.file).data[o.off+int64(s)*sectorBytes:], o.data[s*sectorBytes:(s+1)*sectorBytes])
				}
			}
		}
	}
	settle(keepName)
	return image
}

// pendingNames is the number of changes of names that are not synced after n notes.
func (m *memory) pendingNames(n int) int {
	pending := 0
	for _, o := range m.notes[:n] {
		switch o.what {
		case "create", "rename", "remove":
			pending++
		case "syncdir":
			pending = 0
		}
	}
	return pending
}

const sectorBytes = 512
