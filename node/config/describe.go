package config

import "slices"

// Entry is what DescribeConfigs says of one config.
type Entry struct {
	Key *Key
	// Value is nil when the config has none, or may hold a secret: see Key.Sensitive.
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
		if len(k.Brokers) > 0 {
			e.Settings = append(e.Settings, l.settings(BrokerKey(k.Brokers[0].name))...)
		}
		list = append(list, e)
	}
	return list
}

// DescribeBroker lists the broker's configs, by name. names chooses some; nil is all. With onlyCluster, what was set
// for all brokers is listed and nothing else. Kafka's configs that mean nothing here, and names that nobody knows, are
// listed when they were set dynamically.
func (l Layers) DescribeBroker(names []string, onlyCluster bool) []Entry {
	if onlyCluster {
		l.Broker, l.Static = nil, nil
	}
	var list []Entry
	for i := range brokerKeys {
		k := &brokerKeys[i]
		if !chosen(names, k.Name) {
			continue
		}
		e := Entry{Key: k, Source: DefaultSource, Settings: l.settings(k)}
		if onlyCluster {
			e.Settings = slices.DeleteFunc(e.Settings, func(s Setting) bool { return s.Source != ClusterSource })
			if len(e.Settings) == 0 || e.Settings[0].Name != k.Name {
				continue
			}
		}
		if len(e.Settings) > 0 {
			e.Value, e.Source = &e.Settings[0].Value, e.Settings[0].Source
		}
		list = append(list, e)
	}
	for _, name := range l.others() {
		if chosen(names, name) {
			list = append(list, l.describeOther(name))
		}
	}
	return list
}

// others are the names that are set dynamically and mean nothing here, sorted.
func (l Layers) others() []string {
	var names []string
	for _, values := range []Values{l.Broker, l.Cluster} {
		lister, ok := values.(Lister)
		if !ok {
			continue
		}
		for _, name := range lister.Names() {
			if BrokerKey(name) == nil {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (l Layers) describeOther(name string) Entry {
	k := ForeignKey(name)
	if k == nil {
		k = &Key{Name: name, Null: true, Fixed: true, Doc: "Not a config that is known."}
	}
	e := Entry{Key: k, Settings: l.settings(k)}
	e.Value, e.Source = &e.Settings[0].Value, e.Settings[0].Source
	return e
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
