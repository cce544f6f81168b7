package group

import "millrace/net/wire"

// writer encodes the records of consumer groups. It fails, at the end, when a string was too long.
type writer struct {
	records []Record
	err     error
}

func (w *writer) put(keyVersion int16, key, value wire.Record) {
	r := Record{}
	var err error
	if r.Key, err = encode(keyVersion, 0, key); err == nil && value != nil {
		r.Value, err = encode(consumerValueVersion, consumerValueVersion, value)
	}
	if err != nil && w.err == nil {
		w.err = err
	}
	w.records = append(w.records, r)
}

// size is about what the records take in a batch.
func (w *writer) size() int {
	n := 0
	for _, r := range w.records {
		n += len(r.Key) + len(r.Value) + 16
	}
	return n
}

func (w *writer) group(id string, epoch int32, hash int64) {
	w.put(consumerGroupKeyVersion, &wire.ConsumerGroupMetadataKey{GroupId: id},
		&wire.ConsumerGroupMetadataValue{Epoch: epoch, MetadataHash: hash})
}

func (w *writer) topicsTombstone(id string) {
	w.put(consumerTopicsKeyVersion, &wire.ConsumerGroupPartitionMetadataKey{GroupId: id}, nil)
}

func (w *writer) member(id string, m *consumerMember) {
	v := &wire.ConsumerGroupMemberMetadataValue{
		InstanceId:           m.instanceID,
		RackId:               m.rackID,
		ClientId:             m.clientID,
		ClientHost:           m.clientHost,
		SubscribedTopicNames: m.names,
		RebalanceTimeoutMs:   m.rebalanceTimeout,
		ServerAssignor:       m.assignor,
	}
	if m.pattern != "" || !m.patternNull {
		v.SubscribedTopicRegex = &m.pattern
	}
	if m.classic != nil {
		c := &wire.ConsumerGroupMemberMetadataValueClassicMemberMetadata{SessionTimeoutMs: m.classic.sessionTimeout}
		for _, p := range m.classic.protocols {
			c.SupportedProtocols = append(c.SupportedProtocols,
				wire.ConsumerGroupMemberMetadataValueClassicProtocol{Name: p.Name, Metadata: p.Metadata})
		}
		v.ClassicMemberMetadata = c
	}
	w.put(consumerMemberKeyVersion, &wire.ConsumerGroupMemberMetadataKey{GroupId: id, MemberId: m.id}, v)
}

func (w *writer) target(id string, epoch int32, millis int64) {
	w.put(targetMetadataKeyVersion, &wire.ConsumerGroupTargetAssignmentMetadataKey{GroupId: id},
		&wire.ConsumerGroupTargetAssignmentMetadataValue{AssignmentEpoch: epoch, AssignmentTimestamp: millis})
}

func (w *writer) targetMember(id, member string, target partitions) {
	v := &wire.ConsumerGroupTargetAssignmentMemberValue{}
	for _, t := range target.byTopic() {
		v.TopicPartitions = append(v.TopicPartitions,
			wire.ConsumerGroupTargetAssignmentMemberValueTopicPartition{TopicId: t.TopicID, Partitions: t.Partitions})
	}
	w.put(targetMemberKeyVersion, &wire.ConsumerGroupTargetAssignmentMemberKey{GroupId: id, MemberId: member}, v)
}

func (w *writer) current(id string, m *consumerMember) {
	w.put(currentAssignmentKeyVersion, &wire.ConsumerGroupCurrentMemberAssignmentKey{GroupId: id, MemberId: m.id},
		&wire.ConsumerGroupCurrentMemberAssignmentValue{
			MemberEpoch:                 m.epoch,
			PreviousMemberEpoch:         m.previousEpoch,
			State:                       int8(m.state),
			AssignedPartitions:          encodeHoldings(m.assigned),
			PartitionsPendingRevocation: encodeHoldings(m.revoking),
		})
}

func encodeHoldings(held holdings) []wire.ConsumerGroupCurrentMemberAssignmentValueTopicPartitions {
	var out []wire.ConsumerGroupCurrentMemberAssignmentValueTopicPartitions
	for _, h := range held {
		if n := len(out); n == 0 || out[n-1].TopicId != h.topic {
			out = append(out, wire.ConsumerGroupCurrentMemberAssignmentValueTopicPartitions{TopicId: h.topic})
		}
		last := &out[len(out)-1]
		last.Partitions = append(last.Partitions, h.index)
		last.AssignmentEpochs = append(last.AssignmentEpochs, h.epoch)
	}
	return out
}

func (w *writer) pattern(id, pattern string, r resolvedPattern) {
	w.put(patternKeyVersion, &wire.ConsumerGroupRegularExpressionKey{GroupId: id, RegularExpression: pattern},
		&wire.ConsumerGroupRegularExpressionValue{Topics: r.topics, Version: r.version, Timestamp: r.millis})
}

func (w *writer) patternTombstone(id, pattern string) {
	w.put(patternKeyVersion, &wire.ConsumerGroupRegularExpressionKey{GroupId: id, RegularExpression: pattern}, nil)
}

// memberTombstones removes a member.
func (w *writer) memberTombstones(id, member string) {
	w.currentTombstone(id, member)
	w.targetTombstone(id, member)
	w.metadataTombstone(id, member)
}

func (w *writer) currentTombstone(id, member string) {
	w.put(currentAssignmentKeyVersion, &wire.ConsumerGroupCurrentMemberAssignmentKey{GroupId: id, MemberId: member}, nil)
}

func (w *writer) targetTombstone(id, member string) {
	w.put(targetMemberKeyVersion, &wire.ConsumerGroupTargetAssignmentMemberKey{GroupId: id, MemberId: member}, nil)
}

func (w *writer) metadataTombstone(id, member string) {
	w.put(consumerMemberKeyVersion, &wire.ConsumerGroupMemberMetadataKey{GroupId: id, MemberId: member}, nil)
}

// groupTombstones removes a group with all that belongs to it but its offsets.
func (w *writer) groupTombstones(g *consumerGroup) {
	members := sortedKeys(g.members)
	for _, id := range members {
		w.currentTombstone(g.id, id)
	}
	for _, id := range members {
		w.targetTombstone(g.id, id)
	}
	w.put(targetMetadataKeyVersion, &wire.ConsumerGroupTargetAssignmentMetadataKey{GroupId: g.id}, nil)
	for _, id := range members {
		w.metadataTombstone(g.id, id)
	}
	for _, pattern := range sortedKeys(g.patterns) {
		w.patternTombstone(g.id, pattern)
	}
	w.topicsTombstone(g.id)
	w.put(consumerGroupKeyVersion, &wire.ConsumerGroupMetadataKey{GroupId: g.id}, nil)
}
