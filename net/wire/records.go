package wire

import "millrace/node/host"

// Records is the records field of a response: a run of record batches that
// lie in memory, in ranges of files, or both. The zero value is empty, which
// is what Kafka's brokers send when there is nothing; Null says null.
type Records struct {
	Parts []host.Part
	Null  bool
}

// RecordBytes returns records that are the given slices in turn.
func RecordBytes(slices ...[]byte) Records {
	parts := make([]host.Part, len(slices))
	for i, b := range slices {
		parts[i] = host.Part{Bytes: b}
	}
	return Records{Parts: parts}
}

// Size is the number of bytes.
func (r Records) Size() int64 {
	var sum int64
	for _, part := range r.Parts {
		sum += part.Size()
	}
	return sum
}

// Bytes is the records in one piece: the slice itself if it is a single one,
// otherwise a copy. It must not be called on records that lie in files, which
// decoded ones never do.
func (r Records) Bytes() []byte {
	if len(r.Parts) == 1 {
		return r.Parts[0].Bytes
	}
	var all []byte
	for _, part := range r.Parts {
		all = append(all, part.Bytes...)
	}
	return all
}
