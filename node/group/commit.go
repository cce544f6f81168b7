package group

import "millrace/net/wire"

// commitOffsets handles OffsetCommit. The offsets are visible, and the request is answered, when they are applied.
func (c *Coordinator) commitOffsets(tag uint64, r *OffsetCommitRequest) {
	g := c.groups[r.GroupID]
	if code := checkCommit(g, r); code != wire.ErrNone {
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
	c.append([]string{r.GroupID}, records,
		func() { c.reply(tag, out) },
		func(code ErrorCode) { c.reply(tag, commitError(r, code)) })
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
	case r.Generation != g.generation:
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
