package config

import (
	"slices"
	"strings"
	"testing"
)

func TestTablesAreSortedAndTheirDefaultsValid(t *testing.T) {
	for _, table := range [][]Key{topicKeys, brokerKeys} {
		if !slices.IsSortedFunc(table, func(a, b Key) int { return strings.Compare(a.Name, b.Name) }) {
			t.Fatal("a table is not sorted by name")
		}
		for _, k := range table {
			if k.Doc == "" {
				t.Errorf("%s has no documentation", k.Name)
			}
			if !k.Null && k.Name != "broker.id" {
				if v, err := k.Canonical(k.Default); err != nil || v != k.Default {
					t.Errorf("default of %s: %q, %v", k.Name, v, err)
				}
			}
			for _, f := range k.Brokers {
				if BrokerKey(f.name) == nil {
					t.Errorf("%s falls back to %s, which is not known", k.Name, f.name)
				}
			}
		}
	}
	if public := len(topicKeys) - 1; public != 33 {
		t.Errorf("%d public topic configs, Kafka has 33", public)
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ name, value, want, refused string }{
		{"retention.ms", " 70000 ", "70000", ""},
		{"retention.ms", "-2", "", "Invalid value -2 for configuration retention.ms: Value must be at least -1"},
		{"retention.ms", "1.5", "", "Invalid value 1.5 for configuration retention.ms: Not a number of type LONG"},
		{"segment.bytes", "3000000000", "", "Invalid value 3000000000 for configuration segment.bytes: Not a number of type INT"},
		{"segment.bytes", " 7 ", "", "Invalid value 7 for configuration segment.bytes: Value must be at least 1048576"},
		{"cleanup.policy", "compact, delete,compact", "compact,delete", ""},
		{"cleanup.policy", "", "", ""},
		{"cleanup.policy", "keep", "", "Invalid value keep for configuration cleanup.policy: String must be one of: compact, delete"},
		{"compression.type", "zip", "", "Invalid value zip for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"},
		{"compression.gzip.level", "0", "", "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"},
		{"preallocate", "TRUE", "true", ""},
		{"preallocate", "1", "", "Invalid value 1 for configuration preallocate: Expected value to be either true or false"},
		{"min.cleanable.dirty.ratio", "1.5", "", "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{"remote.storage.enable", "true", "", "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."},
		{"leader.replication.throttled.replicas", "0:1,1:2", "0:1,1:2", ""},
		{"leader.replication.throttled.replicas", "0", "", "Invalid value [0] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."},
	} {
		got, err := TopicKey(c.name).Canonical(c.value)
		if got != c.want || (err == nil) != (c.refused == "") || err != nil && err.Error() != c.refused {
			t.Errorf("%s=%q: %q, %v", c.name, c.value, got, err)
		}
	}
}

func TestLayers(t *testing.T) {
	l := Layers{Static: Map{"log.retention.hours": "2", "log.segment.bytes": "2097152", "compression.type": "gzip"}}
	if got := l.Topic(Map(nil)); got.RetentionMs != 7_200_000 || got.SegmentBytes != 2097152 || got.Compression != "gzip" || got.Level != -1 || !got.Delete {
		t.Errorf("static: %+v", got)
	}
	l.Cluster = Map{"log.retention.ms": "5000"}
	if got := l.Topic(Map(nil)).RetentionMs; got != 5000 {
		t.Errorf("a finer unit and a higher layer must win: %d", got)
	}
	l.Broker = Map{"log.retention.ms": "6000"}
	overrides := Map{"cleanup.policy": "compact", "internal.segment.bytes": "1000"}
	if got := l.Topic(overrides); got.RetentionMs != 6000 || !got.Compact || got.Delete || got.SegmentBytes != 1000 {
		t.Errorf("overrides: %+v", got)
	}
	e := l.DescribeTopic(Map{"retention.ms": "7"}, []string{"retention.ms"})
	if len(e) != 1 || *e[0].Value != "7" || e[0].Source != TopicSource || len(e[0].Settings) != 5 {
		t.Errorf("describe: %+v", e)
	}
}

func TestAlter(t *testing.T) {
	k := TopicKey("cleanup.policy")
	if v, err := k.Alter(Append, nil, "compact"); err != nil || *v != "delete,compact" {
		t.Errorf("append: %v, %v", v, err)
	}
	if v, err := k.Alter(Subtract, nil, "delete"); err != nil || *v != "" {
		t.Errorf("subtract: %v, %v", v, err)
	}
	if _, err := TopicKey("retention.ms").Alter(Append, nil, "1"); err == nil || err.Error() != "Can't APPEND to key retention.ms because its type is not LIST." {
		t.Errorf("append to a number: %v", err)
	}
	if v, err := (*Key)(nil).Alter(Delete, nil, ""); v != nil || err != nil {
		t.Errorf("delete: %v, %v", v, err)
	}
}

func TestProperties(t *testing.T) {
	values, err := ParseProperties([]byte("# c\n! c\nnode.id = 7\r\nlog.dirs:/a\\\n   /b\nempty\nlog.retention.ms 5\nx=a\\u0041\\n\\=\ny\\=z=1"))
	want := map[string]string{"node.id": "7", "log.dirs": "/a/b", "empty": "", "log.retention.ms": "5", "x": "aA\n=", "y=z": "1"}
	if err != nil || len(values) != len(want) {
		t.Fatalf("%q, %v", values, err)
	}
	for k, v := range want {
		if values[k] != v {
			t.Errorf("%s = %q, want %q", k, values[k], v)
		}
	}
	known, unknown, err := CheckProperties(map[string]string{"node.id": "7", "zookeeper.connect": "x"})
	if err != nil || known["node.id"] != "7" || !slices.Equal(unknown, []string{"zookeeper.connect"}) {
		t.Errorf("%v %v %v", known, unknown, err)
	}
	if _, _, err = CheckProperties(map[string]string{"log.segment.bytes": "5"}); err == nil {
		t.Error("a value out of bounds passed")
	}
	if _, _, err = CheckProperties(map[string]string{"log.retention.mss": "5"}); err == nil || !strings.Contains(err.Error(), "did you mean log.retention.ms?") {
		t.Errorf("a typing error: %v", err)
	}
}

func FuzzParseProperties(f *testing.F) {
	f.Add([]byte("a=b\\\nc\\u12"))
	f.Fuzz(func(t *testing.T, text []byte) { ParseProperties(text) })
}

func TestNearest(t *testing.T) {
	for unknown, want := range map[string]string{
		"retention.mss": "retention.ms", "retention.milliseconds": "retention.ms", "clenup.policy": "cleanup.policy",
		"max.mesage.bytes": "max.message.bytes", "zookeeper": "", "min.isr": "min.insync.replicas",
	} {
		if got := Nearest(unknown, Names(TopicKeys())); got != want {
			t.Errorf("nearest to %s: %q, want %q", unknown, got, want)
		}
	}
}

// TestForeignKeys: what is known here is not Kafka's alone, and the table is sorted.
func TestForeignKeys(t *testing.T) {
	if !slices.IsSortedFunc(foreignKeys, func(a, b Key) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the table is not sorted by name")
	}
	if ForeignKey("num.network.threads") == nil || ForeignKey("log.retention.ms") != nil || ForeignKey("no.such.config") != nil {
		t.Error("which configs are Kafka's alone is wrong")
	}
}

// TestFamiliesAsKafka lists where a config has a value as Kafka 4.3.1 does.
func TestFamiliesAsKafka(t *testing.T) {
	describe := func(l Layers, name string) string {
		var parts []string
		for _, s := range l.DescribeBroker([]string{name}, false)[0].Settings {
			parts = append(parts, s.Name+"="+s.Value+" "+s.Source.String())
		}
		return strings.Join(parts, ", ")
	}
	for _, c := range []struct {
		l          Layers
		name, want string
	}{
		{Layers{}, "log.retention.ms", ""},
		{Layers{Cluster: Map{"log.retention.ms": "5"}}, "log.retention.ms", "log.retention.ms=5 DYNAMIC_DEFAULT_BROKER_CONFIG, log.retention.hours=168 DEFAULT_CONFIG"},
		{Layers{Cluster: Map{"log.retention.ms": "5"}}, "log.retention.hours", "log.retention.hours=168 DEFAULT_CONFIG"},
		{Layers{}, "log.flush.interval.ms", ""},
		{Layers{Static: Map{"node.id": "1"}}, "node.id", "node.id=1 STATIC_BROKER_CONFIG"},
	} {
		if got := describe(c.l, c.name); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	other := Layers{Broker: Map{"a.plugins.config": "secret"}, Cluster: Map{"background.threads": "3"}}
	list := other.DescribeBroker([]string{"a.plugins.config", "background.threads"}, false)
	if len(list) != 2 || !list[0].Key.Sensitive() || list[1].Key.Kind != Int || *list[1].Value != "3" || list[1].Source != ClusterSource {
		t.Errorf("configs that mean nothing here: %+v", list)
	}
}
