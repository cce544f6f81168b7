package partition

import (
	"encoding/binary"
	"fmt"

	"millrace/partition/batch"
)

func refuse(code batch.Code, format string, args ...any) *batch.Error {
	return &batch.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// fields decodes a sequence of varints and byte strings. After the first mistake everything is zero and bad is set.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) unsigned() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.bad, f.b = true, nil
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) signed() int64 {
	v, n := binary.Varint(f.b)
	if n <= 0 {
		f.bad, f.b = true, nil
		return 0
	}
	f.b = f.b[n:]
	return v
}

// count is the number of items that follow, each of at least least bytes: a number that cannot be true is refused before
// memory is taken for it.
func (f *fields) count(least int) int {
	n := f.unsigned()
	if n > uint64(len(f.b)/least) {
		f.bad, f.b = true, nil
		return 0
	}
	return int(n)
}

func (f *fields) bytes(n int) []byte {
	if n < 0 || n > len(f.b) {
		f.bad, f.b = true, nil
		return nil
	}
	out := f.b[:n:n]
	f.b = f.b[n:]
	return out
}

func (f *fields) byte() byte {
	if b := f.bytes(1); b != nil {
		return b[0]
	}
	return 0
}
