package node

import (
	"millrace/node/catalog"
	"millrace/node/shard"
)

// overview is the state of all that is here. What min.insync.replicas is matters only where something is not in sync.
func (b *Broker) overview() shard.Overview {
	image := b.set.Catalog()
	return b.set.Overview(func(t *catalog.Topic) int { return b.topicConfig(image, t).MinInsyncReplicas })
}

// connectionMetrics are the server's.
func (b *Broker) connectionMetrics() []Metric {
	n := b.server.Numbers
	return []Metric{
		count("millrace_received_bytes_total", "Bytes of requests.", MetricCounter, n.BytesIn),
		count("millrace_sent_bytes_total", "Bytes of answers.", MetricCounter, n.BytesOut),
		count("millrace_connections", "Open client connections.", MetricGauge, n.Connections),
		count("millrace_connections_accepted_total", "Client connections ever accepted.", MetricCounter, n.Accepted),
		family("millrace_connections_refused_total", "Client connections closed at once, by the limit that they were above.", MetricCounter, "reason",
			labelled{"max.connections", float64(n.Refused.Load())}, labelled{"max.connections.per.ip", float64(n.RefusedAddress.Load())}),
		count("millrace_connections_paced_total", "Connections after which the next had to wait, for max.connection.creation.rate.", MetricCounter, n.Paced),
		count("millrace_connections_cut_total", "Connections closed because the client kept memory that others waited for.", MetricCounter, n.Relieved),
		count("millrace_accept_failures_total", "Failed attempts to accept a connection, for lack of file descriptors say.", MetricCounter, n.AcceptFailed),
		family("millrace_held_back_seconds_total", "Time for which requests and answers waited for memory, all together, by what for.", MetricCounter, "use",
			labelled{"requests", b.server.Requests.Held().Seconds()}, labelled{"answers", b.server.Answers.Held().Seconds()}),
		count("millrace_malformed_requests_total", "Connections closed because of a request that cannot be.", MetricCounter, n.Malformed),
		count("millrace_fetch_sessions", "Incremental fetch sessions.", MetricGauge, b.sessions.count),
		count("millrace_fetch_sessions_evicted_total", "Incremental fetch sessions that had to make room.", MetricCounter, b.sessions.evictions),
	}
}

// trafficMetrics are about records.
func (b *Broker) trafficMetrics(o *shard.Overview) []Metric {
	m := b.metrics
	perTopic := func(name, help string, kind MetricKind, of func(*shard.TopicTraffic) int64) Metric {
		family := Metric{Name: name, Help: help, Kind: kind}
		for i := range o.Traffic {
			t := &o.Traffic[i]
			family.Samples = append(family.Samples, Sample{Labels: [][2]string{{"topic", t.Topic.Name}}, Value: float64(of(t))})
		}
		return family
	}
	return []Metric{
		count("millrace_produced_bytes_total", "Bytes of record batches accepted from producers.", MetricCounter, m.produced),
		count("millrace_produced_batches_total", "Record batches accepted from producers.", MetricCounter, m.producedBatches),
		count("millrace_fetched_bytes_total", "Bytes of record batches given to consumers.", MetricCounter, m.fetched),
		count("millrace_fetched_ranges_total", "Partitions with records in answers to fetches.", MetricCounter, m.fetchedParts),
		perTopic("millrace_topic_produced_bytes_total", "Bytes of record batches accepted from producers here, by topic.", MetricCounter,
			func(t *shard.TopicTraffic) int64 { return t.BytesIn }),
		perTopic("millrace_topic_produced_records_total", "Records accepted from producers here, by topic.", MetricCounter,
			func(t *shard.TopicTraffic) int64 { return t.RecordsIn }),
		perTopic("millrace_topic_fetched_bytes_total", "Bytes of record batches given to consumers here, by topic.", MetricCounter,
			func(t *shard.TopicTraffic) int64 { return t.BytesOut }),
		perTopic("millrace_topic_fetched_records_total", "Offsets of record batches given to consumers here, by topic.", MetricCounter,
			func(t *shard.TopicTraffic) int64 { return t.RecordsOut }),
		perTopic("millrace_topic_bytes", "Size of the segments here, by topic.", MetricGauge,
			func(t *shard.TopicTraffic) int64 { return t.Bytes }),
	}
}
