package partition

import (
	"testing"

	"millrace/node/host"
)

func TestRollNeeded(t *testing.T) {
	tail := Tail{Base: 100, Bytes: 900, Entries: 3, FirstTimestamp: 1000, FirstWall: 5000}
	c := RollConfig{SegmentBytes: 1000, SegmentMs: 600, IndexBytes: 1 << 20}
	for _, x := range []struct {
		name string
		tail Tail
		in   Incoming
		c    RollConfig
		wall int64
		want bool
	}{
		{"fits", tail, Incoming{110, 1000, 100}, c, 5000, false},
		{"too large", tail, Incoming{110, 1000, 101}, c, 5000, true},
		{"empty is never rolled", Tail{Base: 100}, Incoming{110, 1000, 5000}, c, 5000, false},
		{"old by timestamps", tail, Incoming{110, 1601, 1}, c, 5000, true},
		{"not old by timestamps", tail, Incoming{110, 1600, 1}, c, 1 << 40, false},
		{"old by wall", Tail{Bytes: 1, FirstTimestamp: -1, FirstWall: 5000}, Incoming{110, -1, 1}, c, 5601, true},
		{"offsets", tail, Incoming{100 + 1<<31, 1000, 1}, c, 5000, true},
		{"offsets just fit", tail, Incoming{100 + 1<<31 - 1, 1000, 1}, c, 5000, false},
		{"index", tail, Incoming{110, 1000, 1}, RollConfig{IndexBytes: 24}, 5000, true},
		{"no limits", tail, Incoming{110, 1 << 40, 1 << 30}, RollConfig{}, 5000, false},
		{"positions", tail, Incoming{110, 0, 1 << 32}, RollConfig{}, 5000, true},
	} {
		if got := x.tail.RollNeeded(x.in, x.c, x.wall); got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

func TestTailFollowsProposals(t *testing.T) {
	var tail Tail
	tail.Add(7, Incoming{9, 50, 5000}, false, 1)
	tail.Add(10, Incoming{12, 60, 5000}, false, 2)
	if tail != (Tail{Base: 7, Bytes: 10000, Entries: 1, FirstTimestamp: 50, FirstWall: 1, Indexed: 5000}) {
		t.Fatalf("%+v", tail)
	}
	tail.Add(13, Incoming{13, 70, 100}, true, 3)
	if tail != (Tail{Base: 13, Bytes: 100, FirstTimestamp: 70, FirstWall: 3}) {
		t.Fatalf("%+v", tail)
	}
}

func TestRetention(t *testing.T) {
	three := []SegmentInfo{
		{Base: 0, End: 10, Bytes: 100, MaxTimestamp: 1000, LastWall: 1000},
		{Base: 10, End: 20, Bytes: 100, MaxTimestamp: 3000, LastWall: 2000},
		{Base: 20, End: 30, Bytes: 50, MaxTimestamp: -1, LastWall: 2500},
	}
	for _, x := range []struct {
		name     string
		segments []SegmentInfo
		c        RetentionConfig
		wall     int64
		want     int64
	}{
		{"no limits", three, RetentionConfig{-1, -1}, 1 << 40, 0},
		{"bytes fit", three, RetentionConfig{-1, 250}, 0, 0},
		{"bytes, not a whole segment over", three, RetentionConfig{-1, 151}, 0, 0},
		{"bytes, one over", three, RetentionConfig{-1, 150}, 0, 10},
		{"bytes, nothing kept", three, RetentionConfig{-1, 0}, 0, 30},
		{"time, none", three, RetentionConfig{100, -1}, 1100, 0},
		{"time, one", three, RetentionConfig{100, -1}, 1101, 10},
		{"time, a young one stops", three, RetentionConfig{100, -1}, 2700, 10},
		{"time, all, the last by entry time", three, RetentionConfig{100, -1}, 3101, 30},
		{"empty", []SegmentInfo{emptySegment(5)}, RetentionConfig{0, 0}, 1 << 40, 5},
	} {
		total := int64(0)
		for _, s := range x.segments {
			total += s.Bytes
		}
		if got := retentionStart(x.segments[0].Base, x.segments, total, x.c, x.wall); got != x.want {
			t.Errorf("%s: %d, want %d", x.name, got, x.want)
		}
	}
}

func TestEpochEnd(t *testing.T) {
	v := &View{End: 100, Epochs: []EpochStart{{2, 10}, {5, 30}, {7, 60}}}
	for _, x := range []struct {
		ask, epoch int32
		end        int64
	}{{-1, -1, -1}, {0, 0, 10}, {2, 2, 30}, {3, 2, 30}, {4, 2, 30}, {5, 5, 60}, {6, 5, 60}, {7, 7, 100}, {8, -1, -1}} {
		if e, end := v.EpochEnd(x.ask); e != x.epoch || end != x.end {
			t.Errorf("epoch %d: %d ends at %d, want %d at %d", x.ask, e, end, x.epoch, x.end)
		}
	}
	if e, end := (&View{}).EpochEnd(0); e != -1 || end != -1 {
		t.Error(e, end)
	}
	if got := epochsFrom(v.Epochs, 35); len(got) != 2 || got[0] != (EpochStart{5, 35}) || v.Epochs[1].Start != 30 {
		t.Error(got)
	}
	if got := epochsFrom(v.Epochs, 5); len(got) != 3 {
		t.Error(got)
	}
	if v.EpochOf(9) != -1 || v.EpochOf(10) != 2 || v.EpochOf(59) != 5 || v.EpochOf(60) != 7 {
		t.Error("EpochOf")
	}
}

func TestIndexBlocks(t *testing.T) {
	var entries []indexEntry
	for i := range indexPerBlock {
		entries = append(entries, indexEntry{uint32(i), uint32(i * 10), int64(i - 1)})
	}
	var b [indexBlock]byte
	putIndexBlock(b[:], 77, 3, entries)
	got, ok := indexEntries(b[:], 77, 3, nil)
	if !ok || len(got) != len(entries) || got[100] != entries[100] {
		t.Fatal(ok, len(got))
	}
	for _, wrong := range []func() bool{
		func() bool { _, ok := indexEntries(b[:], 78, 3, nil); return ok },
		func() bool { _, ok := indexEntries(b[:], 77, 4, nil); return ok },
		func() bool { b[2000] ^= 1; _, ok := indexEntries(b[:], 77, 3, nil); b[2000] ^= 1; return ok },
	} {
		if wrong() {
			t.Error("a wrong block is accepted")
		}
	}
	if _, ok := indexEntries(make([]byte, host.Align), 0, 0, nil); ok {
		t.Error("zeros are accepted")
	}
}

func TestIndexOfALargeSegmentStaysSmall(t *testing.T) {
	n, indexed := 0, int64(0)
	for pos := int64(0); pos < 1<<30; pos += 16 << 10 {
		if due(pos, indexed, defaultIndexInterval) {
			n, indexed = n+1, pos
		}
	}
	if n > 40_000 {
		t.Fatal(n)
	}
}
