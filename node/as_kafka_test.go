package node

import (
	"testing"

	"millrace/net/wire"
)

// What follows holds answers to what Apache Kafka 4.3.1 gave to the same requests; cmd/oracle asks both.

func TestRefusalsAreKafkas(t *testing.T) {
	b := newBroker(t)
	r := dialRaw(t, b)
	create := func(change func(*wire.CreateTopicsRequestCreatableTopic)) wire.CreateTopicsResponseCreatableTopicResult {
		q := wire.NewCreateTopicsRequest()
		topic := wire.CreateTopicsRequestCreatableTopic{Name: "t", NumPartitions: -1, ReplicationFactor: -1}
		change(&topic)
		q.Topics = append(q.Topics, topic)
		return ask[*wire.CreateTopicsResponse](r, q, 7).Topics[0]
	}
	assigned := func(brokers ...[]int32) func(*wire.CreateTopicsRequestCreatableTopic) {
		return func(topic *wire.CreateTopicsRequestCreatableTopic) {
			for i, ids := range brokers {
				topic.Assignments = append(topic.Assignments, wire.CreateTopicsRequestCreatableReplicaAssignment{PartitionIndex: int32(i), BrokerIds: ids})
			}
		}
	}
	least, most := "10", "5"
	for _, c := range []struct {
		change  func(*wire.CreateTopicsRequestCreatableTopic)
		code    wire.ErrorCode
		message string
	}{
		{assigned([]int32{1}, []int32{1, 2}), wire.ErrInvalidReplicaAssignment, "The manual partition assignment includes broker 2, but no such broker is registered."},
		{assigned([]int32{1, 1}), wire.ErrInvalidReplicaAssignment, "The manual partition assignment includes the broker 1 more than once."},
		{assigned([]int32{}), wire.ErrInvalidReplicaAssignment, "The manual partition assignment includes an empty replica list."},
		{func(topic *wire.CreateTopicsRequestCreatableTopic) { topic.Name = "__cluster_metadata" }, wire.ErrInvalidRequest,
			"Creation of internal topic __cluster_metadata is prohibited."},
		{func(topic *wire.CreateTopicsRequestCreatableTopic) { topic.NumPartitions = 2_000_000 }, wire.ErrPolicyViolation,
			"Excessively large number of partitions per request."},
		{func(topic *wire.CreateTopicsRequestCreatableTopic) {
			topic.Configs = []wire.CreateTopicsRequestCreatableTopicConfig{{Name: "min.compaction.lag.ms", Value: &least}, {Name: "max.compaction.lag.ms", Value: &most}}
		}, wire.ErrInvalidConfig, "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"},
	} {
		if a := create(c.change); a.ErrorCode != c.code || orEmpty(a.ErrorMessage) != c.message {
			t.Errorf("%v %q, want %v %q", a.ErrorCode, orEmpty(a.ErrorMessage), c.code, c.message)
		}
	}
}

// TestDoubleTopicsAreAnsweredOnce names topics twice.
func TestDoubleTopicsAreAnsweredOnce(t *testing.T) {
	b := newBroker(t)
	r := dialRaw(t, b)
	create := wire.NewCreateTopicsRequest()
	for _, name := range []string{"twice", "twice", "once"} {
		create.Topics = append(create.Topics, wire.CreateTopicsRequestCreatableTopic{Name: name, NumPartitions: 1, ReplicationFactor: 1})
	}
	made := ask[*wire.CreateTopicsResponse](r, create, 7).Topics
	if len(made) != 2 || made[0].Name != "once" || made[0].ErrorCode != 0 || made[1].ErrorCode != wire.ErrInvalidRequest {
		t.Fatalf("created: %+v", made)
	}
	list := wire.NewListOffsetsRequest()
	partition := wire.ListOffsetsRequestPartition{Timestamp: -1, CurrentLeaderEpoch: -1}
	list.Topics = []wire.ListOffsetsRequestTopic{{Name: "once", Partitions: []wire.ListOffsetsRequestPartition{partition, partition}}}
	if a := ask[*wire.ListOffsetsResponse](r, list, 7).Topics[0].Partitions; len(a) != 1 || a[0].ErrorCode != wire.ErrInvalidRequest {
		t.Errorf("offsets: %+v", a)
	}
	name := "once"
	remove := wire.NewDeleteTopicsRequest()
	remove.Topics = []wire.DeleteTopicsRequestDeleteTopicState{{Name: &name}, {TopicId: made[0].TopicId}}
	if a := ask[*wire.DeleteTopicsResponse](r, remove, 6).Responses; len(a) != 1 || a[0].ErrorCode != wire.ErrInvalidRequest || a[0].TopicId != made[0].TopicId {
		t.Errorf("deleted: %+v", a)
	}
}

// TestRefusedRecordsAreNamedInKafkasWords produces without keys to a compacted topic.
func TestRefusedRecordsAreNamedInKafkasWords(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 1, "cleanup.policy", "compact")
	r := dialRaw(t, b)
	a := ask[*wire.ProduceResponse](r, produceRequest("t", -1, rawBatch(2, nil)), 12).Responses[0].PartitionResponses[0]
	const why = "Compacted topic cannot accept message without key in topic partition t-0"
	want := "One or more records have been rejected due to 2 record errors in total, and only showing the first three errors at most: " +
		"[RecordError(batchIndex=0, message='" + why + "'), RecordError(batchIndex=1, message='" + why + "')]"
	if a.ErrorCode != wire.ErrInvalidRecord || orEmpty(a.ErrorMessage) != want || a.LogStartOffset != 0 {
		t.Errorf("%v, log start %d: %s", a.ErrorCode, a.LogStartOffset, orEmpty(a.ErrorMessage))
	}
	if len(a.RecordErrors) != 2 || orEmpty(a.RecordErrors[1].BatchIndexErrorMessage) != why {
		t.Errorf("records: %+v", a.RecordErrors)
	}
	q := produceRequest("t", -1, []byte{1, 2, 3})
	if a := ask[*wire.ProduceResponse](r, q, 12).Responses[0].PartitionResponses[0]; a.ErrorCode != wire.ErrInvalidRecord || a.LogStartOffset != -1 {
		t.Errorf("no batch at all: %v, log start %d", a.ErrorCode, a.LogStartOffset)
	}
}

// TestDynamicConfigsOfAllKinds sets what Kafka lets set: names that nobody knows, client metrics.
func TestDynamicConfigsOfAllKinds(t *testing.T) {
	b := newBroker(t)
	r := dialRaw(t, b)
	alter := func(kind int8, name, config, value string) wire.ErrorCode {
		q := wire.NewIncrementalAlterConfigsRequest()
		q.Resources = []wire.IncrementalAlterConfigsRequestAlterConfigsResource{{ResourceType: kind, ResourceName: name,
			Configs: []wire.IncrementalAlterConfigsRequestAlterableConfig{{Name: config, Value: &value}}}}
		return ask[*wire.IncrementalAlterConfigsResponse](r, q, 1).Responses[0].ErrorCode
	}
	for _, c := range []struct {
		kind                int8
		name, config, value string
		want                wire.ErrorCode
	}{
		{4, "", "some.plugins.config", "1", wire.ErrNone},
		{4, "", "log.retention.ms", "5000", wire.ErrNone},
		{4, "", "num.partitions", "5", wire.ErrInvalidRequest},
		{16, "m", "interval.ms", "5000", wire.ErrNone},
		{16, "m", "interval.ms", "5", wire.ErrInvalidRequest},
		{16, "m", "match", "client_id=a.*", wire.ErrNone},
		{16, "m", "match", "nonsense", wire.ErrInvalidConfig},
		{16, "", "interval.ms", "5000", wire.ErrInvalidRequest},
	} {
		if code := alter(c.kind, c.name, c.config, c.value); code != c.want {
			t.Errorf("%s=%s: %v, want %v", c.config, c.value, code, c.want)
		}
	}
	q := wire.NewDescribeConfigsRequest()
	q.IncludeSynonyms = true
	q.Resources = []wire.DescribeConfigsRequestResource{{ResourceType: 4, ResourceName: "1", ConfigurationKeys: []string{"some.plugins.config", "log.retention.ms"}},
		{ResourceType: 16, ResourceName: "m"}}
	a := ask[*wire.DescribeConfigsResponse](r, q, 4).Results
	for i, want := range []struct {
		value     string
		sensitive bool
		source    int8
		synonyms  int
	}{{"5000", false, 3, 2}, {"", true, 3, 1}} {
		if c := a[0].Configs[i]; orEmpty(c.Value) != want.value || c.IsSensitive != want.sensitive || c.ConfigSource != want.source || len(c.Synonyms) != want.synonyms {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
	if c := a[1].Configs[0]; len(a[1].Configs) != 3 || orEmpty(c.Value) != "5000" || c.ConfigSource != 7 {
		t.Errorf("client metrics: %+v", a[1].Configs)
	}
	resources := ask[*wire.ListConfigResourcesResponse](r, wire.NewListConfigResourcesRequest(), 0).ConfigResources
	if len(resources) != 1 || resources[0].ResourceName != "m" {
		t.Errorf("resources: %+v", resources)
	}
}
