package group

import "millrace/net/wire"

// fetchOffsets handles OffsetFetch for one group.
func (c *Coordinator) fetchOffsets(tag uint64, r *OffsetFetchRequest) {
	if r.RequireStable && c.inFlight.wait(tag, r) {
		return
	}
	c.reply(tag, c.fetched(r))
}

func (c *Coordinator) fetched(r *OffsetFetchRequest) *OffsetFetchResponse {
	if g := c.image.consumers[r.GroupID]; g != nil {
		if code := g.checkFetch(r); code != wire.ErrNone {
			return &OffsetFetchResponse{Error: code}
		}
	}
	topics := r.Topics
	if r.All {
		topics = nil
		for _, k := range c.image.offsets.keys(r.GroupID) {
			if n := len(topics); n == 0 || topics[n-1].Topic != k.topic {
				topics = append(topics, FetchTopic{Topic: k.topic})
			}
			last := &topics[len(topics)-1]
			last.Partitions = append(last.Partitions, k.partition)
		}
	}
	out := &OffsetFetchResponse{}
	for _, t := range topics {
		ft := FetchedTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			ft.Partitions = append(ft.Partitions, c.fetchedOne(offsetKey{r.GroupID, t.Topic, p}, r.RequireStable))
		}
		out.Topics = append(out.Topics, ft)
	}
	return out
}

// checkFetch says whether the member that asks is one, at its epoch. Who does not say who asks may ask.
func (g *consumerGroup) checkFetch(r *OffsetFetchRequest) ErrorCode {
	if r.MemberID == nil && r.MemberEpoch < 0 {
		return wire.ErrNone
	}
	m := g.members[orNothing(r.MemberID)]
	switch {
	case m == nil:
		return wire.ErrUnknownMemberId
	case r.MemberEpoch == m.epoch:
		return wire.ErrNone
	case m.classic != nil:
		return wire.ErrIllegalGeneration
	}
	return wire.ErrStaleMemberEpoch
}

func (c *Coordinator) fetchedOne(k offsetKey, requireStable bool) FetchedPartition {
	none := FetchedPartition{Partition: k.partition, Offset: -1, LeaderEpoch: -1}
	if requireStable && c.image.unstable(k) {
		none.Error = wire.ErrUnstableOffsetCommit
		return none
	}
	v, ok := c.image.offsets.get(k)
	if !ok {
		return none
	}
	return FetchedPartition{Partition: k.partition, Offset: v.offset, LeaderEpoch: v.leaderEpoch, Metadata: v.metadata}
}
