package main

import (
	"math"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"millrace/node"
	"millrace/node/host"
)

// metricsHandler serves what the broker tells of itself, and what the Go runtime tells of the process.
func metricsHandler(b *node.Broker) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(brokerCollector{b}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// brokerCollector asks the broker at every scrape. It describes nothing beforehand: which topics there are changes.
type brokerCollector struct{ broker *node.Broker }

func (c brokerCollector) Describe(chan<- *prometheus.Desc) {}

func (c brokerCollector) Collect(out chan<- prometheus.Metric) {
	for _, m := range c.broker.Metrics() {
		for _, s := range m.Samples {
			names, values := make([]string, len(s.Labels)), make([]string, len(s.Labels))
			for i, l := range s.Labels {
				names[i], values[i] = l[0], l[1]
			}
			d := prometheus.NewDesc(m.Name, m.Help, names, nil)
			switch {
			case s.Histogram != nil:
				out <- histogram(d, s.Histogram, s.Scale, values)
			case m.Kind == node.MetricCounter:
				out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, s.Value, values...)
			default:
				out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, s.Value, values...)
			}
		}
	}
}

// histogram turns buckets of powers of two into cumulative ones of the metric's unit.
func histogram(d *prometheus.Desc, h *host.HistogramCounts, scale float64, values []string) prometheus.Metric {
	buckets := map[float64]uint64{}
	var total uint64
	for i, n := range h.Buckets {
		total += uint64(n)
		if n > 0 {
			buckets[math.Ldexp(1, i)*scale] = total
		}
	}
	return prometheus.MustNewConstHistogram(d, total, float64(h.Sum)*scale, buckets, values...)
}
