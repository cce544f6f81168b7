package sim

import "math/bits"

// Draws is one place's stream of random numbers: a key and a counter. Streams of different keys are independent, so a
// draw more or less at one place leaves all others as they were.
type Draws struct {
	key uint64
	n   uint64
}

// finish spreads every bit of x over the result.
func finish(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// derive is the key of a part named s of what has the key k.
func derive(k uint64, s string) uint64 {
	h := uint64(0xcbf29ce484222325) ^ k
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return finish(h + bits.RotateLeft64(k, 32))
}

// deriveNumber is derive for a number instead of a name.
func deriveNumber(k, n uint64) uint64 { return finish(finish(k+0x9e3779b97f4a7c15) ^ n) }

// NewDraws is the stream of the named site of a seed.
func NewDraws(seed uint64, site string) *Draws { return &Draws{key: derive(finish(seed), site)} }

// Uint64 is the next draw.
func (d *Draws) Uint64() uint64 {
	d.n++
	return finish((d.key ^ salt) + d.n*0x9e3779b97f4a7c15)
}

// Below is a draw in [0, n); 0 when n is not positive.
func (d *Draws) Below(n int64) int64 {
	if n <= 1 {
		return 0
	}
	high, _ := bits.Mul64(d.Uint64(), uint64(n))
	return int64(high)
}

// Between is a draw in [low, high].
func (d *Draws) Between(low, high int64) int64 { return low + d.Below(high-low+1) }

// Chance is true with probability p.
func (d *Draws) Chance(p float64) bool { return float64(d.Uint64()>>11) < p*(1<<53) }

// Skewed is a draw in [low, high] whose logarithm is uniform: small values as often as large ones.
func (d *Draws) Skewed(low, high int64) int64 {
	if low < 1 {
		low = 1
	}
	if high <= low {
		return low
	}
	steps := bits.Len64(uint64(high / low))
	top := min(high, low<<d.Below(int64(steps)+1))
	return d.Between(low, max(low, top))
}

// Pick is one of the choices.
func Pick[T any](d *Draws, choices ...T) T { return choices[d.Below(int64(len(choices)))] }

// drawsReader reads draws as bytes.
type drawsReader struct{ draws *Draws }

func (r drawsReader) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		v := r.draws.Uint64()
		for j := i; j < min(i+8, len(p)); j++ {
			p[j] = byte(v)
			v >>= 8
		}
	}
	return len(p), nil
}
