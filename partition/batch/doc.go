// Package batch is a Kafka record batch of format 2 as bytes: its header, the checks on what producers send, its records.
package batch
