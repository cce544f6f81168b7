package batch

import (
	"bytes"
	"encoding/binary"

	"github.com/pierrec/lz4/v4"
)

// The frame of LZ4 that all usual clients send (LZ4 Frame Format 1.6): one frame of independent blocks, without sums of
// the blocks, dictionary or size, with or without a sum of the contents. Its blocks are decompressed straight into the
// result. What the sum of the contents would tell the batch's own tells already, so it is not computed, as in Kafka; with
// the library's reader and its copies it was half of the cost of a produce. Everything else is left to the library.
const (
	lz4Header  = 7
	lz4Sum     = 4
	lz4Plain   = 1 << 31 // the block is not compressed
	lz4Flags   = 0x60    // version 1, independent blocks
	lz4Summed  = 0x04
	lz4BlockID = 4 // of the smallest block, 64 KiB; each further one is four times as large
)

var lz4Magic = []byte{0x04, 0x22, 0x4d, 0x18}

// lz4Checks are the last bytes of the usual headers, without and with a sum, by the size of their blocks: the second byte of
// the xxHash32 of the two before.
var lz4Checks = [2][4]byte{{0x82, 0xfb, 0x51, 0x73}, {0xa7, 0x08, 0x85, 0xb9}}

// unlz4Usual decompresses a whole frame of the usual form into dst, which is empty, at most limit bytes. usual is false
// when it is not one, or not a sound one: then nothing else was done.
func unlz4Usual(dst, src []byte, limit int) (out []byte, usual bool, err error) {
	if len(src) < lz4Header || !bytes.HasPrefix(src, lz4Magic) || src[4]&^lz4Summed != lz4Flags || src[5]&0x8f != 0 || src[5]>>4 < lz4BlockID {
		return dst, false, nil
	}
	summed, id := int(src[4]&lz4Summed)/lz4Summed, int(src[5]>>4)-lz4BlockID
	if src[6] != lz4Checks[summed][id] {
		return dst, false, nil
	}
	largest := 64 << 10 << (2 * id)
	out = dst
	for rest := src[lz4Header:]; len(rest) >= 4; {
		size := binary.LittleEndian.Uint32(rest)
		rest = rest[4:]
		if size == 0 {
			return out, len(rest) == summed*lz4Sum, nil
		}
		n := int(size &^ lz4Plain)
		if n > len(rest) || n > largest {
			return dst, false, nil
		}
		block := rest[:n]
		rest = rest[n:]
		if size&lz4Plain != 0 {
			out = append(room(out, n, limit+largest), block...)
		} else {
			// A block of n bytes gives less than 255n, whatever its frame allows.
			out = room(out, min(largest, 255*n), limit+largest)
			got, err := lz4.UncompressBlock(block, out[len(out):min(cap(out), len(out)+largest)])
			if err != nil {
				return dst, false, nil
			}
			out = out[:len(out)+got]
		}
		if len(out) > limit {
			return out, true, errTooLarge
		}
	}
	return dst, false, nil
}

// room returns b with room for n more bytes, in memory that grows fourfold up to a bound: append would go beyond.
func room(b []byte, n, bound int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	return append(make([]byte, 0, max(len(b)+n, min(4*cap(b), bound))), b...)
}
