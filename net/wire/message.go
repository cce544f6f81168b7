package wire

import (
	"encoding/base64"
	"fmt"
)

// Message is a request or a response of one API.
type Message interface {
	Record
	// APIKey is the key of the API to which it belongs.
	APIKey() int16
}

// Record is any structure that is encoded as a whole: a message, or the key or
// value of a coordinator's record.
type Record interface {
	// Decode reads the given version from r, whose Err tells how it went. It
	// overwrites all fields; one that the version lacks gets the schema's
	// default. The version must be one that the schema has.
	Decode(r *Reader, version int16)
	// Encode appends the given version to w. Fields that it lacks are left out
	// in silence. A nil string or slice that the version does not allow to be
	// null is written empty.
	Encode(w *Writer, version int16)
	// SetDefaults overwrites all fields with the schema's defaults.
	SetDefaults()
}

// AppendRecord appends that version of m to buf, in one piece, without a
// frame.
func AppendRecord(buf []byte, m Record, version int16) ([]byte, error) {
	w := Writer{buf: buf, from: len(buf), whole: true}
	m.Encode(&w, version)
	return w.buf, w.err
}

// DecodeRecord reads that version of m from b and expects nothing after it.
// Byte fields alias b.
func DecodeRecord(b []byte, m Record, version int16) error {
	r := Reader{buf: b}
	m.Decode(&r, version)
	r.ExpectEnd()
	return r.err
}

// UUID names topics and directories. The zero value means none.
type UUID [16]byte

// String is the form in which Kafka shows it: base64url without padding.
func (id UUID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// IsZero tells if it names nothing.
func (id UUID) IsZero() bool { return id == UUID{} }

// ParseUUID reads what String wrote.
func ParseUUID(s string) (id UUID, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is no id: expected 22 characters of base64url", s)
	}
	return UUID(b), nil
}
