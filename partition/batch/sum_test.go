package batch

import (
	"hash/crc32"
	"testing"

	"pgregory.net/rapid"
)

func TestJoinSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOf(rapid.Byte()).Draw(t, "first")
		b := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "second")
		sum := func(p []byte) uint32 { return crc32.Checksum(p, castagnoli()) }
		if got, want := JoinSums(sum(a), sum(b), len(b)), sum(append(a, b...)); got != want {
			t.Errorf("joined %08x, computed %08x", got, want)
		}
	})
}

func TestWholeSum(t *testing.T) {
	b := foreign(t, None, []Record{{Value: make([]byte, 40<<10)}})
	StampOffset(b, 1234567, 8)
	if got, want := WholeSum(b), crc32.Checksum(b, castagnoli()); got != want {
		t.Errorf("joined %08x, computed %08x", got, want)
	}
	StampTime(b, true, 99)
	if got, want := WholeSum(b), crc32.Checksum(b, castagnoli()); got != want {
		t.Errorf("after StampTime: joined %08x, computed %08x", got, want)
	}
}
