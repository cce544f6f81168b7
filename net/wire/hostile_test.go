package wire

import (
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Input from anybody: each case must end in an error, soon and in little
// memory.

func TestReaderRefuses(t *testing.T) {
	for _, c := range []struct {
		name     string
		flexible bool
		frame    string
		read     func(*Reader)
	}{
		{"int8 of nothing", false, "", func(r *Reader) { r.Int8() }},
		{"int64 cut", false, "\x00\x00\x00", func(r *Reader) { r.Int64() }},
		{"uuid cut", false, "123456789012345", func(r *Reader) { r.UUID() }},
		{"varint cut", false, "\x80\x80", func(r *Reader) { r.Uvarint() }},
		{"varint of six bytes", false, "\x80\x80\x80\x80\x80\x00", func(r *Reader) { r.Uvarint() }},
		{"varint of 33 bits", false, "\xff\xff\xff\xff\x1f", func(r *Reader) { r.Uvarint() }},
		{"null string", false, "\xff\xff", func(r *Reader) { _ = r.String() }},
		{"null compact string", true, "\x00", func(r *Reader) { _ = r.String() }},
		{"string of length -2", false, "\xff\xfe", func(r *Reader) { r.NullableString(true) }},
		{"string cut", false, "\x00\x04abc", func(r *Reader) { _ = r.String() }},
		{"compact string cut", true, "\x05abc", func(r *Reader) { _ = r.String() }},
		{"compact string of 32768", true, "\x81\x80\x02" + strings.Repeat("a", 1<<15), func(r *Reader) { _ = r.String() }},
		{"bytes of length -2", false, "\xff\xff\xff\xfe", func(r *Reader) { r.Bytes(true) }},
		{"null bytes", false, "\xff\xff\xff\xff", func(r *Reader) { r.Bytes(false) }},
		{"bytes of 2 GiB", false, "\x7f\xff\xff\xffabc", func(r *Reader) { r.Bytes(false) }},
		{"compact bytes of 4 GiB", true, "\xff\xff\xff\xff\x0fabc", func(r *Reader) { r.Bytes(false) }},
		{"null array", false, "\xff\xff\xff\xff", func(r *Reader) { r.Int32Array(false) }},
		{"array of length min", false, "\x80\x00\x00\x00", func(r *Reader) { r.Int32Array(true) }},
		{"array of one more than there is", false, "\x00\x00\x00\x021234567", func(r *Reader) { r.Int32Array(false) }},
		{"array of a million and one", false, "\x00\x0f\x42\x41" + strings.Repeat("a", maxElements+1), func(r *Reader) { r.Int8Array(false) }},
		{"tags 2^32-1", true, "\xff\xff\xff\xff\x0f", func(r *Reader) { r.skipTagged() }},
		{"10,001 tags", true, "\x91\x4e" + strings.Repeat("\x00\x00", 10_001), func(r *Reader) { r.skipTagged() }},
		{"tags cut", true, "\x02\x00\x00", func(r *Reader) { r.skipTagged() }},
		{"tag of 4 GiB", true, "\x01\x00\xff\xff\xff\xff\x0f", func(r *Reader) { r.skipTagged() }},
		{"tag longer than what is left", true, "\x01\x00\x04abc", func(r *Reader) { r.skipTagged() }},
		{"bytes after the message", false, "\x00\x00", func(r *Reader) { r.Int8(); r.ExpectEnd() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader([]byte(c.frame))
			r.flexible = c.flexible
			c.read(r)
			if !errors.Is(r.Err(), ErrMalformed) {
				t.Fatalf("error %v", r.Err())
			}
			first := r.Err()
			if r.Int64() != 0 || r.String() != "" || r.Bytes(true) != nil || r.Remaining() != 0 || r.Err() != first {
				t.Fatal("the error does not stick")
			}
		})
	}
}

func TestReaderAccepts(t *testing.T) {
	r := NewReader([]byte("\x00\x05a\xffb\xe4\xb8" + "\xff\xff" + "\xff\xff\xff\xff" + "\x00\x00\x00\x00" + "\x80\x80\x80\x80\x00" + "\x02"))
	if s := r.String(); s != "a\uFFFDb\uFFFD" {
		t.Errorf("no UTF-8: %q", s)
	}
	if s := r.NullableString(true); s != nil {
		t.Errorf("null string: %q", *s)
	}
	if b := r.Bytes(true); b != nil {
		t.Errorf("null bytes: %x", b)
	}
	if s := r.Int32Array(true); s == nil || len(s) != 0 {
		t.Errorf("empty array: %#v", s)
	}
	if n := r.Uvarint(); n != 0 {
		t.Errorf("long zero: %d", n)
	}
	if !r.Bool() || r.Err() != nil {
		t.Errorf("bool 2; %v", r.Err())
	}
	// A tagged field inside which there are bytes that its type does not use.
	m := NewFetchRequest()
	w := NewWriter(nil)
	m.Encode(w, 17)
	frame := append(w.buf[:len(w.buf)-1:len(w.buf)-1], 1, 1, 14)
	frame = append(frame, make([]byte, 14)...)
	if err := DecodeRecord(frame, m, 17); !errors.Is(err, ErrMalformed) {
		t.Errorf("tagged field with a byte too many: %v", err)
	}
}

// limited runs decode and fails if it takes more memory or time than a frame
// of that size may cost.
func limited(t *testing.T, frame []byte, decode func() error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	err := decode()
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	if budget := uint64(256<<10 + 150*len(frame)); allocated > budget {
		t.Errorf("%d bytes of input took %d bytes of memory (%v)", len(frame), allocated, err)
	}
	if elapsed > 2*time.Second {
		t.Errorf("%d bytes of input took %v (%v)", len(frame), elapsed, err)
	}
}

// TestHostileBodies gives every request and response of every version bodies
// made of one byte repeated, which say something huge wherever a length is
// expected, and counts of all sizes.
func TestHostileBodies(t *testing.T) {
	bodies := [][]byte{nil}
	for _, b := range []byte{0x00, 0x01, 0x02, 0x7f, 0x80, 0xfe, 0xff} {
		body := make([]byte, 4096)
		for i := range body {
			body[i] = b
		}
		bodies = append(bodies, body)
	}
	for _, count := range []uint32{1000, 1 << 20, math.MaxInt32} {
		bodies = append(bodies, append(binary.BigEndian.AppendUint32(nil, count), make([]byte, 4096)...))
	}
	for _, api := range APIs() {
		for version := api.Min; version <= api.Max; version++ {
			for _, m := range []Message{NewRequest(api.Key), NewResponse(api.Key)} {
				for _, body := range bodies {
					limited(t, body, func() error { return DecodeRecord(body, m, version) })
				}
			}
		}
	}
}

// TestHostileCounts announces a million elements in frames that could hold
// them.
func TestHostileCounts(t *testing.T) {
	const n = maxElements
	frame := binary.AppendUvarint(nil, n+1)
	frame = append(frame, make([]byte, 30*n)...)
	limited(t, frame, func() error {
		r := NewReader(frame)
		r.flexible = true
		decodeArray[MetadataRequestTopic](r, 12, 17, false)
		return r.Err()
	})
	// Tagged fields: the eight bytes on which franz-go's codec spins.
	limited(t, nil, func() error {
		r := NewReader([]byte("\x00\x00\xff\xff\xff\xff\x0f\x00"))
		NewApiVersionsRequest().Decode(r, 3)
		return r.Err()
	})
}

// TestCutFrames cuts a valid message of every version at every byte: each
// piece must be refused, and one byte too many too.
func TestCutFrames(t *testing.T) {
	for _, api := range APIs() {
		for version := api.Min; version <= api.Max; version++ {
			for _, m := range []Message{NewRequest(api.Key), NewResponse(api.Key)} {
				one(m)
				whole, err := AppendRecord(nil, m, version)
				if err != nil {
					t.Fatal(err)
				}
				for cut := range whole {
					if err := DecodeRecord(whole[:cut:cut], m, version); err == nil {
						t.Fatalf("%T version %d: %x is taken for whole", m, version, whole[:cut])
					}
				}
				if err := DecodeRecord(append(whole, 0), m, version); err == nil {
					t.Fatalf("%T version %d: a byte too many is taken", m, version)
				}
			}
		}
	}
}
