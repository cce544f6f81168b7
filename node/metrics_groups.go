package node

import "strconv"

// Bounds of what the metrics tell of single groups, since clients make groups as they like: so many groups, and so many
// partitions of groups, in the order of their names. millrace_group_lag_hidden says how many partitions have no place.
const (
	shownGroups     = 2_000
	shownPartitions = 5_000
)

// groupMetrics are what this node tells of the groups that it coordinates.
func (b *Broker) groupMetrics() []Metric {
	g := b.groups
	report := g.report.Load()
	groups := Metric{Name: "millrace_groups", Help: "Consumer groups that this node coordinates, by type and state.", Kind: MetricGauge}
	for _, c := range report.counts {
		groups.Samples = append(groups.Samples, Sample{Labels: [][2]string{{"state", c.State}, {"type", c.Type}}, Value: float64(c.Groups)})
	}
	list := []Metric{
		groups,
		{
			Name: "millrace_group_rebalances_total", Kind: MetricCounter,
			Help: "Rebalances that began, by type of group: of consumer groups, new group epochs.",
			Samples: []Sample{
				{Labels: [][2]string{{"type", "classic"}}, Value: float64(g.rebalances[0].Load())},
				{Labels: [][2]string{{"type", "consumer"}}, Value: float64(g.rebalances[1].Load())},
			},
		},
		count("millrace_group_offsets_committed_total", "Offsets that groups have committed.", MetricCounter, g.commits),
	}
	return append(list, report.lagMetrics()...)
}

// lagMetrics shows each group as a whole, and its partitions.
func (r *groupReport) lagMetrics() []Metric {
	gauge := func(name, help string) Metric { return Metric{Name: name, Help: help, Kind: MetricGauge} }
	records := gauge("millrace_group_lag_records", "Records that a group has not committed, over all its partitions.")
	seconds := gauge("millrace_group_lag_seconds", "Age of the oldest record that a group has not committed.")
	eachRecords := gauge("millrace_group_partition_lag_records", "Records of a partition that a group has not committed.")
	eachSeconds := gauge("millrace_group_partition_lag_seconds", "Age of the oldest record of a partition that a group has not committed.")
	hidden := r.omitted
	partitions := 0
	for i := 0; i < len(r.lags); {
		first := i
		var sum int64
		oldest := -1.0
		for ; i < len(r.lags) && r.lags[i].Group == r.lags[first].Group; i++ {
			l := &r.lags[i]
			if l.lag() < 0 {
				continue // its leader did not answer
			}
			sum, oldest = sum+l.lag(), max(oldest, l.seconds)
			if partitions == shownPartitions {
				hidden++
				continue
			}
			partitions++
			labels := [][2]string{{"group", l.Group}, {"partition", strconv.Itoa(int(l.Partition))}, {"topic", l.Topic}}
			eachRecords.Samples = append(eachRecords.Samples, Sample{Labels: labels, Value: float64(l.lag())})
			if l.seconds >= 0 {
				eachSeconds.Samples = append(eachSeconds.Samples, Sample{Labels: labels, Value: l.seconds})
			}
		}
		if len(records.Samples) == shownGroups {
			continue
		}
		labels := [][2]string{{"group", r.lags[first].Group}}
		records.Samples = append(records.Samples, Sample{Labels: labels, Value: float64(sum)})
		if oldest >= 0 {
			seconds.Samples = append(seconds.Samples, Sample{Labels: labels, Value: oldest})
		}
	}
	return []Metric{
		records, seconds, eachRecords, eachSeconds,
		number("millrace_group_lag_hidden", "Partitions of groups whose lag is not shown, since there are too many.", float64(hidden)),
	}
}
