package partition_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"millrace/node/host/machine"
	"millrace/partition"
)

// FuzzSegmentRecover damages the files of a partition and opens it: it is read without panic and in bounded time, and
// where reading says nothing, what it gives are batches that lie where they should.
func FuzzSegmentRecover(f *testing.F) {
	f.Add(uint16(0), []byte{1}, byte(0), uint16(0))
	f.Add(uint16(5000), []byte("\x00\x00\x00\x00\xff\xff\xff\xff"), byte(1), uint16(9))
	f.Add(uint16(16), []byte{9, 9}, byte(2), uint16(100))
	dir := f.TempDir()
	h, _, err := machine.New(machine.Options{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	s := partition.NewShared(h, partition.Options{CacheBytes: 1, LargestChunk: 4096, IndexInterval: 1})
	l := create(f, s)
	for i := range int64(60) {
		add(f, l, i, 100, i == 30)
	}
	c, err := l.Checkpoint()
	if err != nil {
		f.Fatal(err)
	}
	l.Close()
	names, err := filepath.Glob(filepath.Join(dir, "p", "*"))
	if err != nil {
		f.Fatal(err)
	}
	sound := map[string][]byte{}
	for _, name := range names {
		if sound[name], err = os.ReadFile(name); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, at uint16, change []byte, which byte, cut uint16) {
		for i, name := range names {
			b := bytes.Clone(sound[name])
			if i == int(which)%len(names) {
				copy(b[min(int(at), len(b)):], change)
				b = b[:len(b)-min(int(cut), len(b))]
			}
			if err := os.WriteFile(name, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		l, err := partition.Open(s, "p", c)
		if err != nil {
			if !errors.Is(err, partition.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		defer l.Close()
		for offset := int64(0); offset < 60; offset++ {
			r, err := l.Read(offset, 1000, true)
			if err != nil {
				if !errors.Is(err, partition.ErrCorrupt) {
					t.Fatal(err)
				}
				continue
			}
			got, err := gather(r.Parts)
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) || len(got) > 100_000 {
				t.Fatal(len(got), err)
			}
			r.Release()
		}
		if _, _, err := l.OffsetForTime(45); err != nil && !errors.Is(err, partition.ErrCorrupt) {
			t.Fatal(err)
		}
	})
}
