package main

import (
	"math"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"millrace/node"
	"millrace/node/host"
)

// scrapesAtOnce bounds the scrapes that are answered side by side: each of them looks at every partition.
const scrapesAtOnce = 2

// metricsHandler serves what the broker tells of itself, and what the Go runtime tells of the process.
func metricsHandler(broker func() *node.Broker) http.Handler {
	return promhttp.HandlerFor(newRegistry(broker), promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce})
}

func newRegistry(broker func() *node.Broker) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(brokerCollector{broker}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// brokerCollector asks the broker at every scrape. It describes nothing beforehand: which topics there are changes.
type brokerCollector struct{ broker func() *node.Broker }

func (c brokerCollector) Describe(chan<- *prometheus.Desc) {}

func (c brokerCollector) Collect(out chan<- prometheus.Metric) {
	for _, m := range allMetrics(c.broker()) {
		for _, s := range m.Samples {
			names, values := make([]string, len(s.Labels)), make([]string, len(s.Labels))
			for i, l := range s.Labels {
				names[i], values[i] = l[0], l[1]
			}
			d := prometheus.NewDesc(m.Name, m.Help, names, nil)
			switch {
			case s.Histogram != nil:
				out <- histogram(d, s, m.Buckets, values)
			case m.Kind == node.MetricCounter:
				out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, s.Value, values...)
			default:
				out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, s.Value, values...)
			}
		}
	}
}

// allMetrics are those of the process and of the broker, which is nil while it starts.
func allMetrics(b *node.Broker) []node.Metric {
	v, id := readVersion(), ""
	up := 0.0
	var list []node.Metric
	if b != nil {
		id, up = strconv.Itoa(int(b.NodeID())), 1
		list = b.Metrics()
	}
	return append(list,
		node.Metric{Name: "millrace_build_info", Help: "Always 1, with the version, the commit and Go's version of this binary, and the node's id.",
			Kind: node.MetricGauge, Samples: []node.Sample{{Value: 1, Labels: [][2]string{
				{"commit", v.Commit}, {"goversion", v.Go}, {"node", id}, {"version", v.Version}}}}},
		node.Metric{Name: "millrace_up", Help: "1 when the broker has started, 0 while it waits for others or recovers.",
			Kind: node.MetricGauge, Samples: []node.Sample{{Value: up}}},
	)
}

// histogram turns buckets of powers of two into cumulative ones of the metric's unit. Which buckets are shown is fixed:
// what is below the first counts in it, what is above the last only in the total.
func histogram(d *prometheus.Desc, s node.Sample, shown [2]int, values []string) prometheus.Metric {
	buckets := make(map[float64]uint64, shown[1]-shown[0]+1)
	var total uint64
	for i := range host.HistogramBuckets {
		total += uint64(s.Histogram.Buckets[i])
		if i >= shown[0] && i <= shown[1] {
			buckets[math.Ldexp(1, i)*s.Scale] = total
		}
	}
	return prometheus.MustNewConstHistogram(d, total, float64(s.Histogram.Sum)*s.Scale, buckets, values...)
}
