package node

import (
	"fmt"
	"slices"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/config"
	"millrace/node/host"
)

// createTopics makes topics, or with validate_only says whether it would.
//
// Versions: 4 allows defaults for partitions and replication factor (older clients that send -1 get them too); 5 answers
// what was created with its configs; 7 answers topic ids. The answer comes when the partitions can be used.
func (b *Broker) createTopics(c *call, q *wire.CreateTopicsRequest) wire.Message {
	a := wire.NewCreateTopicsResponse()
	var double []wire.CreateTopicsResponseCreatableTopicResult // answered last
	mentions := make(map[string]int)
	for i := range q.Topics {
		mentions[q.Topics[i].Name]++
	}
	deadline := c.changeDeadline(q.TimeoutMs)
	image, failed := c.decidingCatalog(deadline)
	for i := range q.Topics {
		t := &q.Topics[i]
		r := wire.NewCreateTopicsResponseCreatableTopicResult()
		r.Name, r.NumPartitions, r.ReplicationFactor = t.Name, -1, -1
		r.Configs = []wire.CreateTopicsResponseCreatableTopicConfigs{}
		if n := mentions[t.Name]; n > 1 {
			r.ErrorCode, r.ErrorMessage = wire.ErrInvalidRequest, text("Duplicate topic name.")
			mentions[t.Name] = -1
			double = append(double, r)
			continue
		} else if n < 0 {
			continue // refused once
		} else if failed.Error != wire.ErrNone {
			r.ErrorCode, r.ErrorMessage = failed.Error, text(failed.Message)
		} else {
			b.createOne(image, t, q.ValidateOnly, deadline, &r)
		}
		a.Topics = append(a.Topics, r)
	}
	a.Topics = append(a.Topics, double...)
	return a
}

// createOne makes one topic, or only validates it.
func (b *Broker) createOne(image *catalog.Image, t *wire.CreateTopicsRequestCreatableTopic, validate bool, deadline host.Instant,
	r *wire.CreateTopicsResponseCreatableTopicResult,
) {
	command, refused := b.checkCreate(image, t)
	if refused.Error == wire.ErrNone {
		if validate {
			command.ID = b.newTopicID()
			_, refused = catalog.Apply(image, image.Index+1, command)
		} else {
			refused = b.createTopic(command, deadline)
		}
	}
	if r.ErrorCode, r.ErrorMessage = refused.Error, text(refused.Message); r.ErrorCode != wire.ErrNone {
		return
	}
	topic := refused.Topic
	r.TopicId, r.NumPartitions = wire.UUID(topic.ID), int32(len(topic.Partitions))
	r.ReplicationFactor = int16(len(topic.Partitions[0].Replicas))
	asked := make(map[string]*string, len(t.Configs))
	for i := range t.Configs {
		asked[t.Configs[i].Name] = t.Configs[i].Value
	}
	for _, e := range b.layers(image).DescribeTopic(topic.Configs, nil) {
		if value, ok := asked[e.Key.Name]; ok {
			e.Value = value // as it was written, not as it is kept
		}
		r.Configs = append(r.Configs, wire.CreateTopicsResponseCreatableTopicConfigs{
			Name: e.Key.Name, Value: e.Value, ConfigSource: int8(e.Source),
		})
	}
}

// checkCreate turns a request into a command, or says what is wrong with it by Kafka's rules. What only the catalog can
// tell, such as whether the topic exists, is left to it.
func (b *Broker) checkCreate(image *catalog.Image, t *wire.CreateTopicsRequestCreatableTopic) (catalog.CreateTopic, catalog.Result) {
	c := catalog.CreateTopic{Name: t.Name, Partitions: t.NumPartitions, Replication: t.ReplicationFactor}
	fail := func(code wire.ErrorCode, message string) (catalog.CreateTopic, catalog.Result) {
		return c, catalog.Result{Error: code, Message: message}
	}
	if why := topicNameFault(t.Name); why != "" {
		return fail(wire.ErrInvalidTopicException, why)
	}
	if t.Name == metadataTopic {
		return fail(wire.ErrInvalidRequest, "Creation of internal topic "+t.Name+" is prohibited.")
	}
	if _, exists := image.Topic(t.Name); exists {
		return fail(wire.ErrTopicAlreadyExists, "Topic '"+t.Name+"' already exists.")
	}
	if len(t.Assignments) > 0 {
		switch {
		case t.ReplicationFactor != -1:
			return fail(wire.ErrInvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
		case t.NumPartitions != -1:
			return fail(wire.ErrInvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
		}
		var why string
		if c.Assignments, why = assignments(t.Assignments); why != "" {
			return fail(wire.ErrInvalidReplicaAssignment, why)
		}
	}
	layers := b.layers(image)
	switch {
	case c.Replication < -1 || c.Replication == 0:
		return fail(wire.ErrInvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	case c.Partitions < -1 || c.Partitions == 0:
		return fail(wire.ErrInvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	if c.Replication == -1 {
		c.Replication = b.replication(image, "default.replication.factor", false)
	}
	if c.Partitions == -1 {
		c.Partitions = int32(layers.Int("num.partitions"))
	}
	configs, code, why := topicConfigs(t.Configs)
	if code == wire.ErrNone {
		if err := layers.CheckTopic(configs); err != nil {
			code, why = wire.ErrInvalidConfig, err.Error()
		}
	}
	if code != wire.ErrNone {
		return fail(code, why)
	}
	c.Configs = configs
	return c, catalog.Result{}
}

// assignments puts a manual assignment in the order of partitions.
func assignments(list []wire.CreateTopicsRequestCreatableReplicaAssignment) ([][]int32, string) {
	replicas := make([][]int32, len(list))
	for i := range list {
		if len(list[i].BrokerIds) == 0 {
			return nil, noReplicas
		}
	}
	for i := range list {
		index := list[i].PartitionIndex
		switch {
		case index < 0 || int(index) >= len(list):
			return nil, "partitions should be a consecutive 0-based integer sequence"
		case replicas[index] != nil:
			return nil, fmt.Sprintf("Found multiple manual partition assignments for partition %d", index)
		}
		replicas[index] = list[i].BrokerIds
	}
	return replicas, ""
}

const noReplicas = "The manual partition assignment includes an empty replica list."

// topicConfigs checks the configs of a new topic; of one that is named twice the last value counts.
func topicConfigs(list []wire.CreateTopicsRequestCreatableTopicConfig) (catalog.Configs, wire.ErrorCode, string) {
	var configs catalog.Configs
	for i := range list {
		name := list[i].Name
		k := config.TopicKey(name)
		switch {
		case k == nil:
			return nil, wire.ErrInvalidConfig, "Unknown topic config name: " + name
		case list[i].Value == nil:
			return nil, wire.ErrInvalidConfig, "Null value not supported for topic configs: " + name
		}
		value, err := k.Canonical(*list[i].Value)
		if err != nil {
			return nil, wire.ErrInvalidConfig, err.Error()
		}
		configs = slices.DeleteFunc(configs, func(c catalog.Config) bool { return c.Name == name })
		configs = append(configs, catalog.Config{Name: name, Value: value})
	}
	slices.SortFunc(configs, func(a, b catalog.Config) int { return topicName(a.Name).Compare(topicName(b.Name)) })
	return configs, wire.ErrNone, ""
}
