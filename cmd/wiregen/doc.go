// Command wiregen writes net/wire's message codec from the message schemas
// that Apache Kafka ships inside its jars.
//
// A schema is a JSON file (with // comments) that names a message's fields and
// says for each in which versions it is present, in which it may be null, and
// whether it is a tagged field. The schemas are read when `go generate` runs
// and are not kept here; no text of theirs is copied, only names, numbers and
// types. What is generated:
//
//   - api_NN_name.gen.go: the request and the response of one API;
//   - records.gen.go: the keys and values of coordinators' records, and the
//     blobs that members of consumer groups exchange;
//   - table.gen.go: keys, names, version ranges and constructors.
//
// The files of this command, in the order a reader needs them: schema.go (the
// JSON as it is), extend.go (the fields that Millrace adds), model.go (messages with Go names and version ranges
// resolved), structs.go, decode.go, encode.go and table.go (text), main.go.
//
// Usage:
//
//	MILLRACE_KAFKA_JARS=dir go run ./cmd/wiregen -out net/wire
//
// where dir holds kafka-clients-*.jar and the coordinators' jars.
package main
