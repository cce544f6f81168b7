package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/wal"
)

// faulty is a disk whose operations fail when told to.
type faulty struct {
	host.Disk
	writes atomic.Int64 // so many more writes to log files succeed
	full   atomic.Bool  // nothing can be created
}

func (d *faulty) Create(name string, size int64, mode host.Mode) (host.File, error) {
	if d.full.Load() {
		return nil, fmt.Errorf("create %s: %w", name, host.ErrNoSpace)
	}
	f, err := d.Disk.Create(name, size, mode)
	return &faultyFile{f, d}, err
}

func (d *faulty) Open(name string, mode host.Mode) (host.File, error) {
	f, err := d.Disk.Open(name, mode)
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, d}, nil
}

type faultyFile struct {
	host.File
	d *faulty
}

func (f *faultyFile) WriteAt(off int64, slices ...[]byte) error {
	if f.d.writes.Add(-1) < 0 {
		return host.ErrIO
	}
	return f.File.WriteAt(off, slices...)
}

// A write that fails is never tried again, and everybody who waits is told.
func TestFailedWrite(t *testing.T) {
	w := newWorld(t)
	d := &faulty{Disk: w.Disk}
	d.writes.Store(1 << 20)
	w.Disk = d
	log, _ := w.open()
	w.append(log, entry(1, 1, 1))
	d.writes.Store(0)
	payload := w.Buffers.Get(100)
	out := w.Buffers.Out()
	lost := host.NewFuture[int](w.Tasks)
	answers, accepted := 0, 0
	for i := range uint64(5) {
		a := entry(1, i+2, 1, payload.Bytes())
		a.Entries[0].Payload.Holds = []*host.Buffer{payload}
		a.Done = func(err error) { // in the log's task, one after the other
			if !errors.Is(err, host.ErrIO) && !errors.Is(err, wal.ErrClosed) {
				t.Errorf("answer %v", err)
			}
			answers++
			lost.Set(answers)
		}
		if log.Submit(a) {
			accepted++
		}
	}
	lost.Get()
	err := log.Close()
	if !errors.Is(err, host.ErrIO) {
		t.Errorf("Close returned %v", err)
	}
	if answers != accepted {
		t.Errorf("%d of %d appends were answered", answers, accepted)
	}
	if log.Submit(entry(1, 9, 1)) {
		t.Error("a failed log takes appends")
	}
	if d.writes.Load() < -1 {
		t.Errorf("%d writes after the failed one", -1-d.writes.Load())
	}
	payload.Release()
	if got := w.Buffers.Out(); got > out-4096 {
		t.Errorf("%d bytes are still held", got)
	}
}

// Without space for the next file the log waits, and goes on when there is some.
func TestFullDisk(t *testing.T) {
	w := newWorld(t)
	d := &faulty{Disk: w.Disk}
	d.writes.Store(1 << 20)
	w.Disk = d
	log, _ := w.open()
	d.full.Store(true)
	done := host.NewFuture[error](w.Tasks)
	last := uint64(20)
	for i := range last {
		a := entry(1, i+1, 1, bytes.Repeat([]byte{byte(i)}, 20<<10))
		if i == last-1 {
			a.Done = func(err error) { done.Set(err) }
		}
		log.Submit(a)
	}
	if _, ok := done.GetUntil(w.Clock.Now().Add(50 * time.Millisecond)); ok {
		t.Fatal("400 KiB went into a file of 256 KiB")
	}
	d.full.Store(false)
	if err := done.Get(); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	_, shards := w.open()
	if w.last(shards) != last {
		t.Errorf("recovered to %d", w.last(shards))
	}
}

// A log that waits for space can be closed.
func TestCloseOnFullDisk(t *testing.T) {
	w := newWorld(t)
	d := &faulty{Disk: w.Disk}
	d.writes.Store(1 << 20)
	w.Disk = d
	log, _ := w.open()
	d.full.Store(true)
	for i := range uint64(20) {
		log.Submit(entry(1, i+1, 1, make([]byte, 20<<10)))
	}
	if err := log.Close(); !errors.Is(err, host.ErrNoSpace) {
		t.Errorf("Close returned %v", err)
	}
}

// What the log would not recover it does not write.
func TestWrongAppends(t *testing.T) {
	for name, a := range map[string]wal.Append{
		"gap":            entry(1, 5, 1),
		"index 0":        entry(1, 0, 1),
		"not contiguous": {Shard: 1, Entries: []wal.Entry{{Index: 3}, {Index: 5}}},
		"long key":       {Shard: 1, State: []wal.State{{Key: string(make([]byte, wal.MaxKey+1))}}},
		"forget more":    {Shard: 1, Forget: true, Compact: 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			log, _ := w.open()
			w.append(log, entry(1, 1, 1))
			w.append(log, entry(1, 2, 1))
			done := host.NewFuture[error](w.Tasks)
			a.Done = func(err error) { done.Set(err) }
			log.Submit(a)
			if done.Get() == nil {
				t.Error("it was written")
			}
			if log.Close() == nil {
				t.Error("the log did not fail")
			}
			if _, shards := w.open(); w.last(shards) != 2 {
				t.Errorf("recovered to %d", w.last(shards))
			}
		})
	}
}

// The files take no more of the disk than was foretold, also when an append needs a file of its own.
func TestGrowth(t *testing.T) {
	w := newWorld(t)
	for life := range uint64(3) {
		log, _ := w.open()
		if p := log.Pressure(); p.Usable != w.size() || p.Usable < p.Bytes+w.o.FileSize {
			t.Errorf("life %d begins with %d bytes, told is %+v", life, w.size(), p)
		}
		for i := range uint64(30) {
			size := 100 << 10
			if i%10 == 9 {
				size = 700 << 10
			}
			p := log.Pressure()
			most := w.size() + p.Growth(int64(size))
			index := life*30 + i + 1
			w.append(log, entry(1, index, 1, make([]byte, size)))
			w.append(log, wal.Append{Shard: 1, Compact: index - i%7})
			if is := w.size(); is > most {
				t.Errorf("append %d of %d bytes: %d bytes, at most %d were foretold by %+v", index, size, is, most, p)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// size is that of all files of the log.
func (w *world) size() int64 {
	for {
		entries, err := os.ReadDir(filepath.Join(w.dir, "wal"))
		if err != nil {
			w.t.Fatal(err)
		}
		var sum int64
		for _, e := range entries {
			var info os.FileInfo
			if info, err = e.Info(); err != nil {
				break // it is renamed or removed just now
			}
			sum += info.Size()
		}
		if err == nil {
			return sum
		}
	}
}

// The files of entries that nobody compacts are named with their shards; a checkpoint frees them.
func TestPressure(t *testing.T) {
	w := newWorld(t)
	w.o.MarkAfter = time.Millisecond
	log, _ := w.open()
	w.append(log, entry(7, 1, 1))
	for i := range uint64(100) {
		w.append(log, entry(3, i+1, 1, make([]byte, 15<<10)))
		w.append(log, wal.Append{Shard: 3, Compact: i})
	}
	p := log.Pressure()
	// Shard 7's one entry was copied when the log came near its bound: nothing pins anything.
	if p.Full || p.Bytes > p.Limit || p.Written < 100*16<<10 {
		t.Errorf("%+v", p)
	}
	for i := range uint64(100) {
		w.append(log, entry(3, i+101, 1, make([]byte, 15<<10)))
	}
	p = log.Pressure()
	if !p.Full || len(p.Oldest) == 0 {
		t.Errorf("1.5 MB live in a log of 1 MiB: %+v", p)
	}
	w.append(log, wal.Append{Shard: 3, Compact: 200, State: []wal.State{{Key: "k", Value: []byte("v")}}})
	w.append(log, wal.Append{Shard: 7, Compact: 1})
	deadline := time.Now().Add(10 * time.Second)
	for {
		p = log.Pressure()
		if !p.Full && p.Bytes <= 2*w.o.FileSize {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the checkpoint: %+v", p)
		}
		time.Sleep(time.Millisecond)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	_, shards := w.open()
	if len(shards) != 2 || len(shards[0].Entries) != 0 || string(shards[0].State[0].Value) != "v" {
		t.Errorf("recovered %v", shards)
	}
}

// A reader may hold on to a location while the log moves on; it gets the bytes or ErrGone.
func TestReadWhileRecycled(t *testing.T) {
	w := newWorld(t)
	w.o.MarkAfter = time.Millisecond
	log, _ := w.open()
	defer log.Close()
	a := entry(1, 1, 1, []byte("first"))
	w.append(log, a)
	at := a.Entries[0].At
	reader := log.Reader()
	defer reader.Close()
	gone := false
	for i := uint64(2); i < 300 && !gone; i++ {
		b, err := reader.ReadPayload(at)
		switch {
		case errors.Is(err, wal.ErrGone):
			gone = true
			continue
		case err != nil:
			t.Fatal(err)
		case string(b.Bytes()) != "first":
			t.Fatalf("read %q", b.Bytes())
		}
		b.Release()
		next := entry(1, i, 1, bytes.Repeat([]byte{byte(i)}, 9000))
		next.Compact = i - 1
		w.append(log, next)
		b, err = reader.ReadPayload(next.Entries[0].At)
		if err != nil || len(b.Bytes()) != 9000 || b.Bytes()[8999] != byte(i) {
			t.Fatalf("entry %d: %v", i, err)
		}
		b.Release()
	}
	if !gone {
		t.Error("the first file was never freed")
	}
}

// A log that no group was ever written to stays a log when a start fails halfway: otherwise the next one would take the
// directory, which has been in use, for one that was lost.
func TestStartThatFailsBeforeTheFirstGroup(t *testing.T) {
	w := newWorld(t)
	d := &faulty{Disk: w.Disk}
	d.writes.Store(1 << 20)
	w.Disk = d
	log, _ := w.open()
	log.Close()
	w.o.Existing = true
	for range 3 {
		d.writes.Store(0)
		if log, _, err := wal.Open(w.Host, w.o); err == nil {
			log.Close()
			t.Fatal("it opened though nothing can be written")
		}
	}
	d.writes.Store(1 << 20)
	log, _ = w.open()
	w.append(log, entry(1, 1, 1))
	log.Close()
	log, shards := w.open()
	if len(shards) != 1 {
		t.Fatalf("%d shards after all", len(shards))
	}
	log.Close()
}
