package node

import (
	"strconv"

	"millrace/node/shard"
)

// clusterMetrics are about the catalog, the shards, their partitions, and the other nodes.
func (b *Broker) clusterMetrics(o *shard.Overview) []Metric {
	n, image := b.set.Numbers(), b.set.Catalog()
	standing := b.set.Standing()
	list := []Metric{
		number("millrace_topics", "Topics in the catalog.", float64(o.Topics)),
		number("millrace_partitions", "Partitions in the catalog.", float64(o.Partitions)),
		number("millrace_catalog_index", "The last applied change of the catalog.", float64(image.Index)),
		number("millrace_controller", "Id of the node that leads the catalog, -1 when none can be heard.", float64(standing.Controller)),
		number("millrace_fenced", "1 while the cluster takes this node for dead.", flag(standing.Fenced)),
		family("millrace_shards", "Shards with a replica here, by state: led from here, in sync with another leader, behind it, without a leader, retired.",
			MetricGauge, "state",
			labelled{"leading", float64(o.Led)}, labelled{"in sync", float64(o.Shards - o.Led - o.Behind - o.Leaderless - o.Retired)},
			labelled{"behind", float64(o.Behind)}, labelled{"leaderless", float64(o.Leaderless)}, labelled{"retired", float64(o.Retired)}),
		number("millrace_partitions_held", "Partitions with a replica here.", float64(o.Held)),
		number("millrace_partitions_led", "Partitions that this node leads and serves.", float64(o.PartitionsLed)),
		number("millrace_partitions_under_replicated", "Partitions led from here with replicas that are not in sync.", float64(o.UnderReplicated)),
		number("millrace_partitions_under_min_isr", "Partitions led from here with fewer replicas in sync than min.insync.replicas asks for.", float64(o.UnderMinInSync)),
		number("millrace_partitions_filling", "Partitions with a replica here that lacks records.", float64(o.Missing)),
		number("millrace_partitions_offline", "Partitions of the cluster without a leader that this node can hear.", float64(o.Offline)),
		count("millrace_leaderships_won_total", "Leaderships of shards that began here.", MetricCounter, n.Won),
		count("millrace_leaderships_lost_total", "Leaderships of shards that ended here.", MetricCounter, n.Lost),
		count("millrace_elections_total", "Elections of shards that were asked for out of turn here.", MetricCounter, n.Campaigns),
		count("millrace_replicas_retired_total", "Replicas here that found out that they had lost their log.", MetricCounter, n.Retired),
		count("millrace_snapshots_installed_total", "Snapshots of leaders that replicas here went on with.", MetricCounter, n.Snapshots),
	}
	lag := Metric{
		Name: "millrace_replica_lag_entries", Kind: MetricGauge,
		Help: "By how many entries the log of a node is behind, at most over the shards that are led from here.",
	}
	for _, l := range o.Lag {
		lag.Samples = append(lag.Samples, Sample{Labels: [][2]string{{"peer", strconv.Itoa(int(l.Node))}}, Value: float64(l.Entries)})
	}
	return append(append(list, lag), b.peerMetrics()...)
}

// peerMetrics are about the connections to the other nodes.
func (b *Broker) peerMetrics() []Metric {
	up := Metric{Name: "millrace_peer_up", Help: "1 while a node can be heard.", Kind: MetricGauge}
	waiting := Metric{Name: "millrace_peer_queue_bytes", Help: "Bytes that wait to be sent to a node, by stream.", Kind: MetricGauge}
	limit := Metric{Name: "millrace_peer_queue_limit_bytes", Help: "Bound of the bytes that wait to be sent to a node, by stream.", Kind: MetricGauge}
	sent := Metric{Name: "millrace_peer_sent_bytes_total", Help: "Bytes sent to a node, by stream.", Kind: MetricCounter}
	dials := Metric{Name: "millrace_peer_connections_total", Help: "Connections made to a node, by stream.", Kind: MetricCounter}
	if links := b.set.Links(); links != nil {
		for _, p := range links.Numbers() {
			peer := strconv.Itoa(int(p.Node))
			up.Samples = append(up.Samples, Sample{Labels: [][2]string{{"peer", peer}}, Value: flag(b.set.Alive(p.Node))})
			for _, s := range p.Streams {
				labels := [][2]string{{"peer", peer}, {"stream", s.Name}}
				waiting.Samples = append(waiting.Samples, Sample{Labels: labels, Value: float64(s.Queued)})
				limit.Samples = append(limit.Samples, Sample{Labels: labels, Value: float64(s.Limit)})
				sent.Samples = append(sent.Samples, Sample{Labels: labels, Value: float64(s.Sent)})
				dials.Samples = append(dials.Samples, Sample{Labels: labels, Value: float64(s.Connections)})
			}
		}
	}
	return []Metric{up, waiting, limit, sent, dials}
}
