package group

import "unicode/utf16"

// PartitionOf returns the partition of __consumer_offsets that coordinates a group: the hash that Java's String has,
// over UTF-16 code units, made positive, modulo the number of partitions. Kafka's tools compute it too, so it is fixed.
func PartitionOf(groupID string, partitions int32) int32 {
	var hash int32
	for _, r := range groupID {
		if r >= 0x10000 {
			high, low := utf16.EncodeRune(r)
			hash = 31*(31*hash+int32(high)) + int32(low)
			continue
		}
		hash = 31*hash + int32(r)
	}
	switch {
	case hash == -1<<31:
		hash = 0 // its negative does not fit
	case hash < 0:
		hash = -hash
	}
	return hash % partitions
}
