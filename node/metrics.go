package node

import (
	"cmp"
	"slices"

	"millrace/net/wire"
	"millrace/node/host"
)

// MetricKind says how a metric is read.
type MetricKind uint8

// The kinds of metrics.
const (
	MetricCounter MetricKind = iota // only grows
	MetricGauge
	MetricHistogram
)

// Metric is a number, or a family of numbers told apart by labels, in the manner of Prometheus. The families of a node are
// always the same; which samples they have depends on what there is.
type Metric struct {
	// Name begins with "millrace_"; Help is a sentence.
	Name, Help string
	Kind       MetricKind
	Samples    []Sample
	// Buckets are the exponents of the first and the last power of two that a histogram shows, in its own unit: always the
	// same ones, since sums over histograms with different buckets are wrong.
	Buckets [2]int
}

// Sample is one number of a Metric.
type Sample struct {
	// Labels are name and value, sorted by name.
	Labels [][2]string
	Value  float64
	// Histogram is set for histograms; Scale is the unit of its values in that of the metric (1e-9: nanoseconds shown
	// as seconds).
	Histogram *host.HistogramCounts
	Scale     float64
}

// Buckets of histograms.
var (
	bucketsOfTime  = [2]int{14, 35} // nanoseconds: 16 µs to 34 s
	bucketsOfBytes = [2]int{12, 26} // 4 KiB to 64 MiB
	bucketsOfCount = [2]int{0, 12}
)

// metrics are what the node counts itself. The server, the shards, the links and the write-ahead log count their own.
type metrics struct {
	tasks  host.Tasks
	apis   []*apiNumbers // filled before any request
	errors []*host.Counter

	produced, fetched             *host.Counter // bytes of record batches
	producedBatches, fetchedParts *host.Counter
	sessionEvictions              *host.Counter
}

// lastError is the highest error code that is counted on its own.
const lastError = 140

func newMetrics(tasks host.Tasks) *metrics {
	counter := func() *host.Counter { return host.NewCounter(tasks) }
	m := &metrics{
		tasks: tasks, produced: counter(), fetched: counter(), producedBatches: counter(), fetchedParts: counter(),
		sessionEvictions: counter(),
	}
	for range lastError + 2 {
		m.errors = append(m.errors, counter())
	}
	return m
}

// failed counts an error that was answered.
func (m *metrics) failed(code wire.ErrorCode) {
	if i := int(code) + 1; code != wire.ErrNone && i >= 0 && i < len(m.errors) {
		m.errors[i].Add(1)
	}
}

// Metrics returns all numbers of the node as they are now, sorted by name.
func (b *Broker) Metrics() []Metric {
	overview := b.overview()
	list := slices.Concat(
		b.requestMetrics(), b.connectionMetrics(), b.trafficMetrics(&overview), b.storageMetrics(&overview),
		b.clusterMetrics(&overview), b.memoryMetrics(), b.groupMetrics(),
	)
	slices.SortStableFunc(list, func(a, b Metric) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func count(name, help string, kind MetricKind, c *host.Counter) Metric {
	return Metric{Name: name, Help: help, Kind: kind, Samples: []Sample{{Value: float64(c.Load())}}}
}

func number(name, help string, v float64) Metric {
	return Metric{Name: name, Help: help, Kind: MetricGauge, Samples: []Sample{{Value: v}}}
}

// histogram of values whose unit is scale in that of the metric.
func histogram(name, help string, counts host.HistogramCounts, scale float64, buckets [2]int) Metric {
	return Metric{Name: name, Help: help, Kind: MetricHistogram, Buckets: buckets, Samples: []Sample{{Histogram: &counts, Scale: scale}}}
}

// family has a sample for each value of one label.
func family(name, help string, kind MetricKind, label string, samples ...labelled) Metric {
	m := Metric{Name: name, Help: help, Kind: kind}
	for _, s := range samples {
		m.Samples = append(m.Samples, Sample{Labels: [][2]string{{label, s.label}}, Value: s.value})
	}
	return m
}

type labelled struct {
	label string
	value float64
}

func flag(v bool) float64 {
	if v {
		return 1
	}
	return 0
}
