package partition

import (
	"encoding/binary"
	"math/bits"

	"millrace/node/host/mutant"
)

// keyMap holds the last offset of each key in a bounded piece of memory: of the key only a hash of 122 bits. The hash is
// a polynomial over a prime field at two secret points, so that two keys, even chosen by somebody who does not know the
// points, meet with a probability below (length/8)²/2¹²².
type keyMap struct {
	slots []keySlot
	used  int
	// most is how many keys are taken: the table stays a tenth empty.
	most int
	a, b uint64
}

type keySlot struct {
	a, b uint64
	// after is the offset + 1; 0 in a free slot.
	after int64
}

const (
	keySlotBytes = 24
	fieldPrime   = 1<<61 - 1
	// fewestSlots is a map that is always granted.
	fewestSlots = 16
)

// newKeyMap makes a map of at most size bytes, for at most keys keys. The points come from a secret source.
func newKeyMap(size int64, keys int64, a, b uint64) *keyMap {
	n := min(size/keySlotBytes, keys+keys/8+1)
	n = max(n, fewestSlots)
	return &keyMap{slots: make([]keySlot, n), most: int(n * 9 / 10), a: a % fieldPrime, b: b % fieldPrime}
}

// hash is the polynomial with the key's length and its pieces of seven bytes as coefficients.
func (m *keyMap) hash(key []byte) (a, b uint64) {
	a = uint64(len(key)) + 1
	b = a
	for len(key) >= 8 {
		piece := binary.LittleEndian.Uint64(key) & (1<<56 - 1)
		a, b = timesPlus(a, m.a, piece), timesPlus(b, m.b, piece)
		key = key[7:]
	}
	piece := uint64(0)
	for i, c := range key {
		piece |= uint64(c) << (8 * i)
	}
	return timesPlus(a, m.a, piece), timesPlus(b, m.b, piece)
}

// timesPlus is x*y + z modulo the prime, for x and y below it and z below 2^56.
func timesPlus(x, y, z uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	sum := lo&fieldPrime + (lo>>61 | hi<<3) + z
	sum = sum&fieldPrime + sum>>61
	if sum >= fieldPrime {
		sum -= fieldPrime
	}
	return sum
}

// slot finds the place of a key: the one that holds it, or the free one where it belongs.
func (m *keyMap) slot(a, b uint64) *keySlot {
	at, _ := bits.Mul64(a<<3, uint64(len(m.slots)))
	for {
		s := &m.slots[at]
		if s.after == 0 || s.a == a && s.b == b {
			return s
		}
		if at++; at == uint64(len(m.slots)) {
			at = 0
		}
	}
}

// put notes that a key has a record at an offset; offsets ascend. false when there is no room for another key.
func (m *keyMap) put(key []byte, offset int64) bool {
	a, b := m.hash(key)
	s := m.slot(a, b)
	if s.after == 0 {
		if m.used >= m.most {
			return false
		}
		m.used++
		s.a, s.b = a, b
	}
	if mutant.On("compaction-keeps-older") && s.after != 0 {
		return true
	}
	s.after = offset + 1
	return true
}

// last is the offset of the last record of a key, -1 when it has none in the map.
func (m *keyMap) last(key []byte) int64 { return m.slot(m.hash(key)).after - 1 }
