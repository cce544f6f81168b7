package node

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/net/server"
	"millrace/node/host"
	"millrace/node/shard"
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
		"millrace_space_for_produces":             1,
		"millrace_topic_produced_records_total,t": 5, "millrace_topic_fetched_records_total,t": 5, "millrace_topic_produced_bytes_total,t": 60,
		"millrace_topic_fetched_bytes_total,t": 60, "millrace_topic_bytes,t": 60, "millrace_partitions_held": 2, "millrace_shards,leading": 3,
		"millrace_leaderships_won_total": 3, "millrace_wal_group_appends": 1, "millrace_disk_free_bytes": 1,
		"millrace_request_phase_seconds,Produce,queue": 1, "millrace_request_phase_seconds,Produce,sync": 1, "millrace_request_phase_seconds,Produce,apply": 1,
		"millrace_request_phase_seconds,Produce,send": 1, "millrace_request_phase_seconds,Fetch,wait": 1, "millrace_request_phase_seconds,Fetch,handle": 1,
	} {
		if values[name] < least {
			t.Errorf("%s is %v, want at least %v", name, values[name], least)
		}
	}
}

// TestPhasesAddUp has a produce whose stages are known, and ones that did not come to some of them.
func TestPhasesAddUp(t *testing.T) {
	h := newBroker(t).host
	for _, c := range []struct {
		name  string
		times shard.Times
		want  map[phase]int64
	}{
		{"all of them", shard.Times{Proposed: 110, Durable: 130, Committed: 160, Applied: 161},
			map[phase]int64{phaseQueue: 10, phaseSync: 20, phaseReplicate: 30, phaseApply: 1, phaseAnswer: 39}},
		{"on a majority before it is durable here", shard.Times{Proposed: 110, Durable: 170, Committed: 150, Applied: 171},
			map[phase]int64{phaseQueue: 10, phaseSync: 60, phaseReplicate: 0, phaseApply: 1, phaseAnswer: 29}},
		{"acks=1", shard.Times{Proposed: 110, Durable: 130}, map[phase]int64{phaseQueue: 10, phaseSync: 20, phaseAnswer: 70}},
		{"refused", shard.Times{}, map[phase]int64{phaseAnswer: 100}},
	} {
		m := newMetrics(h.Tasks)
		n := m.api("Produce", true)
		call := &call{Request: server.Request{Arrived: 100}, ready: 200, times: c.times}
		n.observe(call)
		var sum int64
		for p, have := range n.phases {
			if have == nil {
				continue
			}
			counts := have.Load()
			sum += counts.Sum
			want, passed := c.want[phase(p)]
			if counts.Sum != want || passed != (observations(counts) == 1) {
				t.Errorf("%s: %s is %d, want %d", c.name, phaseNames[p], counts.Sum, want)
			}
		}
		if total := n.latency.Load().Sum; sum != total || total != 100 {
			t.Errorf("%s: the phases take %d, the request %d", c.name, sum, total)
		}
	}
}

func observations(c host.HistogramCounts) (n int64) {
	for _, b := range c.Buckets {
		n += b
	}
	return n
}
