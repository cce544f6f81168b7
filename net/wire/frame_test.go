package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"millrace/node/host"
)

func join(t *testing.T, parts []host.Part, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for _, part := range parts {
		b = append(b, part.Bytes...)
	}
	if size := binary.BigEndian.Uint32(b); int(size) != len(b)-FrameSizeBytes {
		t.Fatalf("a frame of %d bytes says %d", len(b)-FrameSizeBytes, size)
	}
	return b
}

func TestFramesRoundTrip(t *testing.T) {
	client := "client"
	for _, api := range APIs() {
		for version := api.Min; version <= api.Max; version++ {
			rng := random(api.Name, version)
			request, response := NewRequest(api.Key), NewResponse(api.Key)
			scramble(rng, reflect.ValueOf(request).Elem())
			scramble(rng, reflect.ValueOf(response).Elem())
			h := RequestHeader{api.Key, version, 1 << 20, &client}
			parts, err := EncodeRequest(make([]byte, 0, 10), h, request)
			frame := join(t, parts, err)

			r := NewReader(frame[FrameSizeBytes:])
			if got := ReadRequestHeader(r); !reflect.DeepEqual(got, h) {
				t.Fatalf("%s %d: header %+v, sent %+v", api.Name, version, got, h)
			}
			got, err := DecodeRequest(r, h)
			if err != nil {
				t.Fatal(err)
			}
			same(t, version, encode(t, request, version), encode(t, got, version))

			parts, err = EncodeResponse([]byte("kept")[:4:4], version, 77, response)
			frame = join(t, parts, err)
			id, got, err := DecodeResponse(frame[FrameSizeBytes:], api.Key, version)
			if err != nil || id != 77 {
				t.Fatal(id, err)
			}
			same(t, version, encode(t, response, version), encode(t, got, version))
		}
	}
}

func TestFrameSizes(t *testing.T) {
	for _, c := range []struct {
		size int32
		ok   bool
	}{{-1, false}, {-1 << 31, false}, {0, false}, {7, false}, {8, true}, {1000, true}, {1001, false}, {1<<31 - 1, false}} {
		prefix := binary.BigEndian.AppendUint32(nil, uint32(c.size))
		n, err := RequestFrameSize(prefix, 1000)
		if (err == nil) != c.ok || c.ok && n != int(c.size) || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%d: %d, %v", c.size, n, err)
		}
	}
	if _, err := ResponseFrameSize([]byte{0, 0, 0, 3}, 1000); err == nil {
		t.Error("a response frame without room for its correlation id")
	}
}

// Headers as bytes, so that they do not depend on our own encoder.
func TestRequestHeader(t *testing.T) {
	for _, c := range []struct {
		name, frame string
		want        RequestHeader
		rest        int
		fails       bool
	}{
		{"version 1", "\x00\x03\x00\x08\x00\x00\x00\x07\x00\x01c!", RequestHeader{3, 8, 7, new("c")}, 1, false},
		{"version 2", "\x00\x03\x00\x09\x00\x00\x00\x07\x00\x01c\x00!", RequestHeader{3, 9, 7, new("c")}, 1, false},
		{"tagged field", "\x00\x03\x00\x09\x00\x00\x00\x07\x00\x01c\x01\x05\x02ab!", RequestHeader{3, 9, 7, new("c")}, 1, false},
		{"no client", "\x00\x03\x00\x00\x00\x00\x00\x07\xff\xff", RequestHeader{3, 0, 7, nil}, 0, false},
		{"ApiVersions of the future", "\x00\x12\x00\x63\x00\x00\x00\x07\x00\x01c\x00??", RequestHeader{18, 99, 7, new("c")}, 2, false},
		{"unknown key", "\x03\xe7\x00\x00\x00\x00\x00\x07??", RequestHeader{999, 0, 7, nil}, 2, false},
		{"negative key", "\xff\xff\x00\x00\x00\x00\x00\x07", RequestHeader{-1, 0, 7, nil}, 0, false},
		{"cut", "\x00\x03\x00\x00\x00\x00\x00", RequestHeader{3, 0, 0, nil}, 0, true},
		{"client cut", "\x00\x03\x00\x00\x00\x00\x00\x07\x00\x09c", RequestHeader{3, 0, 7, nil}, 0, true},
		{"tags cut", "\x00\x03\x00\x09\x00\x00\x00\x07\x00\x01c\xff\xff\xff\xff\x0f", RequestHeader{3, 9, 7, new("c")}, 0, true},
	} {
		r := NewReader([]byte(c.frame))
		if got := ReadRequestHeader(r); !reflect.DeepEqual(got, c.want) || (r.Err() != nil) != c.fails || r.Remaining() != c.rest {
			t.Errorf("%s: %+v, %v, %d left", c.name, got, r.Err(), r.Remaining())
		}
	}
}

// The answer to an ApiVersions request from the future, as Kafka 4.3.1 gives
// it byte for byte.
func TestUnsupportedApiVersions(t *testing.T) {
	served, err := NewServed(Whole(KeyProduce, KeyApiVersions)...)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := EncodeResponse(nil, 0, 7, served.UnsupportedVersion())
	frame := join(t, parts, err)
	if want := []byte("\x00\x00\x00\x10\x00\x00\x00\x07\x00\x23\x00\x00\x00\x01\x00\x12\x00\x00\x00\x04"); !bytes.Equal(frame, want) {
		t.Errorf("%x, Kafka has %x", frame, want)
	}
}

// A fetch response is bytes, a range of a file, bytes, and so on.
func TestRecordsInFiles(t *testing.T) {
	file := struct{ host.File }{}
	large := bytes.Repeat([]byte("L"), spliceFrom)
	m := NewFetchResponse()
	topic := NewFetchResponseFetchableTopicResponse()
	for _, records := range []Records{
		{Parts: []host.Part{{File: file, Off: 100, Len: 5000}, {Bytes: []byte("small")}}},
		{Parts: []host.Part{{Bytes: large}, {File: file, Off: 9, Len: 1}}},
		{},
		{Null: true},
	} {
		partition := NewFetchResponsePartitionData()
		partition.Records = records
		topic.Partitions = append(topic.Partitions, partition)
	}
	m.Responses = append(m.Responses, topic)
	parts, err := EncodeResponse(make([]byte, 0, 8), 12, 7, m)
	if err != nil {
		t.Fatal(err)
	}
	// Replace the files by bytes: a client must read them as the records.
	var frame []byte
	var kinds string
	for _, part := range parts {
		switch {
		case part.File != nil:
			kinds += "f"
			frame = append(frame, bytes.Repeat([]byte("F"), int(part.Len))...)
		case &part.Bytes[0] == &large[0]:
			kinds += "L"
			frame = append(frame, part.Bytes...)
		default:
			kinds += "b"
			frame = append(frame, part.Bytes...)
		}
	}
	if kinds != "bfbLfb" {
		t.Errorf("parts %s", kinds)
	}
	if size := int(binary.BigEndian.Uint32(frame)); size != len(frame)-FrameSizeBytes {
		t.Fatalf("a frame of %d bytes says %d", len(frame)-FrameSizeBytes, size)
	}
	_, got, err := DecodeResponse(frame[FrameSizeBytes:], KeyFetch, 12)
	if err != nil {
		t.Fatal(err)
	}
	partitions := got.(*FetchResponse).Responses[0].Partitions
	for i, want := range []string{
		string(bytes.Repeat([]byte("F"), 5000)) + "small", string(large) + "F", "", "",
	} {
		if b := partitions[i].Records.Bytes(); string(b) != want {
			t.Errorf("partition %d: %d bytes, want %d", i, len(b), len(want))
		}
		if partitions[i].Records.Null != (i == 3) {
			t.Errorf("partition %d: null is %v", i, partitions[i].Records.Null)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	for name, write := range map[string]func(*Writer){
		"string of 32768": func(w *Writer) { w.String(string(make([]byte, 1<<15))) },
		"records of 2 GiB": func(w *Writer) {
			w.Records(Records{Parts: []host.Part{{File: struct{ host.File }{}, Len: 1 << 31}}}, true)
		},
	} {
		w := NewWriter(nil)
		write(w)
		if _, err := w.Parts(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// Two ranges that each can be said, but not their sum.
	m := NewFetchResponse()
	topic := NewFetchResponseFetchableTopicResponse()
	for range 2 {
		topic.Partitions = append(topic.Partitions, FetchResponsePartitionData{
			Records: Records{Parts: []host.Part{{File: struct{ host.File }{}, Len: 1<<31 - 2}}}})
	}
	m.Responses = append(m.Responses, topic)
	if _, err := EncodeResponse(nil, 12, 7, m); err == nil {
		t.Error("a frame of 4 GiB")
	}
}
