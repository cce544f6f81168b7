package partition

import (
	"fmt"
	"strings"
	"testing"

	"millrace/partition/batch"
)

// TestKeyMap: keys of all lengths are told apart, the last offset counts, and the memory is bounded.
func TestKeyMap(t *testing.T) {
	for _, bytes := range []int64{0, 16 * 100, 16 * 40_000, 1 << 30} {
		m := newKeyMap(bytes, 5, 60_000, 0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321)
		key := func(i int) []byte { return []byte(strings.Repeat("x", i%40) + fmt.Sprint(i)) }
		taken := 0
		for ; taken < 50_000 && m.put(at(m, key(taken), 5+int64(taken))); taken++ {
		}
		if most := max(int(bytes/keySlotBytes), fewestSlots); len(m.slots) > most || taken < 50_000 && taken < most*9/10 {
			t.Fatalf("%d keys in %d slots of %d", taken, len(m.slots), most)
		}
		for i := range taken {
			if i%3 == 0 && !m.put(at(m, key(i), int64(i)+1_000_000)) {
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
			if got := m.last(at(m, key(i), 0)); got != want {
				t.Fatalf("key %d of %d: %d instead of %d", i, taken, got, want)
			}
		}
	}
}

// at is a key with a record at an offset.
func at(m *keyMap, key []byte, offset int64) hashed {
	return m.hashed(batch.Keyed{Offset: offset, Key: key})
}

// TestKeyMapSpreads: keys that are numbers do not crowd together. Without that a map is many times as slow.
func TestKeyMapSpreads(t *testing.T) {
	const keys = 200_000
	m := newKeyMap(1<<30, 0, keys, 0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321)
	for i := range keys {
		m.put(at(m, fmt.Appendf(nil, "key-%012d", i), int64(i)))
	}
	steps := 0
	for i, s := range m.slots {
		if s.rest&offsetMask != 0 {
			steps += (i - int(m.place(s.a)) + len(m.slots)) % len(m.slots)
		}
	}
	if most := 10 * keys; steps > most { // chance alone gives fewer than five for each, at nine slots of ten
		t.Errorf("%d steps to find each of %d keys once", steps, keys)
	} else {
		t.Logf("%d steps to find each of %d keys once", steps, keys)
	}
}
