package node

import (
	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/group"
)

// offsetFetch answers committed offsets; -1 where there is none, also for groups that do not exist. The coordinator makes
// sure that it has not been replaced before it answers.
//
// Versions: 2 may ask for all of a group's offsets and has an error of its own; 5 tells leader epochs; 6 has tagged
// fields; 7 may ask for stable offsets only; 8 asks for many groups; 9 names the member; 10 names topics by id: all of a
// group's offsets then leaves out topics that no longer exist.
func (b *Broker) offsetFetch(c *call, q *wire.OffsetFetchRequest) wire.Message {
	image := b.set.Catalog()
	a := wire.NewOffsetFetchResponse()
	if c.Version < 8 {
		r := &group.OffsetFetchRequest{GroupID: q.GroupId, All: q.Topics == nil, RequireStable: q.RequireStable, MemberEpoch: -1}
		for _, t := range q.Topics {
			r.Topics = append(r.Topics, group.FetchTopic{Topic: t.Name, Partitions: t.PartitionIndexes})
		}
		fetched := groupRead[*group.OffsetFetchResponse](c, q.GroupId, r, c.groupDeadline())
		c.fetchedOne(a, r, fetched)
		return a
	}
	asked := make([]groupFetch, len(q.Groups))
	ids, requests := make([]string, len(q.Groups)), make([]group.Request, len(q.Groups))
	for i := range q.Groups {
		asked[i] = c.beginGroupFetch(image, &q.Groups[i], q.RequireStable)
		ids[i], requests[i] = q.Groups[i].GroupId, asked[i].request
	}
	for i, fetched := range c.readGroups(ids, requests, c.groupDeadline()) {
		a.Groups = append(a.Groups, asked[i].finish(c, image, &q.Groups[i], fetched.(*group.OffsetFetchResponse)))
	}
	return a
}

// fetchedOne fills in the answer of versions that ask for one group. Before version 2 an error stands at each partition.
func (c *call) fetchedOne(a *wire.OffsetFetchResponse, r *group.OffsetFetchRequest, fetched *group.OffsetFetchResponse) {
	a.ErrorCode = fetched.Error
	topics := fetched.Topics
	if fetched.Error != wire.ErrNone && c.Version < 2 {
		topics = unfetched(r.Topics, fetched.Error)
	}
	for _, t := range topics {
		answer := wire.OffsetFetchResponseTopic{Name: t.Topic}
		for _, p := range t.Partitions {
			answer.Partitions = append(answer.Partitions, wire.OffsetFetchResponsePartition{
				PartitionIndex: p.Partition, CommittedOffset: p.Offset, CommittedLeaderEpoch: p.LeaderEpoch,
				Metadata: &p.Metadata, ErrorCode: p.Error,
			})
		}
		a.Topics = append(a.Topics, answer)
	}
}

// unfetched gives every partition the same error.
func unfetched(topics []group.FetchTopic, code wire.ErrorCode) []group.FetchedTopic {
	var out []group.FetchedTopic
	for _, t := range topics {
		ft := group.FetchedTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			ft.Partitions = append(ft.Partitions, group.FetchedPartition{Partition: p, Offset: -1, LeaderEpoch: -1, Error: code})
		}
		out = append(out, ft)
	}
	return out
}

// groupFetch is one group of a request on its way.
type groupFetch struct {
	request *group.OffsetFetchRequest
	// unknown holds the topics whose ids are unknown, at their place in the request; the others are asked for in order.
	unknown map[int]bool
}

func (c *call) beginGroupFetch(image *catalog.Image, g *wire.OffsetFetchRequestGroup, requireStable bool) groupFetch {
	r := &group.OffsetFetchRequest{GroupID: g.GroupId, All: g.Topics == nil, RequireStable: requireStable,
		MemberID: g.MemberId, MemberEpoch: g.MemberEpoch}
	unknown := map[int]bool{}
	for i := range g.Topics {
		t := &g.Topics[i]
		name := t.Name
		if c.Version >= 10 {
			topic, ok := image.TopicByID(t.TopicId)
			if !ok {
				unknown[i] = true
				continue
			}
			name = topic.Name
		}
		r.Topics = append(r.Topics, group.FetchTopic{Topic: name, Partitions: t.PartitionIndexes})
	}
	return groupFetch{request: r, unknown: unknown}
}

func (f *groupFetch) finish(c *call, image *catalog.Image, g *wire.OffsetFetchRequestGroup,
	fetched *group.OffsetFetchResponse,
) wire.OffsetFetchResponseGroup {
	a := wire.NewOffsetFetchResponseGroup()
	a.GroupId = g.GroupId
	if a.ErrorCode = fetched.Error; a.ErrorCode != wire.ErrNone {
		return a
	}
	topics := fetched.Topics
	for i := range g.Topics {
		t := &g.Topics[i]
		if f.unknown[i] {
			missing := unfetched([]group.FetchTopic{{Partitions: t.PartitionIndexes}}, wire.ErrUnknownTopicId)[0]
			a.Topics = append(a.Topics, fetchedTopic(t.Name, t.TopicId, missing))
			continue
		}
		a.Topics = append(a.Topics, fetchedTopic(t.Name, t.TopicId, topics[0]))
		topics = topics[1:]
	}
	if g.Topics != nil {
		return a
	}
	for _, t := range topics {
		topic, ok := image.Topic(t.Topic)
		if ok {
			a.Topics = append(a.Topics, fetchedTopic(t.Topic, wire.UUID(topic.ID), t))
		} else if c.Version < 10 {
			a.Topics = append(a.Topics, fetchedTopic(t.Topic, wire.UUID{}, t))
		}
	}
	return a
}

func fetchedTopic(name string, id wire.UUID, t group.FetchedTopic) wire.OffsetFetchResponseTopics {
	a := wire.OffsetFetchResponseTopics{Name: name, TopicId: id}
	for _, p := range t.Partitions {
		a.Partitions = append(a.Partitions, wire.OffsetFetchResponsePartitions{
			PartitionIndex: p.Partition, CommittedOffset: p.Offset, CommittedLeaderEpoch: p.LeaderEpoch,
			Metadata: &p.Metadata, ErrorCode: p.Error,
		})
	}
	return a
}
