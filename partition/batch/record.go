package batch

import "encoding/binary"

// RecordHeader is a key and a value beside a record. A nil Value is null.
type RecordHeader struct {
	Key, Value []byte
}

// Record is one record. A nil Key or Value is null; an empty one is not nil.
type Record struct {
	Offset    int64
	Timestamp int64
	Key       []byte
	Value     []byte
	Headers   []RecordHeader
}

// raw is where the fields of a record lie in a batch's decompressed records.
type raw struct {
	timestampDelta     int64
	offsetDelta        int32
	keyAt, keyLen      int // keyLen < 0: null
	valueAt, valueLen  int
	headersAt, headers int
}

// bad is where a cursor goes when the bytes make no sense: beyond any end, so that further reads fail too.
const bad = 1 << 62

// unzigzag is the number that u stands for: 0, -1, 1, -2 and so on.
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// readVarint reads a zigzag number of at most ten bytes at p.
func readVarint(b []byte, p int) (int64, int) {
	if p < len(b) && b[p] < 0x80 {
		return unzigzag(uint64(b[p])), p + 1
	}
	return readLongVarint(b, p)
}

func readLongVarint(b []byte, p int) (int64, int) {
	if p+1 < len(b) && b[p+1] < 0x80 { // most lengths
		u := uint64(b[p]&0x7f) | uint64(b[p+1])<<7
		return unzigzag(u), p + 2
	}
	var u uint64
	for shift := uint(0); shift < 70; shift += 7 {
		if p >= len(b) {
			return 0, bad
		}
		c := b[p]
		p++
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return unzigzag(u), p
		}
	}
	return 0, bad
}

// readInt is readVarint for what Kafka reads as 32 bits.
func readInt(b []byte, p int) (int, int) {
	v, next := readVarint(b, p)
	if v != int64(int32(v)) {
		return 0, bad
	}
	return int(v), next
}

// parse finds the fields of the record at p and returns where the next one begins, or bad.
func (r *raw) parse(b []byte, p int) int {
	if next := r.parseShort(b, p); next != 0 {
		return next
	}
	return r.parseAny(b, p)
}

// short reads a number of at most two bytes from the lowest ones of w, which is what nearly all numbers of a record are.
// It returns the number of bytes, 0 when there are more than two.
func short(w uint64) (uint64, int) {
	if w&0x80 == 0 {
		return w & 0x7f, 1
	}
	if w&0x8000 == 0 {
		return w&0x7f | w>>1&0x3f80, 2
	}
	return 0, 0
}

// parseShort is parse for a record of at most 8 KiB without headers whose numbers take one or two bytes each, with
// something behind it; it returns 0 for any other. It takes two thirds of the time of parseAny.
func (r *raw) parseShort(b []byte, p int) int {
	if len(b)-p < 8 {
		return 0
	}
	w := binary.LittleEndian.Uint64(b[p:])
	size, n := short(w)
	if n == 0 || size&1 != 0 {
		return 0
	}
	p += n
	end := p + int(size>>1)
	timestamp, m := short(w >> (8*n + 8))
	p += 1 + m
	if m == 0 || p > end || len(b)-end < 8 {
		return 0
	}
	w = binary.LittleEndian.Uint64(b[p:])
	offset, n := short(w)
	key, m := short(w >> (8 * n))
	if n == 0 || m == 0 {
		return 0
	}
	p += n + m
	r.timestampDelta, r.offsetDelta = unzigzag(timestamp), int32(unzigzag(offset))
	r.keyLen, r.keyAt = int(unzigzag(key)), p
	p += max(r.keyLen, 0)
	if p+3 > end {
		return 0
	}
	value, n := short(uint64(binary.LittleEndian.Uint16(b[p:])))
	if n == 0 {
		return 0
	}
	p += n
	r.valueLen, r.valueAt = int(unzigzag(value)), p
	p += max(r.valueLen, 0)
	if p+1 != end || b[p] != 0 {
		return 0
	}
	r.headers, r.headersAt = 0, end
	return end
}

func (r *raw) parseAny(b []byte, p int) int {
	size, p := readInt(b, p)
	if size < 0 || p > len(b) || size > len(b)-p {
		return bad
	}
	end := p + size
	b = b[:end]
	p++ // attributes, unused
	r.timestampDelta, p = readVarint(b, p)
	var delta int
	delta, p = readInt(b, p)
	r.offsetDelta = int32(delta)
	r.keyLen, p = readInt(b, p)
	r.keyAt = p
	if r.keyLen > 0 {
		p += r.keyLen
	}
	r.valueLen, p = readInt(b, p)
	r.valueAt = p
	if r.valueLen > 0 {
		p += r.valueLen
	}
	r.headers, p = readInt(b, p)
	r.headersAt = p
	if r.headers != 0 && p < bad {
		p = skipHeaders(b, p, r.headers)
	}
	if p != end {
		return bad
	}
	return end
}

func skipHeaders(b []byte, p, count int) int {
	if count < 0 || count > len(b)-p {
		return bad
	}
	for range count {
		var n int
		if n, p = readInt(b, p); n < 0 {
			return bad
		}
		p += n
		if n, p = readInt(b, p); n > 0 {
			p += n
		}
		if p > len(b) {
			return bad
		}
	}
	return p
}

// fill makes a record of the fields.
func (r *raw) fill(b []byte, h *Header, into *Record) {
	into.Offset = h.BaseOffset + int64(r.offsetDelta)
	into.Timestamp = h.BaseTimestamp + r.timestampDelta
	if h.LogAppendTime() {
		into.Timestamp = h.MaxTimestamp
	}
	into.Key, into.Value = field(b, r.keyAt, r.keyLen), field(b, r.valueAt, r.valueLen)
	into.Headers = into.Headers[:0]
	p := r.headersAt
	for range r.headers {
		var rh RecordHeader
		var n int
		n, p = readInt(b, p)
		rh.Key = field(b, p, n)
		p += n
		n, p = readInt(b, p)
		rh.Value = field(b, p, n)
		p += max(n, 0)
		into.Headers = append(into.Headers, rh)
	}
}

func field(b []byte, at, n int) []byte {
	if n < 0 {
		return nil
	}
	return b[at : at+n : at+n]
}

// Records iterates over the records of a batch.
type Records struct {
	header Header
	body   []byte
	at     int
	left   int32
	err    error
}

// Read starts an iteration over the one whole batch in b, whose CRC the caller has checked or trusts. Compressed records
// are decompressed up to limit bytes (0: DefaultMaxDecompressed) with c, which may be nil and must not be used for
// something else until the iteration is over. Uncompressed ones are not copied.
func Read(b []byte, c *Coders, limit int) (*Records, error) {
	h, err := Parse(b)
	if err != nil {
		return nil, err
	}
	if h.Size() != len(b) {
		return nil, refuse(CorruptMessage, "a batch of %d bytes says that it has %d", len(b), h.Size())
	}
	o := Options{MaxDecompressed: limit, Coders: c}
	body, refused := o.open(&h, b)
	if refused != nil {
		return nil, refused
	}
	return &Records{header: h, body: body, left: h.Count}, nil
}

// Header is the header of the batch.
func (r *Records) Header() *Header { return &r.header }

// Next decodes the next record into r, whose slices point into the batch, or into the coders' memory when it was
// compressed; r.Headers is used again. It returns false at the end or on an error, see Err.
func (r *Records) Next(into *Record) bool {
	if r.left <= 0 || r.err != nil {
		if r.err == nil && r.at != len(r.body) {
			r.err = refuse(InvalidRecord, "a batch has bytes after its last record")
		}
		return false
	}
	var f raw
	next := f.parse(r.body, r.at)
	if next == bad {
		r.err = refuse(InvalidRecord, "a record of the batch at offset %d has an invalid structure", r.header.BaseOffset)
		return false
	}
	f.fill(r.body, &r.header, into)
	r.at = next
	r.left--
	return true
}

// Err is nil when the iteration came to the end of a batch that says the truth about its records.
func (r *Records) Err() error { return r.err }

// Encode appends a batch of the records to dst, compressed as h.Attributes say, and returns it. Of h it uses BaseOffset,
// LeaderEpoch, Attributes and the producer's fields; records get consecutive offsets from BaseOffset on. With
// LogAppendTime in the attributes MaxTimestamp is used too. c may be nil.
func Encode(dst []byte, h Header, records []Record, c *Coders) ([]byte, error) {
	h.LastOffsetDelta, h.Count = int32(len(records))-1, int32(len(records))
	h.BaseTimestamp = NoTimestamp
	if len(records) > 0 {
		h.BaseTimestamp = records[0].Timestamp
	}
	greatest := NoTimestamp
	var body []byte
	for i := range records {
		r := &records[i]
		greatest = max(greatest, r.Timestamp)
		body = appendRecord(body, r, r.Timestamp-h.BaseTimestamp, int64(i))
	}
	if !h.LogAppendTime() {
		h.MaxTimestamp = greatest
	}
	return seal(dst, h, body, c)
}

// seal appends a batch of records that are encoded already; it compresses them and computes length and CRC.
func seal(dst []byte, h Header, body []byte, c *Coders) ([]byte, error) {
	if c == nil {
		c = NewCoders()
	}
	start := len(dst)
	dst = append(dst, make([]byte, HeaderSize)...)
	dst, err := c.compress(dst, h.Codec(), body)
	if err != nil {
		return nil, err
	}
	b := dst[start:]
	h.Magic = Magic
	h.Length = int32(len(b) - Overhead)
	h.put(b)
	binary.BigEndian.PutUint32(b[crcAt:], Checksum(b))
	return dst, nil
}

func appendRecord(b []byte, r *Record, timestampDelta, offsetDelta int64) []byte {
	size := 1 + varintLen(timestampDelta) + varintLen(offsetDelta) + fieldLen(r.Key) + fieldLen(r.Value) +
		varintLen(int64(len(r.Headers)))
	for i := range r.Headers {
		size += varintLen(int64(len(r.Headers[i].Key))) + len(r.Headers[i].Key) + fieldLen(r.Headers[i].Value)
	}
	b = binary.AppendVarint(b, int64(size))
	b = append(b, 0)
	b = binary.AppendVarint(b, timestampDelta)
	b = binary.AppendVarint(b, offsetDelta)
	b = appendField(b, r.Key)
	b = appendField(b, r.Value)
	b = binary.AppendVarint(b, int64(len(r.Headers)))
	for i := range r.Headers {
		b = binary.AppendVarint(b, int64(len(r.Headers[i].Key)))
		b = append(b, r.Headers[i].Key...)
		b = appendField(b, r.Headers[i].Value)
	}
	return b
}

func appendField(b, f []byte) []byte {
	if f == nil {
		return append(b, 1) // -1 in zigzag
	}
	return append(binary.AppendVarint(b, int64(len(f))), f...)
}

func fieldLen(f []byte) int {
	if f == nil {
		return 1
	}
	return varintLen(int64(len(f))) + len(f)
}

func varintLen(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
