package ordered

import "strings"

// String is a key ordered by its bytes.
type String string

// Compare implements Key.
func (s String) Compare(t String) int { return strings.Compare(string(s), string(t)) }

// Hash implements Key.
func (s String) Hash() uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// Int is a key ordered by its value.
type Int int64

// Compare implements Key.
func (i Int) Compare(j Int) int {
	switch {
	case i < j:
		return -1
	case i > j:
		return 1
	}
	return 0
}

// Hash implements Key.
func (i Int) Hash() uint64 { return mix(uint64(i) + 0x9e3779b97f4a7c15) }

// mix spreads the bits of a number (the finalizer of splitmix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// Mix spreads the bits of a number; for the Hash of other keys.
func Mix(h uint64) uint64 { return mix(h) }
