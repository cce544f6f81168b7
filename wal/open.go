package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"path"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// Open recovers the log in o.Dir and starts its tasks. What it returns is durable. Shards are sorted by id.
//
// Errors: ErrCorrupt when acknowledged records may be missing, ErrForeign when the files belong to another directory or
// a newer version; what the disk says otherwise. All of them name the file.
func Open(h host.Host, o Options) (*Log, []RecoveredShard, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	l := newLog(h, o)
	w := &writer{Log: l, ledger: newLedger(), staging: staging{pool: h.Buffers, chunk: o.chunkBytes()}}
	k := &keeper{host: h, o: o, waiter: h.Tasks.NewWaiter(), events: l.events, hurry: l.hurry, usable: l.usable, ended: l.keeperEnded}
	k.orders = host.NewQueue[order](h.Tasks, o.Queue, k.waiter)
	l.keeper = k.orders
	read, shards, err := w.load(k)
	if err == nil {
		k.hurry.Add(1)
		w.ready, err = k.prepare(o.FirstFileSize)
		k.hurry.Add(-1)
	}
	// Without any group the only file stays until there is another one: a directory that has been in use and has no log is
	// one that was lost.
	if err == nil && read != nil && read.last == nil {
		err = read.dropEmpty()
	}
	if err != nil {
		for _, f := range w.open {
			f.handle.Close()
		}
		k.close()
		return nil, nil, err
	}
	w.show()
	w.changed = true
	w.publish()
	h.Tasks.Go("wal.keeper", k.run)
	h.Tasks.Go("wal.writer", w.run)
	return l, shards, nil
}

// load reads what the directory holds, gives the keeper the spare files and the writer the others.
func (w *writer) load(k *keeper) (*reading, []RecoveredShard, error) {
	numbers, err := w.list(k)
	if err != nil {
		return nil, nil, err
	}
	if len(numbers) == 0 && w.o.Existing {
		return nil, nil, fmt.Errorf("%w: %s has no files, though this data directory has been in use", ErrCorrupt, w.o.Dir)
	}
	reading := &reading{w: w, k: k, recovery: newRecovery()}
	reading.scanner.window = w.host.Buffers.Get(w.o.windowBytes())
	defer reading.scanner.window.Release()
	for _, number := range numbers {
		if err := reading.file(number); err != nil {
			return nil, nil, err
		}
	}
	shards, err := reading.finish()
	return reading, shards, err
}

// list returns the numbers of the log's files, ascending, and gives the spare ones to the keeper.
func (w *writer) list(k *keeper) ([]uint64, error) {
	if err := w.host.Disk.Mkdir(w.o.Dir); err != nil {
		return nil, fmt.Errorf("wal: making %s: %w", w.o.Dir, err)
	}
	parent := path.Dir(w.o.Dir)
	if parent == "." {
		parent = ""
	}
	if err := w.host.Disk.SyncDir(parent); err != nil {
		return nil, fmt.Errorf("wal: making the name of %s durable: %w", w.o.Dir, err)
	}
	// A process that was killed may have left names that are not durable: a spare file that would be a log file again
	// after a power cut must not be written.
	if err := w.host.Disk.SyncDir(w.o.Dir); err != nil {
		return nil, fmt.Errorf("wal: making the names in %s durable: %w", w.o.Dir, err)
	}
	names, err := w.host.Disk.List(w.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("wal: listing %s: %w", w.o.Dir, err)
	}
	var numbers []uint64
	for _, base := range names {
		if number, ok := parseFileName(base, logSuffix); ok {
			numbers = append(numbers, number)
			k.number = max(k.number, number)
		} else if number, ok := parseFileName(base, spareSuffix); ok {
			k.number = max(k.number, number)
			if err := w.addSpare(k, fileName(w.o.Dir, number, spareSuffix)); err != nil {
				return nil, err
			}
		}
	}
	return numbers, nil
}

// addSpare gives a file whose contents mean nothing to the keeper.
func (w *writer) addSpare(k *keeper, name string) error {
	f, err := w.host.Disk.Open(name, mode)
	if err != nil {
		return fmt.Errorf("wal: opening %s: %w", name, err)
	}
	size, err := f.Size()
	if err != nil {
		f.Close()
		return fmt.Errorf("wal: asking for the size of %s: %w", name, err)
	}
	k.keep(spare{name: name, size: size, handle: f, found: true})
	return nil
}

// reading is the recovery of a log from its files.
type reading struct {
	w *writer
	k *keeper
	*recovery
	scanner scanner

	// Where the first group that could not be read would be. It is a write cut short, unless something follows it.
	endName   string
	endOffset int64
	last      *file // that has the last group
	// lastAt and lastEnd are where it is in that file.
	lastAt, lastEnd int64
	oldest          uint64 // number of the file that has the first one
	empty           []uint64
	rests           []rest // of the last file with a group, and of those after it
}

// rest is what of a file could not be read as groups.
type rest struct {
	file   *file
	offset int64
}

// file reads the next file.
func (r *reading) file(number uint64) error {
	name := fileName(r.w.o.Dir, number, logSuffix)
	f, err := r.open(name, number)
	if err != nil {
		return err
	}
	r.scanner.header = f.header
	r.scanner.reset(f.handle, name, f.header.size)
	r.w.ledger.open(number, f.header.size)
	r.w.open = append(r.w.open, f)
	r.w.bytes += f.header.size
	offset, groups := int64(headerBlock), 0
	for {
		next, err := r.group(offset)
		if err != nil {
			return fmt.Errorf("%w: %s at offset %d", err, name, offset)
		}
		if next == offset {
			break
		}
		r.lastAt, r.lastEnd = offset, next
		offset = next
		groups++
	}
	if groups == 0 {
		r.empty = append(r.empty, number)
	} else {
		if r.last == nil {
			r.oldest = number
		}
		r.last, r.rests = f, r.rests[:0]
	}
	r.rests = append(r.rests, rest{f, offset})
	if groups > 0 || r.endName == "" {
		r.endName, r.endOffset = name, offset
	}
	return nil
}

// open opens a file of the log and checks its header.
func (r *reading) open(name string, number uint64) (*file, error) {
	handle, err := r.w.host.Disk.Open(name, mode)
	if err != nil {
		return nil, fmt.Errorf("wal: opening %s: %w", name, err)
	}
	size, err := handle.Size()
	if err != nil {
		handle.Close()
		return nil, fmt.Errorf("wal: asking for the size of %s: %w", name, err)
	}
	if size < headerBlock {
		handle.Close()
		return nil, fmt.Errorf("%w: %s has only %d bytes", ErrCorrupt, name, size)
	}
	block := r.scanner.window.Bytes()[:headerBlock]
	if _, err = handle.ReadAt(block, 0); err != nil {
		handle.Close()
		return nil, fmt.Errorf("wal: reading %s: %w", name, err)
	}
	header, err := parseFileHeader(block, name, r.w.o.Directory, number)
	if err == nil && header.size != size {
		err = fmt.Errorf("%w: %s has %d bytes, and was made with %d", ErrCorrupt, name, size, header.size)
	}
	if err != nil {
		handle.Close()
		return nil, err
	}
	r.k.usable.Add(size)
	return r.k.file(header, name, handle), nil
}

// group takes over the group at an offset and returns where the next one begins: at the same offset when there is none.
func (r *reading) group(offset int64) (int64, error) {
	g, ok, err := r.scanner.groupAt(offset)
	if err != nil || !ok {
		return offset, err
	}
	if !r.follows(g) {
		if offset == headerBlock && r.endName != "" {
			return 0, fmt.Errorf("%w: group %d should be in %s at offset %d and cannot be read, though group %d was written after it", ErrCorrupt, r.sequence+1, r.endName, r.endOffset, g.sequence)
		}
		return 0, fmt.Errorf("%w: group %d follows group %d", ErrCorrupt, g.sequence, r.sequence)
	}
	whole, err := r.scanner.read(g, false)
	if err != nil || !whole {
		return offset, err
	}
	// A group with a good successor was durable: its payloads need not be read to know it. They are checked when
	// somebody reads them.
	next, followed, err := r.scanner.groupAt(offset + roundUp(g.length))
	if err != nil {
		return 0, err
	}
	if !followed || next.sequence != g.sequence+1 {
		if whole, err = r.scanner.read(g, true); err != nil || !whole {
			return offset, err
		}
	}
	if err := r.add(g, r.scanner.records); err != nil {
		return 0, err
	}
	return offset + roundUp(g.length), nil
}

// checkRests refuses the log when behind its end there is a group: it was written after what could not be read had
// become durable. In files before the last one with a group, the numbers of the groups have shown that.
func (r *reading) checkRests() error {
	if mutant.On("wal-recycled-group-accepted") {
		return nil
	}
	for _, rest := range r.rests {
		r.scanner.header = rest.file.header
		r.scanner.reset(rest.file.handle, rest.file.name, rest.file.header.size)
		later, found, err := r.scanner.laterGroup(rest.offset + host.Align)
		if err != nil {
			return err
		}
		if found {
			return fmt.Errorf("%w: %s has a bad group at offset %d, and a good one behind it at offset %d: acknowledged records are lost, take them from a replica or a backup", ErrCorrupt, rest.file.name, rest.offset, later)
		}
	}
	return nil
}

// finish checks the whole, makes it durable, and gives files without any group to the keeper.
func (r *reading) finish() ([]RecoveredShard, error) {
	w := r.w
	if err := r.checkRests(); err != nil {
		return nil, err
	}
	w.written = r.sequence
	if r.last != nil {
		if r.oldest > r.first {
			return nil, fmt.Errorf("%w: %s is missing or has no good group", ErrCorrupt, fileName(w.o.Dir, r.first, logSuffix))
		}
		if err := r.settle(); err != nil {
			return nil, err
		}
	}
	shards, err := r.recovery.finish(w.ledger)
	if err != nil {
		return nil, err
	}
	if len(w.open) > 0 {
		w.host.Log.Info("write-ahead log recovered", slog.Int("files", len(w.open)), slog.Uint64("groups to", r.sequence),
			slog.String("end", r.endName), slog.Int64("offset", r.endOffset))
	}
	if r.last == nil {
		return shards, nil
	}
	return shards, r.dropEmpty()
}

// settle makes the last group durable. The process that wrote it may have died before it was, though it can be read; and when
// an earlier start failed to sync it, another sync would say nothing of it. So it is written once more, as it is.
func (r *reading) settle() error {
	if mutant.On("wal-last-group-believed") {
		return nil
	}
	f := r.last
	group := r.w.host.Buffers.Get(int(r.lastEnd - r.lastAt))
	defer group.Release()
	if _, err := f.handle.ReadAt(group.Bytes(), r.lastAt); err != nil {
		return fmt.Errorf("wal: reading the last group of %s: %w", f.name, err)
	}
	if err := f.handle.WriteAt(r.lastAt, group.Bytes()); err != nil {
		return fmt.Errorf("wal: writing the last group of %s again: %w", f.name, err)
	}
	if err := f.handle.Sync(); err != nil {
		return fmt.Errorf("wal: syncing %s: %w", f.name, err)
	}
	return nil
}

// dropEmpty makes spare files of those that were never used or hold only a write cut short.
func (r *reading) dropEmpty() error {
	w := r.w
	var err error
	for _, number := range r.empty {
		f := w.open.find(number)
		name := fileName(w.o.Dir, number, spareSuffix)
		err = errors.Join(err, w.host.Disk.Rename(f.name, name))
		w.bytes -= f.header.size
		f.name = name
	}
	if err == nil && len(r.empty) > 0 {
		err = w.host.Disk.SyncDir(w.o.Dir)
	}
	if err != nil {
		return fmt.Errorf("wal: recycling unused files in %s: %w", w.o.Dir, err)
	}
	var open files
	var books []*book
	for i, f := range w.open {
		if path.Ext(f.name) == spareSuffix {
			w.usable.Add(-f.header.size)
			r.k.keep(spare{name: f.name, size: f.header.size, handle: f.handle})
			continue
		}
		open, books = append(open, f), append(books, w.ledger.books[i])
	}
	w.open, w.ledger.books = open, books
	return nil
}
