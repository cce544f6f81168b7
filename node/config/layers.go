package config

import (
	"slices"
	"strconv"

	"millrace/node/host/mutant"
)

// Source says where a value comes from, with the numbers that DescribeConfigs uses.
type Source int8

// The sources of values, DescribeConfigs versions 1 and later.
const (
	TopicSource   Source = 1
	BrokerSource  Source = 2 // set for one broker
	ClusterSource Source = 3 // set for all brokers
	StaticSource  Source = 4 // the properties file or the command line
	DefaultSource Source = 5
	MetricsSource Source = 7 // set for a subscription of client metrics
	GroupSource   Source = 8 // set for a group
)

// String is Kafka's name of the source.
func (s Source) String() string {
	names := map[Source]string{
		TopicSource: "DYNAMIC_TOPIC_CONFIG", BrokerSource: "DYNAMIC_BROKER_CONFIG", ClusterSource: "DYNAMIC_DEFAULT_BROKER_CONFIG",
		StaticSource: "STATIC_BROKER_CONFIG", DefaultSource: "DEFAULT_CONFIG", MetricsSource: "DYNAMIC_CLIENT_METRICS_CONFIG",
		GroupSource: "DYNAMIC_GROUP_CONFIG",
	}
	return names[s]
}

// Values are settings by name.
type Values interface {
	// Get returns the value that was set for a name.
	Get(name string) (string, bool)
}

// Lister is Values that can tell all names that are set, sorted. Layers whose values are no listers show no names that
// are not known.
type Lister interface {
	Values
	Names() []string
}

// Map is Values in a map, which is only read.
type Map map[string]string

// Get implements Values.
func (m Map) Get(name string) (string, bool) { v, ok := m[name]; return v, ok }

// Names implements Lister.
func (m Map) Names() []string { return sortedNames(m) }

// Layers are the settings of a broker from which what is in force is computed. Nil is an empty layer.
type Layers struct {
	Broker, Cluster, Static Values
}

// Setting is one place where a config has a value.
type Setting struct {
	Name   string
	Value  string
	Source Source
}

// families are the broker configs that say the same in different units, the finest first.
var families = [][]string{
	{"log.flush.interval.ms", "log.flush.scheduler.interval.ms"},
	{"log.retention.ms", "log.retention.minutes", "log.retention.hours"},
	{"log.roll.jitter.ms", "log.roll.jitter.hours"},
	{"log.roll.ms", "log.roll.hours"},
}

// family is a broker config with those that say the same.
func family(name string) []string {
	for _, f := range families {
		if slices.Contains(f, name) && name != "log.flush.scheduler.interval.ms" {
			return f
		}
	}
	return []string{name}
}

// settings lists where a broker config has a value, what is in force first: its own in the highest layer, then those of
// its family, as Kafka does. It begins with one of its own, or is empty.
func (l Layers) settings(k *Key) []Setting {
	var list []Setting
	if mutant.On("config-broker-below-cluster") {
		l.Broker, l.Cluster = l.Cluster, l.Broker
	}
	names := family(k.Name)
	for _, layer := range [...]struct {
		values Values
		source Source
	}{{l.Broker, BrokerSource}, {l.Cluster, ClusterSource}, {l.Static, StaticSource}} {
		if layer.values == nil {
			continue
		}
		for _, name := range names {
			if v, ok := layer.values.Get(name); ok {
				list = append(list, Setting{name, v, layer.source})
			}
		}
	}
	for _, name := range names {
		of := k
		if name != k.Name {
			of = BrokerKey(name)
		}
		if !of.Null {
			list = append(list, Setting{name, of.Default, DefaultSource})
		}
	}
	first := slices.IndexFunc(list, func(s Setting) bool { return s.Name == k.Name })
	if first < 0 {
		return nil
	}
	return list[first:]
}

// value is the broker config in force; ok is false when it has no value.
func (l Layers) value(name string) (s Setting, ok bool) {
	k := BrokerKey(name)
	if k == nil {
		return Setting{}, false
	}
	list := l.settings(k)
	if len(list) == 0 {
		return Setting{}, false
	}
	return list[0], true
}

// Int is a broker config of a numeric kind; 0 when it has no value.
func (l Layers) Int(name string) int64 {
	s, _ := l.value(name)
	n, _ := strconv.ParseInt(s.Value, 10, 64)
	return n
}

// Bool is a broker config of kind Boolean.
func (l Layers) Bool(name string) bool {
	s, _ := l.value(name)
	return s.Value == "true"
}

// String is a broker config of any kind; "" when it has no value.
func (l Layers) String(name string) string {
	s, _ := l.value(name)
	return s.Value
}

// topic is the topic config in force, in the topic config's own unit.
func (l Layers) topic(k *Key, overrides Values) (s Setting, ok bool) {
	if v, set := overrides.Get(k.Name); set {
		return Setting{k.Name, v, TopicSource}, true
	}
	def, hasDefault := Setting{k.Name, k.Default, DefaultSource}, !k.Null
	for _, f := range k.Brokers {
		set, ok := l.value(f.name)
		if !ok {
			continue
		}
		if f.factor != 1 {
			set.Value = scale(set.Value, f.factor)
		}
		if set.Source != DefaultSource {
			return set, true
		}
	}
	return def, hasDefault
}

// scale turns a number of coarse units into fine ones; negative numbers mean no bound and become -1.
func scale(value string, factor int64) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return "-1"
	}
	return strconv.FormatInt(n*factor, 10)
}
