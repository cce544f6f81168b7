// Package batch is a Kafka record batch of format 2 as bytes: its header, the checks on what producers send, its records.
//
// A batch travels through Millrace as the producer sent it. It is read from the socket once, checked where it lies
// (Validate), given its offset and leader epoch in place (StampOffset), and written; nothing here copies an uncompressed
// batch. Only compression.type, and records that number themselves wrongly, make a new one (Info.Rewritten).
//
// # Layout
//
// All numbers are big endian. The CRC32C covers everything from the attributes on, so that offset and epoch can be
// stamped without touching it.
//
//	 0  base offset        8   of the first record; stamped
//	 8  length             4   of everything after this field
//	12  leader epoch       4   stamped
//	16  magic              1   2
//	17  CRC32C             4
//	21  attributes         2   bits 0-2 codec: none gzip snappy lz4 zstd · 3 LogAppendTime · 4 transactional ·
//	                           5 control · 6 has a delete horizon
//	23  last offset delta  4   count - 1, also after compaction has removed records
//	27  base timestamp     8   ms since 1970
//	35  max timestamp      8   of all records; with LogAppendTime the time of all of them
//	43  producer id        8   -1: not idempotent
//	51  producer epoch     2
//	53  base sequence      4   of the first record
//	57  count              4
//	61  records                compressed as a whole by the codec
//
//	record:  length varint | attributes 1 (unused) | timestamp delta varint | offset delta varint |
//	         key length varint (-1: null) | key | value length varint (-1: null) | value |
//	         headers varint | { key length varint | key | value length varint (-1: null) | value }
//
// Varints are zigzag, seven bits a byte, lowest first.
//
// # Rules for producers
//
// Validate follows Apache Kafka 4.3, in its order: one whole batch, format 2, codec known (zstd from Produce 7), base
// offset 0, max.message.bytes, CRC, count and last offset delta agree, no control batch, a sequence with a producer id;
// then every record: its structure, a key where the topic is compacted, its timestamp. Codes are Kafka's. Where Kafka
// answers UNKNOWN_SERVER_ERROR (a payload that does not decompress, an unknown codec), the answer here is INVALID_RECORD
// or UNSUPPORTED_COMPRESSION_TYPE.
//
// Compressed records are decompressed whole under a bound (MaxDecompressed, MESSAGE_TOO_LARGE above it, on which clients
// split a batch); memory grows with what is there, never with what a frame claims, and who shares memory out gives a batch
// less at first (Room) and more when it asks (ErrRoom). Offset deltas that are not 0, 1, 2…
// are corrected, as Kafka does for compressed batches; a greatest timestamp that is not true is corrected as well. Both
// changes of timestamp fields correct the CRC by what changed (StampTime), since CRC is linear: no scan.
package batch
