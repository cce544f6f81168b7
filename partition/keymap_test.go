package partition

import (
	"fmt"
	"strings"
	"testing"
)

// TestKeyMap: keys of all lengths are told apart, the last offset counts, and the memory is bounded.
func TestKeyMap(t *testing.T) {
	for _, bytes := range []int64{0, 16 * 100, 16 * 40_000, 1 << 30} {
		m := newKeyMap(bytes, 5, 60_000, 0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321)
		key := func(i int) []byte { return []byte(strings.Repeat("x", i%40) + fmt.Sprint(i)) }
		taken := 0
		for ; taken < 50_000 && m.put(key(taken), 5+int64(taken)); taken++ {
		}
		if most := max(int(bytes/keySlotBytes), fewestSlots); len(m.slots) > most || taken < 50_000 && taken < most*9/10 {
			t.Fatalf("%d keys in %d slots of %d", taken, len(m.slots), most)
		}
		for i := range taken {
			if i%3 == 0 && !m.put(key(i), int64(i)+1_000_000) {
				t.Fatalf("%d bytes: a key that is there is not taken", bytes)
			}
		}
		for i := range 60_000 {
			want := 5 + int64(i)
			if i%3 == 0 {
				want += 999_995
			}
			if i >= taken {
				want = -1
			}
			if got := m.last(key(i)); got != want {
				t.Fatalf("key %d of %d: %d instead of %d", i, taken, got, want)
			}
		}
	}
}
