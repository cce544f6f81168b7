package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"millrace/node"
	"millrace/node/host/machine"
)

var update = flag.Bool("update", false, "write the table of metrics anew")

// startHere runs a broker in this process.
func startHere(t *testing.T) *node.Broker {
	t.Helper()
	h, wait, err := machine.New(machine.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := node.Start(h, node.Config{Listen: "127.0.0.1:0", WALFileBytes: 1 << 20, WALFirstBytes: 1 << 20, WALMaxBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Close()
		wait()
	})
	return b
}

// known are the names under which Prometheus has samples, with the kinds of the families.
func known(t *testing.T, b *node.Broker) map[string]node.MetricKind {
	t.Helper()
	names := map[string]node.MetricKind{}
	for _, m := range allMetrics(b) {
		if _, double := names[m.Name]; double {
			t.Errorf("%s comes twice", m.Name)
		}
		names[m.Name] = m.Kind
		if m.Kind == node.MetricHistogram {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				names[m.Name+suffix] = m.Kind
			}
		}
	}
	families, err := newRegistry(func() *node.Broker { return b }).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		name := f.GetName()
		if _, ours := names[name]; !ours {
			names[name] = node.MetricGauge
			names[name+"_sum"], names[name+"_count"] = node.MetricGauge, node.MetricGauge
		}
	}
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var metricName = regexp.MustCompile(`\b(millrace|go|process)_[a-z0-9_]+\b`)

func TestMetricsOfDashboardAndAlertsExist(t *testing.T) {
	names := known(t, startHere(t))
	var dashboard struct {
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
		Templating struct{ List []struct{ Query string } }
	}
	if err := json.Unmarshal([]byte(read(t, "grafana.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	type expression struct{ where, text string }
	var all []expression
	for _, v := range dashboard.Templating.List {
		all = append(all, expression{"variable", v.Query})
	}
	for _, p := range dashboard.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			all = append(all, expression{p.Title, target.Expr})
		}
	}
	alert, alerts := "", 0
	for line := range strings.Lines(read(t, "alerts.yml")) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "- alert: "); ok {
			alert, alerts = name, alerts+1
		}
		if strings.HasPrefix(line, "expr: ") || strings.HasPrefix(line, "summary: ") || strings.HasPrefix(line, "action: ") {
			all = append(all, expression{alert, line})
		}
	}
	if alerts < 15 || len(all) < 50 {
		t.Errorf("%d alerts and %d expressions were found", alerts, len(all))
	}
	rates := regexp.MustCompile(`\b(?:rate|increase)\((\w+)`)
	for _, e := range all {
		for _, name := range metricName.FindAllString(e.text, -1) {
			if _, ok := names[name]; !ok {
				t.Errorf("%s: there is no metric %s", e.where, name)
			}
		}
		for _, m := range rates.FindAllStringSubmatch(e.text, -1) {
			if strings.HasPrefix(m[1], "millrace_") && names[m[1]] == node.MetricGauge {
				t.Errorf("%s: %s can fall, so it has no rate", e.where, m[1])
			}
		}
	}
}

func TestMetricsAreDocumented(t *testing.T) {
	list := allMetrics(startHere(t))
	slices.SortFunc(list, func(a, b node.Metric) int { return strings.Compare(a.Name, b.Name) })
	kinds := map[node.MetricKind]string{node.MetricCounter: "counter", node.MetricGauge: "gauge", node.MetricHistogram: "histogram"}
	table := "| metric | kind | |\n|---|---|---|\n"
	for _, m := range list {
		if !strings.HasSuffix(m.Help, ".") || !strings.HasPrefix(m.Name, "millrace_") {
			t.Errorf("%s: %q", m.Name, m.Help)
		}
		if counter := strings.HasSuffix(m.Name, "_total") && m.Name != "millrace_disk_total_bytes"; counter != (m.Kind == node.MetricCounter) {
			t.Errorf("%s: counters, and nothing else, end in _total", m.Name)
		}
		table += fmt.Sprintf("| `%s` | %s | %s |\n", m.Name, kinds[m.Kind], m.Help)
	}
	text := read(t, "metrics.md")
	const begin, end = "<!-- metrics -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(text, begin)
	have, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/metrics.md has no place for the table")
	}
	if have == table {
		return
	}
	if *update {
		if err := os.WriteFile("../../docs/metrics.md", []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("docs/metrics.md does not have the metrics as they are: go test ./cmd/millrace -run Metrics -update")
}

func TestScrape(t *testing.T) {
	b := startHere(t)
	w := &web{}
	get := func(path string) (int, string) {
		t.Helper()
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", metricsHandler(w.broker.Load))
		mux.HandleFunc("GET /healthz", w.healthz)
		mux.HandleFunc("GET /readyz", w.readyz)
		s := httptest.NewServer(mux)
		defer s.Close()
		r, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(text)
	}
	if code, text := get("/metrics"); code != 200 || !strings.Contains(text, "\nmillrace_up 0\n") {
		t.Errorf("metrics while the broker starts: %d, %.300s", code, text)
	}
	if code, text := get("/readyz"); code != 503 || !strings.Contains(text, "NO  started") {
		t.Errorf("ready while it starts: %d, %s", code, text)
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("health while it starts: %d", code)
	}
	w.started(b)
	if code, text := get("/readyz"); code != 200 || !strings.Contains(text, "ok  caught up: 1 of 1 shards in sync") {
		t.Errorf("ready: %d, %s", code, text)
	}
	_, text := get("/metrics")
	for _, line := range []string{"millrace_up 1", `millrace_shards{state="leading"} 1`, `millrace_wal_write_seconds_bucket{le="1.6384e-05"} `,
		`millrace_wal_write_seconds_bucket{le="34.359738368"} `, "millrace_space_for_produces 1", `node="1"`} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in the metrics", line)
		}
	}
	w.stop()
	var answer struct {
		Ready      bool
		Conditions []node.Condition
	}
	if code, text := get("/readyz?json"); code != 503 || json.Unmarshal([]byte(text), &answer) != nil || answer.Ready || len(answer.Conditions) < 8 {
		t.Errorf("ready when it was told to stop: %d, %s", code, text)
	}
}
