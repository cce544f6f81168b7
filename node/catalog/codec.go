package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errMalformed is what every decoder returns for bytes that no encoder writes. Committed bytes are never malformed, so it
// means corruption, or a newer format.
var errMalformed = errors.New("catalog: malformed bytes")

// writer appends fields to a byte slice.
type writer struct{ b []byte }

func (w *writer) byte(v byte)       { w.b = append(w.b, v) }
func (w *writer) uint(v uint64)     { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) int(v int64)       { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) id(v ID)           { w.b = append(w.b, v[:]...) }
func (w *writer) string(v string)   { w.uint(uint64(len(v))); w.b = append(w.b, v...) }
func (w *writer) nodes(v []int32)   { putList(w, v, func(w *writer, n int32) { w.int(int64(n)) }) }
func (w *writer) configs(v Configs) { putList(w, v, putConfig) }

func (w *writer) bool(v bool) {
	if v {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

func putConfig(w *writer, c Config) { w.string(c.Name); w.string(c.Value) }

func putList[T any](w *writer, list []T, put func(*writer, T)) {
	w.uint(uint64(len(list)))
	for _, v := range list {
		put(w, v)
	}
}

// reader takes fields from a byte slice. After the first field that is not there all further ones are zero, and done
// reports it.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) fail() { r.b, r.failed = nil, true }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) bool() bool {
	v := r.byte()
	if v > 1 {
		r.fail()
	}
	return v == 1
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int32() int32 {
	v := r.int()
	if v != int64(int32(v)) {
		r.fail()
	}
	return int32(v)
}

func (r *reader) int16() int16 {
	v := r.int()
	if v != int64(int16(v)) {
		r.fail()
	}
	return int16(v)
}

func (r *reader) int8() int8 {
	v := r.int()
	if v != int64(int8(v)) {
		r.fail()
	}
	return int8(v)
}

func (r *reader) id() (id ID) {
	if len(r.b) < len(id) {
		r.fail()
		return id
	}
	r.b = r.b[copy(id[:], r.b):]
	return id
}

func (r *reader) string() string {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	v := string(r.b[:n])
	r.b = r.b[n:]
	return v
}

func (r *reader) nodes() []int32 { return getList(r, (*reader).int32) }

func (r *reader) configs() Configs {
	c := Configs(getList(r, func(r *reader) Config { return Config{r.string(), r.string()} }))
	for i := 1; i < len(c); i++ {
		if c[i-1].Name >= c[i].Name {
			r.fail()
		}
	}
	return c
}

// getList reads a list. Every element takes at least a byte, so a hostile count costs no memory.
func getList[T any](r *reader, get func(*reader) T) []T {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	list := make([]T, 0, n)
	for range n {
		list = append(list, get(r))
		if r.failed {
			return nil
		}
	}
	return list
}

// done returns an error unless all was there and nothing is left.
func (r *reader) done(what string) error {
	if r.failed || len(r.b) > 0 {
		return fmt.Errorf("%w: %s", errMalformed, what)
	}
	return nil
}
