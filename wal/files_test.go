package wal_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/node/host/machine"
	"millrace/wal"
)

// secure is the real source, which simulated worlds replace for the whole process.
var secure = rand.Reader

// world is a data directory on a real disk.
type world struct {
	t *testing.T
	host.Host
	dir string
	o   wal.Options
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, o: wal.Options{
		Directory: [16]byte{1, 2, 3}, FileSize: 256 << 10, FirstFileSize: 256 << 10, MaxBytes: 1 << 20, MarkAfter: time.Hour,
	}}
	w.use(t.TempDir())
	return w
}

// use makes dir the data directory.
func (w *world) use(dir string) {
	h, _, err := machine.New(machine.Options{Dir: dir, Poison: true})
	if err != nil {
		w.t.Fatal(err)
	}
	h.Secure = secure
	w.dir, w.Host = dir, h
}

// open opens the log, which must work.
func (w *world) open() (*wal.Log, []wal.RecoveredShard) {
	w.t.Helper()
	log, shards, err := wal.Open(w.Host, w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	return log, shards
}

// append submits and waits.
func (w *world) append(log *wal.Log, a wal.Append) {
	w.t.Helper()
	done := host.NewFuture[error](w.Tasks)
	a.Done = func(err error) { done.Set(err) }
	if !log.Submit(a) {
		w.t.Fatal("the log is closed")
	}
	if err := done.Get(); err != nil {
		w.t.Fatal(err)
	}
}

// die goes on with a copy of the directory as it is, as if the process had been killed.
func (w *world) die(log *wal.Log) {
	w.t.Helper()
	dir := w.t.TempDir()
	err := os.CopyFS(dir, os.DirFS(w.dir))
	for errors.Is(err, fs.ErrNotExist) { // a file was renamed just now
		dir = w.t.TempDir()
		err = os.CopyFS(dir, os.DirFS(w.dir))
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.use(dir)
	if err := log.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// entry is an append of one entry with payload bytes.
func entry(shard, index, term uint64, payload ...[]byte) wal.Append {
	return wal.Append{Shard: shard, Entries: []wal.Entry{{
		Index: index, Term: term, Data: fmt.Appendf(nil, "entry %d", index), Payload: wal.Payload{Parts: payload},
	}}}
}

// logFiles are the names of the log's files, in order.
func (w *world) logFiles() []string {
	names, err := filepath.Glob(filepath.Join(w.dir, "wal", "*.wal"))
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// edit changes the bytes of a file.
func (w *world) edit(name string, change func(b []byte) []byte) {
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, change(b), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// groups returns the offsets of the groups in a file, by the format's rule alone.
func groups(b []byte) []int {
	var at []int
	for off := 4096; off+64 <= len(b); off += 4096 {
		if string(b[off:off+4]) == "MRWG" && bytes.Equal(b[off+8:off+24], b[32:48]) {
			at = append(at, off)
		}
	}
	return at
}

// three makes a log of three entries in three groups, with no mark, and returns its file.
func (w *world) three() string {
	log, _ := w.open()
	for i := range uint64(3) {
		w.append(log, entry(1, i+1, 1, bytes.Repeat([]byte{byte(i)}, 5000)))
	}
	w.die(log)
	files := w.logFiles()
	return files[len(files)-1]
}

func (w *world) last(shards []wal.RecoveredShard) uint64 {
	if len(shards) == 0 || len(shards[0].Entries) == 0 {
		return 0
	}
	return shards[0].Entries[len(shards[0].Entries)-1].Index
}

func TestDamage(t *testing.T) {
	cases := []struct {
		name   string
		change func(b []byte, at []int) []byte
		last   uint64 // recovered
		err    error
		says   string
	}{
		{"nothing", func(b []byte, at []int) []byte { return b }, 3, nil, ""},
		{"last group torn", func(b []byte, at []int) []byte { b[at[2]+5000]++; return b }, 2, nil, ""},
		{"last group header torn", func(b []byte, at []int) []byte { b[at[2]+20]++; return b }, 2, nil, ""},
		{"last group half written", func(b []byte, at []int) []byte { clear(b[at[2]+4096 : at[2]+8192]); return b }, 2, nil, ""},
		{"padding of the last group", func(b []byte, at []int) []byte { b[at[2]+8191]++; return b }, 3, nil, ""},
		{"middle group", func(b []byte, at []int) []byte { b[at[1]+64+48+3]++; return b }, 0, wal.ErrCorrupt, "offset 12288, and a good one behind it at offset 20480"},
		{"middle group header", func(b []byte, at []int) []byte { clear(b[at[1] : at[1]+64]); return b }, 0, wal.ErrCorrupt, "bad group"},
		{"first group", func(b []byte, at []int) []byte { b[at[0]+100]++; return b }, 0, wal.ErrCorrupt, "offset 4096"},
		{"all groups", func(b []byte, at []int) []byte { clear(b[4096:]); return b }, 0, nil, ""},
		{"header checksum", func(b []byte, at []int) []byte { b[50]++; return b }, 0, wal.ErrCorrupt, "0000000000000001.wal has a bad checksum"},
		{"magic", func(b []byte, at []int) []byte { b[0]++; return b }, 0, wal.ErrCorrupt, "does not begin with"},
		{"another directory", func(b []byte, at []int) []byte { b[16]++; return sign(b) }, 0, wal.ErrForeign, "belongs to data directory 0202"},
		{"newer version", func(b []byte, at []int) []byte { b[8] = 9; return b }, 0, wal.ErrForeign, "format 9"},
		{"another number", func(b []byte, at []int) []byte { b[40] = 9; return sign(b) }, 0, wal.ErrCorrupt, "file 9"},
		{"another generation", func(b []byte, at []int) []byte { b[32]++; return sign(b) }, 0, nil, ""},
		{"cut", func(b []byte, at []int) []byte { return b[:len(b)-4096] }, 0, wal.ErrCorrupt, "258048 bytes"},
		{"cut to nothing", func(b []byte, at []int) []byte { return nil }, 0, wal.ErrCorrupt, "only 0 bytes"},
		{"groups swapped", func(b []byte, at []int) []byte {
			g := bytes.Clone(b[at[0]:at[1]])
			copy(b[at[0]:], b[at[1]:at[2]])
			copy(b[at[1]:], g)
			return b
		}, 0, wal.ErrCorrupt, "bad group"},
		{"group repeated", func(b []byte, at []int) []byte {
			copy(b[at[2]+8192:], b[at[2]:at[2]+8192])
			return b
		}, 3, nil, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.edit(w.three(), func(b []byte) []byte { return c.change(b, groups(b)) })
			log, shards, err := wal.Open(w.Host, w.o)
			if !errors.Is(err, c.err) || c.err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want %v (%q)", err, c.err, c.says)
			}
			if err != nil {
				return
			}
			defer log.Close()
			if got := w.last(shards); got != c.last {
				t.Errorf("recovered to entry %d, want %d", got, c.last)
			}
		})
	}
}

// The payloads of groups that were durable for sure are not read by recovery, but never returned unchecked.
func TestDamagedPayload(t *testing.T) {
	w := newWorld(t)
	w.edit(w.three(), func(b []byte) []byte { b[groups(b)[1]+5000]++; return b })
	log, shards := w.open()
	defer log.Close()
	for i, e := range shards[0].Entries {
		b, err := log.ReadPayload(e.At)
		if i != 1 {
			if err != nil {
				t.Fatal(err)
			}
			b.Release()
			continue
		}
		if !errors.Is(err, wal.ErrCorrupt) || !strings.Contains(err.Error(), "0000000000000001.wal at offset 12352") {
			t.Errorf("got %v", err)
		}
	}
}

// sign makes the checksum of a file header good.
func sign(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// After a torn tail the log goes on in another file, with the same group number; the torn group stays where it is.
func TestTornTailStaysDead(t *testing.T) {
	w := newWorld(t)
	name := w.three()
	var whole []byte
	w.edit(name, func(b []byte) []byte {
		whole = bytes.Clone(b)
		b[groups(b)[2]+5000]++
		return b
	})
	log, shards := w.open()
	if w.last(shards) != 2 {
		t.Fatalf("recovered to %d", w.last(shards))
	}
	w.append(log, entry(1, 3, 2))
	w.append(log, entry(1, 4, 2))
	w.die(log)
	log, shards = w.open()
	if got := shards[0].Entries; len(got) != 4 || got[2].Term != 2 {
		t.Fatalf("recovered %v", got)
	}
	w.die(log)
	// Should the torn group ever become good again, nobody can say which of the two was acknowledged.
	w.edit(w.logFiles()[0], func(b []byte) []byte { return whole })
	if _, _, err := wal.Open(w.Host, w.o); !errors.Is(err, wal.ErrCorrupt) {
		t.Fatalf("two groups with one number: %v", err)
	}
}

// Damage at the end of a file shows by the groups of the next one.
func TestDamageBeforeTheNextFile(t *testing.T) {
	w := newWorld(t)
	w.three()
	log, _ := w.open()
	w.append(log, entry(1, 4, 1))
	w.die(log)
	w.edit(w.logFiles()[0], func(b []byte) []byte { b[groups(b)[2]+5000]++; return b })
	_, _, err := wal.Open(w.Host, w.o)
	if !errors.Is(err, wal.ErrCorrupt) || !strings.Contains(err.Error(), "group 3 should be in wal/0000000000000001.wal at offset 20480") {
		t.Fatalf("got %v", err)
	}
}

func TestMissingFiles(t *testing.T) {
	w := newWorld(t)
	w.three()
	log, _ := w.open()
	w.append(log, entry(1, 4, 1))
	w.die(log)
	log, _ = w.open()
	w.append(log, entry(1, 5, 1))
	w.die(log)
	files := w.logFiles()
	for _, name := range files[:2] {
		moved := name + ".away"
		if err := os.Rename(name, moved); err != nil {
			t.Fatal(err)
		}
		if _, _, err := wal.Open(w.Host, w.o); !errors.Is(err, wal.ErrCorrupt) {
			t.Errorf("without %s: %v", filepath.Base(name), err)
		}
		os.Rename(moved, name)
	}
	log, shards := w.open()
	if w.last(shards) != 5 {
		t.Errorf("recovered to %d", w.last(shards))
	}
	log.Close()

	empty := newWorld(t)
	empty.o.Existing = true
	if _, _, err := wal.Open(empty.Host, empty.o); !errors.Is(err, wal.ErrCorrupt) {
		t.Errorf("a lost log was opened: %v", err)
	}
}

// A mark says that the group before it was durable, so that damage to it is not taken for a write cut short.
func TestMark(t *testing.T) {
	w := newWorld(t)
	w.o.MarkAfter = time.Millisecond
	log, _ := w.open()
	w.append(log, entry(1, 1, 1))
	name := w.logFiles()[0]
	deadline := time.Now().Add(10 * time.Second)
	for {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(groups(b)) == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no mark")
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	w.die(log)
	w.edit(w.logFiles()[0], func(b []byte) []byte {
		if n := len(groups(b)); n != 2 {
			t.Errorf("%d groups: marks after marks", n)
		}
		b[groups(b)[0]+100]++
		return b
	})
	if _, _, err := wal.Open(w.Host, w.o); !errors.Is(err, wal.ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
}
