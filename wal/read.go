package wal

import (
	"errors"
	"fmt"
	"hash/crc32"

	"millrace/node/host"
)

// fetch returns the record at a location, checked, with its payload in a buffer of its own. The body only if wanted.
func (c *cursor) fetch(pool *host.Pool, at Location, body bool) (recordHeader, []byte, *host.Buffer, error) {
	b, err := c.part(at.offset, recordBytes+int64(at.data))
	if err != nil {
		return recordHeader{}, nil, nil, err
	}
	h, want := parseRecordHeader(b)
	if h.data != at.data || h.payload != at.payload || h.pad != at.pad || crc32.Update(at.seed, castagnoli, b[4:]) != want {
		return h, nil, nil, fmt.Errorf("%w: the record in %s at offset %d has a bad checksum", ErrCorrupt, c.name, at.offset)
	}
	var data []byte
	if body {
		data = append(data, b[recordBytes:]...)
	}
	payload := pool.Get(int(at.payload))
	offset := at.offset + recordBytes + int64(at.data) + int64(at.pad)
	for rest := payload.Bytes(); len(rest) > 0; {
		if b, err = c.at(offset); err != nil {
			payload.Release()
			return h, nil, nil, err
		}
		n := copy(rest, b)
		rest, offset = rest[n:], offset+int64(n)
	}
	if crc32.Update(at.seed, castagnoli, payload.Bytes()) != h.payloadSum {
		payload.Release()
		return h, nil, nil, fmt.Errorf("%w: the payload in %s at offset %d has a bad checksum", ErrCorrupt, c.name, at.offset)
	}
	return h, data, payload, nil
}

// Reader reads many payloads, best in the order in which they were appended. It belongs to one task.
type Reader struct {
	log    *Log
	cursor cursor
	file   uint64 // that the cursor shows; 0 is none
}

// Reader returns a new reader. Close it.
func (l *Log) Reader() *Reader {
	r := &Reader{log: l}
	r.cursor.window = l.host.Buffers.Get(l.o.windowBytes())
	return r
}

// Close ends the reader.
func (r *Reader) Close() { r.cursor.window.Release() }

// ReadPayload returns the payload at a location, checked. The caller releases it. ErrGone says that the entry was
// compacted or superseded; ErrCorrupt that the disk returns something else than was written.
func (r *Reader) ReadPayload(at Location) (*host.Buffer, error) {
	f, at := r.log.acquire(at)
	if f == nil {
		return nil, fmt.Errorf("%w: file %d", ErrGone, at.file)
	}
	defer f.ref.Release()
	end := at.offset + at.stored()
	if at.offset < headerBlock || end > f.header.size {
		return nil, fmt.Errorf("wal: a record of %s at offset %d with %d bytes is outside of the file", f.name, at.offset, at.stored())
	}
	if r.file != at.file {
		r.cursor.reset(f.handle, f.name, f.header.size)
		r.file = at.file
	}
	_, _, payload, err := r.cursor.fetch(r.log.host.Buffers, at, false)
	if errors.Is(err, ErrCorrupt) { // the record may have been written since the window was read
		r.cursor.filled = 0
		_, _, payload, err = r.cursor.fetch(r.log.host.Buffers, at, false)
	}
	return payload, err
}

// ReadPayload returns the payload at a location, checked. The caller releases it. The bytes are read by a call to the
// disk of their own; see Reader for many. Errors are those of Reader.ReadPayload.
func (l *Log) ReadPayload(at Location) (*host.Buffer, error) {
	r := Reader{log: l}
	span := roundUp(at.offset+at.stored()) - at.offset&^(host.Align-1)
	r.cursor.window = l.host.Buffers.Get(int(min(span, 1<<20)))
	r.cursor.eager = true
	defer r.Close()
	return r.ReadPayload(at)
}

// acquire returns the file, held, in which the record of a location lies now, and where; nil when the record is not in
// the log any more. A file may be freed between the look at the view and the hold; then the record has died, or a later
// view says where it was copied to.
func (l *Log) acquire(at Location) (*file, Location) {
	var seen *view
	for {
		v := l.view.Load()
		if v == seen {
			return nil, at
		}
		seen = v
		now := v.locate(at)
		f := v.files.find(now.file)
		if f == nil {
			return nil, at
		}
		if f.ref.Acquire() {
			return f, now
		}
	}
}
