package config

import (
	"fmt"
	"strconv"
)

// GroupKey returns the group config of that name, nil if it means nothing here.
func GroupKey(name string) *Key { return find(groupKeys, name) }

// GroupKeys returns all group configs, by name.
func GroupKeys() []Key { return groupKeys }

// groupKeys is sorted by name and never changes.
var groupKeys = []Key{
	{Name: "consumer.assignment.interval.ms", Kind: Int, Default: "1000", Brokers: from("group.consumer.assignment.interval.ms"),
		check: atLeast(0), Doc: "How long a target assignment of the consumer group lasts at least before the next one is computed."},
	{Name: "consumer.heartbeat.interval.ms", Kind: Int, Default: "5000", Brokers: from("group.consumer.heartbeat.interval.ms"),
		check: atLeast(1), Doc: "How often members of the consumer group are told to send heartbeats."},
	{Name: "consumer.session.timeout.ms", Kind: Int, Default: "45000", Brokers: from("group.consumer.session.timeout.ms"),
		check: atLeast(1), Doc: "How long a member of the consumer group may be silent."},
}

// DescribeGroup lists a group's configs, by name. names chooses some; nil is all.
func (l Layers) DescribeGroup(overrides Values, names []string) []Entry {
	var list []Entry
	for i := range groupKeys {
		k := &groupKeys[i]
		if !chosen(names, k.Name) {
			continue
		}
		e := Entry{Key: k}
		if own, ok := overrides.Get(k.Name); ok {
			e.Settings = append(e.Settings, Setting{k.Name, own, GroupSource})
		}
		e.Settings = append(e.Settings, l.settings(BrokerKey(k.Brokers[0].name))...)
		e.Value, e.Source = &e.Settings[0].Value, e.Settings[0].Source
		list = append(list, e)
	}
	return list
}

// CheckGroup says what is wrong with a group's configs as a whole: each must be within the broker's bounds, and a session
// must be longer than the time between heartbeats.
func (l Layers) CheckGroup(overrides Values) error {
	value := func(k *Key) int64 {
		if own, ok := overrides.Get(k.Name); ok {
			n, _ := strconv.ParseInt(own, 10, 64)
			return n
		}
		return l.Int(k.Brokers[0].name)
	}
	for i := range groupKeys {
		k := &groupKeys[i]
		if _, ok := overrides.Get(k.Name); !ok {
			continue
		}
		least := "group.consumer.min." + k.Name[len("consumer."):]
		most := "group.consumer.max." + k.Name[len("consumer."):]
		switch n := value(k); {
		case n < l.Int(least):
			return fmt.Errorf("%s must be greater than or equal to %s", k.Name, least)
		case n > l.Int(most):
			return fmt.Errorf("%s must be less than or equal to %s", k.Name, most)
		}
	}
	session, heartbeat := GroupKey("consumer.session.timeout.ms"), GroupKey("consumer.heartbeat.interval.ms")
	if value(session) <= value(heartbeat) {
		return fmt.Errorf("%s must be greater than %s", session.Name, heartbeat.Name)
	}
	return nil
}
