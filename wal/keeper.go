package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// keeper is the task that makes, recycles and reads files, so that the writer does nothing but write. It owns the spare
// files.
type keeper struct {
	host   host.Host
	o      Options
	waiter host.Waiter
	orders *host.Queue[order]
	events *host.Queue[event]
	ended  *host.Future[error]
	hurry  *host.Counter // over zero while the writer waits for a file
	usable *host.Counter // bytes of files that can be used; never more than are there
	spares []spare
	number uint64 // of the file named last
	reader cursor
}

// spare is a file whose contents mean nothing.
type spare struct {
	name   string
	size   int64
	handle host.File
	found  bool // by Open: who made it may have died before it was durable
}

// order is what the writer wants; exactly one field is set.
type order struct {
	prepare int64    // a file of at least so many bytes
	retire  *file    // take the file's name away
	idle    *file    // nobody uses the retired file any more
	copy    []moving // read these records of file from
	from    *file
}

// event is what the keeper answers.
type event struct {
	ready  *file
	copied []copied // the answer to copy, possibly empty
	short  bool     // there is no space for the next file
	err    error
}

// copied is a live record of a file that is to be freed.
type copied struct {
	moving
	header  recordHeader
	body    []byte
	payload *host.Buffer
}

// spareLimit is how many spare files are kept: what a checkpoint frees at once is soon needed again, and both making
// and removing files is dear.
func (o *Options) spareLimit() int { return int(max(2, o.MaxBytes/2/o.FileSize)) }

// run serves orders until the queue is closed. A new file comes last: what else was ordered may give a spare one.
func (k *keeper) run() {
	var orders []order
	wanted, deadline := int64(0), host.Instant(0)
	for {
		var more bool
		orders, more = k.orders.Drain(orders[:0])
		if !more {
			break
		}
		for _, o := range orders {
			wanted = max(wanted, o.prepare)
			k.serve(o)
		}
		if len(orders) > 0 {
			deadline = 0 // what was done may have made room
			continue
		}
		if wanted == 0 {
			k.waiter.Wait()
			continue
		}
		if deadline > k.host.Clock.Now() {
			k.waiter.WaitUntil(deadline)
			continue
		}
		f, err := k.prepare(wanted)
		if errors.Is(err, host.ErrNoSpace) {
			// Checkpoints and retention may make room.
			k.host.Log.Error("no space for the next file of the write-ahead log", slog.Int64("bytes", wanted), slog.Any("error", err))
			k.events.Post(event{short: true})
			deadline = k.host.Clock.Now().Add(retryAfter)
			continue
		}
		k.events.Post(event{ready: f, err: err})
		wanted = 0
	}
	k.close()
	k.ended.Set(nil)
}

// retryAfter is how long the keeper waits when the disk is full.
const retryAfter = time.Second

// serve does what was ordered, but for a new file.
func (k *keeper) serve(o order) {
	switch {
	case o.retire != nil:
		if err := k.retire(o.retire); err != nil {
			k.events.Post(event{err: err})
		}
	case o.idle != nil:
		k.keep(spare{name: fileName(k.o.Dir, o.idle.header.number, spareSuffix), size: o.idle.header.size, handle: o.idle.handle})
	case o.copy != nil:
		records, err := k.copy(o.from, o.copy)
		k.events.Post(event{copied: records, err: err})
	}
}

func (k *keeper) close() {
	for _, s := range k.spares {
		s.handle.Close()
	}
	if k.reader.window != nil {
		k.reader.window.Release()
	}
}

// prepare makes the next file: a spare one, or a new one filled with zeros. When it returns, the file's header and name
// are durable.
func (k *keeper) prepare(size int64) (*file, error) {
	s, err := k.spare(size)
	if err != nil {
		return nil, err
	}
	header := fileHeader{directory: k.o.Directory, number: k.number + 1, size: s.size}
	if header.generation, err = draw(k.host); err != nil {
		return nil, err
	}
	block := k.host.Buffers.Get(headerBlock)
	clear(block.Bytes())
	header.put(block.Bytes())
	err = s.handle.WriteAt(0, block.Bytes())
	block.Release()
	if err != nil {
		return nil, fmt.Errorf("wal: writing the header of %s: %w", s.name, err)
	}
	name := fileName(k.o.Dir, header.number, logSuffix)
	if err := k.host.Disk.Rename(s.name, name); err != nil {
		return nil, fmt.Errorf("wal: naming %s: %w", name, err)
	}
	if !mutant.On("wal-directory-not-synced") {
		if err := k.host.Disk.SyncDir(k.o.Dir); err != nil {
			return nil, fmt.Errorf("wal: making the name of %s durable: %w", name, err)
		}
	}
	k.number++
	return k.file(header, name, s.handle), nil
}

// file makes a file that gives itself back when nobody holds it.
func (k *keeper) file(header fileHeader, name string, handle host.File) *file {
	f := &file{header: header, name: name, handle: handle}
	f.ref = host.NewRef(k.host.Tasks, func() {
		if !k.orders.Post(order{idle: f}) {
			f.handle.Close()
		}
	})
	return f
}

// draw returns a generation.
func draw(h host.Host) (uint64, error) {
	var b [8]byte
	if _, err := h.Secure.Read(b[:]); err != nil {
		return 0, fmt.Errorf("wal: drawing a generation: %w", err)
	}
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56, nil
}

// spare takes a spare file of at least size bytes, or makes one.
func (k *keeper) spare(size int64) (spare, error) {
	for i, s := range k.spares {
		if s.size < size {
			continue
		}
		if s.found {
			if err := s.handle.Sync(); err != nil {
				return s, fmt.Errorf("wal: syncing %s: %w", s.name, err)
			}
		}
		k.spares = append(k.spares[:i], k.spares[i+1:]...)
		return s, nil
	}
	if n := len(k.spares); n > 0 {
		// The space of a spare one that is too small may be what there is.
		k.usable.Add(-k.spares[n-1].size)
		k.remove(k.spares[n-1])
		k.spares = k.spares[:n-1]
	}
	// The number of the file is free: only files that had it, or were to get it, bear it.
	s := spare{name: fileName(k.o.Dir, k.number+1, spareSuffix), size: size}
	if err := k.create(&s); err != nil {
		return s, fmt.Errorf("wal: making %s of %d bytes: %w", s.name, size, err)
	}
	return s, nil
}

// create makes a file and fills it with zeros, since the first write to blocks that never were written costs a commit of
// the file system's journal.
func (k *keeper) create(s *spare) error {
	err := k.host.Disk.Remove(s.name) // what a crash left
	if err != nil && !errors.Is(err, host.ErrNotExist) {
		return err
	}
	f, err := k.host.Disk.Create(s.name, s.size, host.Mode{Direct: true})
	if err == nil {
		err = k.fill(f, s.size)
		if err == nil {
			err = f.Sync()
		}
		if e := f.Close(); err == nil {
			err = e
		}
		if err == nil {
			s.handle, err = k.host.Disk.Open(s.name, mode)
		}
		if err == nil {
			k.usable.Add(s.size)
		}
		if err != nil {
			k.host.Disk.Remove(s.name) // best effort: the error is what counts
		}
	}
	return err
}

// Zeros are written in pieces with pauses between, so that what the writer writes meanwhile does not wait long.
const (
	fillBytes = 256 << 10
	fillPause = 2 * time.Millisecond
)

func (k *keeper) fill(f host.File, size int64) error {
	zeros := k.host.Buffers.Get(int(min(fillBytes, size)))
	defer zeros.Release()
	clear(zeros.Bytes())
	for at := int64(0); at < size; at += fillBytes {
		if err := f.WriteAt(at, zeros.Bytes()[:min(fillBytes, size-at)]); err != nil {
			return err
		}
		if k.hurry.Load() == 0 {
			k.host.Clock.Sleep(fillPause)
		}
	}
	return nil
}

// retire makes a file of the log a spare one. Files lose their names in the order of their numbers, each durably before
// the next, so that what a crash leaves is always a log without a gap.
func (k *keeper) retire(f *file) error {
	name := fileName(k.o.Dir, f.header.number, spareSuffix)
	if err := k.host.Disk.Rename(f.name, name); err != nil {
		return fmt.Errorf("wal: retiring %s: %w", f.name, err)
	}
	if !mutant.On("wal-retired-name-not-synced") {
		if err := k.host.Disk.SyncDir(k.o.Dir); err != nil {
			return fmt.Errorf("wal: retiring %s: %w", f.name, err)
		}
	}
	f.ref.Release()
	return nil
}

// keep takes over a spare file, or removes it when there are enough.
func (k *keeper) keep(s spare) {
	if len(k.spares) < k.o.spareLimit() && s.size == k.o.FileSize {
		k.spares = append(k.spares, s)
		k.usable.Add(s.size)
		return
	}
	k.remove(s)
}

func (k *keeper) remove(s spare) {
	s.handle.Close()
	if err := k.host.Disk.Remove(s.name); err != nil {
		k.host.Log.Warn("removing a spare file of the write-ahead log", slog.String("file", s.name), slog.Any("error", err))
	}
}

// copy reads records that are to be written again.
func (k *keeper) copy(from *file, list []moving) ([]copied, error) {
	if k.reader.window == nil {
		k.reader.window = k.host.Buffers.Get(k.o.windowBytes())
	}
	k.reader.reset(from.handle, from.name, from.header.size)
	records := make([]copied, 0, len(list))
	for _, m := range list {
		c := copied{moving: m}
		var err error
		if c.header, c.body, c.payload, err = k.reader.fetch(k.host.Buffers, m.at, true); err != nil {
			for _, c := range records {
				c.payload.Release()
			}
			return nil, err
		}
		records = append(records, c)
	}
	return records, nil
}
