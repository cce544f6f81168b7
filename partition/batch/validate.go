package batch

// Validate checks what a producer sent for one partition by Kafka's rules, and returns its one batch ready to be
// appended: only base offset and leader epoch are missing (StampOffset). The timestamp fields are corrected in place.
// Errors are *Error. It is pure CPU work: up to MaxDecompressed bytes of it for a compressed batch, so callers run it
// under Tasks.Compute when NeedsCompute says so.
func Validate(b []byte, o Options) (Info, error) {
	return Info{}, refuse(KafkaStorageError, "not built yet")
}

// NeedsCompute says whether Validate of b will decompress or recompress.
func NeedsCompute(b []byte, o Options) bool {
	h, err := Parse(b)
	return err == nil && (h.Codec() != None && !o.HeaderOnly || o.Compression != Producer && o.Compression != h.Codec())
}
