package batch

import "encoding/binary"

// StampOffset sets base offset and leader epoch in place. Both lie outside the CRC.
func StampOffset(b []byte, baseOffset int64, leaderEpoch int32) {
	binary.BigEndian.PutUint64(b, uint64(baseOffset))
	binary.BigEndian.PutUint32(b[leaderEpochAt:], uint32(leaderEpoch))
}

// StampTime sets the kind of timestamp and the greatest timestamp in place. With logAppendTime, every record of the
// batch has the time maxTimestamp from then on. Both fields lie inside the CRC, which is corrected by what changed
// instead of being computed again: about a microsecond whatever the size of the batch. The CRC must have been checked.
func StampTime(b []byte, logAppendTime bool, maxTimestamp int64) {
	var was [baseSequenceAt - attributesAt]byte
	changed := b[attributesAt : maxTimestampAt+maxTimestampWidth]
	copy(was[:], changed)
	if logAppendTime {
		b[attributesAt+1] |= byte(LogAppendTimeBit)
	} else {
		b[attributesAt+1] &^= byte(LogAppendTimeBit)
	}
	binary.BigEndian.PutUint64(b[maxTimestampAt:], uint64(maxTimestamp))

	// CRC32C is linear: the CRC of the new bytes is the CRC of the old ones plus that of their difference, which is zero
	// everywhere but in front.
	register := uint32(0)
	for i := range changed {
		register = step(register, was[i]^changed[i])
	}
	if register == 0 {
		return
	}
	crc := binary.BigEndian.Uint32(b[crcAt:])
	crc ^= shift(register, uint64(len(b)-maxTimestampAt-maxTimestampWidth))
	binary.BigEndian.PutUint32(b[crcAt:], crc)
}

// step feeds one byte to a CRC register without the inversions at start and end.
func step(register uint32, b byte) uint32 { return castagnoli()[byte(register)^b] ^ register>>8 }

// shift is step with n zero bytes: a multiplication by x^(8n) modulo the polynomial, bits reflected.
func shift(register uint32, n uint64) uint32 {
	const one = 1 << 31      // x^0
	power := uint32(1 << 23) // x^8
	factor := uint32(one)
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			factor = multiply(factor, power)
		}
		power = multiply(power, power)
	}
	return multiply(register, factor)
}

// multiply multiplies two polynomials over GF(2) modulo Castagnoli's, bits reflected.
func multiply(a, b uint32) uint32 {
	const polynomial = 0x82f63b78
	var product uint32
	for bit := uint32(1 << 31); bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		b = b>>1 ^ polynomial&-(b&1)
	}
	return product
}
