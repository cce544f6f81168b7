package wire

// element is a generated nested structure.
type element[T any] interface {
	*T
	decode(r *Reader, version int16)
}

// arrayLength takes the number of elements, -1 for null, given how few bytes
// one element can have.
func (r *Reader) arrayLength(minimum int, nullable bool) int {
	var n int
	if r.flexible {
		n = r.compactLength()
	} else {
		n = int(r.Int32())
	}
	if n = r.length(n, nullable); n < 0 || r.err != nil {
		return -1
	}
	if n > maxElements {
		r.fail("an array of %d elements", n)
		return -1
	}
	if left := r.Remaining(); n > left/minimum {
		r.fail("an array of %d elements of at least %d bytes in %d bytes", n, minimum, left)
		return -1
	}
	return n
}

// decodeArray takes an array of structures; nil is null.
func decodeArray[T any, E element[T]](r *Reader, version int16, minimum int, nullable bool) []T {
	n := r.arrayLength(minimum, nullable)
	if n < 0 {
		return nil
	}
	s := make([]T, 0, min(n, firstElements))
	for range n {
		var zero T
		s = append(s, zero)
		E(&s[len(s)-1]).decode(r, version)
		if r.err != nil {
			return nil
		}
	}
	return s
}

// decodeNullable takes a structure that may be null: a byte below zero, or a
// byte and the structure.
func decodeNullable[T any, E element[T]](r *Reader, version int16) *T {
	if r.Int8() < 0 || r.err != nil {
		return nil
	}
	m := new(T)
	E(m).decode(r, version)
	return m
}

// decodeTaggedNullable takes a structure of a tagged field, before which an unsigned varint says whether it is there.
func decodeTaggedNullable[T any, E element[T]](r *Reader, version int16) *T {
	if r.Uvarint() == 0 || r.err != nil {
		return nil
	}
	m := new(T)
	E(m).decode(r, version)
	return m
}

// values takes an array of what take reads; nil is null.
func values[T any](r *Reader, minimum int, nullable bool, take func(*Reader) T) []T {
	n := r.arrayLength(minimum, nullable)
	if n < 0 {
		return nil
	}
	s := make([]T, 0, min(n, firstElements))
	for range n {
		s = append(s, take(r))
		if r.err != nil {
			return nil
		}
	}
	return s
}

// Int8Array takes an array; nil is null, an error unless nullable.
func (r *Reader) Int8Array(nullable bool) []int8 { return values(r, 1, nullable, (*Reader).Int8) }

// Int16Array takes an array; nil is null, an error unless nullable.
func (r *Reader) Int16Array(nullable bool) []int16 { return values(r, 2, nullable, (*Reader).Int16) }

// Int32Array takes an array; nil is null, an error unless nullable.
func (r *Reader) Int32Array(nullable bool) []int32 { return values(r, 4, nullable, (*Reader).Int32) }

// Int64Array takes an array; nil is null, an error unless nullable.
func (r *Reader) Int64Array(nullable bool) []int64 { return values(r, 8, nullable, (*Reader).Int64) }

// UUIDArray takes an array; nil is null, an error unless nullable.
func (r *Reader) UUIDArray(nullable bool) []UUID { return values(r, 16, nullable, (*Reader).UUID) }

// StringArray takes an array; nil is null, an error unless nullable.
func (r *Reader) StringArray(nullable bool) []string {
	minimum := 2
	if r.flexible {
		minimum = 1
	}
	return values(r, minimum, nullable, (*Reader).String)
}

// taggedCount takes the number of tagged fields that end a structure.
func (r *Reader) taggedCount() int {
	n := r.Uvarint()
	if n > maxTaggedFields {
		r.fail("%d tagged fields", n)
		return 0
	}
	return int(n)
}

// beginTagged takes a tag and its size and narrows the reader to the field. It
// returns what the reader had to read before, for endTagged or skipToEnd.
func (r *Reader) beginTagged() (tag uint32, outer []byte) {
	tag = r.Uvarint()
	size := r.Uvarint()
	if int64(size) > int64(r.Remaining()) {
		r.fail("a tagged field of %d bytes in %d bytes", size, r.Remaining())
		return tag, nil
	}
	outer = r.buf
	r.buf = r.buf[:r.pos+int(size)]
	return tag, outer
}

// endTagged widens the reader again; the field must have been read whole.
func (r *Reader) endTagged(outer []byte) {
	r.ExpectEnd()
	if r.err == nil {
		r.buf = outer
	}
}

// skipToEnd passes over the rest of a tagged field.
func (r *Reader) skipToEnd(outer []byte) {
	if r.err == nil {
		r.pos = len(r.buf)
		r.buf = outer
	}
}

// skipTagged passes over the tagged fields of a structure that knows none.
func (r *Reader) skipTagged() {
	for n := r.taggedCount(); n > 0 && r.err == nil; n-- {
		_, outer := r.beginTagged()
		r.skipToEnd(outer)
	}
}
