package batch

import (
	"math/rand/v2"
	"testing"
)

// What parseShort takes it must understand as parseAny does, also when the bytes make no sense.
func TestShortRecordsAreUnderstoodLikeOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := []int64{0, 1, -1, 63, 64, -64, -65, 8191, 8192, -8193, 1 << 20, 1 << 40}
	taken := 0
	for range 200_000 {
		record := Record{Value: make([]byte, r.IntN(300))}
		if r.IntN(2) == 0 {
			record.Key = make([]byte, r.IntN(100))
		}
		switch r.IntN(8) {
		case 0:
			record.Value = nil
		case 1:
			record.Value = make([]byte, 8000+r.IntN(400))
		case 2:
			record.Headers = []RecordHeader{{Key: []byte("h")}}
		}
		b := appendRecord(nil, &record, numbers[r.IntN(len(numbers))], numbers[r.IntN(len(numbers)-1)])
		b = append(b, make([]byte, r.IntN(20))...)
		if r.IntN(2) == 0 {
			b[r.IntN(min(len(b), 12))] = byte(r.Uint32())
		}
		if r.IntN(8) == 0 {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
		var short, other raw
		next := short.parseShort(b, 0)
		if next == 0 {
			continue
		}
		taken++
		if want := other.parseAny(b, 0); next != want || short != other {
			t.Fatalf("% x: %+v and %d, want %+v and %d", b, short, next, other, want)
		}
	}
	if taken < 20_000 {
		t.Fatalf("only %d records were short", taken)
	}
}
