package host

import (
	"errors"
	"io"
)

// Align is the unit of direct I/O: offset, length and memory address of every WriteAt and ReadAt to a Direct file are
// multiples of it.
const Align = 4096

// Errors of a Disk. They are wrapped; use errors.Is.
var (
	ErrNotExist = errors.New("does not exist")
	ErrExist    = errors.New("exists already")
	ErrNoSpace  = errors.New("no space left on the disk")
	ErrLocked   = errors.New("locked by another process")
	ErrClosed   = errors.New("closed")
	ErrIO       = errors.New("input/output error")
)

// Mode says how a file is to be read and written.
type Mode struct {
	// Direct bypasses the page cache: WriteAt needs aligned offset, length and memory (see Align). ReadAt through
	// this handle needs the same. Other handles of the same file may read it through the page cache, as sending a
	// Part does. A file system that cannot do it is used through its cache; callers see no difference.
	Direct bool
	// Durable makes every WriteAt return only when its bytes, and the file size that they need, are on stable storage.
	Durable bool
	// ReadOnly refuses writes.
	ReadOnly bool
}

// Usage is the space of the file system that holds the disk, in bytes.
type Usage struct{ Total, Free int64 }

// Disk is a data directory. Names are slash-separated and relative to its root; they never contain "..".
// All methods may be called from any task.
type Disk interface {
	// Create makes a new file of the given size, which reads as zeros, with its space allocated. ErrExist if there is
	// one. The name is durable after SyncDir.
	Create(name string, size int64, mode Mode) (File, error)
	// Open opens an existing file. ErrNotExist if there is none.
	Open(name string, mode Mode) (File, error)
	// Rename moves a file, replacing what has the new name. Durable after SyncDir of both directories.
	Rename(from, to string) error
	// Remove deletes a file or an empty directory. Open handles go on working. ErrNotExist if there is none.
	Remove(name string) error
	// List returns the names in a directory, sorted, without the directory itself. Subdirectories end in "/".
	List(dir string) ([]string, error)
	// Mkdir makes one directory; its parent exists. No error if it is there already.
	Mkdir(dir string) error
	// SyncDir makes the names in dir durable. "" is the root.
	SyncDir(dir string) error
	// SyncAll makes everything written to any file before the call durable (syncfs): contents, sizes and names.
	// A failure is final for the node: it must stop, and never try again.
	SyncAll() error
	// Lock takes an exclusive lock that ends with Close of the handle or with the process. ErrLocked if another
	// process has it. The file is created when missing.
	Lock(name string) (io.Closer, error)
	Usage() (Usage, error)
}

// File is an open file. All methods may be called from any task; overlapping writes are the callers' fault.
type File interface {
	// ReadAt fills p from off, or returns how much there was and io.EOF.
	ReadAt(p []byte, off int64) (int, error)
	// WriteAt writes the slices one after the other from off on, growing the file if needed. It writes all or fails.
	WriteAt(off int64, slices ...[]byte) error
	// Sync makes everything written to this file durable, with the size. After an error the file is lost: never
	// retry, never trust its unsynced part.
	Sync() error
	// Truncate sets the size; growing adds zeros.
	Truncate(size int64) error
	// Allocate reserves space for the range [0, size) without changing the size or the contents.
	Allocate(size int64) error
	Size() (int64, error)
	Close() error
}
