// Package config knows the configs of topics and brokers under Kafka's names: their types, defaults, bounds and what
// they are for, where a value comes from, and what is in force.
//
// # Where a value comes from
//
// A topic's config is, in this order, what was set for the topic, what was set for this broker, what was set for all
// brokers, what the properties file says, or the default. Broker configs have names of their own: segment.bytes of a
// topic falls back to log.segment.bytes, and retention.ms to log.retention.ms, log.retention.minutes and
// log.retention.hours, of which the finer wins.
//
// Everything here is a pure function of [Layers] and the topic's own settings. [Layers.Topic] gives the typed values by
// which a partition is kept; [Layers.DescribeTopic] and [Layers.DescribeBroker] answer DescribeConfigs.
//
// # What has an effect
//
// A config that is accepted but changes nothing here says so in its documentation. Kafka's broker configs that mean nothing
// here are known by name only ([ForeignKey]): they are ignored when a broker starts, and kept and told when they are set at
// runtime. Topic configs that are not known are refused.
//
// docs/configuration.md is made from the tables.
package config

//go:generate go run millrace/cmd/configpage -o ../../docs/configuration.md
