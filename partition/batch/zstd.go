package batch

import (
	"encoding/binary"
	"errors"

	"github.com/klauspost/compress/zstd"
)

const (
	// zstdBlock is the most that a block of zstd expands to.
	zstdBlock = 128 << 10
	// zstdWindow is the most that the decoder of streams may keep of what it decompressed: what encoders ask for by default.
	zstdWindow = 8 << 20
)

// unzstd lets the decoder fill the memory that it is given and gives it more while it asks, so that memory grows with
// what is really there and not with what a frame claims.
//
// The decoder does not always say that it asks: a block for which there is no room can fail as one that is too large does.
// So an error is the data's only when any block would have found room after what was decoded before it. And it may take
// memory of its own for the last block, a quarter more than it was given: so what may be larger than the limit is read as a
// stream, or left to who has more room, and what must be is not even begun.
func (c *Coders) unzstd(dst, src []byte, limit int) ([]byte, error) {
	least, most, sound := zstdSizes(src)
	switch {
	case !sound:
		return dst, errMalformed
	case least > limit:
		return dst, errTooLarge
	case most > limit+zstdBlock && c.partial:
		return dst, errTooLarge
	case most > limit+zstdBlock:
		return c.unzstdStream(dst, src, limit)
	}
	if c.zstdReader == nil {
		r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return dst, err
		}
		c.zstdReader = r
	}
	size := min(max(4*len(src), 4<<10, cap(dst)), limit+zstdBlock)
	for {
		dst = grow(dst, size)[:0:size]
		out, err := c.zstdReader.DecodeAll(src, dst)
		asks := errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded)
		switch {
		case len(out) > limit:
			return dst, errTooLarge
		case err == nil, !asks && size-len(out) >= zstdBlock:
			return out, err
		case size >= limit+zstdBlock:
			return dst, errTooLarge
		}
		size = min(4*size, limit+zstdBlock)
	}
}

// unzstdStream decompresses what may be larger than the limit. A frame that may be and wants much of it kept is refused.
func (c *Coders) unzstdStream(dst, src []byte, limit int) ([]byte, error) {
	c.source.Reset(src)
	r := c.zstdStream
	if r == nil {
		var err error
		r, err = zstd.NewReader(&c.source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return dst, err
		}
	} else if err := r.Reset(&c.source); err != nil {
		return dst, err
	}
	out, err := readAll(dst, r, len(src), limit)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = errTooLarge
	}
	if c.large > 0 {
		c.zstdStream = r
	} else {
		r.Close()
	}
	return out, err
}

// zstdSizes walks over the blocks of frames and returns bounds of what they expand to: of blocks that are not compressed, or
// repeat a byte, the size is known. sound is false when src does not consist of whole frames.
func zstdSizes(src []byte) (least, most int, sound bool) {
	for len(src) > 0 {
		if len(src) < 8 {
			return 0, 0, false
		}
		magic := binary.LittleEndian.Uint32(src)
		if magic&^0xf == 0x184d2a50 { // to be skipped
			n := uint64(binary.LittleEndian.Uint32(src[4:])) + 8
			if n > uint64(len(src)) {
				return 0, 0, false
			}
			src = src[n:]
			continue
		}
		header := zstdHeader(src[4])
		if magic != 0xfd2fb528 || header > len(src) {
			return 0, 0, false
		}
		summed := src[4]&4 != 0
		src = src[header:]
		for last := false; !last; {
			if len(src) < 3 {
				return 0, 0, false
			}
			block := int(src[0]) | int(src[1])<<8 | int(src[2])<<16
			last = block&1 != 0
			size, bytes := block>>3, block>>3
			switch block >> 1 & 3 {
			case 0:
				least, most = least+size, most+size
			case 1:
				least, most = least+size, most+size
				bytes = 1
			default:
				most += zstdBlock
			}
			if src = src[3:]; bytes > len(src) {
				return 0, 0, false
			}
			src = src[bytes:]
		}
		if summed {
			if len(src) < 4 {
				return 0, 0, false
			}
			src = src[4:]
		}
	}
	return least, most, true
}

// zstdHeader is the size of a frame's header, by its descriptor.
func zstdHeader(descriptor byte) int {
	n := 5 + [4]int{0, 1, 2, 4}[descriptor&3] + [4]int{0, 2, 4, 8}[descriptor>>6]
	switch single := descriptor&0x20 != 0; {
	case !single:
		n++ // the size of the window
	case descriptor>>6 == 0:
		n++ // a size of the contents in one byte
	}
	return n
}
