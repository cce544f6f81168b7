package wal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"runtime"
	"slices"
	"testing"

	"millrace/node/host"
)

// fuzzBase is the small log's disk after all of it was written.
func fuzzBase(t testing.TB) *memory {
	m := newMemory()
	writeSmallLog(t, onMemory(t, m), m)
	return m
}

// FuzzRecover changes the files of a log and opens it. The input is a list of edits of eight bytes: which file, where in
// it, what to do, and a byte. The last edit may sign the groups again, so that changed fields get past the checksums.
// Whatever it finds, recovery neither panics nor returns anything with a gap or a payload that does not check, and its
// memory is bounded by the files.
func FuzzRecover(f *testing.F) {
	base := fuzzBase(f)
	f.Add([]byte{})
	f.Add([]byte{0, 0, 16, 0, 0, 0, 'x', 0})
	f.Add([]byte{0, 0, 16, 4, 0, 0, 0xff, 1})
	f.Add([]byte{0, 0, 16, 64 + 12, 0, 0, 9, 1})
	f.Add([]byte{1, 0, 16, 64 + 4, 0, 0, 0xff, 1, 1, 0, 16, 64 + 24, 0, 0, 0xff, 1})
	f.Add([]byte{2, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 16, 0, 3, 0, 0})
	h := onMemory(f, base)
	f.Fuzz(func(t *testing.T, edits []byte) {
		m := base.image(len(base.notes), func(int) bool { return true }, nil)
		fuzzEdit(m, edits[:min(len(edits), 8*64)])
		world := h
		world.Disk = m
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		log, shards, err := Open(world, tiny)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Fatalf("recovery of some 100 KiB took %d bytes", used)
		}
		if err != nil {
			return
		}
		for _, s := range shards {
			next := s.Compact + 1
			for _, e := range s.Entries {
				if e.Index != next {
					t.Fatalf("shard %d: entry %d, want %d", s.ID, e.Index, next)
				}
				next++
				p, err := log.ReadPayload(e.At)
				if errors.Is(err, ErrCorrupt) {
					continue // found late, but found
				}
				if err != nil {
					t.Fatalf("shard %d: entry %d: %v", s.ID, e.Index, err)
				}
				p.Release()
			}
			if !slices.IsSortedFunc(s.State, func(a, b State) int { return compareKeys(a, b) }) {
				t.Fatalf("shard %d: state is not sorted", s.ID)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func compareKeys(a, b State) int {
	if a.Key < b.Key {
		return -1
	}
	return 1 // equal keys would be wrong, too
}

// fuzzEdit applies the edits.
func fuzzEdit(m *memory, edits []byte) {
	var names []string
	for name := range m.names {
		names = append(names, name)
	}
	slices.Sort(names)
	for ; len(edits) >= 8; edits = edits[8:] {
		name := names[int(edits[0])%len(names)]
		file := m.names[name]
		if file == nil || len(file.data) == 0 {
			continue
		}
		at := (int(edits[1])<<16 | int(edits[2])<<8 | int(edits[3])) % len(file.data)
		switch edits[5] % 6 {
		case 0:
			file.data[at] = edits[6]
		case 1:
			for i := range min(8, len(file.data)-at) {
				file.data[at+i] = edits[6]
			}
		case 2:
			delete(m.names, name)
			continue
		case 3:
			file.data = file.data[:at]
		case 4: // a block elsewhere
			from := int(edits[4]) * host.Align % len(file.data)
			copy(file.data[at&^(host.Align-1):], file.data[from:min(from+2*host.Align, len(file.data))])
		case 5:
			file.data[at] ^= 1 << (edits[6] % 8)
		}
		if edits[7]&1 == 1 {
			fuzzSign(file.data)
		}
	}
}

// fuzzSign makes the checksums of all groups good whose records can still be followed.
func fuzzSign(b []byte) {
	for off := headerBlock; off+groupBytes <= len(b); off += host.Align {
		if binary.LittleEndian.Uint32(b[off:]) != groupMagic {
			continue
		}
		binary.LittleEndian.PutUint32(b[off+60:], crc32.Checksum(b[off:off+60], castagnoli))
		g := groupHeader{generation: binary.LittleEndian.Uint64(b[off+8:]), sequence: binary.LittleEndian.Uint64(b[off+32:])}
		at := off + groupBytes
		for range binary.LittleEndian.Uint32(b[off+4:]) {
			if at+recordBytes > len(b) {
				break
			}
			h, _ := parseRecordHeader(b[at:])
			end := at + recordBytes + int(h.data) + int(h.pad) + int(h.payload)
			if end > len(b) {
				break
			}
			h.payloadSum = crc32.Update(g.seed(), castagnoli, b[end-int(h.payload):end])
			h.put(b[at:], g.seed(), b[at+recordBytes:at+recordBytes+int(h.data)])
			at += int(h.size())
		}
	}
}
