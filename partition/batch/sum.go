package batch

import (
	"encoding/binary"
	"hash/crc32"
)

// WholeSum is the CRC32C of all bytes of a batch whose CRC has been checked: that of the bytes in front of the
// attributes, joined with the one that the batch carries. It takes about two microseconds whatever the size.
func WholeSum(b []byte) uint32 {
	front := crc32.Checksum(b[:attributesAt], castagnoli())
	return JoinSums(front, binary.BigEndian.Uint32(b[crcAt:]), len(b)-attributesAt)
}

// JoinSums is the CRC32C of two pieces of memory one after the other, from the CRC32Cs of both and the length of the
// second. CRC is linear: the first one's is moved by as many zero bytes.
func JoinSums(first, second uint32, length int) uint32 {
	return shift(first, uint64(length)) ^ second
}
