package catalog

import "millrace/net/wire"

// Command is a change of the metadata. Commands are proposed by any task, ordered by the catalog's raft group, and
// decided by Apply on every replica alike.
type Command interface {
	kind() byte
	put(*writer)
}

// Format is the first command of a cluster. It is refused when there is another cluster already.
type Format struct {
	ClusterID string
	// Controllers are the replicas of the catalog itself, as they were agreed on when the cluster was formed.
	Controllers []Member
}

// RegisterBroker announces a node: at its start, and again when what it announces has changed. The result's BrokerEpoch
// is its new epoch. It is refused from another data directory than before, and from what must be a copy of it.
type RegisterBroker struct {
	Node                   int32
	Incarnation, Directory ID
	Rack                   string
	Listeners              []Listener
	Lanes                  int32
	// Boots counts the starts of the node with this directory; 0 when the proposer does not count.
	Boots uint64
}

// FenceBroker says that a broker is not to be shown to clients and gets no new partitions, since it was not heard of, or
// that it is back. It is refused when the broker has registered anew since, so that a late one harms nobody.
type FenceBroker struct {
	Node int32
	// Epoch is that of the registration that is meant.
	Epoch  int64
	Fenced bool
}

// UnregisterBroker forgets a broker that has gone for good. One that is not fenced is alive, and it is refused.
type UnregisterBroker struct{ Node int32 }

// CreateTopic makes a topic. One that exists with this very id is that of an earlier try, and no error. The result's Topic tells where its partitions were placed.
type CreateTopic struct {
	// ID is drawn by the proposer, so that apply needs no randomness.
	ID   ID
	Name string
	// Partitions and Replication are used when Assignments is empty; the proposer has filled in the defaults.
	Partitions  int32
	Replication int16
	// Assignments lists the replicas of each partition, the preferred leader first.
	Assignments [][]int32
	Configs     Configs
}

// DeleteTopic removes a topic: the one with the ID, or with the Name when the ID is zero.
type DeleteTopic struct {
	ID   ID
	Name string
}

// CreatePartitions grows a topic to Count partitions.
type CreatePartitions struct {
	Name  string
	Count int32
	// Assignments lists the replicas of each new partition; empty lets the catalog place them.
	Assignments [][]int32
}

// SetConfigs changes the configs of one resource.
type SetConfigs struct {
	Type ResourceType
	Name string
	// Full replaces all configs of the resource by the values in Changes (AlterConfigs); otherwise the changes are
	// made one after the other (IncrementalAlterConfigs).
	Full    bool
	Changes []ConfigChange
}

// ConfigChange is one change of a SetConfigs.
type ConfigChange struct {
	Name string
	Op   ConfigOp
	// Value is what is set, or a comma-separated list of what is appended or subtracted.
	Value string
	// Default is what an append or subtract starts from when the config is not set.
	Default string
}

// ConfigOp is Kafka's AlterConfigOp.OpType.
type ConfigOp int8

// What a ConfigChange does.
const (
	ConfigSet ConfigOp = iota
	ConfigDelete
	ConfigAppend
	ConfigSubtract
)

// AllocateProducerIDs reserves a block of ProducerIDBlock producer ids for a broker.
type AllocateProducerIDs struct{ Node int32 }

// ProducerIDBlock is the number of producer ids that a broker gets at once, as in Kafka.
const ProducerIDBlock = 1000

// SetFeature finalizes the level of a feature; level 0 removes it.
type SetFeature struct {
	Name  string
	Level int16
}

// Result is what became of a command.
type Result struct {
	Error wire.ErrorCode
	// Message says in a sentence what was wrong.
	Message string
	// Topic is the topic as it is now (CreateTopic, CreatePartitions, SetConfigs of a topic) or was (DeleteTopic).
	Topic *Topic
	// ProducerID is the first of ProducerIDBlock ids.
	ProducerID int64
	// BrokerEpoch is the epoch of a registration.
	BrokerEpoch int64
	// Index is the index of the image that shows the change.
	Index uint64
}
