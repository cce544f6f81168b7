package client

import (
	"fmt"

	"millrace/net/wire"
)

// CreateTopic makes a topic. Sorted configs are name and value in turn.
func (c *Client) CreateTopic(name string, partitions int32, configs ...string) error {
	_, err := c.MakeTopic(name, partitions, false, configs...)
	return err
}

// described is a code with what the broker says of it.
func described(code wire.ErrorCode, message *string) error {
	if code == wire.ErrNone {
		return nil
	}
	if message != nil {
		return fmt.Errorf("%w (%s)", code, *message)
	}
	return code
}

// DeleteTopic deletes a topic by name.
func (c *Client) DeleteTopic(name string) error {
	m := wire.NewDeleteTopicsRequest()
	m.TimeoutMs = int32(c.o.Timeout.Milliseconds())
	m.TopicNames = []string{name}
	m.Topics = []wire.DeleteTopicsRequestDeleteTopicState{{Name: &name}}
	answer, err := c.Do(c.Any(), m)
	if err != nil {
		return err
	}
	for _, t := range answer.(*wire.DeleteTopicsResponse).Responses {
		if t.Name != nil && *t.Name == name {
			return described(t.ErrorCode, t.ErrorMessage)
		}
	}
	return &Violation{"DeleteTopics: no answer for the topic"}
}

// CreatePartitions raises the number of a topic's partitions.
func (c *Client) CreatePartitions(name string, count int32) error {
	m := wire.NewCreatePartitionsRequest()
	m.TimeoutMs = int32(c.o.Timeout.Milliseconds())
	m.Topics = append(m.Topics, wire.CreatePartitionsRequestTopic{Name: name, Count: count})
	answer, err := c.Do(c.Any(), m)
	if err != nil {
		return err
	}
	for _, t := range answer.(*wire.CreatePartitionsResponse).Results {
		if t.Name == name {
			return described(t.ErrorCode, t.ErrorMessage)
		}
	}
	return &Violation{"CreatePartitions: no answer for the topic"}
}

// DeleteRecords moves the log start and returns where it is then.
func (c *Client) DeleteRecords(topic string, partition int32, offset int64) (int64, error) {
	addr, err := c.find(topic, partition)
	if err != nil {
		return 0, err
	}
	m := wire.NewDeleteRecordsRequest()
	m.TimeoutMs = int32(c.o.Timeout.Milliseconds())
	m.Topics = []wire.DeleteRecordsRequestTopic{{Name: topic, Partitions: []wire.DeleteRecordsRequestPartition{{PartitionIndex: partition, Offset: offset}}}}
	answer, err := c.Do(addr, m)
	if err != nil {
		return 0, c.forget(topic, partition, err)
	}
	for _, t := range answer.(*wire.DeleteRecordsResponse).Topics {
		for _, p := range t.Partitions {
			if t.Name == topic && p.PartitionIndex == partition {
				return p.LowWatermark, c.forget(topic, partition, p.ErrorCode.Err())
			}
		}
	}
	return 0, &Violation{"DeleteRecords: no answer for the partition"}
}

// find is the address of a partition's leader, with metadata if needed.
func (c *Client) find(topic string, partition int32) (string, error) {
	addr := c.Leader(topic, partition)
	if addr == "" {
		if err := c.Refresh(topic); err != nil {
			return "", err
		}
		if addr = c.Leader(topic, partition); addr == "" {
			return "", errUnknownTopic
		}
	}
	return addr, nil
}

// Special timestamps of ListOffsets.
const (
	Latest       int64 = -1
	Earliest     int64 = -2
	MaxTimestamp int64 = -3
)

// ListOffset is the first offset at a timestamp or after it, or what a special timestamp stands for.
func (c *Client) ListOffset(topic string, partition int32, timestamp int64) (offset, at int64, err error) {
	addr, err := c.find(topic, partition)
	if err != nil {
		return 0, 0, err
	}
	m := wire.NewListOffsetsRequest()
	m.ReplicaId = -1
	part := wire.NewListOffsetsRequestPartition()
	part.PartitionIndex, part.Timestamp, part.CurrentLeaderEpoch = partition, timestamp, c.epoch(topic, partition)
	m.Topics = []wire.ListOffsetsRequestTopic{{Name: topic, Partitions: []wire.ListOffsetsRequestPartition{part}}}
	answer, err := c.Do(addr, m)
	if err != nil {
		return 0, 0, c.forget(topic, partition, err)
	}
	for _, t := range answer.(*wire.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			if t.Name == topic && p.PartitionIndex == partition {
				return p.Offset, p.Timestamp, c.forget(topic, partition, p.ErrorCode.Err())
			}
		}
	}
	return 0, 0, &Violation{"ListOffsets: no answer for the partition"}
}

// EpochEnd asks where a leader epoch ended: the largest epoch that is not above it and has records, and the offset behind
// its last one. -1 and -1 say that there is none.
func (c *Client) EpochEnd(topic string, partition, epoch int32) (found int32, end int64, err error) {
	addr, err := c.find(topic, partition)
	if err != nil {
		return 0, 0, err
	}
	m := wire.NewOffsetForLeaderEpochRequest()
	m.ReplicaId = -1
	part := wire.NewOffsetForLeaderEpochRequestOffsetForLeaderPartition()
	part.Partition, part.LeaderEpoch = partition, epoch
	m.Topics = []wire.OffsetForLeaderEpochRequestOffsetForLeaderTopic{{Topic: topic,
		Partitions: []wire.OffsetForLeaderEpochRequestOffsetForLeaderPartition{part}}}
	answer, err := c.Do(addr, m)
	if err != nil {
		return 0, 0, c.forget(topic, partition, err)
	}
	for _, t := range answer.(*wire.OffsetForLeaderEpochResponse).Topics {
		for _, p := range t.Partitions {
			if t.Topic == topic && p.Partition == partition {
				return p.LeaderEpoch, p.EndOffset, c.forget(topic, partition, p.ErrorCode.Err())
			}
		}
	}
	return 0, 0, &Violation{"OffsetForLeaderEpoch: no answer for the partition"}
}

// AlterTopic sets one config of a topic; nil deletes it.
func (c *Client) AlterTopic(topic, name string, value *string) error {
	m := wire.NewIncrementalAlterConfigsRequest()
	alter := wire.IncrementalAlterConfigsRequestAlterableConfig{Name: name, Value: value}
	if value == nil {
		alter.ConfigOperation = 1
	}
	m.Resources = []wire.IncrementalAlterConfigsRequestAlterConfigsResource{{ResourceType: 2, ResourceName: topic,
		Configs: []wire.IncrementalAlterConfigsRequestAlterableConfig{alter}}}
	answer, err := c.Do(c.Any(), m)
	if err != nil {
		return err
	}
	for _, r := range answer.(*wire.IncrementalAlterConfigsResponse).Responses {
		return described(r.ErrorCode, r.ErrorMessage)
	}
	return &Violation{"IncrementalAlterConfigs: no answer"}
}
