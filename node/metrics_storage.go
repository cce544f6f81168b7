package node

import "millrace/node/host"

// storageMetrics are what the shards, the partitions and the write-ahead log tell.
func (b *Broker) storageMetrics() []Metric {
	wal := b.set.WAL()
	pressure, space := wal.Pressure(), b.set.Space()
	led, bytes := b.logs()
	return []Metric{
		histogram("millrace_wal_write_seconds", "Time of synchronous writes to the write-ahead log.", wal.Writes(), 1e-9),
		histogram("millrace_wal_group_bytes", "Bytes that one synchronous write to the write-ahead log makes durable.", wal.Groups(), 1),
		{
			Name: "millrace_wal_written_bytes_total", Help: "Bytes written to the write-ahead log, with padding.", Kind: MetricCounter,
			Samples: []Sample{{Value: float64(pressure.Written)}},
		},
		number("millrace_wal_bytes", "Size of the files of the write-ahead log that hold something.", float64(pressure.Bytes)),
		number("millrace_wal_limit_bytes", "Size of the write-ahead log above which produces wait for a checkpoint.", float64(pressure.Limit)),
		number("millrace_space_for_produces", "1 while the disk has room for produces, 0 when they are refused.", flag(space.Produce)),
		number("millrace_space_for_growth", "1 while the disk has room for anything that takes space.", flag(space.Grow)),
		number("millrace_partitions_led", "Partitions that this node leads and serves.", float64(led)),
		number("millrace_log_bytes", "Size of all segments of the partitions that this node leads.", float64(bytes)),
	}
}

// logs counts the partitions that are served here, and their bytes.
func (b *Broker) logs() (led int, bytes int64) {
	for _, t := range b.set.Catalog().Topics.All {
		for i := range t.Partitions {
			if p, code := b.cluster.Lookup(t.ID, int32(i)); code == 0 {
				led++
				bytes += p.Log.View().Bytes
			}
		}
	}
	return led, bytes
}

func histogram(name, help string, counts host.HistogramCounts, scale float64) Metric {
	return Metric{Name: name, Help: help, Kind: MetricHistogram, Samples: []Sample{{Histogram: &counts, Scale: scale}}}
}

func flag(v bool) float64 {
	if v {
		return 1
	}
	return 0
}
