package config

import "math"

// TopicKey returns the topic config of that name, nil if there is none.
func TopicKey(name string) *Key { return find(topicKeys, name) }

// TopicKeys returns all topic configs, by name.
func TopicKeys() []Key { return topicKeys }

const (
	maxLong   = "9223372036854775807"
	noEffect  = " It is accepted for Kafka's sake and has no effect here."
	throttles = " in the form partition:broker,..., or * for all." + noEffect
)

func from(names ...string) []fallback {
	list := make([]fallback, len(names))
	for i, name := range names {
		list[i] = fallback{name, 1}
	}
	return list
}

// topicKeys is sorted by name and never changes.
var topicKeys = []Key{
	{Name: "cleanup.policy", Kind: List, Default: "delete", Brokers: from("log.cleanup.policy"), check: oneOf("compact", "delete"),
		Doc: "What happens to old records: delete drops segments past their retention, compact keeps the last record of each key; both can be combined, and an empty list keeps everything."},
	{Name: "compression.gzip.level", Kind: Int, Default: "-1", Brokers: from("compression.gzip.level"), check: gzipLevel,
		Doc: "The level at which the broker compresses with gzip when compression.type says so; -1 is gzip's own default."},
	{Name: "compression.lz4.level", Kind: Int, Default: "9", Brokers: from("compression.lz4.level"), check: between(1, 17),
		Doc: "The level at which the broker compresses with lz4 when compression.type says so."},
	{Name: "compression.type", Kind: String, Default: "producer", Brokers: from("compression.type"),
		check: oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
		Doc:   "How record batches are compressed in the log. With producer they are kept as they came; anything else makes the broker compress again what came otherwise."},
	{Name: "compression.zstd.level", Kind: Int, Default: "3", Brokers: from("compression.zstd.level"), check: between(-131072, 22),
		Doc: "The level at which the broker compresses with zstd when compression.type says so."},
	{Name: "delete.retention.ms", Kind: Long, Default: "86400000", Brokers: from("log.cleaner.delete.retention.ms"), check: atLeast(0),
		Doc: "How long a compacted topic keeps a tombstone, a record that deletes its key, after it was compacted: in that time a reader that began at the start must have come there. It stays longer while a replica is away."},
	{Name: "file.delete.delay.ms", Kind: Long, Default: "60000", Brokers: from("log.segment.delete.delay.ms"), check: atLeast(0),
		Doc: "How long a deleted segment stays on disk." + noEffect + " Files go when the last reader has let go of them."},
	{Name: "flush.messages", Kind: Long, Default: maxLong, Brokers: from("log.flush.interval.messages"), check: atLeast(1),
		Doc: "After how many records the log is synced." + noEffect + " Every acknowledged record is on disk already."},
	{Name: "flush.ms", Kind: Long, Default: maxLong, Brokers: from("log.flush.interval.ms", "log.flush.scheduler.interval.ms"), check: atLeast(0),
		Doc: "After how much time the log is synced." + noEffect + " Every acknowledged record is on disk already."},
	{Name: "follower.replication.throttled.replicas", Kind: List, Default: "", check: throttled,
		Doc: "Replicas whose following is throttled," + throttles},
	{Name: "index.interval.bytes", Kind: Int, Default: "4096", Brokers: from("log.index.interval.bytes"), check: atLeast(0),
		Doc: "How many bytes of log lie between two entries of the offset index." + noEffect + " The node has one interval for all topics."},
	{Name: "internal.segment.bytes", Kind: Int, Null: true, check: atLeast(14),
		Doc: "A segment size below the bound of segment.bytes, for tests."},
	{Name: "leader.replication.throttled.replicas", Kind: List, Default: "", check: throttled,
		Doc: "Replicas whose leading is throttled," + throttles},
	{Name: "local.retention.bytes", Kind: Long, Default: "-2", Brokers: from("log.local.retention.bytes"), check: atLeast(-2),
		Doc: "How much of a tiered topic stays on local disk." + noEffect},
	{Name: "local.retention.ms", Kind: Long, Default: "-2", Brokers: from("log.local.retention.ms"), check: atLeast(-2),
		Doc: "How long a tiered topic stays on local disk." + noEffect},
	{Name: "max.compaction.lag.ms", Kind: Long, Default: maxLong, Brokers: from("log.cleaner.max.compaction.lag.ms"), check: atLeast(1),
		Doc: "The longest time that a record may wait for compaction, whatever min.cleanable.dirty.ratio says. Segments are closed at that age, too."},
	{Name: "max.message.bytes", Kind: Int, Default: "1048588", Brokers: from("message.max.bytes"), check: atLeast(0),
		Doc: "The largest record batch that may be produced, in bytes as it is stored."},
	{Name: "message.timestamp.after.max.ms", Kind: Long, Default: "3600000", Brokers: from("log.message.timestamp.after.max.ms"), check: atLeast(0),
		Doc: "How far a record's timestamp may lie ahead of the broker's clock. Not looked at with LogAppendTime."},
	{Name: "message.timestamp.before.max.ms", Kind: Long, Default: maxLong, Brokers: from("log.message.timestamp.before.max.ms"), check: atLeast(0),
		Doc: "How far a record's timestamp may lie behind the broker's clock. Not looked at with LogAppendTime."},
	{Name: "message.timestamp.type", Kind: String, Default: "CreateTime", Brokers: from("log.message.timestamp.type"),
		check: oneOf("CreateTime", "LogAppendTime"),
		Doc:   "Whether a record keeps the producer's timestamp or gets the broker's when it is appended."},
	{Name: "min.cleanable.dirty.ratio", Kind: Double, Default: "0.5", Brokers: from("log.cleaner.min.cleanable.ratio"), check: ratio,
		Doc: "The share of a compacted log that must be new before it is compacted again. What is being written does not count: only closed segments are compacted."},
	{Name: "min.compaction.lag.ms", Kind: Long, Default: "0", Brokers: from("log.cleaner.min.compaction.lag.ms"), check: atLeast(0),
		Doc: "The least time that a record stays as it is before it may be compacted."},
	{Name: "min.insync.replicas", Kind: Int, Default: "1", Brokers: from("min.insync.replicas"), check: atLeast(1),
		Doc: "How many replicas must hold a record before a producer with acks=all is answered. A majority must hold it in any case."},
	{Name: "preallocate", Kind: Boolean, Default: "false", Brokers: from("log.preallocate"),
		Doc: "Whether segment files get their space when they are made." + noEffect},
	{Name: "remote.log.copy.disable", Kind: Boolean, Default: "false",
		Doc: "Whether a tiered topic stops uploading." + noEffect},
	{Name: "remote.log.delete.on.disable", Kind: Boolean, Default: "false",
		Doc: "Whether tiered data goes when tiering is turned off." + noEffect},
	{Name: "remote.storage.enable", Kind: Boolean, Default: "false", check: noTiering,
		Doc: "Whether segments move to remote storage. Only false is accepted: there is no tiered storage here."},
	{Name: "retention.bytes", Kind: Long, Default: "-1", Brokers: from("log.retention.bytes"),
		Doc: "How large a partition may grow before its oldest segments are deleted; -1 is no bound. Only with the policy delete."},
	{Name: "retention.ms", Kind: Long, Default: "604800000", check: atLeast(-1),
		Brokers: []fallback{{"log.retention.ms", 1}, {"log.retention.minutes", 60_000}, {"log.retention.hours", 3_600_000}},
		Doc:     "How long records are kept before their segment is deleted, in milliseconds; -1 keeps them for ever. Only with the policy delete."},
	{Name: "segment.bytes", Kind: Int, Default: "1073741824", Brokers: from("log.segment.bytes"), check: between(1048576, math.MaxInt32),
		Doc: "The size at which a segment is closed and the next one begins. Retention works on whole segments."},
	{Name: "segment.index.bytes", Kind: Int, Default: "10485760", Brokers: from("log.index.size.max.bytes"), check: atLeast(4),
		Doc: "The largest size of a segment's offset index." + noEffect},
	{Name: "segment.jitter.ms", Kind: Long, Default: "0", check: atLeast(0),
		Brokers: []fallback{{"log.roll.jitter.ms", 1}, {"log.roll.jitter.hours", 3_600_000}},
		Doc:     "How much earlier than segment.ms a segment may be closed, so that partitions do not all do it at once."},
	{Name: "segment.ms", Kind: Long, Default: "604800000", check: atLeast(1),
		Brokers: []fallback{{"log.roll.ms", 1}, {"log.roll.hours", 3_600_000}},
		Doc:     "The age at which a segment is closed even though it is not full."},
	{Name: "unclean.leader.election.enable", Kind: Boolean, Default: "false", Brokers: from("unclean.leader.election.enable"),
		Doc: "Whether a replica that may miss acknowledged records may lead when no other can." + noEffect},
}

const whyNoTiering = "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."

func noTiering(_ *Key, value string) (string, string) {
	if value == "true" {
		return value, whyNoTiering
	}
	return "", ""
}
