package node

import (
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/group"
)

// offsetCommit stores offsets of a group. It answers when they are durable and visible.
//
// Versions: 2 to 4 may say how long to keep them; 6 tells the leader epoch; 7 the instance id of a static member; 8 has
// tagged fields; 9 names an unknown group as GROUP_ID_NOT_FOUND; 10 names topics by id. Offsets of topics or partitions
// that do not exist are refused, the others stored.
func (b *Broker) offsetCommit(c *call, q *wire.OffsetCommitRequest) wire.Message {
	image := b.set.Catalog()
	if slices.ContainsFunc(q.Topics, func(t wire.OffsetCommitRequestTopic) bool { _, ok := c.commitTopic(image, &t); return !ok }) {
		image = c.newestCatalog() // it may have been made a moment ago
	}
	r := &group.OffsetCommitRequest{
		GroupID:         q.GroupId,
		Generation:      q.GenerationIdOrMemberEpoch,
		MemberID:        q.MemberId,
		InstanceID:      orEmpty(q.GroupInstanceId),
		Retention:       -1,
		GroupIDNotFound: c.Version >= 9,
	}
	if q.RetentionTimeMs >= 0 {
		r.Retention = time.Duration(min(q.RetentionTimeMs, maxMillis)) * time.Millisecond
	}
	a := wire.NewOffsetCommitResponse()
	a.Topics = make([]wire.OffsetCommitResponseTopic, len(q.Topics))
	var known []int // topics of the request that are in r.Topics, by place
	for i := range q.Topics {
		t, answer := &q.Topics[i], &a.Topics[i]
		answer.Name, answer.TopicId = t.Name, t.TopicId
		topic, ok := c.commitTopic(image, t)
		asked := group.CommitTopic{}
		for _, p := range t.Partitions {
			code := wire.ErrNone
			switch {
			case !ok && c.Version >= 10:
				code = wire.ErrUnknownTopicId
			case !ok || p.PartitionIndex < 0 || int(p.PartitionIndex) >= len(topic.Partitions):
				code = wire.ErrUnknownTopicOrPartition
			default:
				asked.Partitions = append(asked.Partitions, group.CommitPartition{
					Partition: p.PartitionIndex, Offset: p.CommittedOffset, LeaderEpoch: p.CommittedLeaderEpoch,
					Metadata: orEmpty(p.CommittedMetadata),
				})
				continue
			}
			answer.Partitions = append(answer.Partitions, wire.OffsetCommitResponsePartition{
				PartitionIndex: p.PartitionIndex, ErrorCode: code,
			})
		}
		if len(asked.Partitions) > 0 {
			asked.Topic, asked.TopicID = topic.Name, topic.ID
			r.Topics, known = append(r.Topics, asked), append(known, i)
		}
	}
	if len(r.Topics) == 0 {
		return a
	}
	for i, t := range groupWrite[*group.OffsetCommitResponse](c, q.GroupId, r).Topics {
		answer := &a.Topics[known[i]]
		for _, p := range t.Partitions {
			if p.Error == wire.ErrNone {
				b.groups.commits.Add(1)
			}
			answer.Partitions = append(answer.Partitions, wire.OffsetCommitResponsePartition{
				PartitionIndex: p.Partition, ErrorCode: p.Error,
			})
		}
	}
	return a
}

// maxMillis is the longest time in milliseconds that is kept apart from forever: about a century.
const maxMillis = 100 * 365 * 24 * 3600 * 1000

func (c *call) commitTopic(image *catalog.Image, t *wire.OffsetCommitRequestTopic) (*catalog.Topic, bool) {
	if c.Version >= 10 {
		return image.TopicByID(t.TopicId)
	}
	return image.Topic(t.Name)
}
