package config

import "math"

// BrokerKey returns the broker config of that name, nil if it means nothing here.
func BrokerKey(name string) *Key { return find(brokerKeys, name) }

// BrokerKeys returns all broker configs that are known here, by name.
func BrokerKeys() []Key { return brokerKeys }

// The values of replica.selector.class.
const (
	RackAwareReplicaSelector = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
	LeaderSelector           = "org.apache.kafka.common.replica.LeaderSelector"
)

const (
	forTopics = "What topics without a config of their own get for "
	finer     = "; the configs with finer units win over it."
)

// brokerKeys is sorted by name and never changes.
var brokerKeys = []Key{
	{Name: "advertised.listeners", Kind: List, Null: true, Fixed: true,
		Doc: "The address that clients are told to connect to. Unset: the address by which each client came."},
	{Name: "auto.create.topics.enable", Kind: Boolean, Default: "true", Fixed: true,
		Doc: "Whether a topic is created when a client asks for the metadata of one that is not there."},
	{Name: "auto.leader.rebalance.enable", Kind: Boolean, Default: "true", Fixed: true,
		Doc: "Whether leadership goes back to the preferred leader of a partition, its first replica, when that is there again."},
	{Name: "broker.id", Kind: Int, Default: "-1", Fixed: true, Doc: "The older name of node.id."},
	{Name: "broker.rack", Kind: String, Null: true, Fixed: true, Doc: "The rack that this broker is in: clients are told, replicas are placed in different ones, and consumers may read from their own."},
	{Name: "broker.session.timeout.ms", Kind: Int, Default: "9000", Fixed: true, check: atLeast(1),
		Doc: "How long a broker may be silent before the cluster fences it. Leadership moves long before that, when its peers miss it."},
	{Name: "compression.gzip.level", Kind: Int, Default: "-1", check: gzipLevel, Doc: forTopics + "compression.gzip.level."},
	{Name: "compression.lz4.level", Kind: Int, Default: "9", check: between(1, 17), Doc: forTopics + "compression.lz4.level."},
	{Name: "compression.type", Kind: String, Default: "producer",
		check: oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"), Doc: forTopics + "compression.type."},
	{Name: "compression.zstd.level", Kind: Int, Default: "3", check: between(-131072, 22), Doc: forTopics + "compression.zstd.level."},
	{Name: "connections.max.idle.ms", Kind: Long, Default: "600000", Fixed: true,
		Doc: "How long a connection may be silent before it is closed."},
	{Name: "controller.listener.names", Kind: String, Null: true, Fixed: true,
		Doc: "Which of the listeners is the one for the other nodes of the cluster."},
	{Name: "controller.quorum.voters", Kind: List, Default: "", Fixed: true,
		Doc: "All nodes of the cluster as ID@HOST:PORT: one, three or five. Every node is a controller as well as a broker."},
	{Name: "default.replication.factor", Kind: Int, Default: "3", Fixed: true, check: between(1, math.MaxInt16),
		Doc: "The replication factor of topics that are created without one. Unless it is set, and for topics that are created because a client used them, it is at most the number of brokers."},
	{Name: "delete.topic.enable", Kind: Boolean, Default: "true", Fixed: true, Doc: "Whether topics can be deleted."},
	{Name: "fetch.max.bytes", Kind: Int, Default: "57671680", Fixed: true, check: atLeast(1024),
		Doc: "The most that one fetch gives, whatever the client asks for; a first batch larger than it is given still."},
	{Name: "group.initial.rebalance.delay.ms", Kind: Int, Default: "3000", Fixed: true,
		Doc: "How long a new classic group waits for more members before its first rebalance."},
	{Name: "group.max.session.timeout.ms", Kind: Int, Default: "1800000", Fixed: true, Doc: "The longest session timeout that a member of a classic group may ask for."},
	{Name: "group.max.size", Kind: Int, Default: "2147483647", Fixed: true, check: atLeast(1), Doc: "The most members that a classic group may have."},
	{Name: "group.min.session.timeout.ms", Kind: Int, Default: "6000", Fixed: true, Doc: "The shortest session timeout that a member of a classic group may ask for."},
	{Name: "leader.imbalance.check.interval.seconds", Kind: Long, Default: "10", Fixed: true, check: atLeast(1),
		Doc: "How often the brokers look for leadership that should go back to the preferred leader."},
	{Name: "listeners", Kind: List, Default: "PLAINTEXT://127.0.0.1:9092", Fixed: true, Doc: "The address that the broker listens on."},
	{Name: "log.cleaner.delete.retention.ms", Kind: Long, Default: "86400000", check: atLeast(0), Doc: forTopics + "delete.retention.ms."},
	{Name: "log.cleaner.max.compaction.lag.ms", Kind: Long, Default: maxLong, check: atLeast(1), Doc: forTopics + "max.compaction.lag.ms."},
	{Name: "log.cleaner.min.cleanable.ratio", Kind: Double, Default: "0.5", check: ratio, Doc: forTopics + "min.cleanable.dirty.ratio."},
	{Name: "log.cleaner.min.compaction.lag.ms", Kind: Long, Default: "0", check: atLeast(0), Doc: forTopics + "min.compaction.lag.ms."},
	{Name: "log.cleanup.policy", Kind: List, Default: "delete", check: oneOf("compact", "delete"), Doc: forTopics + "cleanup.policy."},
	{Name: "log.dirs", Kind: List, Null: true, Fixed: true, Doc: "The data directory."},
	{Name: "log.flush.interval.messages", Kind: Long, Default: maxLong, check: atLeast(1), Doc: forTopics + "flush.messages."},
	{Name: "log.flush.interval.ms", Kind: Long, Null: true, Doc: forTopics + "flush.ms."},
	{Name: "log.flush.scheduler.interval.ms", Kind: Long, Default: maxLong, Fixed: true, Doc: forTopics + "flush.ms when log.flush.interval.ms is not set."},
	{Name: "log.index.interval.bytes", Kind: Int, Default: "4096", check: atLeast(0), Doc: forTopics + "index.interval.bytes."},
	{Name: "log.index.size.max.bytes", Kind: Int, Default: "10485760", check: atLeast(4), Doc: forTopics + "segment.index.bytes."},
	{Name: "log.local.retention.bytes", Kind: Long, Default: "-2", check: atLeast(-2), Doc: forTopics + "local.retention.bytes."},
	{Name: "log.local.retention.ms", Kind: Long, Default: "-2", check: atLeast(-2), Doc: forTopics + "local.retention.ms."},
	{Name: "log.message.timestamp.after.max.ms", Kind: Long, Default: "3600000", check: atLeast(0), Doc: forTopics + "message.timestamp.after.max.ms."},
	{Name: "log.message.timestamp.before.max.ms", Kind: Long, Default: maxLong, check: atLeast(0), Doc: forTopics + "message.timestamp.before.max.ms."},
	{Name: "log.message.timestamp.type", Kind: String, Default: "CreateTime", check: oneOf("CreateTime", "LogAppendTime"), Doc: forTopics + "message.timestamp.type."},
	{Name: "log.preallocate", Kind: Boolean, Default: "false", Doc: forTopics + "preallocate."},
	{Name: "log.retention.bytes", Kind: Long, Default: "-1", Doc: forTopics + "retention.bytes."},
	{Name: "log.retention.check.interval.ms", Kind: Long, Default: "300000", Fixed: true, check: atLeast(1),
		Doc: "How often the broker looks for segments to delete or to close by age."},
	{Name: "log.retention.hours", Kind: Int, Default: "168", Fixed: true, Doc: forTopics + "retention.ms, in hours" + finer},
	{Name: "log.retention.minutes", Kind: Int, Null: true, Fixed: true, Doc: forTopics + "retention.ms, in minutes" + finer},
	{Name: "log.retention.ms", Kind: Long, Null: true, check: atLeast(-1), Doc: forTopics + "retention.ms."},
	{Name: "log.roll.hours", Kind: Int, Default: "168", Fixed: true, check: atLeast(1), Doc: forTopics + "segment.ms, in hours" + finer},
	{Name: "log.roll.jitter.hours", Kind: Int, Default: "0", Fixed: true, check: atLeast(0), Doc: forTopics + "segment.jitter.ms, in hours" + finer},
	{Name: "log.roll.jitter.ms", Kind: Long, Null: true, check: atLeast(0), Doc: forTopics + "segment.jitter.ms."},
	{Name: "log.roll.ms", Kind: Long, Null: true, check: atLeast(1), Doc: forTopics + "segment.ms."},
	{Name: "log.segment.bytes", Kind: Int, Default: "1073741824", check: atLeast(1048576), Doc: forTopics + "segment.bytes."},
	{Name: "log.segment.delete.delay.ms", Kind: Long, Default: "60000", check: atLeast(0), Doc: forTopics + "file.delete.delay.ms."},
	{Name: "max.connections", Kind: Int, Default: "2147483647", Fixed: true, check: atLeast(0), Doc: "How many connections the broker keeps at once; more are closed."},
	{Name: "max.incremental.fetch.session.cache.slots", Kind: Int, Default: "1000", Fixed: true, check: atLeast(0),
		Doc: "How many incremental fetch sessions the broker keeps."},
	{Name: "max.request.partition.size.limit", Kind: Int, Default: "2000", Fixed: true, check: atLeast(1),
		Doc: "The most partitions that one DescribeTopicPartitions answer lists."},
	{Name: "message.max.bytes", Kind: Int, Default: "1048588", check: atLeast(0), Doc: forTopics + "max.message.bytes."},
	{Name: "millrace.secret.file", Kind: String, Null: true, Fixed: true,
		Doc: "The file with the secret that the nodes of the cluster share."},
	{Name: "min.insync.replicas", Kind: Int, Default: "1", check: atLeast(1), Doc: forTopics + "min.insync.replicas."},
	{Name: "node.id", Kind: Int, Default: "1", Fixed: true, check: atLeast(0), Doc: "The id of this node in its cluster."},
	{Name: "num.partitions", Kind: Int, Default: "1", Fixed: true, check: atLeast(1), Doc: "The number of partitions of topics that are created without one."},
	{Name: "offset.metadata.max.bytes", Kind: Int, Default: "4096", Fixed: true, Doc: "The longest note that may be committed with an offset."},
	{Name: "offsets.commit.timeout.ms", Kind: Int, Default: "5000", Fixed: true, check: atLeast(1), Doc: "How long an offset commit waits to be durable."},
	{Name: "offsets.retention.check.interval.ms", Kind: Long, Default: "600000", Fixed: true, check: atLeast(1), Doc: "How often the broker looks for committed offsets that have expired."},
	{Name: "offsets.retention.minutes", Kind: Int, Default: "10080", Fixed: true, check: atLeast(1), Doc: "How long the offsets of a group without members are kept."},
	{Name: "offsets.topic.num.partitions", Kind: Int, Default: "50", Fixed: true, check: atLeast(1), Doc: "The number of partitions of the topic that holds committed offsets, when it is created."},
	{Name: "offsets.topic.replication.factor", Kind: Short, Default: "3", Fixed: true, check: atLeast(1),
		Doc: "The replication factor of the topic that holds committed offsets, when it is created; at most the number of brokers."},
	{Name: "offsets.topic.segment.bytes", Kind: Int, Default: "104857600", Fixed: true, check: atLeast(1), Doc: "The segment size of the topic that holds committed offsets."},
	{Name: "producer.id.expiration.ms", Kind: Int, Default: "86400000", Fixed: true, check: atLeast(1),
		Doc: "How long a partition remembers an idempotent producer that sends nothing."},
	{Name: "queued.max.request.bytes", Kind: Long, Default: "-1", Fixed: true,
		Doc: "The most bytes of requests in memory at once, over all connections; -1 leaves the bound to the broker."},
	{Name: "replica.selector.class", Kind: Class, Default: RackAwareReplicaSelector, Fixed: true,
		check: oneOf("", RackAwareReplicaSelector, LeaderSelector),
		Doc:   "Which replica a consumer that tells its rack reads from: with RackAwareReplicaSelector one in sync in that rack, with LeaderSelector, or nothing, always the leader."},
	{Name: "socket.request.max.bytes", Kind: Int, Default: "104857600", Fixed: true, check: atLeast(1),
		Doc: "The largest request that is read; a connection that announces more is closed."},
	{Name: "unclean.leader.election.enable", Kind: Boolean, Default: "false", Doc: forTopics + "unclean.leader.election.enable."},
}
