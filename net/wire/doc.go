// Package wire is Kafka's protocol as bytes.
package wire

//go:generate go run millrace/cmd/wiregen
