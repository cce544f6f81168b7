package wal_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"testing"

	"millrace/wal"
)

// TestKnownSums appends payloads whose sums are handed in beside ones that are not, and one whose sum is wrong, as memory
// that was damaged on its way would have it: all but that one are read back.
func TestKnownSums(t *testing.T) {
	w := newWorld(t)
	log, _ := w.open()
	long, short := bytes.Repeat([]byte("0123456789abcdef"), wal.SumFrom/16), []byte("a short one")
	sum := crc32.Checksum(long, crc32.MakeTable(crc32.Castagnoli))
	for i, sums := range [][]uint32{{sum, 0, sum}, nil, {sum, 0, sum + 1}} {
		a := entry(1, uint64(i+1), 1, long, short, long)
		a.Entries[0].Payload.Sums = sums
		w.append(log, a)
	}
	w.die(log)
	log, shards := w.open()
	defer log.Close()
	want := bytes.Join([][]byte{long, short, long}, nil)
	for i, e := range shards[0].Entries {
		b, err := log.ReadPayload(e.At)
		if i == 2 {
			if !errors.Is(err, wal.ErrCorrupt) {
				t.Errorf("a payload that is not what its sums say was read: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), want) {
			t.Errorf("entry %d is not what was appended", e.Index)
		}
		b.Release()
	}
}
