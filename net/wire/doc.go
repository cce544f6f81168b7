// Package wire is Kafka's protocol as bytes: frames, headers, every request
// and response that an Apache Kafka 4.3.1 broker serves to clients, in every
// version, and the answer to which versions are served.
//
// # Frames
//
//	request                            response
//	size            int32              size            int32
//	api key         int16              correlation id  int32
//	api version     int16              tagged fields   (header version 1)
//	correlation id  int32              message
//	client id       nullable string
//	tagged fields   (header version 2)
//	message
//
// The size counts what follows it. A version from API.FlexibleFrom on is
// flexible: its headers and each of its structures end in tagged fields, and
// its lengths are compact. The response to ApiVersions never has tagged fields
// in its header. All numbers are big-endian.
//
//	             before             flexible
//	string       int16 n, bytes     uvarint n+1, bytes     n at most 32,767
//	bytes        int32 n, bytes     uvarint n+1, bytes
//	records      as bytes
//	array        int32 n, elements  uvarint n+1, elements  n at most 1,000,000
//	null         n = -1             n+1 = 0
//	structure    fields             fields, tagged fields
//	nullable structure: int8, -1 for null or 1 and the structure
//	tagged fields                   uvarint count (at most 10,000), then each:
//	                                uvarint tag, uvarint size, the field
//
// # Messages
//
// The structs in *.gen.go are written by cmd/wiregen from the schemas in
// Kafka's jars. A message M is a struct M with the schema's field names; a
// struct X nested in it is M+X, where X first loses a prefix that repeats the
// message or its API: FetchRequest has FetchRequestTopic (FetchTopic in the
// schema) and FetchRequestReplicaState. NewM gives the schema's defaults; a
// literal does not, and where a default is not Go's zero value that shows:
// start a FetchResponsePartitionData with its constructor, or the client is
// told that the leader is broker 0.
//
// A nullable string or structure is a pointer, null is nil. An array is a
// slice, null is nil and empty is not. A field that a version lacks is left
// out by Encode, also if it is set, and has its default after Decode.
//
// Reading: a Reader takes fields off a frame, with one sticky error. Byte
// fields, the records of a Produce request among them, alias the frame. Unknown
// tagged fields are passed over and not kept.
//
// Writing: a Writer makes parts (host.Part). The records of a response are of
// type Records, bytes or ranges of files; those and large byte fields become
// parts of their own and are not copied. EncodeResponse returns a frame that
// Conn.Send takes as it is.
//
// # Bad input
//
// Anything can come in a frame. A count is believed only if the bytes left
// could hold that many elements of the smallest size; the first allocation of
// an array is at most 1,000 elements; loops end at the first error. So a frame
// costs time and memory in proportion to its size, which RequestFrameSize
// bounds. Compared with Kafka 4.3.1 the decoder is stricter in that a length
// below -1 is not taken for null, a varint has at most 32 bits, and a tagged
// field must fill its size; it is more lenient in that a known tag in a version
// that lacks it is passed over. As in Kafka, bytes after a request are ignored,
// any bool but 0 is true, and bytes that are no UTF-8 become U+FFFD.
//
// # Tests
//
// The oracle is franz-go's codec (kmsg, in tests only): for every API and
// version random values go both ways and back with the same bytes. Version
// ranges are compared with what a running Kafka 4.3.1 advertised.
package wire

//go:generate go run millrace/cmd/wiregen
