package compat

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// The rule of the records, see rule.go of cmd/compat.
const (
	count      = 300
	partitions = 3
	epoch      = 1_700_000_000_000
)

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func rule(topic string, i int, nulls bool) Record {
	r := Record{Topic: topic, Partition: int32(i % partitions), Offset: int64(i / partitions), Millis: epoch + int64(i)*1000}
	switch {
	case i%7 == 0:
	case i%11 == 0:
		r.Key = []byte{}
	default:
		r.Key = fmt.Appendf(nil, "k%d", i)
	}
	switch {
	case i%13 == 0 && i%7 != 0: // not every client sends a record with neither
	case i%17 == 0:
		r.Value = []byte{}
	default:
		r.Value = fmt.Appendf(nil, "v%d-%s", i, strings.Repeat("x", i*37%500))
	}
	for j := range i % 3 {
		r.Headers = append(r.Headers, Header{"h", fmt.Appendf(nil, "w%d-%d", i, j)})
	}
	if nulls && i%5 == 0 {
		r.Headers = append(r.Headers, Header{"null", nil})
	}
	return r
}

func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func different(want, got Record) error {
	ok := want.Partition == got.Partition && want.Offset == got.Offset && want.Millis == got.Millis && sameBytes(want.Key, got.Key) &&
		sameBytes(want.Value, got.Value) && slices.EqualFunc(want.Headers, got.Headers, func(a, b Header) bool { return a.Key == b.Key && sameBytes(a.Value, b.Value) })
	if !ok {
		return fmt.Errorf("a record is %.300s, not %.300s", fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want))
	}
	return nil
}
