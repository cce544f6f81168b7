package partition_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/node/host/machine"
	"millrace/partition"
	"millrace/partition/batch"
)

// onMachine gives a real host on a fresh directory, with buffers that are overwritten after their last release.
func onMachine(t testing.TB, o partition.Options) (host.Host, *partition.Shared, string) {
	t.Helper()
	dir := t.TempDir()
	_, benchmark := t.(*testing.B)
	h, wait, err := machine.New(machine.Options{Dir: dir, Poison: !benchmark})
	if err != nil {
		t.Fatal(err)
	}
	s := partition.NewShared(h, o)
	t.Cleanup(func() {
		s.Close()
		wait()
		if n := h.Buffers.Out(); n != 0 {
			t.Errorf("%d bytes of buffers were not given back", n)
		}
	})
	return h, s, dir
}

func create(t testing.TB, s *partition.Shared) *partition.Log {
	t.Helper()
	l, err := partition.Create(s, "p", partition.ID{Index: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// one makes a batch of one record at a base offset.
func one(t testing.TB, base int64, size int) []byte {
	t.Helper()
	value := bytes.Repeat([]byte{byte(base)}, size)
	b, err := batch.Encode(nil, batch.Header{BaseOffset: base, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1},
		[]batch.Record{{Timestamp: base, Value: value}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func add(t testing.TB, l *partition.Log, base int64, size int, roll bool) {
	t.Helper()
	if err := l.Append(partition.Batch{Bytes: one(t, base, size), Roll: roll}); err != nil {
		t.Fatal(err)
	}
	l.Publish()
}

// verify reads the batch at offset and compares all of its bytes.
func verify(t testing.TB, l *partition.Log, offset int64, size int) {
	t.Helper()
	r, err := l.Read(offset, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	got, err := gather(r.Parts)
	if err != nil || !bytes.Equal(got, one(t, offset, size)) {
		t.Fatalf("offset %d: %v", offset, err)
	}
}

func TestReadersBesideTheOwner(t *testing.T) {
	h, s, _ := onMachine(t, partition.Options{CacheBytes: 32 << 10, LargestChunk: 16 << 10, OpenFiles: 2, TailBytes: 64 << 10})
	l := create(t, s)
	const last, size = 3000, 700
	ended := host.NewQueue[error](h.Tasks, 8, nil)
	for reader := range 4 {
		h.Tasks.Go("reader", func() {
			w := h.Tasks.NewWaiter()
			l.Watch(w)
			defer l.Unwatch(w)
			for offset := int64(0); offset < last; {
				r, err := l.Read(offset, 1+reader*5000, true)
				if errors.Is(err, partition.ErrOffsetOutOfRange) {
					offset = l.View().LogStart
					continue
				}
				if err != nil {
					ended.Put(err)
					return
				}
				if r.Bytes == 0 {
					r.Release()
					w.Wait()
					continue
				}
				got, err := gather(r.Parts)
				for o := offset; err == nil && o < r.Next; o++ {
					want := one(t, o, size)
					if !bytes.HasPrefix(got, want) {
						err = fmt.Errorf("reader %d: offset %d differs", reader, o)
					} else {
						got = got[len(want):]
					}
				}
				if err == nil && len(got) > 0 {
					err = fmt.Errorf("reader %d: %d bytes too many", reader, len(got))
				}
				offset = r.Next
				r.Release()
				if err != nil {
					ended.Put(err)
					return
				}
			}
			ended.Put(nil)
		})
	}
	for i := int64(0); i < last; i++ {
		add(t, l, i, size, i%200 == 0)
		if i%500 == 499 {
			if err := l.SetLogStart(i - 300); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Checkpoint(); err != nil {
				t.Fatal(err)
			}
			l.Checkpointed()
			l.Idle()
		}
	}
	for n := 0; n < 4; {
		got, _ := ended.Take(nil)
		for _, err := range got {
			n++
			if err != nil {
				t.Error(err)
			}
		}
	}
	l.Close()
}

func TestDropDeletesAfterTheLastReaderAndTheCheckpoint(t *testing.T) {
	_, s, dir := onMachine(t, partition.Options{CacheBytes: 1, LargestChunk: 4096})
	l := create(t, s)
	for i := range int64(40) {
		add(t, l, i, 500, i%10 == 0)
	}
	if _, err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	r, err := l.Read(0, 3000, true)
	if err != nil {
		t.Fatal(err)
	}
	files := func() int {
		names, err := filepath.Glob(filepath.Join(dir, "p", "*.log"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	l.Drop()
	if _, err := l.Read(0, 1, true); !errors.Is(err, partition.ErrDropped) {
		t.Fatal(err)
	}
	if n := files(); n != 4 {
		t.Fatalf("%d files before the checkpoint", n)
	}
	l.Checkpointed()
	if got, err := gather(r.Parts); err != nil || len(got) != r.Bytes {
		t.Fatal(err)
	}
	r.Release()
	for range 1000 { // the writer deletes in its own time
		if _, err := os.Stat(filepath.Join(dir, "p")); errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the directory is still there")
}

func TestIndexIsMadeAgain(t *testing.T) {
	_, s, dir := onMachine(t, partition.Options{CacheBytes: 1, LargestChunk: 4096, IndexInterval: 1})
	l := create(t, s)
	const last = 900
	for i := range int64(last) {
		add(t, l, i, 100, i == 600)
	}
	c, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	l.Checkpointed()
	l.Close()
	if c.Segments[0].Entries < 500 || c.Segments[1].Entries < 250 {
		t.Fatalf("%+v", c.Segments)
	}
	index := func(base int64) string { return filepath.Join(dir, "p", fmt.Sprintf("%020d.index", base)) }
	sound, err := os.ReadFile(index(0))
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"removed": func() error { return os.Remove(index(0)) },
		"emptied": func() error { return os.Truncate(index(0), 0) },
		"cut":     func() error { return os.Truncate(index(0), 5000) },
		"flipped": func() error {
			b := bytes.Clone(sound)
			for i := range 3 {
				b[i*4096+77] ^= 4
			}
			return os.WriteFile(index(0), b, 0o644)
		},
		"active removed": func() error { return os.Remove(index(600)) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			l, err := partition.Open(s, "p", c)
			if err != nil {
				t.Fatal(err)
			}
			for o := range int64(last) {
				verify(t, l, o, 100)
			}
			if p, found, err := l.OffsetForTime(555); err != nil || !found || p.Offset != 555 {
				t.Fatal(p, found, err)
			}
			l.Close()
			if again, err := os.ReadFile(index(0)); err != nil || !bytes.Equal(again, sound) {
				t.Fatalf("the index was not made again: %v", err)
			}
		})
	}
	// An index of the segment being written that is lost is made again when it grows.
	l, err = partition.Open(s, "p", c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(20) {
		add(t, l, last+i, 100, i == 10)
	}
	if _, err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	l.Checkpointed()
	l.Publish()
	for o := range int64(last + 20) {
		verify(t, l, o, 100)
	}
	l.Close()
	if _, err := os.Stat(index(600)); err != nil {
		t.Fatal(err)
	}
}

// TestOpenMakesHolesOfWhatIsMissing: what was acknowledged is never dropped in silence, and the rest is served.
func TestOpenMakesHolesOfWhatIsMissing(t *testing.T) {
	_, s, dir := onMachine(t, partition.Options{LargestChunk: 4096})
	l := create(t, s)
	for i := range int64(20) {
		add(t, l, i, 500, i == 10)
	}
	c, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	file := func(base int64) string { return filepath.Join(dir, "p", fmt.Sprintf("%020d.log", base)) }
	saved, err := os.ReadFile(file(10))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file(10), c.Segments[1].Bytes-1); err != nil {
		t.Fatal(err)
	}
	reopen := func(c partition.Checkpoint, holes ...partition.OffsetRange) *partition.Log {
		t.Helper()
		l, err := partition.Open(s, "p", c)
		if err != nil {
			t.Fatal(err)
		}
		v := l.View()
		if got := v.Holes(); !slices.Equal(got, holes) || v.Whole != (len(holes) == 0) {
			t.Fatalf("holes %v, whole %v, want %v", got, v.Whole, holes)
		}
		for o := range int64(20) {
			missing := false
			for _, h := range holes {
				missing = missing || h.Start <= o && o < h.End
			}
			if !missing {
				verify(t, l, o, 500)
			} else if _, err := l.Read(o, 1, true); !errors.Is(err, partition.ErrMissing) {
				t.Fatalf("offset %d: %v", o, err)
			}
		}
		return l
	}
	reopen(c, partition.OffsetRange{Start: 10, End: 20}).Close()
	if err := os.WriteFile(file(10), append(saved, "and more"...), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file(99), saved, 0o644); err != nil {
		t.Fatal(err)
	}
	reopen(c).Close()
	if _, err := os.Stat(file(99)); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("a later segment was left", err)
	}
	if err := os.Rename(file(0), file(0)+"x"); err != nil {
		t.Fatal(err)
	}
	if _, err := partition.Open(s, "p", c); err == nil {
		t.Fatal("a foreign file is accepted")
	}
	if err := os.Rename(file(0)+"x", filepath.Join(dir, "saved")); err != nil {
		t.Fatal(err)
	}
	l = reopen(c, partition.OffsetRange{Start: 0, End: 10})
	if c, err = l.Checkpoint(); err != nil { // the hole is remembered
		t.Fatal(err)
	}
	l.Checkpointed()
	l.Close()
	if c, err = partition.DecodeCheckpoint(c.Encode(nil)); err != nil {
		t.Fatal(err)
	}
	// The file comes back from a copy: what is sound in it is taken.
	if err := os.Rename(filepath.Join(dir, "saved"), file(0)); err != nil {
		t.Fatal(err)
	}
	l = reopen(c, partition.OffsetRange{Start: 0, End: 10})
	salvage(t, l)
	l.Close()
	if err := os.RemoveAll(filepath.Join(dir, "p")); err != nil {
		t.Fatal(err)
	}
	reopen(c, partition.OffsetRange{Start: 0, End: 20}).Close()
}

// TestAppendForgetsNoProducers: how long a producer is remembered is a setting of the node, which an append does not know.
func TestAppendForgetsNoProducers(t *testing.T) {
	const day = int64(partition.ProducerExpiration)
	_, s, _ := onMachine(t, partition.Options{})
	l := create(t, s)
	defer l.Close()
	for i := range int64(2) {
		b, err := batch.Encode(nil, batch.Header{BaseOffset: i, ProducerID: 7 + i}, []batch.Record{{Timestamp: i}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Append(partition.Batch{Bytes: b, Wall: 1 + 3*day*i}); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Producers().Len(); n != 2 {
		t.Errorf("%d of two producers are remembered after three days", n)
	}
}
