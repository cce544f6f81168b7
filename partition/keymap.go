package partition

import (
	"encoding/binary"
	"math/bits"

	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

// keyMap holds the last offset of each key in a bounded piece of memory: of the key only a hash of 85 bits. It begins small
// and grows, since a map that fits into the processor's caches is several times as fast. The hash is two polynomials over a
// prime field, at secret points, so that two keys, even chosen by somebody who does not know the points, are taken for one
// with a probability of less than (length/7)²/2⁸⁵.
type keyMap struct {
	slots []keySlot
	used  int
	// full is how many keys the slots take: a tenth of them stays empty. limit is how many slots there may be.
	full, limit int
	// base is the least offset.
	base int64
	a, b uint64
	// drawn is there so that drawing slots near is not optimized away.
	drawn uint64
}

// keySlot is the first polynomial of a key, and the low 24 bits of the second with the offset in 40 bits: 1 + its distance
// from the base, 0 in a free slot.
type keySlot struct{ a, rest uint64 }

const (
	keySlotBytes = 16
	fieldPrime   = 1<<61 - 1
	offsetBits   = 40
	offsetMask   = 1<<offsetBits - 1
	// fewestSlots is a map that is always granted, firstSlots one to begin with.
	fewestSlots = 16
	firstSlots  = 1 << 14
)

// newKeyMap makes a map of at most size bytes (and half as much again while it grows), for at most keys keys at offsets
// from base on. The points come from a secret source.
func newKeyMap(size, base, keys int64, a, b uint64) *keyMap {
	n := max(min(size/keySlotBytes, keys+keys/8+1), fewestSlots)
	m := &keyMap{limit: int(n), base: base, a: a % fieldPrime, b: b % fieldPrime}
	m.resize(int(min(n, firstSlots)))
	return m
}

// grow makes the map larger; false when it must not be.
func (m *keyMap) grow() bool {
	if len(m.slots) == m.limit {
		return false
	}
	n := 2 * len(m.slots)
	if 4*n > 3*m.limit {
		n = m.limit
	}
	m.resize(n)
	return true
}

// resize makes room for so many slots.
func (m *keyMap) resize(n int) {
	old := m.slots
	m.slots, m.full = make([]keySlot, n), n*9/10
	if n < m.limit { // as long as it may grow, it stays fast
		m.full = n * 2 / 3
	}
	for _, s := range old {
		if s.rest&offsetMask != 0 {
			*m.slot(s.a, s.rest>>offsetBits) = s
		}
	}
}

// hashed is a key by its hash, with the offset of a record.
type hashed struct {
	a, b   uint64
	offset int64
}

// hashed returns a key's hash. That of a record without a key is never looked for.
func (m *keyMap) hashed(k batch.Keyed) hashed {
	a, b := m.hash(k.Key)
	return hashed{a, b, k.Offset}
}

// near draws the slots where these keys belong into the processor's caches. A slot that is looked for alone costs the whole way
// to the memory; many that do not depend on each other are on the way at the same time.
func (m *keyMap) near(keys []hashed) {
	drawn := uint64(0)
	for i := range keys {
		drawn += m.slots[m.place(keys[i].a)].rest
	}
	m.drawn += drawn
}

// hash is the polynomials with the key's length and its pieces of seven bytes as coefficients.
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
	return timesPlus(a, m.a, piece), timesPlus(b, m.b, piece) & (1<<(64-offsetBits) - 1)
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

// place is where a key belongs. The last piece of a key is only added to its hash, so that keys that differ in their ends,
// as numbers do, would all belong to the same few slots.
func (m *keyMap) place(a uint64) uint64 {
	at, _ := bits.Mul64(timesPlus(a, m.b, 0)<<3, uint64(len(m.slots)))
	return at
}

// slot finds the place of a key: the one that holds it, or the free one where it belongs.
func (m *keyMap) slot(a, b uint64) *keySlot {
	at := m.place(a)
	for {
		s := &m.slots[at]
		if s.rest&offsetMask == 0 || s.a == a && s.rest>>offsetBits == b {
			return s
		}
		if at++; at == uint64(len(m.slots)) {
			at = 0
		}
	}
}

// put notes that a key has a record at an offset; offsets ascend. false when there is no room for it.
func (m *keyMap) put(k hashed) bool {
	after := uint64(k.offset-m.base) + 1
	if after > offsetMask {
		return false
	}
	s := m.slot(k.a, k.b)
	switch {
	case s.rest&offsetMask != 0:
		if mutant.On("compaction-keeps-older") {
			return true
		}
	case m.used < m.full:
		m.used++
	case m.grow():
		s = m.slot(k.a, k.b)
		m.used++
	default:
		return false
	}
	s.a, s.rest = k.a, k.b<<offsetBits|after
	return true
}

// last is the offset of the last record of a key, -1 when it has none in the map.
func (m *keyMap) last(k hashed) int64 {
	if after := m.slot(k.a, k.b).rest & offsetMask; after != 0 {
		return m.base + int64(after) - 1
	}
	return -1
}
