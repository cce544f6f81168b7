package batch

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

// Records iterates over the records of a batch.
type Records struct {
	err error
}

// Read starts an iteration over the one whole batch in b, whose CRC the caller has checked or trusts. Compressed records
// are decompressed up to limit bytes (0: DefaultMaxDecompressed) with c, which may be nil and must not be used for
// something else until the iteration is over. Uncompressed ones are not copied.
func Read(b []byte, c *Coders, limit int) (*Records, error) {
	return nil, refuse(KafkaStorageError, "not built yet")
}

// Next decodes the next record into r, whose slices point into the batch, or into the coders' memory when it was
// compressed; r.Headers is used again. It returns false at the end or on an error, see Err.
func (r *Records) Next(into *Record) bool { return false }

// Err is nil when the iteration came to the end of a batch that says the truth about its records.
func (r *Records) Err() error { return r.err }

// Encode appends a batch of the records to dst, compressed as h.Attributes say, and returns it. Of h it uses BaseOffset,
// LeaderEpoch, Attributes and the producer's fields; records get consecutive offsets from BaseOffset on. c may be nil.
func Encode(dst []byte, h Header, records []Record, c *Coders) ([]byte, error) {
	return nil, refuse(KafkaStorageError, "not built yet")
}
