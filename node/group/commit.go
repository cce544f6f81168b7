package group

import (
	"millrace/net/wire"
	"millrace/node/host/mutant"
)

// commitOffsets handles OffsetCommit. The offsets are visible, and the request is answered, when they are applied.
func (c *Coordinator) commitOffsets(tag uint64, r *OffsetCommitRequest) {
	g := c.groups[r.GroupID]
	allowed, code := c.mayCommit(g, r)
	if code != wire.ErrNone {
		c.reply(tag, commitError(r, code))
		return
	}
	if g != nil && (g.state == stable || g.state == preparingRebalance) {
		c.session(g, g.byID[r.MemberID])
	}
	expire := int64(-1)
	if r.Retention >= 0 {
		expire = c.now.WallMillis + r.Retention.Milliseconds()
	}
	out := &OffsetCommitResponse{}
	var records []Record
	for _, t := range r.Topics {
		errors := TopicErrors{Topic: t.Topic, TopicID: t.TopicID}
		for _, p := range t.Partitions {
			code := wire.ErrNone
			if allowed != nil && utf16Length(p.Metadata) <= c.config.OffsetMetadataMaxBytes {
				if code := allowed(t, p.Partition); code != wire.ErrNone {
					c.reply(tag, commitError(r, code)) // all or nothing
					return
				}
			}
			if utf16Length(p.Metadata) > c.config.OffsetMetadataMaxBytes {
				code = wire.ErrOffsetMetadataTooLarge
			} else {
				record, err := offsetRecord(offsetKey{r.GroupID, t.Topic, p.Partition}, committed{
					offset:       p.Offset,
					leaderEpoch:  p.LeaderEpoch,
					metadata:     p.Metadata,
					commitMillis: c.now.WallMillis,
					expireMillis: expire,
					topicID:      t.TopicID,
				})
				if err != nil { // a name that no record can hold
					c.reply(tag, commitError(r, wire.ErrUnknownServerError))
					return
				}
				records = append(records, record)
			}
			errors.Partitions = append(errors.Partitions, PartitionError{p.Partition, code})
		}
		out.Topics = append(out.Topics, errors)
	}
	if len(records) == 0 {
		c.reply(tag, out)
		return
	}
	if mutant.On("group-commit-answered-early") {
		c.append([]string{r.GroupID}, records, func() {}, func(ErrorCode) {})
		c.reply(tag, out)
		return
	}
	c.append([]string{r.GroupID}, records,
		func() { c.reply(tag, out) },
		func(code ErrorCode) { c.reply(tag, commitError(r, code)) })
}

// mayCommit says whether the offsets may be committed now, and of which partitions.
func (c *Coordinator) mayCommit(g *classic, r *OffsetCommitRequest) (allowed func(CommitTopic, int32) ErrorCode, code ErrorCode) {
	if consumers := c.consumers[r.GroupID]; consumers != nil {
		return consumers.checkCommit(r)
	}
	return nil, checkCommit(g, r)
}

// checkCommit of a consumer group lets a member commit that knows an older epoch than the group only for partitions that
// it had at that epoch and still has: it may have missed the answer that told it of the new epoch, or not be there yet.
func (g *consumerGroup) checkCommit(r *OffsetCommitRequest) (func(CommitTopic, int32) ErrorCode, ErrorCode) {
	if r.Generation < 0 && g.empty() {
		return nil, wire.ErrNone
	}
	m := g.members[r.MemberID]
	stale := wire.ErrStaleMemberEpoch
	switch {
	case m == nil:
		return nil, wire.ErrUnknownMemberId
	case m.classic != nil:
		stale = wire.ErrIllegalGeneration
	case !r.GroupIDNotFound:
		return nil, wire.ErrUnsupportedVersion
	}
	switch {
	case r.Generation == m.epoch || mutant.On("group-stale-epoch-commits"):
		return nil, wire.ErrNone
	case r.Generation > m.epoch:
		return nil, stale
	}
	return func(t CommitTopic, partition int32) ErrorCode {
		p := partitionID{t.TopicID, partition}
		held, ok := m.assigned.find(p)
		if !ok {
			held, ok = m.revoking.find(p)
		}
		if !ok || r.Generation < held.epoch {
			return stale
		}
		return wire.ErrNone
	}, wire.ErrNone
}

// checkCommit says whether this member, or somebody outside of the group, may commit now.
func checkCommit(g *classic, r *OffsetCommitRequest) ErrorCode {
	outsider := r.Generation < 0 && r.MemberID == "" && r.InstanceID == ""
	switch {
	case g == nil && r.Generation < 0:
		return wire.ErrNone // a group that only commits offsets comes into being
	case g == nil && r.GroupIDNotFound:
		return wire.ErrGroupIdNotFound
	case g == nil:
		return wire.ErrIllegalGeneration
	case g.state == empty && r.Generation < 0:
		return wire.ErrNone
	case outsider:
		return wire.ErrUnknownMemberId // its commits would fight with the members'
	}
	if code := g.verify(r.MemberID, r.InstanceID); code != wire.ErrNone {
		return code
	}
	switch {
	case r.Generation != g.generation && !mutant.On("group-generation-not-checked"):
		return wire.ErrIllegalGeneration
	case g.state == completingRebalance:
		return wire.ErrRebalanceInProgress
	}
	return wire.ErrNone
}

// commitError is the response that gives every partition the same error.
func commitError(r *OffsetCommitRequest, code ErrorCode) *OffsetCommitResponse {
	out := &OffsetCommitResponse{}
	for _, t := range r.Topics {
		errors := TopicErrors{Topic: t.Topic, TopicID: t.TopicID}
		for _, p := range t.Partitions {
			errors.Partitions = append(errors.Partitions, PartitionError{p.Partition, code})
		}
		out.Topics = append(out.Topics, errors)
	}
	return out
}

// utf16Length is the length that a string has in Java, which Kafka's limit counts.
func utf16Length(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x10000 {
			n++
		}
	}
	return n
}
