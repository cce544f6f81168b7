package wal

import (
	"encoding/hex"
	"errors"
	"testing"

	"millrace/node/host"
)

// The bytes on disk, as doc.go draws them. A change here is a change of the format and needs a new version.
func TestFormatBytes(t *testing.T) {
	f := fileHeader{directory: [16]byte{0: 0xd0, 15: 0xdf}, generation: 0x0102030405060708, number: 7, size: 65536}
	block := make([]byte, headerBlock)
	f.put(block)
	wantHex(t, "file header", block[:fileBytes],
		"4d5257414c4f470001000000"+"00000000"+"d00000000000000000000000000000df"+
			"0807060504030201"+"0700000000000000"+"0000010000000000"+"00000000"+"1982e524")
	got, err := parseFileHeader(block, "name", f.directory, 7)
	if err != nil || got != f {
		t.Errorf("parsed %v, %v", got, err)
	}
	if _, err := parseFileHeader(block[:10], "name", f.directory, 7); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a short header: %v", err)
	}

	g := groupHeader{generation: f.generation, number: 7, offset: 4096, sequence: 300, first: 5, length: 64 + 64, records: 1}
	head := make([]byte, groupBytes)
	g.put(head)
	wantHex(t, "group header", head,
		"4d525747"+"01000000"+"0807060504030201"+"0700000000000000"+"0010000000000000"+
			"2c01000000000000"+"0500000000000000"+"8000000000000000"+"00000000"+"334c09ac")
	if got, ok := parseGroupHeader(head, f, 4096); !ok || got != g {
		t.Errorf("parsed %v, %v", got, ok)
	}
	if _, ok := parseGroupHeader(head, f, 8192); ok {
		t.Error("a group was accepted at another offset")
	}
	other := f
	other.generation++
	if _, ok := parseGroupHeader(head, other, 4096); ok {
		t.Error("a group of another generation was accepted")
	}
	if seed := g.seed(); seed != 0xee56c6c8 {
		t.Errorf("seed %#x", seed)
	}

	r := recordHeader{kind: kindEntry, entryType: 2, data: 3, payload: 5, shard: 9, index: 10, term: 11, payloadSum: 0xaabbccdd}
	rec := make([]byte, recordBytes)
	r.put(rec, g.seed(), []byte("abc"))
	wantHex(t, "record header", rec,
		"e442567e"+"ddccbbaa"+"03000000"+"05000000"+"0202"+"0000"+"00000000"+
			"0900000000000000"+"0a00000000000000"+"0b00000000000000")
	if got, _ := parseRecordHeader(rec); got != r {
		t.Errorf("parsed %v", got)
	}
	if r.size() != 56 {
		t.Errorf("size %d", r.size())
	}

	s := shardRecord{HardState{1, 2, 3}, 4}
	body := make([]byte, shardRecordBytes)
	s.put(body)
	wantHex(t, "shard record", body, "0100000000000000"+"0200000000000000"+"0300000000000000"+"0400000000000000")
	if got, ok := parseShardRecord(body); !ok || got != s {
		t.Errorf("parsed %v", got)
	}
	if headerBlock != host.Align {
		t.Error("the header's block")
	}
}

func wantHex(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if h := hex.EncodeToString(got); h != want {
		t.Errorf("%s:\n got %s\nwant %s", what, h, want)
	}
}

func TestFileNames(t *testing.T) {
	name := fileName("wal", 0xbeef, logSuffix)
	if name != "wal/000000000000beef.wal" {
		t.Error(name)
	}
	for base, want := range map[string]bool{
		"000000000000beef.wal": true, "000000000000BEEF.wal": false, "beef.wal": false,
		"000000000000beef.spare": false, "000000000000beeg.wal": false, "lost+found/": false,
	} {
		if number, ok := parseFileName(base, logSuffix); ok != want || ok && number != 0xbeef {
			t.Errorf("%s: %d %v", base, number, ok)
		}
	}
}
