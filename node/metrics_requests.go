package node

import (
	"millrace/net/wire"
	"millrace/node/host"
	"millrace/node/shard"
)

// phase is a part of a request's way.
type phase uint8

const (
	phaseQueue     phase = iota // arrived, and not yet begun; a produce: checked, and on its way into an entry
	phaseHandle                 // worked on
	phaseWait                   // for something else: new records, other members of a group, the log
	phaseSync                   // a produce: until it is durable here
	phaseReplicate              // and on a majority, beyond that
	phaseApply                  // and visible
	phaseAnswer                 // until the answer is ready, those before it on the connection included
	phaseSend                   // until the kernel has taken the answer
	phases
)

var phaseNames = [phases]string{"queue", "handle", "wait", "sync", "replicate", "apply", "answer", "send"}

// apiNumbers are counted for each API.
type apiNumbers struct {
	name     string
	requests *host.Counter
	latency  *host.Histogram         // nanoseconds from the whole request to its answer being ready
	phases   [phases]*host.Histogram // nil: the API has no such phase
	// weight is what large answers of the API took in memory lately.
	weight *host.Counter
}

func (m *metrics) api(name string, staged bool) *apiNumbers {
	n := &apiNumbers{name: name, requests: host.NewCounter(m.tasks), latency: host.NewHistogram(m.tasks), weight: host.NewCounter(m.tasks)}
	has := []phase{phaseQueue, phaseHandle, phaseWait, phaseSend}
	if staged {
		has = []phase{phaseQueue, phaseSync, phaseReplicate, phaseApply, phaseAnswer, phaseSend}
	}
	for _, p := range has {
		n.phases[p] = host.NewHistogram(m.tasks)
	}
	m.apis = append(m.apis, n)
	return n
}

// observe counts a call whose answer is ready.
func (n *apiNumbers) observe(c *call) {
	n.requests.Add(1)
	n.latency.Observe(int64(c.ready.Sub(c.Arrived)))
	if n.phases[phaseSync] != nil {
		n.observeStages(c)
		return
	}
	n.phases[phaseQueue].Observe(int64(c.begun.Sub(c.Arrived)))
	n.phases[phaseWait].Observe(int64(c.waited))
	n.phases[phaseHandle].Observe(int64(c.ready.Sub(c.begun) - c.waited))
}

// observeStages counts the way of a request through the log. A stage that it did not come to, or that was over before the
// one in front of it, took no time; what was refused took all of it to be answered.
func (n *apiNumbers) observeStages(c *call) {
	at, t := c.Arrived, c.times
	for _, s := range [...]struct {
		phase phase
		end   host.Instant
	}{{phaseQueue, t.Proposed}, {phaseSync, t.Durable}, {phaseReplicate, t.Committed}, {phaseApply, t.Applied}} {
		if s.end == 0 {
			continue
		}
		n.phases[s.phase].Observe(int64(max(s.end.Sub(at), 0)))
		at = max(at, s.end)
	}
	n.phases[phaseAnswer].Observe(int64(max(c.ready.Sub(at), 0)))
}

// weigh notes what an answer takes in memory. A smaller one than before makes the note smaller only bit by bit.
func (n *apiNumbers) weigh(parts []host.Part) {
	var size int64
	for _, p := range parts {
		size += int64(len(p.Bytes))
	}
	switch was := n.weight.Load(); {
	case size > was:
		n.weight.Add(size - was)
	case was > leastWeight:
		n.weight.Add((size - was) / 8)
	}
}

// leastWeight is what is not worth a note.
const leastWeight = 4 << 10

// sent counts a call whose answer has left.
func (n *apiNumbers) sent(c *call) {
	n.phases[phaseSend].Observe(int64(c.now().Sub(c.ready)))
}

// later says which of two ways through the log was the longer one.
func later(a, b shard.Times) shard.Times {
	if max(b.Applied, b.Durable) > max(a.Applied, a.Durable) {
		return b
	}
	return a
}

func (b *Broker) requestMetrics() []Metric {
	requests := Metric{Name: "millrace_requests_total", Help: "Requests by API.", Kind: MetricCounter}
	latency := Metric{
		Name: "millrace_request_seconds", Kind: MetricHistogram, Buckets: bucketsOfTime,
		Help: "Time from a request being received to its answer being ready, by API.",
	}
	parts := Metric{
		Name: "millrace_request_phase_seconds", Kind: MetricHistogram, Buckets: bucketsOfTime,
		Help: "Time of the parts of a request's way, by API and phase.",
	}
	for _, a := range b.metrics.apis {
		n := a.requests.Load()
		requests.Samples = append(requests.Samples, Sample{Labels: [][2]string{{"api", a.name}}, Value: float64(n)})
		if n == 0 {
			continue
		}
		counts := a.latency.Load()
		latency.Samples = append(latency.Samples, Sample{Labels: [][2]string{{"api", a.name}}, Histogram: &counts, Scale: 1e-9})
		for p, h := range a.phases {
			if h == nil {
				continue
			}
			counts := h.Load()
			labels := [][2]string{{"api", a.name}, {"phase", phaseNames[p]}}
			parts.Samples = append(parts.Samples, Sample{Labels: labels, Histogram: &counts, Scale: 1e-9})
		}
	}
	return []Metric{requests, latency, parts, b.errorCounts()}
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
