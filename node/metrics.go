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

// Metric is a number, or a family of numbers told apart by labels, in the manner of Prometheus.
type Metric struct {
	// Name begins with "millrace_"; Help is a sentence.
	Name, Help string
	Kind       MetricKind
	Samples    []Sample
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

// metrics are what the node counts itself. The server, the shards and the write-ahead log count their own.
type metrics struct {
	tasks  host.Tasks
	apis   []*apiNumbers // filled before any request
	errors []*host.Counter

	produced, fetched             *host.Counter // bytes of record batches
	producedBatches, fetchedParts *host.Counter
	sessionEvictions              *host.Counter
}

// apiNumbers are counted for each API.
type apiNumbers struct {
	name     string
	requests *host.Counter
	latency  *host.Histogram // nanoseconds from the whole request to its answer being ready
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

func (m *metrics) api(name string) *apiNumbers {
	n := &apiNumbers{name: name, requests: host.NewCounter(m.tasks), latency: host.NewHistogram(m.tasks)}
	m.apis = append(m.apis, n)
	return n
}

// failed counts an error that was answered.
func (m *metrics) failed(code wire.ErrorCode) {
	if i := int(code) + 1; code != wire.ErrNone && i >= 0 && i < len(m.errors) {
		m.errors[i].Add(1)
	}
}

// Metrics returns all numbers of the node as they are now.
func (b *Broker) Metrics() []Metric {
	m, n := b.metrics, b.server.Numbers
	image := b.set.Catalog()
	var partitions int
	for _, t := range image.Topics.All {
		partitions += len(t.Partitions)
	}
	list := []Metric{
		b.requestCounts(), b.requestLatencies(), b.errorCounts(),
		count("millrace_received_bytes_total", "Bytes of requests.", MetricCounter, n.BytesIn),
		count("millrace_sent_bytes_total", "Bytes of answers.", MetricCounter, n.BytesOut),
		count("millrace_produced_bytes_total", "Bytes of record batches accepted from producers.", MetricCounter, m.produced),
		count("millrace_produced_batches_total", "Record batches accepted from producers.", MetricCounter, m.producedBatches),
		count("millrace_fetched_bytes_total", "Bytes of record batches given to consumers.", MetricCounter, m.fetched),
		count("millrace_fetched_ranges_total", "Partitions with records in answers to fetches.", MetricCounter, m.fetchedParts),
		count("millrace_connections", "Open client connections.", MetricGauge, n.Connections),
		count("millrace_connections_accepted_total", "Client connections ever accepted.", MetricCounter, n.Accepted),
		count("millrace_connections_refused_total", "Client connections closed because there were too many.", MetricCounter, n.Refused),
		count("millrace_malformed_requests_total", "Connections closed because of a request that cannot be.", MetricCounter, n.Malformed),
		count("millrace_requests_in_flight_bytes", "Bytes of requests that are not answered yet.", MetricGauge, n.InFlightBytes),
		count("millrace_fetch_sessions", "Incremental fetch sessions.", MetricGauge, b.sessions.count),
		count("millrace_fetch_sessions_evicted_total", "Incremental fetch sessions that had to make room.", MetricCounter, b.sessions.evictions),
		number("millrace_topics", "Topics in the catalog.", float64(image.Topics.Len())),
		number("millrace_partitions", "Partitions in the catalog.", float64(partitions)),
		number("millrace_catalog_index", "The last applied change of the catalog.", float64(image.Index)),
		number("millrace_buffers_out_bytes", "Counted memory that is in use.", float64(b.host.Buffers.Out())),
	}
	list = append(list, b.storageMetrics()...)
	slices.SortStableFunc(list, func(a, b Metric) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func count(name, help string, kind MetricKind, c *host.Counter) Metric {
	return Metric{Name: name, Help: help, Kind: kind, Samples: []Sample{{Value: float64(c.Load())}}}
}

func number(name, help string, v float64) Metric {
	return Metric{Name: name, Help: help, Kind: MetricGauge, Samples: []Sample{{Value: v}}}
}

func (b *Broker) requestCounts() Metric {
	m := Metric{Name: "millrace_requests_total", Help: "Requests by API.", Kind: MetricCounter}
	for _, a := range b.metrics.apis {
		m.Samples = append(m.Samples, Sample{Labels: [][2]string{{"api", a.name}}, Value: float64(a.requests.Load())})
	}
	return m
}

func (b *Broker) requestLatencies() Metric {
	m := Metric{
		Name: "millrace_request_seconds", Kind: MetricHistogram,
		Help: "Time from a request being received to its answer being ready, by API.",
	}
	for _, a := range b.metrics.apis {
		if counts := a.latency.Load(); a.requests.Load() > 0 {
			m.Samples = append(m.Samples, Sample{Labels: [][2]string{{"api", a.name}}, Histogram: &counts, Scale: 1e-9})
		}
	}
	return m
}

func (b *Broker) errorCounts() Metric {
	m := Metric{Name: "millrace_errors_total", Help: "Errors in answers to produces and fetches, by error.", Kind: MetricCounter}
	for i, c := range b.metrics.errors {
		if v := c.Load(); v > 0 {
			m.Samples = append(m.Samples, Sample{Labels: [][2]string{{"error", wire.ErrorCode(i - 1).String()}}, Value: float64(v)})
		}
	}
	return m
}
