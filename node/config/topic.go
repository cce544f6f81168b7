package config

import (
	"slices"
	"strconv"
)

// Topic is what is in force for a topic, typed. Times are in milliseconds, sizes in bytes, -1 is no bound.
type Topic struct {
	Compact, Delete   bool
	RetentionMs       int64
	RetentionBytes    int64
	SegmentBytes      int64
	SegmentMs         int64
	SegmentJitterMs   int64
	IndexBytes        int64
	MaxMessageBytes   int
	LogAppendTime     bool
	TimestampAfterMs  int64
	TimestampBeforeMs int64
	// Compression is "producer", "uncompressed" or the name of a codec; Level is the one for that codec.
	Compression       string
	Level             int
	MinInsyncReplicas int
	// MinDirtyRatio and the times of compaction matter when Compact is set.
	MinDirtyRatio                         float64
	MinLagMs, MaxLagMs, DeleteRetentionMs int64
}

// Topic computes what is in force for a topic with these settings of its own.
func (l Layers) Topic(overrides Values) Topic {
	text := func(name string) string {
		s, _ := l.topic(TopicKey(name), overrides)
		return s.Value
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(text(name), 10, 64)
		return n
	}
	policies := split(text("cleanup.policy"))
	t := Topic{
		Compact:           slices.Contains(policies, "compact"),
		Delete:            slices.Contains(policies, "delete"),
		RetentionMs:       number("retention.ms"),
		RetentionBytes:    number("retention.bytes"),
		SegmentBytes:      number("segment.bytes"),
		SegmentMs:         number("segment.ms"),
		SegmentJitterMs:   number("segment.jitter.ms"),
		IndexBytes:        number("segment.index.bytes"),
		MaxMessageBytes:   int(number("max.message.bytes")),
		LogAppendTime:     text("message.timestamp.type") == "LogAppendTime",
		TimestampAfterMs:  number("message.timestamp.after.max.ms"),
		TimestampBeforeMs: number("message.timestamp.before.max.ms"),
		Compression:       text("compression.type"),
		MinInsyncReplicas: int(number("min.insync.replicas")),
		MinLagMs:          number("min.compaction.lag.ms"),
		MaxLagMs:          number("max.compaction.lag.ms"),
		DeleteRetentionMs: number("delete.retention.ms"),
	}
	t.MinDirtyRatio, _ = strconv.ParseFloat(text("min.cleanable.dirty.ratio"), 64)
	if small := number("internal.segment.bytes"); small > 0 {
		t.SegmentBytes = small
	}
	switch t.Compression {
	case "gzip", "lz4", "zstd":
		t.Level = int(number("compression." + t.Compression + ".level"))
	}
	return t
}
