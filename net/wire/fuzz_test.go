package wire

import (
	"bytes"
	"testing"
)

// Whatever decodes without an error encodes to something that decodes to the
// same bytes again, and nothing panics.

func FuzzDecodeRequest(f *testing.F) {
	fuzzDecode(f, NewRequest)
}

func FuzzDecodeResponse(f *testing.F) {
	fuzzDecode(f, NewResponse)
}

func fuzzDecode(f *testing.F, fresh func(int16) Message) {
	for _, api := range APIs() {
		m := fresh(api.Key)
		one(m)
		b, err := AppendRecord(nil, m, api.Max)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(api.Key, api.Max, b)
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		api, known := Lookup(key)
		if !known || version < api.Min || version > api.Max {
			return
		}
		m := fresh(key)
		r := NewReader(body)
		m.Decode(r, version)
		if r.Err() != nil {
			return
		}
		b, err := AppendRecord(nil, m, version)
		if err != nil {
			t.Fatal(err)
		}
		again := fresh(key)
		if err := DecodeRecord(b, again, version); err != nil {
			t.Fatalf("%x became %x: %v", body, b, err)
		}
		if c, err := AppendRecord(nil, again, version); err != nil || !bytes.Equal(b, c) {
			t.Fatalf("%x became %x, then %x (%v)", body, b, c, err)
		}
	})
}

func FuzzRequestHeader(f *testing.F) {
	f.Add([]byte("\x00\x03\x00\x09\x00\x00\x00\x07\x00\x01c\x01\x05\x02ab!"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		r := NewReader(frame)
		h := ReadRequestHeader(r)
		if api, known := Lookup(h.APIKey); r.Err() == nil && known && h.APIVersion >= api.Min && h.APIVersion <= api.Max {
			m, err := DecodeRequest(r, h)
			if (err == nil) != (m != nil) {
				t.Fatal(m, err)
			}
		}
	})
}
