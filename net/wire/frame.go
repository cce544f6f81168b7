package wire

import (
	"encoding/binary"
	"fmt"

	"millrace/node/host"
)

// A frame is a size in four bytes and that many bytes: a header and a message.
const (
	// FrameSizeBytes is the length of a frame's size.
	FrameSizeBytes = 4
	// UnauthenticatedFrameLimit bounds the frames of a client that has yet to
	// authenticate, on listeners that ask for it.
	UnauthenticatedFrameLimit = 512 << 10
	// DefaultFrameLimit is Kafka's default of socket.request.max.bytes.
	DefaultFrameLimit = 100 << 20

	smallestRequest = 8 // key, version and correlation id
)

// RequestFrameSize reads the size of a request's frame from its first four
// bytes, and refuses one that is negative, too small for a header, or above
// limit. After an error nothing more can be read from the connection.
func RequestFrameSize(prefix []byte, limit int) (int, error) {
	n := int(int32(binary.BigEndian.Uint32(prefix)))
	if n < smallestRequest {
		return 0, fmt.Errorf("%w: a request frame of %d bytes", ErrMalformed, n)
	}
	if n > limit {
		return 0, fmt.Errorf("%w: a request frame of %d bytes, the limit is %d", ErrMalformed, n, limit)
	}
	return n, nil
}

// ResponseFrameSize is the same for a response.
func ResponseFrameSize(prefix []byte, limit int) (int, error) {
	n := int(int32(binary.BigEndian.Uint32(prefix)))
	if n < 4 {
		return 0, fmt.Errorf("%w: a response frame of %d bytes", ErrMalformed, n)
	}
	if n > limit {
		return 0, fmt.Errorf("%w: a response frame of %d bytes, the limit is %d", ErrMalformed, n, limit)
	}
	return n, nil
}

// RequestHeader starts every request.
type RequestHeader struct {
	APIKey        int16
	APIVersion    int16
	CorrelationID int32
	ClientID      *string
}

// ReadRequestHeader takes a header from r. The key may be none of Kafka's: then
// only the key, version and correlation id are read, since nothing tells what
// follows.
func ReadRequestHeader(r *Reader) RequestHeader {
	h := RequestHeader{APIKey: r.Int16(), APIVersion: r.Int16(), CorrelationID: r.Int32()}
	api, known := Lookup(h.APIKey)
	if !known || r.err != nil {
		return h
	}
	// The client id has its old form in all versions, so that a broker can
	// read that much of an ApiVersions request from the future.
	r.flexible = false
	h.ClientID = r.NullableString(true)
	if api.RequestHeaderVersion(h.APIVersion) >= 2 {
		r.skipTagged()
	}
	return h
}

// DecodeRequest takes the message that follows header h. The caller has
// checked that the version is served. Bytes after the message are ignored, as
// Kafka does.
func DecodeRequest(r *Reader, h RequestHeader) (Message, error) {
	m := NewRequest(h.APIKey)
	if m == nil {
		return nil, fmt.Errorf("%w: no API has key %d", ErrMalformed, h.APIKey)
	}
	m.Decode(r, h.APIVersion)
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("decode %s request, version %d: %w", Name(h.APIKey), h.APIVersion, err)
	}
	return m, nil
}

// EncodeRequest returns a whole frame. It appends to buf what it does not send
// from where it lies; the API's key is m's.
func EncodeRequest(buf []byte, h RequestHeader, m Message) ([]host.Part, error) {
	api, _ := Lookup(m.APIKey())
	w := NewWriter(buf)
	w.Int32(0) // the size, known at the end
	w.Int16(api.Key)
	w.Int16(h.APIVersion)
	w.Int32(h.CorrelationID)
	w.NullableString(h.ClientID, true)
	if api.RequestHeaderVersion(h.APIVersion) >= 2 {
		w.noTagged()
	}
	m.Encode(w, h.APIVersion)
	return w.frame()
}

// EncodeResponse returns a whole frame that answers the request with that
// correlation id. It appends to buf what it does not send from where it lies.
func EncodeResponse(buf []byte, version int16, correlationID int32, m Message) ([]host.Part, error) {
	api, _ := Lookup(m.APIKey())
	w := NewWriter(buf)
	w.Int32(0) // the size, known at the end
	w.Int32(correlationID)
	if api.ResponseHeaderVersion(version) >= 1 {
		w.noTagged()
	}
	m.Encode(w, version)
	return w.frame()
}

// frame puts the size into the four bytes that the message starts with.
func (w *Writer) frame() ([]host.Part, error) {
	parts, err := w.Parts()
	if err != nil {
		return nil, err
	}
	var size int64
	for _, part := range parts {
		size += part.Size()
	}
	if size -= FrameSizeBytes; size > maxFrame {
		return nil, fmt.Errorf("encode message: a frame of %d bytes", size)
	}
	// The first part begins with what was written first, even if the buffer
	// has since moved on to a larger array.
	binary.BigEndian.PutUint32(parts[0].Bytes, uint32(size))
	return parts, nil
}

const maxFrame = 1<<31 - 1

// DecodeResponse reads a response frame, without its size, to a request of
// that API and version.
func DecodeResponse(frame []byte, key, version int16) (correlationID int32, m Message, err error) {
	api, _ := Lookup(key)
	if m = NewResponse(key); m == nil {
		return 0, nil, fmt.Errorf("%w: no API has key %d", ErrMalformed, key)
	}
	r := NewReader(frame)
	correlationID = r.Int32()
	if api.ResponseHeaderVersion(version) >= 1 {
		r.skipTagged()
	}
	m.Decode(r, version)
	r.ExpectEnd()
	if err := r.Err(); err != nil {
		return correlationID, nil, fmt.Errorf("decode %s response, version %d: %w", api.Name, version, err)
	}
	return correlationID, m, nil
}
