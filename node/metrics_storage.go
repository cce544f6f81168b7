package node

import "millrace/node/shard"

// storageMetrics are what the write-ahead log, the checkpoints, the partitions and the disk tell.
func (b *Broker) storageMetrics(o *shard.Overview) []Metric {
	wal := b.set.WAL()
	pressure, space, n := wal.Pressure(), b.set.Space(), b.set.Numbers()
	list := []Metric{
		histogram("millrace_wal_write_seconds", "Time of synchronous writes to the write-ahead log.", wal.Writes(), 1e-9, bucketsOfTime),
		histogram("millrace_wal_group_bytes", "Bytes that one synchronous write to the write-ahead log makes durable.", wal.Groups(), 1, bucketsOfBytes),
		histogram("millrace_wal_group_appends", "Appends of shards that share one synchronous write to the write-ahead log.", wal.Appends(), 1, bucketsOfCount),
		{
			Name: "millrace_wal_written_bytes_total", Help: "Bytes written to the write-ahead log, with padding.", Kind: MetricCounter,
			Samples: []Sample{{Value: float64(pressure.Written)}},
		},
		number("millrace_wal_bytes", "Size of the files of the write-ahead log that hold something.", float64(pressure.Bytes)),
		number("millrace_wal_limit_bytes", "Size of the write-ahead log above which produces wait for a checkpoint.", float64(pressure.Limit)),
		count("millrace_wal_full_total", "How often requests began to wait because the write-ahead log was full.", MetricCounter, n.HeldFull),
		histogram("millrace_checkpoint_seconds", "Time of checkpoints.", n.Checkpoints.Load(), 1e-9, bucketsOfTime),
		histogram("millrace_checkpoint_sync_seconds", "Time of the sync of the disk in a checkpoint.", n.Syncs.Load(), 1e-9, bucketsOfTime),
		number("millrace_space_for_produces", "1 while the disk has room for produces, 0 when they are refused.", flag(space.Produce)),
		number("millrace_space_for_growth", "1 while the disk has room for anything that takes space.", flag(space.Grow)),
		number("millrace_log_bytes", "Size of all segments of the partitions that this node leads.", float64(o.BytesLed)),
		number("millrace_segment_bytes", "Size of all segments here.", float64(o.Bytes)),
		count("millrace_filled_bytes_total", "Bytes that came from other nodes to close holes.", MetricCounter, n.Filled),
		count("millrace_scrubbed_bytes_total", "Bytes of segments that were read to be checked.", MetricCounter, n.Scrubbed),
		count("millrace_damaged_segments_total", "Segments found to be damaged.", MetricCounter, n.Damaged),
	}
	return append(list, b.diskMetrics()...)
}

// diskMetrics ask the file system.
func (b *Broker) diskMetrics() []Metric {
	free := Metric{Name: "millrace_disk_free_bytes", Help: "Free space of the file system that holds the data directory.", Kind: MetricGauge}
	total := Metric{Name: "millrace_disk_total_bytes", Help: "Size of the file system that holds the data directory.", Kind: MetricGauge}
	if usage, err := b.host.Disk.Usage(); err == nil {
		free.Samples = []Sample{{Value: float64(usage.Free)}}
		total.Samples = []Sample{{Value: float64(usage.Total)}}
	}
	return []Metric{free, total}
}

// memoryMetrics are what is held in memory, and the bounds of that.
func (b *Broker) memoryMetrics() []Metric {
	m, server := b.set.Memory(), b.server
	uses := []struct {
		name        string
		used, limit int64
	}{
		{"requests", server.Requests.Used(), server.Requests.Limit()},
		{"answers", server.Answers.Used(), server.Answers.Limit()},
		{"segment queue", m.Queued, m.QueuedLimit},
		{"tails", m.Tails, m.TailsLimit},
		{"cache", m.Cached, m.CachedLimit},
	}
	used := Metric{Name: "millrace_memory_bytes", Help: "Memory in use, by what it is for.", Kind: MetricGauge}
	limit := Metric{Name: "millrace_memory_limit_bytes", Help: "Bound of the memory in use, by what it is for.", Kind: MetricGauge}
	for _, u := range uses {
		label := [][2]string{{"use", u.name}}
		used.Samples = append(used.Samples, Sample{Labels: label, Value: float64(u.used)})
		limit.Samples = append(limit.Samples, Sample{Labels: label, Value: float64(u.limit)})
	}
	return []Metric{
		used, limit,
		number("millrace_buffers_out_bytes", "Counted memory that is in use.", float64(b.host.Buffers.Out())),
		number("millrace_buffers_kept_bytes", "Counted memory that is kept for the next use.", float64(b.host.Buffers.Kept())),
	}
}
