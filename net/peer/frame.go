package peer

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/partition/batch"
)

const (
	headerSize = 24
	itemSize   = 8 // the header of an item

	// flagUnsummed says that the payload section has no checksum: it comes from files, whose contents have their own.
	flagUnsummed = 1

	// packUpTo is the size up to which items share a frame; a larger one is alone.
	packUpTo = 64 << 10
	// aheadSize is what a reader keeps for bytes that are not asked for yet.
	aheadSize = 16 << 10
	// joinFrom is the length from which two checksums are sooner joined than bytes summed.
	joinFrom = 32 << 10
)

// The kinds of items.
const (
	itemMessage = 1
	itemBeats   = 2
	itemNote    = 3
	itemCall    = 4
	itemAnswer  = 5
)

// What an answer begins with.
const (
	answerGood = 0
	answerFail = 1 // the text of an error follows
	answerBusy = 2
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func checksum(sum uint32, b []byte) uint32 { return crc32.Update(sum, castagnoli(), b) }

// extend is the CRC32C of what sum covers and a part after it, number i of those that sums may know.
func extend(sum uint32, part []byte, sums []uint32, i int) uint32 {
	if len(part) >= joinFrom && i < len(sums) {
		return batch.JoinSums(sum, sums[i], len(part))
	}
	return checksum(sum, part)
}

// endItem fills in the size of the item that starts at start and ends at the end.
func endItem(b []byte, start int) []byte {
	binary.LittleEndian.PutUint32(b[start+4:], uint32(len(b)-start))
	return b
}

// framer builds frames, several for one Send. It belongs to the task that sends.
type framer struct {
	// heads has the headers and heads of the frames so far; the frame being built starts at start. Slices of it that
	// are in parts stay good when it grows: what is behind them is not changed any more.
	heads []byte
	start int
	// payload are the parts of the payload section of the frame being built.
	payload []host.Part
	bytes   int
	sum     uint32
	// parts is everything before that frame; size its bytes.
	parts []host.Part
	size  int
}

// reset forgets everything; the parts must have been sent.
func (f *framer) reset() {
	if cap(f.heads) > 4*packUpTo {
		f.heads = nil
	}
	clear(f.parts)
	clear(f.payload)
	f.heads, f.start, f.payload, f.bytes, f.sum, f.parts, f.size = f.heads[:0], 0, f.payload[:0], 0, 0, f.parts[:0], 0
}

// begin returns the bytes to append an item to. It ends the frame before when an item of this size is better off alone.
func (f *framer) begin(size int) []byte {
	if f.open() && len(f.heads)-f.start+f.bytes+size > packUpTo {
		f.end(0)
	}
	if !f.open() {
		f.heads = append(f.heads, make([]byte, headerSize)...)
	}
	return f.heads
}

func (f *framer) open() bool { return len(f.heads) > f.start }

// carry adds the bytes of a payload to the frame.
func (f *framer) carry(parts [][]byte, sums []uint32) {
	for i, p := range parts {
		if len(p) == 0 {
			continue
		}
		f.payload = append(f.payload, host.Part{Bytes: p})
		f.bytes += len(p)
		f.sum = extend(f.sum, p, sums, i)
	}
}

// end completes the frame being built, if there is one.
func (f *framer) end(flags uint32) {
	if !f.open() {
		return
	}
	b := f.heads[f.start:]
	le := binary.LittleEndian
	le.PutUint32(b[0:], uint32(len(b)-headerSize))
	le.PutUint32(b[4:], uint32(f.bytes))
	le.PutUint32(b[8:], checksum(0, b[headerSize:]))
	if flags&flagUnsummed == 0 {
		le.PutUint32(b[12:], f.sum)
	}
	le.PutUint32(b[16:], flags)
	le.PutUint32(b[20:], checksum(0, b[:20]))
	f.parts = append(append(f.parts, host.Part{Bytes: b}), f.payload...)
	f.size += len(b) + f.bytes
	clear(f.payload)
	f.start, f.payload, f.bytes, f.sum = len(f.heads), f.payload[:0], 0, 0
}

// ping is a frame without items.
func (f *framer) ping() {
	f.begin(0)
	f.end(0)
}

// frame is what was read. head is good until the next read; payload, if there is any, lies in a buffer held once.
type frame struct {
	head     []byte
	payload  *host.Buffer
	sum      uint32
	unsummed bool
	// large holds head when it did not fit into what is read ahead.
	large *host.Buffer
}

func (f *frame) release() {
	if f.payload != nil {
		f.payload.Release()
	}
	if f.large != nil {
		f.large.Release()
	}
}

// reader reads frames. It belongs to one task.
type reader struct {
	conn       io.Reader
	buffers    *host.Pool
	max        int
	ahead      []byte
	start, end int
}

func newReader(c io.Reader, buffers *host.Pool, maximum int) *reader {
	return &reader{conn: c, buffers: buffers, max: maximum, ahead: make([]byte, aheadSize)}
}

// fill reads until n bytes are there, n at most aheadSize.
func (r *reader) fill(n int) error {
	if r.start+n > len(r.ahead) || r.start == r.end {
		r.end = copy(r.ahead, r.ahead[r.start:r.end])
		r.start = 0
	}
	for r.end-r.start < n {
		got, err := r.conn.Read(r.ahead[r.end:])
		if r.end += got; err != nil && r.end-r.start < n {
			return r.broken(err)
		}
	}
	return nil
}

// broken is the error of a stream that ends: io.EOF only between two frames.
func (r *reader) broken(err error) error {
	if err == io.EOF && r.end > r.start {
		return io.ErrUnexpectedEOF
	}
	return err
}

// take reads n bytes into a counted buffer.
func (r *reader) take(n int) (*host.Buffer, error) {
	b := r.buffers.Get(n)
	at := copy(b.Bytes(), r.ahead[r.start:r.end])
	r.start += at
	for at < n {
		got, err := r.conn.Read(b.Bytes()[at:])
		if at += got; err != nil && at < n {
			b.Release()
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return b, nil
}

// next reads a frame. The caller releases it. The payload's checksum is not looked at yet.
func (r *reader) next() (frame, error) {
	var f frame
	if err := r.fill(headerSize); err != nil {
		return f, err
	}
	le := binary.LittleEndian
	h := r.ahead[r.start : r.start+headerSize]
	if le.Uint32(h[20:]) != checksum(0, h[:20]) {
		return f, fmt.Errorf("%w: the checksum of a frame's header is wrong", errMalformed)
	}
	head, payload, sum := int64(le.Uint32(h[0:])), int64(le.Uint32(h[4:])), le.Uint32(h[8:])
	flags := le.Uint32(h[16:])
	if head+payload > int64(r.max) || flags&^flagUnsummed != 0 {
		return f, fmt.Errorf("%w: frame of %d and %d bytes, flags %#x", errMalformed, head, payload, flags)
	}
	f.sum, f.unsummed = le.Uint32(h[12:]), flags&flagUnsummed != 0
	var err error
	switch {
	case headerSize+head <= aheadSize:
		if err = r.fill(headerSize + int(head)); err != nil {
			return f, err
		}
		f.head = r.ahead[r.start+headerSize : r.start+headerSize+int(head)]
		r.start += headerSize + int(head)
	default:
		r.start += headerSize
		if f.large, err = r.take(int(head)); err != nil {
			return f, err
		}
		f.head = f.large.Bytes()
	}
	if checksum(0, f.head) != sum && !mutant.On("peer-checksum-ignored") {
		f.release()
		return f, fmt.Errorf("%w: the checksum of a frame's head is wrong", errMalformed)
	}
	if payload > 0 {
		if f.payload, err = r.take(int(payload)); err != nil {
			f.release()
			return f, err
		}
	}
	return f, nil
}

// wrong is the error of a payload section whose checksum differs.
func (f *frame) check(sum uint32) error {
	if f.unsummed || sum == f.sum || mutant.On("peer-checksum-ignored") {
		return nil
	}
	return fmt.Errorf("%w: the checksum of a frame's payload is wrong", errMalformed)
}
