package wal

import (
	"errors"
	"fmt"
	"time"

	"millrace/node/host"
)

// Errors of a Log. They are wrapped; use errors.Is.
var (
	// ErrClosed says that the log was closed before the append was written.
	ErrClosed = errors.New("the write-ahead log is closed")
	// ErrCorrupt says that the log is damaged where it cannot be a write cut short by a crash, so that acknowledged
	// records may be missing. The log is not opened.
	ErrCorrupt = errors.New("the write-ahead log is damaged")
	// ErrForeign says that a file belongs to another data directory or was written by a newer version.
	ErrForeign = errors.New("the write-ahead log cannot be used here")
	// ErrGone says that what was to be read is not in the log any more.
	ErrGone = errors.New("no longer in the write-ahead log")
)

// Limits of one append. An append that breaks one is a bug of its caller; the log fails with it.
const (
	// MaxKey is the largest length of a State key, in bytes.
	MaxKey = 1 << 15
	// MaxRecord is the largest Data, payload or State value, in bytes.
	MaxRecord = 1 << 30
)

// Options of a log. Sizes are in bytes. Zero values mean the defaults.
type Options struct {
	// Dir is the log's directory; it is made when missing. Default "wal".
	Dir string
	// Directory identifies the data directory. A log of another one is refused.
	Directory [16]byte
	// Existing says that the data directory has been in use: a log without any file is then an error, since it has
	// lost what was acknowledged.
	Existing bool
	// FileSize is the size of a file, a multiple of host.Align. Default 64 MiB. An append that needs more gets a file
	// of its own size.
	FileSize int64
	// FirstFileSize is the size of the file that Open makes when there is none to recycle: small, since Open waits for
	// it. Default 4 MiB.
	FirstFileSize int64
	// MaxBytes is how large the log may become, all files together, before Pressure says Full. Default 1 GiB, at
	// least four times FileSize.
	MaxBytes int64
	// GroupBytes is how much one synchronous write holds at most, if no single append is larger. Default 4 MiB.
	GroupBytes int
	// MarkAfter is how long the log is idle until it writes a mark, after which damage to its last group is told from
	// a write cut short. Default 100 ms.
	MarkAfter time.Duration
	// Queue is how many appends may wait before Submit blocks. Default 4096. Their bytes are bounded by whoever
	// admits them.
	Queue int
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		o.Dir = "wal"
	}
	if o.FileSize == 0 {
		o.FileSize = 64 << 20
	}
	if o.FirstFileSize == 0 {
		o.FirstFileSize = min(4<<20, o.FileSize)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = max(1<<30, 4*o.FileSize)
	}
	if o.GroupBytes == 0 {
		o.GroupBytes = 4 << 20
	}
	if o.MarkAfter == 0 {
		o.MarkAfter = 100 * time.Millisecond
	}
	if o.Queue == 0 {
		o.Queue = 4096
	}
	switch {
	case o.FileSize < smallestFile || o.FileSize%host.Align != 0:
		return o, fmt.Errorf("wal: FileSize %d is not a multiple of %d of at least %d", o.FileSize, host.Align, smallestFile)
	case o.FirstFileSize < smallestFile || o.FirstFileSize%host.Align != 0:
		return o, fmt.Errorf("wal: FirstFileSize %d is not a multiple of %d of at least %d", o.FirstFileSize, host.Align, smallestFile)
	case o.MaxBytes < 4*o.FileSize:
		return o, fmt.Errorf("wal: MaxBytes %d is less than four files of %d", o.MaxBytes, o.FileSize)
	case o.GroupBytes < 0 || o.MarkAfter < 0 || o.Queue < 0:
		return o, errors.New("wal: an option is negative")
	}
	return o, nil
}

// smallestFile holds the header and one group of two blocks.
const smallestFile = 4 * host.Align

// Log is the write-ahead log of a data directory. Its methods may be called from any task.
type Log struct {
	host     host.Host
	o        Options
	waiter   host.Waiter // of the writer
	appends  *host.Queue[Append]
	events   *host.Queue[event]
	keeper   *host.Queue[order]
	view     *host.Snapshot[view]
	pressure *host.Snapshot[Pressure]
	wrote    *host.Counter // bytes
	usable   *host.Counter // bytes of files that can be used
	writes   *host.Histogram
	groups   *host.Histogram
	shared   *host.Histogram // appends in a group
	hurry    *host.Counter
	stopping *host.Counter
	ended    *host.Future[error]

	keeperEnded *host.Future[error]
}

// newLog returns a log without tasks.
func newLog(h host.Host, o Options) *Log {
	l := &Log{host: h, o: o, waiter: h.Tasks.NewWaiter()}
	l.appends = host.NewQueue[Append](h.Tasks, o.Queue, l.waiter)
	l.events = host.NewQueue[event](h.Tasks, o.Queue, l.waiter)
	l.view = host.NewSnapshot(h.Tasks, &view{})
	l.pressure = host.NewSnapshot(h.Tasks, &Pressure{Limit: o.MaxBytes})
	l.wrote, l.usable, l.hurry, l.stopping = host.NewCounter(h.Tasks), host.NewCounter(h.Tasks), host.NewCounter(h.Tasks), host.NewCounter(h.Tasks)
	l.writes, l.groups, l.shared = host.NewHistogram(h.Tasks), host.NewHistogram(h.Tasks), host.NewHistogram(h.Tasks)
	l.ended, l.keeperEnded = host.NewFuture[error](h.Tasks), host.NewFuture[error](h.Tasks)
	return l
}

// Submit hands an append to the log. Appends of one shard become durable in the order of their submission. It blocks
// while the queue is full, never for MaxBytes: a shard that waited for the log to shrink could not take the checkpoint
// that shrinks it. Whoever admits new work asks Pressure.
//
// The log holds the payloads until they are written; the entries, their Data and the State values must not change until
// Done. Submit returns false, and never calls Done, when the log is closed or has failed.
func (l *Log) Submit(a Append) bool {
	for i := range a.Entries {
		a.Entries[i].Payload.Retain()
	}
	if l.appends.Put(a) {
		return true
	}
	a.release()
	return false
}

// Pressure tells who makes the log long.
type Pressure struct {
	// Written is the number of bytes written since Open, with padding.
	Written int64
	// Bytes is the size of all files that hold something, Limit is MaxBytes.
	Bytes, Limit int64
	// Usable is the size of the files that can be used: beside those of Bytes the next one, and spare ones, but not those that
	// were let go of and have not become spare or been removed yet. FileSize is that of one file.
	Usable, FileSize int64
	// Full says that Bytes has reached Limit: new work should wait until checkpoints have made room. Appends are
	// still taken.
	Full bool
	// Oldest are the shards whose entries keep the oldest file from being freed, ascending: those that should take a
	// checkpoint first. Empty while the oldest file is the one being written.
	Oldest []uint64
}

// Pressure returns how long the log is and who keeps it long.
func (l *Log) Pressure() Pressure {
	p := *l.pressure.Load()
	p.Written, p.Usable, p.FileSize = l.wrote.Load(), l.usable.Load(), l.o.FileSize
	return p
}

// Growth is how much more of the disk the files may take until the log is Full, and until so many bytes of appends more
// are written: they may come on top of the limit, leave the ends of files unused, and another file is always made ahead.
// Spare files are used before others are made.
func (p Pressure) Growth(bytes int64) int64 {
	most := max(p.Limit, p.Bytes+p.FileSize+bytes+bytes/4)
	return max(most+p.FileSize-p.Usable, 0)
}

// Writes counts the groups by the time that their synchronous write took, in nanoseconds.
func (l *Log) Writes() host.HistogramCounts { return l.writes.Load() }

// Groups counts the groups by their size in bytes, with padding.
func (l *Log) Groups() host.HistogramCounts { return l.groups.Load() }

// Appends counts the groups by the number of appends that they made durable.
func (l *Log) Appends() host.HistogramCounts { return l.shared.Load() }

// Close writes what was submitted before, marks the end, closes the files and returns when that is done. Appends that
// come later are refused. It returns the error with which the log has failed, if it has.
func (l *Log) Close() error {
	l.stopping.Add(1)
	l.appends.Close()
	return l.ended.Get()
}
