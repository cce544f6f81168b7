package catalog

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"millrace/node/ordered"
)

// ID names a topic, a data directory or an incarnation of a broker: 16 random bytes, Kafka's Uuid.
type ID [16]byte

// Compare orders ids by their bytes; it implements ordered.Key.
func (i ID) Compare(j ID) int { return bytes.Compare(i[:], j[:]) }

// Hash implements ordered.Key.
func (i ID) Hash() uint64 {
	return ordered.Mix(binary.LittleEndian.Uint64(i[:8]) ^ ordered.Mix(binary.LittleEndian.Uint64(i[8:])))
}

// String is the id as Kafka shows it: 22 characters of unpadded URL-safe base64.
func (i ID) String() string { return base64.RawURLEncoding.EncodeToString(i[:]) }

// ParseID reads what String writes.
func ParseID(s string) (ID, error) {
	var id ID
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is not an id: want 22 characters of URL-safe base64", s)
	}
	copy(id[:], b)
	return id, nil
}
