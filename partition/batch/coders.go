package batch

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"millrace/node/host"
)

const (
	// keptScratch is the most memory for decompressed records that coders keep between uses, unless they were made for more.
	keptScratch = 8<<20 + zstdBlock
	// overshoot is more than a codec may take of the memory beyond what it is asked for.
	overshoot = 4<<20 + zstdBlock
)

// snappyRatio is above what a snappy block can expand to: an element of three bytes gives at most 64.
const snappyRatio = 22

var (
	errTooLarge  = errors.New("more bytes than allowed")
	errMalformed = errors.New("malformed")
)

// Coders keeps compressors and decompressors between uses. It belongs to one task at a time. All of them are
// single-threaded.
type Coders struct {
	scratch    []byte
	large      int    // the size of scratch, when it is all made at once and kept; 0: as it comes
	rebuilt    []byte // by Filter
	kept       []int
	partial    bool // somebody has more room for what may be too large
	source     bytes.Reader
	gzipReader *gzip.Reader
	gzipWriter *gzip.Writer
	lz4Reader  *lz4.Reader
	lz4Writer  *lz4.Writer
	zstdReader *zstd.Decoder
	zstdStream *zstd.Decoder
	zstdWriter *zstd.Encoder
}

// NewCoders returns coders that make each codec when it is first needed.
func NewCoders() *Coders { return &Coders{} }

// NewLargeCoders returns coders that decompress up to room bytes in memory that they take when they first need any, and keep.
func NewLargeCoders(room int) *Coders { return &Coders{large: room + overshoot} }

// NewSpareCoders returns a store of coders that keeps up to bound of them.
func NewSpareCoders(tasks host.Tasks, bound int) *host.Spares[*Coders] {
	return host.NewSpares(tasks, bound, NewCoders)
}

// decompress returns src without its compression, at most limit bytes, in memory that is used again by the next call.
// errTooLarge when there is more.
func (c *Coders) decompress(codec Codec, src []byte, limit int) ([]byte, error) {
	if cap(c.scratch) < c.large {
		c.scratch = make([]byte, c.large)
	}
	was := c.scratch[:0]
	c.scratch = nil
	dst := was
	var err error
	switch codec {
	case Gzip:
		dst, err = c.gunzip(dst, src, limit)
	case Snappy:
		dst, err = unsnappy(dst, src, limit)
	case LZ4:
		dst, err = c.unlz4(dst, src, limit)
	case Zstd:
		dst, err = c.unzstd(dst, src, limit)
	default:
		err = errMalformed
	}
	switch {
	case c.large > 0:
		c.scratch = was
	case cap(dst) <= keptScratch:
		c.scratch = dst
	}
	return dst, err
}

func (c *Coders) gunzip(dst, src []byte, limit int) ([]byte, error) {
	c.source.Reset(src)
	if c.gzipReader == nil {
		r, err := gzip.NewReader(&c.source)
		if err != nil {
			return dst, err
		}
		c.gzipReader = r
	} else if err := c.gzipReader.Reset(&c.source); err != nil {
		return dst, err
	}
	return readAll(dst, c.gzipReader, len(src), limit)
}

func (c *Coders) unlz4(dst, src []byte, limit int) ([]byte, error) {
	if out, usual, err := unlz4Usual(dst, src, limit); usual {
		return out, err
	}
	c.source.Reset(src)
	if c.lz4Reader == nil {
		c.lz4Reader = lz4.NewReader(&c.source)
		if err := c.lz4Reader.Apply(lz4.ConcurrencyOption(1)); err != nil {
			return dst, err
		}
	} else {
		c.lz4Reader.Reset(&c.source)
	}
	return readAll(dst, c.lz4Reader, len(src), limit)
}

// unsnappy knows both forms that clients send: a raw block, and xerial's framing of blocks. Lengths that the input
// claims are compared with what its size can expand to before memory is taken for them.
func unsnappy(dst, src []byte, limit int) ([]byte, error) {
	size, err := s2.DecodedLen(src)
	if framed := bytes.HasPrefix(src, []byte("\x82SNAPPY\x00")); framed {
		size, err = xerialLen(src)
	}
	if err != nil {
		return dst, err
	}
	if size > snappyRatio*len(src)+64 {
		return dst, errMalformed
	}
	if size > limit {
		return dst, errTooLarge
	}
	return xerial.DecodeCapped(grow(dst, max(size, 1)), src)
}

func xerialLen(src []byte) (int, error) {
	const header = 16
	total := 0
	for at := header; at < len(src); {
		if len(src)-at < 4 {
			return 0, errMalformed
		}
		size := int(int32(uint32(src[at])<<24 | uint32(src[at+1])<<16 | uint32(src[at+2])<<8 | uint32(src[at+3])))
		at += 4
		if size < 0 || size > len(src)-at {
			return 0, errMalformed
		}
		n, err := s2.DecodedLen(src[at : at+size])
		if err != nil {
			return 0, err
		}
		total += n
		at += size
	}
	return total, nil
}

// readAll reads to the end of r, at most limit bytes.
func readAll(dst []byte, r io.Reader, compressed, limit int) ([]byte, error) {
	dst = grow(dst, min(max(2*compressed, 16<<10), limit+1))
	for {
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > limit {
			return dst, errTooLarge
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
		if len(dst) == cap(dst) {
			bigger := make([]byte, len(dst), min(4*cap(dst), limit+1))
			copy(bigger, dst)
			dst = bigger
		}
	}
}

// grow returns empty memory of at least n bytes.
func grow(b []byte, n int) []byte {
	if cap(b) >= n {
		return b[:0]
	}
	return make([]byte, 0, n)
}

// compress appends src to dst, compressed.
func (c *Coders) compress(dst []byte, codec Codec, src []byte) ([]byte, error) {
	switch codec {
	case None:
		return append(dst, src...), nil
	case Gzip:
		out := bytes.NewBuffer(dst)
		if c.gzipWriter == nil {
			c.gzipWriter = gzip.NewWriter(out)
		} else {
			c.gzipWriter.Reset(out)
		}
		return finish(out, c.gzipWriter, src)
	case Snappy:
		return append(dst, xerial.Encode(nil, src)...), nil
	case LZ4:
		out := bytes.NewBuffer(dst)
		if c.lz4Writer == nil {
			c.lz4Writer = lz4.NewWriter(out)
			// Independent blocks of 64 KiB without a content checksum: what every Kafka client reads.
			if err := c.lz4Writer.Apply(lz4.ConcurrencyOption(1), lz4.BlockSizeOption(lz4.Block64Kb),
				lz4.ChecksumOption(false)); err != nil {
				return nil, err
			}
		} else {
			c.lz4Writer.Reset(out)
		}
		return finish(out, c.lz4Writer, src)
	case Zstd:
		if c.zstdWriter == nil {
			w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
				zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false))
			if err != nil {
				return nil, err
			}
			c.zstdWriter = w
		}
		return c.zstdWriter.EncodeAll(src, dst), nil
	}
	return nil, errMalformed
}

func finish(out *bytes.Buffer, w io.WriteCloser, src []byte) ([]byte, error) {
	if _, err := w.Write(src); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
