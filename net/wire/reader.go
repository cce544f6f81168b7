package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// ErrMalformed is wrapped by every error of a Reader.
var ErrMalformed = errors.New("malformed message")

// Bounds on what a message may announce, the same as Apache Kafka 4.4's.
const (
	maxElements     = 1_000_000 // of one array
	maxTaggedFields = 10_000    // of one structure
	maxString       = math.MaxInt16
	firstElements   = 1_000 // allocated for an array before any of it is read
)

// Reader takes the fields of a message off the front of a frame. Its first
// error sticks: later reads return zero values and take nothing, so a decoder
// reads straight through and asks Err once. Byte fields alias the frame, all
// else is copied.
//
// Work and memory are bounded by the frame: a count is believed only as far
// as the bytes that are left could hold that many elements, and nothing loops
// on after an error.
type Reader struct {
	buf      []byte // the frame, or up to the end of a tagged field
	pos      int
	flexible bool // compact lengths and tagged fields
	err      error
}

// NewReader returns a reader of frame, which must not change as long as byte
// fields decoded from it are in use.
func NewReader(frame []byte) *Reader { return &Reader{buf: frame} }

// Reset makes r a reader of another frame.
func (r *Reader) Reset(frame []byte) { *r = Reader{buf: frame} }

// Err is the first error, nil so far if there was none.
func (r *Reader) Err() error { return r.err }

// Remaining is the number of bytes not yet taken; zero after an error.
func (r *Reader) Remaining() int { return len(r.buf) - r.pos }

// fail keeps the first error and drops what is left to read.
func (r *Reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: at byte %d: %s", ErrMalformed, r.pos, fmt.Sprintf(format, args...))
	}
	r.buf, r.pos = nil, 0
}

// take returns the next n bytes, nil if there are not so many. n is not
// negative.
func (r *Reader) take(n int) []byte {
	if n > len(r.buf)-r.pos {
		r.short(n)
		return nil
	}
	b := r.buf[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b
}

func (r *Reader) short(n int) {
	r.fail("%d bytes are left of %d", len(r.buf)-r.pos, n)
}

// Bool takes a byte; any but 0 is true.
func (r *Reader) Bool() bool { return r.Int8() != 0 }

// Int8 takes one byte.
func (r *Reader) Int8() int8 {
	if b := r.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

// Int16 takes two bytes.
func (r *Reader) Int16() int16 { return int16(r.Uint16()) }

// Uint16 takes two bytes.
func (r *Reader) Uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// ErrorCode takes two bytes.
func (r *Reader) ErrorCode() ErrorCode { return ErrorCode(r.Int16()) }

// Int32 takes four bytes.
func (r *Reader) Int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// Int64 takes eight bytes.
func (r *Reader) Int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// Float64 takes eight bytes.
func (r *Reader) Float64() float64 { return math.Float64frombits(uint64(r.Int64())) }

// UUID takes sixteen bytes.
func (r *Reader) UUID() (id UUID) {
	copy(id[:], r.take(len(id)))
	return id
}

// Uvarint takes an unsigned number of at most 32 bits in groups of seven, the
// lowest first. More than five bytes, or bits above the 32nd, are an error.
func (r *Reader) Uvarint() uint32 {
	var n uint32
	for i := range 5 {
		b := r.take(1)
		if b == nil {
			return 0
		}
		if i == 4 && b[0] > 0x0f {
			break
		}
		n |= uint32(b[0]&0x7f) << (7 * i)
		if b[0] < 0x80 {
			return n
		}
	}
	r.fail("a varint of more than 32 bits")
	return 0
}

// compactLength takes a length that is kept as length + 1, 0 meaning null.
func (r *Reader) compactLength() int { return int(r.Uvarint()) - 1 }

// length checks a length just read: -1 is null, which only some fields may
// be. Without an error the result is -1 for null or at least 0.
func (r *Reader) length(n int, nullable bool) int {
	if r.err != nil || n >= 0 {
		return n
	}
	if n != -1 {
		r.fail("length %d", n)
	} else if !nullable {
		r.fail("null where none is allowed")
	}
	return -1
}

func (r *Reader) stringBytes(nullable bool) (b []byte, null bool) {
	var n int
	if r.flexible {
		n = r.compactLength()
	} else {
		n = int(r.Int16())
	}
	if n = r.length(n, nullable); n < 0 || r.err != nil {
		return nil, true
	}
	if n > maxString {
		r.fail("a string of %d bytes", n)
		return nil, true
	}
	return r.take(n), false
}

// String takes a string that may not be null.
func (r *Reader) String() string {
	b, _ := r.stringBytes(false)
	return text(b)
}

// NullableString takes a string; nil is null, an error unless nullable.
func (r *Reader) NullableString(nullable bool) *string {
	b, null := r.stringBytes(nullable)
	if null || r.err != nil {
		return nil
	}
	s := text(b)
	return &s
}

// text is b as a string. Bytes that are no UTF-8 become U+FFFD, as in Kafka,
// so that what is compared, stored and answered later is text.
func text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var clean strings.Builder
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && n == 1 {
			// The longest start of a character that goes no further counts once.
			for n < len(b) && !utf8.FullRune(b[:n]) && !utf8.FullRune(b[:n+1]) {
				n++
			}
		}
		clean.WriteRune(c)
		b = b[n:]
	}
	return clean.String()
}

// Bytes takes a byte field that aliases the frame; nil is null, an error
// unless nullable.
func (r *Reader) Bytes(nullable bool) []byte {
	var n int
	if r.flexible {
		n = r.compactLength()
	} else {
		n = int(r.Int32())
	}
	if n = r.length(n, nullable); n < 0 || r.err != nil {
		return nil
	}
	if b := r.take(n); b != nil || n > 0 {
		return b
	}
	return []byte{}
}

// Records takes the records of a response; they alias the frame.
func (r *Reader) Records(nullable bool) Records {
	b := r.Bytes(nullable)
	if b == nil {
		return Records{Null: true}
	}
	return RecordBytes(b)
}

// ExpectEnd makes bytes that are left an error.
func (r *Reader) ExpectEnd() {
	if n := r.Remaining(); n > 0 {
		r.fail("%d bytes are left after the message", n)
	}
}
