package config

import (
	"fmt"
	"regexp"
	"strings"
)

// MetricsKey returns the config of subscriptions to client metrics (KIP-714) of that name, nil if there is none.
func MetricsKey(name string) *Key { return find(metricsKeys, name) }

// MetricsKeys returns all configs of subscriptions to client metrics, by name.
func MetricsKeys() []Key { return metricsKeys }

const noMetrics = " Subscriptions are kept and told; clients are asked for nothing, since nothing here takes their metrics."

// metricsKeys is sorted by name and never changes.
var metricsKeys = []Key{
	{Name: "interval.ms", Kind: Int, Default: "300000", Doc: "How often clients send their metrics." + noMetrics},
	{Name: "match", Kind: List, Default: "", Doc: "Which clients send metrics, as a list of selector=pattern." + noMetrics},
	{Name: "metrics", Kind: List, Default: "", Doc: "Which metrics are sent, by the beginnings of their names." + noMetrics},
}

// selectors are what a match of client metrics can look at.
var selectors = map[string]bool{
	"client_instance_id": true, "client_id": true, "client_software_name": true,
	"client_software_version": true, "client_source_address": true, "client_source_port": true,
}

// CheckMetrics says what is wrong with a value for a subscription to client metrics.
func CheckMetrics(name, value string) error {
	switch name {
	case "interval.ms":
		n, err := MetricsKey(name).Canonical(value)
		if err != nil {
			return err
		}
		if len(n) > 7 || len(n) < 3 || n[0] == '-' || len(n) == 7 && n > "3600000" {
			return fmt.Errorf("Invalid value %s for %s, interval must be between 100 and 3600000 (1 hour)", n, name)
		}
	case "match":
		for _, pattern := range split(value) {
			selector, expression, ok := strings.Cut(pattern, "=")
			_, err := regexp.Compile(strings.TrimSpace(expression))
			if !ok || err != nil || !selectors[strings.TrimSpace(selector)] {
				return &Invalid{Name: name, Value: value, Why: "Illegal client matching pattern: " + pattern}
			}
		}
	}
	return nil
}

// DescribeMetrics lists the configs of a subscription to client metrics, by name. names chooses some; nil is all.
func DescribeMetrics(overrides Values, names []string) []Entry {
	var list []Entry
	for i := range metricsKeys {
		k := &metricsKeys[i]
		if !chosen(names, k.Name) {
			continue
		}
		e := Entry{Key: k, Value: &k.Default, Source: DefaultSource}
		if own, ok := overrides.Get(k.Name); ok {
			e.Value, e.Source, e.Settings = &own, MetricsSource, []Setting{{k.Name, own, MetricsSource}}
		}
		list = append(list, e)
	}
	return list
}
