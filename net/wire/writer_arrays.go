package wire

// encodable is a generated nested structure.
type encodable[T any] interface {
	*T
	encode(w *Writer, version int16)
}

// arrayLength starts an array; a nil one is null if nullable, otherwise empty.
func (w *Writer) arrayLength(n int, null bool) {
	if null {
		n = -1
	}
	w.longLength(int64(n))
}

// encodeArray appends an array of structures.
func encodeArray[T any, E encodable[T]](w *Writer, version int16, s []T, nullable bool) {
	w.arrayLength(len(s), nullable && s == nil)
	for i := range s {
		E(&s[i]).encode(w, version)
	}
}

// encodeNullable appends a structure that may be null: a byte below zero, or a
// byte and the structure.
func encodeNullable[T any, E encodable[T]](w *Writer, version int16, m E) {
	if m == nil {
		w.Int8(-1)
		return
	}
	w.Int8(1)
	m.encode(w, version)
}

// encodeTaggedNullable appends a structure of a tagged field, after an unsigned varint that says whether it is there.
func encodeTaggedNullable[T any, E encodable[T]](w *Writer, version int16, m E) {
	if m == nil {
		w.Uvarint(0)
		return
	}
	w.Uvarint(1)
	m.encode(w, version)
}

// appendValues appends an array of what put writes.
func appendValues[T any](w *Writer, s []T, nullable bool, put func(*Writer, T)) {
	w.arrayLength(len(s), nullable && s == nil)
	for _, v := range s {
		put(w, v)
	}
}

// Int8Array appends an array; nil is null if nullable, otherwise empty.
func (w *Writer) Int8Array(s []int8, nullable bool) { appendValues(w, s, nullable, (*Writer).Int8) }

// Int16Array appends an array; nil is null if nullable, otherwise empty.
func (w *Writer) Int16Array(s []int16, nullable bool) { appendValues(w, s, nullable, (*Writer).Int16) }

// Int32Array appends an array; nil is null if nullable, otherwise empty.
func (w *Writer) Int32Array(s []int32, nullable bool) { appendValues(w, s, nullable, (*Writer).Int32) }

// Int64Array appends an array; nil is null if nullable, otherwise empty.
func (w *Writer) Int64Array(s []int64, nullable bool) { appendValues(w, s, nullable, (*Writer).Int64) }

// UUIDArray appends an array; nil is null if nullable, otherwise empty.
func (w *Writer) UUIDArray(s []UUID, nullable bool) { appendValues(w, s, nullable, (*Writer).UUID) }

// StringArray appends an array; nil is null if nullable, otherwise empty.
func (w *Writer) StringArray(s []string, nullable bool) {
	appendValues(w, s, nullable, (*Writer).String)
}
