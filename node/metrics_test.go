package node

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestMetrics(t *testing.T) {
	b := newBroker(t)
	cl := newClient(t, b)
	makeTopic(t, cl, "t", 2)
	for range 5 {
		produce(t, cl, &kgo.Record{Topic: "t", Value: []byte("x")})
	}
	readTopic(t, b, "t", 5)
	values := make(map[string]float64)
	last := ""
	for _, m := range b.Metrics() {
		if m.Name <= last || !strings.HasPrefix(m.Name, "millrace_") || !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s after %s: %q", m.Name, last, m.Help)
		}
		last = m.Name
		for _, s := range m.Samples {
			name := m.Name
			for _, l := range s.Labels {
				name += "," + l[1]
			}
			values[name] = s.Value
			if s.Histogram != nil {
				for _, n := range s.Histogram.Buckets {
					values[name] += float64(n)
				}
			}
		}
	}
	for name, least := range map[string]float64{
		"millrace_requests_total,Produce": 1, "millrace_request_seconds,Fetch": 1, "millrace_produced_batches_total": 1,
		"millrace_fetched_bytes_total": 60, "millrace_connections": 1, "millrace_topics": 1, "millrace_partitions_led": 2,
		"millrace_log_bytes": 60, "millrace_wal_write_seconds": 1, "millrace_wal_written_bytes_total": 4096,
		"millrace_space_for_produces": 1,
	} {
		if values[name] < least {
			t.Errorf("%s is %v, want at least %v", name, values[name], least)
		}
	}
}
