// Package partition is the log of one partition: segment files of pure Kafka record batches.
package partition
