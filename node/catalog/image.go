package catalog

import (
	"slices"

	"millrace/node/ordered"
)

// Image is one version of the cluster's metadata. It is immutable, with everything that it points to, and may be read by
// any number of tasks.
type Image struct {
	// Index is the raft index of the last command applied.
	Index uint64
	// ClusterID is Kafka's cluster id; empty until Format is applied.
	ClusterID string
	// Controllers are the replicas of the catalog, shard 0, in order of node ids; none in a cluster of one node that an
	// older release has made.
	Controllers []Member
	// Topics by name.
	Topics ordered.Map[ordered.String, *Topic]
	// Brokers by node id.
	Brokers ordered.Map[ordered.Int, *Broker]
	// Shards by shard id. The catalog itself, shard 0, is not listed.
	Shards ordered.Map[ordered.Int, *Shard]
	// Resources holds the configs of everything but topics, by the key that ResourceKey gives.
	Resources ordered.Map[ordered.String, *Resource]
	// Features holds the finalized feature levels by name.
	Features ordered.Map[ordered.String, int16]
	// NextProducerID is the first producer id not given to a broker.
	NextProducerID int64
	// NextShard and NextReplica are the next numbers to issue; neither is ever used twice.
	NextShard, NextReplica uint64

	byID ordered.Map[ID, *Topic]
	// byMetric finds topics whose names differ only in '.' and '_', which Kafka refuses since its metrics cannot tell
	// them apart.
	byMetric ordered.Map[ordered.String, *Topic]
}

// Topic is a topic.
type Topic struct {
	ID         ID
	Name       string
	Partitions []Partition
	Configs    Configs
}

// Partition says where a partition lives.
type Partition struct {
	// Shard is the raft group that replicates it.
	Shard uint64
	// Replicas are node ids in the order that Kafka shows, the preferred leader first.
	Replicas []int32
}

// Broker is a registered node.
type Broker struct {
	Node int32
	// Epoch is Kafka's broker epoch: the index of the registration.
	Epoch int64
	// Incarnation changes with every start of the process, Directory with the data directory.
	Incarnation, Directory ID
	Rack                   string
	Listeners              []Listener
	// Lanes is the number of shards of one member set that the node wants to lead.
	Lanes int32
	// Boots is how often the node had been started with this directory; 0 when an older release has registered it.
	Boots uint64
	// Fenced says that the broker was not heard of for too long: it is not shown to clients and gets no new partitions.
	Fenced bool
}

// Listener is an address that a broker announces.
type Listener struct {
	// Name is the listener's name, Protocol Kafka's number of its security protocol (0 PLAINTEXT, 1 SSL, ...).
	Name     string
	Protocol int16
	Host     string
	Port     uint16
}

// Shard is a raft group that replicates partitions. Its members never change.
type Shard struct {
	ID uint64
	// Preferred is the node that should lead.
	Preferred int32
	Members   []Member
	// Partitions is how many partitions live in it.
	Partitions int32
}

// Member is a replica of a shard.
type Member struct {
	Node      int32
	Directory ID
	// Replica is the raft id: issued once for (shard, node, directory, generation) and never again.
	Replica    uint64
	Generation uint32
}

// Resource holds the configs of a broker, of the cluster's default (type broker, empty name), of a group, ....
type Resource struct {
	Type    ResourceType
	Name    string
	Configs Configs
}

// ResourceType is Kafka's ConfigResource.Type.
type ResourceType int8

// The resource types that hold configs.
const (
	ResourceTopic         ResourceType = 2
	ResourceBroker        ResourceType = 4
	ResourceBrokerLogger  ResourceType = 8
	ResourceClientMetrics ResourceType = 16
	ResourceGroup         ResourceType = 32
)

// Empty returns the image of a cluster that has not been formatted.
func Empty() *Image { return &Image{NextShard: 1, NextReplica: 2} }

// Topic finds a topic by name.
func (i *Image) Topic(name string) (*Topic, bool) { return i.Topics.Get(ordered.String(name)) }

// TopicByID finds a topic by id.
func (i *Image) TopicByID(id [16]byte) (*Topic, bool) { return i.byID.Get(ID(id)) }

// Broker finds a broker.
func (i *Image) Broker(node int32) (*Broker, bool) { return i.Brokers.Get(ordered.Int(node)) }

// Shard finds a shard.
func (i *Image) Shard(id uint64) (*Shard, bool) { return i.Shards.Get(ordered.Int(id)) }

// Configs returns the configs that were set on a resource; none when it has none.
func (i *Image) Configs(kind ResourceType, name string) Configs {
	if kind == ResourceTopic {
		if t, ok := i.Topic(name); ok {
			return t.Configs
		}
		return nil
	}
	if r, ok := i.Resources.Get(ResourceKey(kind, name)); ok {
		return r.Configs
	}
	return nil
}

// Member returns the shard's replica on a node and data directory.
func (s *Shard) Member(node int32, directory ID) (Member, bool) {
	i := slices.IndexFunc(s.Members, func(m Member) bool { return m.Node == node && m.Directory == directory })
	if i < 0 {
		return Member{}, false
	}
	return s.Members[i], true
}

// Config is a name and its value.
type Config struct{ Name, Value string }

// Configs are what was set on a resource, sorted by name. Immutable.
type Configs []Config

// Get returns the value that was set for a name.
func (c Configs) Get(name string) (string, bool) {
	i, ok := c.find(name)
	if !ok {
		return "", false
	}
	return c[i].Value, true
}

// Names lists what is set, sorted.
func (c Configs) Names() []string {
	names := make([]string, len(c))
	for i := range c {
		names[i] = c[i].Name
	}
	return names
}

func (c Configs) find(name string) (int, bool) {
	return slices.BinarySearchFunc(c, name, func(c Config, name string) int {
		return ordered.String(c.Name).Compare(ordered.String(name))
	})
}

// with returns the configs with a value set.
func (c Configs) with(name, value string) Configs {
	i, ok := c.find(name)
	c = slices.Clone(c)
	if ok {
		c[i].Value = value
		return c
	}
	return slices.Insert(c, i, Config{name, value})
}

// without returns the configs with a name removed.
func (c Configs) without(name string) Configs {
	i, ok := c.find(name)
	if !ok {
		return c
	}
	return slices.Delete(slices.Clone(c), i, i+1)
}
