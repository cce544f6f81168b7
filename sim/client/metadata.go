package client

import (
	"slices"

	"millrace/net/wire"
)

// MakeTopic makes a topic, or only says whether it would, and returns its id, zero where the version of the answer has none.
// Sorted configs are name and value in turn.
func (c *Client) MakeTopic(name string, partitions int32, validate bool, configs ...string) (wire.UUID, error) {
	m := wire.NewCreateTopicsRequest()
	m.ValidateOnly = validate
	m.TimeoutMs = int32(c.o.Timeout.Milliseconds())
	t := wire.CreateTopicsRequestCreatableTopic{Name: name, NumPartitions: partitions, ReplicationFactor: max(1, c.factor)}
	for pair := range slices.Chunk(configs, 2) {
		t.Configs = append(t.Configs, wire.CreateTopicsRequestCreatableTopicConfig{Name: pair[0], Value: &pair[1]})
	}
	m.Topics = append(m.Topics, t)
	answer, err := c.Do(c.Any(), m)
	if err != nil {
		return wire.UUID{}, err
	}
	for _, t := range answer.(*wire.CreateTopicsResponse).Topics {
		if t.Name == name {
			return t.TopicId, described(t.ErrorCode, t.ErrorMessage)
		}
	}
	return wire.UUID{}, &Violation{"CreateTopics: no answer for the topic"}
}

// TopicConfig is the value of one config of a topic, as one broker sees it.
func (c *Client) TopicConfig(addr, topic, name string) (string, error) {
	m := wire.NewDescribeConfigsRequest()
	m.Resources = []wire.DescribeConfigsRequestResource{{ResourceType: 2, ResourceName: topic, ConfigurationKeys: []string{name}}}
	answer, err := c.Do(addr, m)
	if err != nil {
		return "", err
	}
	for _, r := range answer.(*wire.DescribeConfigsResponse).Results {
		if err := described(r.ErrorCode, r.ErrorMessage); err != nil {
			return "", err
		}
		for _, x := range r.Configs {
			if x.Name == name && x.Value != nil {
				return *x.Value, nil
			}
		}
	}
	return "", &Violation{"DescribeConfigs: no answer for " + name}
}

// TopicID is the id of a topic as one broker sees it, zero when it says that there is none.
func (c *Client) TopicID(addr, topic string) (wire.UUID, error) {
	m := wire.NewMetadataRequest()
	m.AllowAutoTopicCreation = false
	m.Topics = []wire.MetadataRequestTopic{{Name: &topic}}
	answer, err := c.Do(addr, m)
	if err != nil {
		return wire.UUID{}, err
	}
	for _, t := range answer.(*wire.MetadataResponse).Topics {
		switch {
		case t.Name == nil || *t.Name != topic:
		case t.ErrorCode == wire.ErrUnknownTopicOrPartition:
			return wire.UUID{}, nil
		case t.ErrorCode != wire.ErrNone && t.TopicId.IsZero():
			return wire.UUID{}, t.ErrorCode
		default:
			return t.TopicId, nil
		}
	}
	return wire.UUID{}, &Violation{"Metadata: no answer for " + topic}
}
