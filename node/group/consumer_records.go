package group

import (
	"slices"

	"millrace/net/wire"
)

// Records of consumer groups. Keys have non-flexible encoding, values version 0, flexible. A member's three records go
// together; their tombstones come in the order current assignment, target assignment, metadata.
//
//	key  3   group                      ConsumerGroupMetadataValue: epoch, hash of the topics' metadata
//	key  4   group                      written by Kafka before 4.1 only; a tombstone is written over it
//	key  5   group, member              ConsumerGroupMemberMetadataValue: who it is and what it subscribes to
//	key  6   group                      ConsumerGroupTargetAssignmentMetadataValue: epoch and time of the target
//	key  7   group, member              ConsumerGroupTargetAssignmentMemberValue: partitions
//	key  8   group, member              ConsumerGroupCurrentMemberAssignmentValue: epochs, state, partitions
//	key 16   group, regular expression  ConsumerGroupRegularExpressionValue: topics that match
const (
	consumerGroupKeyVersion     = 3
	consumerTopicsKeyVersion    = 4
	consumerMemberKeyVersion    = 5
	targetMetadataKeyVersion    = 6
	targetMemberKeyVersion      = 7
	currentAssignmentKeyVersion = 8
	patternKeyVersion           = 16
	consumerValueVersion        = 0
)

// decodeConsumerKey decodes what follows the version of a key; false when it is of another kind.
func decodeConsumerKey(r *wire.Reader, version int16) (recordKey, bool) {
	key := recordKey{}
	switch version {
	case consumerGroupKeyVersion:
		var m wire.ConsumerGroupMetadataKey
		m.Decode(r, 0)
		key.kind, key.group = keyConsumerGroup, m.GroupId
	case consumerTopicsKeyVersion:
		var m wire.ConsumerGroupPartitionMetadataKey
		m.Decode(r, 0)
		key.kind, key.group = keyConsumerTopics, m.GroupId
	case consumerMemberKeyVersion:
		var m wire.ConsumerGroupMemberMetadataKey
		m.Decode(r, 0)
		key.kind, key.group, key.member = keyConsumerMember, m.GroupId, m.MemberId
	case targetMetadataKeyVersion:
		var m wire.ConsumerGroupTargetAssignmentMetadataKey
		m.Decode(r, 0)
		key.kind, key.group = keyTarget, m.GroupId
	case targetMemberKeyVersion:
		var m wire.ConsumerGroupTargetAssignmentMemberKey
		m.Decode(r, 0)
		key.kind, key.group, key.member = keyTargetMember, m.GroupId, m.MemberId
	case currentAssignmentKeyVersion:
		var m wire.ConsumerGroupCurrentMemberAssignmentKey
		m.Decode(r, 0)
		key.kind, key.group, key.member = keyCurrent, m.GroupId, m.MemberId
	case patternKeyVersion:
		var m wire.ConsumerGroupRegularExpressionKey
		m.Decode(r, 0)
		key.kind, key.group, key.pattern = keyPattern, m.GroupId, m.RegularExpression
	default:
		return key, false
	}
	return key, true
}

// applyConsumer applies a record to the groups it is told of. Kafka's order is that of one batch; compaction leaves of
// each key the last record, so that any may be missing on the way.
func applyConsumer(groups map[string]*consumerGroup, key recordKey, value []byte) error {
	g := groups[key.group]
	if g == nil {
		if value == nil {
			return nil
		}
		g = newConsumerGroup(key.group)
	}
	if err := g.apply(key, value); err != nil {
		return err
	}
	if key.kind == keyConsumerGroup && value == nil {
		delete(groups, key.group)
	} else {
		groups[key.group] = g
	}
	return nil
}

func (g *consumerGroup) apply(key recordKey, value []byte) error {
	switch key.kind {
	case keyConsumerGroup:
		return g.applyGroup(value)
	case keyConsumerTopics:
		g.legacy = value != nil
	case keyConsumerMember:
		return g.applyMember(key.member, value)
	case keyTarget:
		return g.applyTarget(value)
	case keyTargetMember:
		return g.applyTargetMember(key.member, value)
	case keyCurrent:
		return g.applyCurrent(key.member, value)
	case keyPattern:
		return g.applyPattern(key.pattern, value)
	}
	return nil
}

// decodeConsumerValue decodes a value, of which there is one version.
func decodeConsumerValue(what string, value []byte, decode func(r *wire.Reader, version int16)) error {
	return decodeValue(what, value, consumerValueVersion, decode)
}

func (g *consumerGroup) applyGroup(value []byte) error {
	if value == nil {
		return nil
	}
	var v wire.ConsumerGroupMetadataValue
	if err := decodeConsumerValue("a consumer group", value, v.Decode); err != nil {
		return err
	}
	g.epoch, g.metadataHash = v.Epoch, v.MetadataHash
	return nil
}

func (g *consumerGroup) applyTarget(value []byte) error {
	if value == nil {
		g.assignmentEpoch, g.assignmentMillis = noAssignmentEpoch, 0
		return nil
	}
	var v wire.ConsumerGroupTargetAssignmentMetadataValue
	if err := decodeConsumerValue("a target assignment", value, v.Decode); err != nil {
		return err
	}
	g.assignmentEpoch, g.assignmentMillis = v.AssignmentEpoch, v.AssignmentTimestamp
	return nil
}

func (g *consumerGroup) applyTargetMember(id string, value []byte) error {
	if value == nil {
		delete(g.targets, id)
		return nil
	}
	var v wire.ConsumerGroupTargetAssignmentMemberValue
	if err := decodeConsumerValue("a member's target assignment", value, v.Decode); err != nil {
		return err
	}
	var topics []TopicPartitions
	for _, t := range v.TopicPartitions {
		topics = append(topics, TopicPartitions{t.TopicId, t.Partitions})
	}
	g.targets[id] = fromTopics(topics)
	return nil
}

func (g *consumerGroup) applyMember(id string, value []byte) error {
	if value == nil {
		g.remove(id)
		return nil
	}
	var v wire.ConsumerGroupMemberMetadataValue
	if err := decodeConsumerValue("a consumer group's member", value, v.Decode); err != nil {
		return err
	}
	g.set(g.memberOrNew(id).with(func(m *consumerMember) {
		m.instanceID, m.rackID, m.clientID, m.clientHost = v.InstanceId, v.RackId, v.ClientId, v.ClientHost
		m.names = sortedNames(v.SubscribedTopicNames)
		m.pattern, m.patternNull = orNothing(v.SubscribedTopicRegex), v.SubscribedTopicRegex == nil
		m.assignor, m.rebalanceTimeout = v.ServerAssignor, v.RebalanceTimeoutMs
		m.classic = nil
		if c := v.ClassicMemberMetadata; c != nil && len(c.SupportedProtocols) > 0 {
			m.classic = &classicMember{sessionTimeout: c.SessionTimeoutMs}
			for _, p := range c.SupportedProtocols {
				m.classic.protocols = append(m.classic.protocols, Protocol{p.Name, slices.Clone(p.Metadata)})
			}
		}
	}))
	return nil
}

func (g *consumerGroup) applyCurrent(id string, value []byte) error {
	if value == nil {
		if g.members[id] != nil {
			g.set(g.members[id].with(func(m *consumerMember) {
				m.epoch, m.previousEpoch, m.assigned, m.revoking = leavingEpoch, leavingEpoch, nil, nil
			}))
		}
		return nil
	}
	var v wire.ConsumerGroupCurrentMemberAssignmentValue
	if err := decodeConsumerValue("a member's assignment", value, v.Decode); err != nil {
		return err
	}
	g.set(g.memberOrNew(id).with(func(m *consumerMember) {
		m.epoch, m.previousEpoch, m.state = v.MemberEpoch, v.PreviousMemberEpoch, memberState(v.State)
		if m.state < memberStable || m.state > memberUnreleased {
			m.state = memberUnknown
		}
		m.assigned = decodeHoldings(v.AssignedPartitions, v.MemberEpoch)
		m.revoking = decodeHoldings(v.PartitionsPendingRevocation, v.MemberEpoch)
	}))
	return nil
}

func (g *consumerGroup) applyPattern(pattern string, value []byte) error {
	if value == nil {
		g.removePattern(pattern)
		return nil
	}
	var v wire.ConsumerGroupRegularExpressionValue
	if err := decodeConsumerValue("a regular expression", value, v.Decode); err != nil {
		return err
	}
	g.setPattern(pattern, resolvedPattern{topics: sortedNames(v.Topics), version: v.Version, millis: v.Timestamp})
	return nil
}

func (g *consumerGroup) memberOrNew(id string) *consumerMember {
	if m := g.members[id]; m != nil {
		return m
	}
	return newConsumerMember(id)
}

func sortedNames(names []string) []string {
	names = slices.Sorted(slices.Values(names))
	return slices.Compact(names)
}

// decodeHoldings reads assigned partitions. Kafka before 4.2 stored no epochs with them; then the member's counts.
func decodeHoldings(topics []wire.ConsumerGroupCurrentMemberAssignmentValueTopicPartitions, memberEpoch int32) holdings {
	var out holdings
	for _, t := range topics {
		for i, p := range t.Partitions {
			epoch := max(memberEpoch, 0)
			if len(t.AssignmentEpochs) == len(t.Partitions) {
				epoch = t.AssignmentEpochs[i]
			}
			out = append(out, holding{partitionID{t.TopicId, p}, epoch})
		}
	}
	out.sort()
	return slices.CompactFunc(out, func(a, b holding) bool { return a.partitionID == b.partitionID })
}
