package partition

import (
	"slices"
	"testing"
)

// TestInsertBehindEmpty has a fill begin where a roll has left an empty segment: the checkpoint that names both must be one
// that its decoder takes, and the records must be found.
func TestInsertBehindEmpty(t *testing.T) {
	segment := func(base, end int64) SegmentInfo {
		s := SegmentInfo{Base: base, End: end}
		if end > base {
			s.Bytes = 100
		}
		return s
	}
	list := []SegmentInfo{segment(0, 38), segment(38, 38), segment(61, 65)}
	list = insertSegment(list, segment(38, 61))
	want := []SegmentInfo{segment(0, 38), segment(38, 38), segment(38, 61), segment(61, 65)}
	if !slices.EqualFunc(list, want, func(a, b SegmentInfo) bool { return a.Base == b.Base && a.End == b.End }) {
		t.Fatalf("have %v, want %v", list, want)
	}
	c := Checkpoint{End: 65, LastStable: 65, Segments: list, Generations: 1}
	if !c.sound() {
		t.Fatal("the decoder refuses this checkpoint")
	}
	if list = insertSegment(list[2:], segment(0, 38)); list[0].Base != 0 {
		t.Fatalf("have %v", list)
	}
}
