package config

// Entry is what DescribeConfigs says of one config.
type Entry struct {
	Key *Key
	// Value is nil when the config has none, or holds a secret.
	Value  *string
	Source Source
	// Settings are all places where it has a value, what is in force first.
	Settings []Setting
}

// DescribeTopic lists a topic's configs, by name. names chooses some; nil is all. Unknown names are left out.
func (l Layers) DescribeTopic(overrides Values, names []string) []Entry {
	var list []Entry
	for i := range topicKeys {
		k := &topicKeys[i]
		own, isSet := overrides.Get(k.Name)
		if !chosen(names, k.Name) || k.Name == "internal.segment.bytes" && !isSet {
			continue
		}
		e := Entry{Key: k, Source: DefaultSource}
		if s, ok := l.topic(k, overrides); ok {
			e.Value, e.Source = &s.Value, s.Source
		}
		if isSet {
			e.Settings = append(e.Settings, Setting{k.Name, own, TopicSource})
		}
		for _, f := range k.Brokers {
			b := BrokerKey(f.name)
			if f.factor == 1 {
				e.Settings = append(e.Settings, l.settings(b)...)
			}
		}
		list = append(list, e)
	}
	return list
}

// DescribeBroker lists the broker's configs, by name. names chooses some; nil is all. With onlyCluster, what was set
// for all brokers is listed and nothing else.
func (l Layers) DescribeBroker(names []string, onlyCluster bool) []Entry {
	var list []Entry
	for i := range brokerKeys {
		k := &brokerKeys[i]
		if !chosen(names, k.Name) {
			continue
		}
		if onlyCluster {
			if l.Cluster == nil {
				continue
			}
			if v, ok := l.Cluster.Get(k.Name); ok {
				list = append(list, Entry{Key: k, Value: &v, Source: ClusterSource, Settings: []Setting{{k.Name, v, ClusterSource}}})
			}
			continue
		}
		e := Entry{Key: k, Source: DefaultSource, Settings: l.settings(k)}
		if len(e.Settings) > 0 {
			e.Value, e.Source = &e.Settings[0].Value, e.Settings[0].Source
		}
		list = append(list, e)
	}
	return list
}

func chosen(names []string, name string) bool {
	if names == nil {
		return true
	}
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}
