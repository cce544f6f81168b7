package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"millrace/node/host"
)

// spliceFrom is the size from which bytes are sent from where they lie; fewer
// are cheaper copied than sent as a part of their own.
const spliceFrom = 1024

// Writer builds a message as parts: bytes that it appends to a buffer of its
// own, and between them ranges of files and large byte fields, which are not
// copied. What was handed over must stay unchanged until the parts are sent.
type Writer struct {
	buf      []byte
	parts    []host.Part
	from     int   // start of the bytes in buf that are in no part yet
	spliced  int64 // bytes of parts that are not in buf
	flexible bool
	whole    bool // nothing is spliced: tagged fields are shifted, records kept
	tagged   int  // tagged fields that are under way: they are shifted, so nothing in them is spliced
	err      error
}

// NewWriter returns a writer that appends to buf.
func NewWriter(buf []byte) *Writer { return &Writer{buf: buf, from: len(buf)} }

// Err is the first error: something larger than the protocol can say.
func (w *Writer) Err() error { return w.err }

// Size is the number of bytes written so far, those of files included.
func (w *Writer) Size() int64 { return int64(len(w.buf)) + w.spliced }

// Parts ends the message. They alias the writer's buffer.
func (w *Writer) Parts() ([]host.Part, error) {
	w.cut()
	return w.parts, w.err
}

// cut makes the bytes since the last part one.
func (w *Writer) cut() {
	if end := len(w.buf); end > w.from {
		w.parts = append(w.parts, host.Part{Bytes: w.buf[w.from:end:end]})
		w.from = end
	}
}

// splice makes part the next one, or copies it if it is short.
func (w *Writer) splice(part host.Part) {
	if part.File == nil && (w.whole || w.tagged > 0 || len(part.Bytes) < spliceFrom) {
		w.buf = append(w.buf, part.Bytes...)
		return
	}
	if w.whole {
		w.fail("a file where bytes must be in one piece")
		return
	}
	w.cut()
	w.parts = append(w.parts, part)
	w.spliced += part.Size()
}

func (w *Writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("encode message: "+format, args...)
	}
}

// Bool appends a byte, 0 or 1.
func (w *Writer) Bool(v bool) {
	if v {
		w.buf = append(w.buf, 1)
	} else {
		w.buf = append(w.buf, 0)
	}
}

// Int8 appends one byte.
func (w *Writer) Int8(v int8) { w.buf = append(w.buf, byte(v)) }

// Int16 appends two bytes.
func (w *Writer) Int16(v int16) { w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(v)) }

// Uint16 appends two bytes.
func (w *Writer) Uint16(v uint16) { w.buf = binary.BigEndian.AppendUint16(w.buf, v) }

// ErrorCode appends two bytes.
func (w *Writer) ErrorCode(v ErrorCode) { w.Int16(int16(v)) }

// Int32 appends four bytes.
func (w *Writer) Int32(v int32) { w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(v)) }

// Int64 appends eight bytes.
func (w *Writer) Int64(v int64) { w.buf = binary.BigEndian.AppendUint64(w.buf, uint64(v)) }

// Float64 appends eight bytes.
func (w *Writer) Float64(v float64) { w.Int64(int64(math.Float64bits(v))) }

// UUID appends sixteen bytes.
func (w *Writer) UUID(v UUID) { w.buf = append(w.buf, v[:]...) }

// Uvarint appends v in groups of seven bits, the lowest first.
func (w *Writer) Uvarint(v uint32) { w.buf = binary.AppendUvarint(w.buf, uint64(v)) }

// compactLength appends n+1; -1 is null.
func (w *Writer) compactLength(n int) { w.Uvarint(uint32(n + 1)) }

// shortLength starts a string.
func (w *Writer) shortLength(n int) {
	if n > maxString {
		w.fail("a string of %d bytes", n)
		n = -1
	}
	if w.flexible {
		w.compactLength(n)
	} else {
		w.Int16(int16(n))
	}
}

// longLength starts bytes, records or an array.
func (w *Writer) longLength(n int64) {
	if n > math.MaxInt32-1 {
		w.fail("a field of %d bytes", n)
		n = -1
	}
	if w.flexible {
		w.compactLength(int(n))
	} else {
		w.Int32(int32(n))
	}
}

// String appends a string that cannot be null.
func (w *Writer) String(v string) {
	w.shortLength(len(v))
	w.buf = append(w.buf, v...)
}

// NullableString appends a string; nil is null if nullable, otherwise empty.
func (w *Writer) NullableString(v *string, nullable bool) {
	switch {
	case v != nil:
		w.String(*v)
	case nullable:
		w.shortLength(-1)
	default:
		w.shortLength(0)
	}
}

// Bytes appends a byte field; nil is null if nullable, otherwise empty. Large
// ones become parts.
func (w *Writer) Bytes(v []byte, nullable bool) {
	if v == nil && nullable {
		w.longLength(-1)
		return
	}
	w.longLength(int64(len(v)))
	w.splice(host.Part{Bytes: v})
}

// Records appends the records of a response.
func (w *Writer) Records(v Records, nullable bool) {
	if v.Null && nullable {
		w.longLength(-1)
		return
	}
	w.longLength(v.Size())
	for _, part := range v.Parts {
		w.splice(part)
	}
}

// beginTagged starts a tagged field; its size is put in by endTagged.
func (w *Writer) beginTagged(tag uint32) (at int) {
	w.Uvarint(tag)
	w.tagged++
	return len(w.buf)
}

// endTagged puts the size of the field that begins at in front of it. No
// tagged field of Kafka's holds records, and bytes in one are copied, so none
// is ever cut into parts.
func (w *Writer) endTagged(at int) {
	w.tagged--
	var size [binary.MaxVarintLen32]byte
	n := binary.PutUvarint(size[:], uint64(len(w.buf)-at))
	w.buf = append(w.buf, size[:n]...)
	copy(w.buf[at+n:], w.buf[at:len(w.buf)-n])
	copy(w.buf[at:], size[:n])
}

// taggedCount starts the tagged fields of a structure.
func (w *Writer) taggedCount(n int) { w.Uvarint(uint32(n)) }

// noTagged ends a structure without tagged fields.
func (w *Writer) noTagged() { w.buf = append(w.buf, 0) }
