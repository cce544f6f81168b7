package node

import (
	"slices"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/node/shard"
)

// Which replica answers a fetch, and what it may say.
//
// The leader answers, and to consumers of version 11 and later every other replica as well (KIP-392): all of them hold
// committed records only, so there is nothing to read that could be lost. When a client tells its rack, and no
// replica.selector.class says otherwise, the leader sends it to a replica in sync there.
//
// A replica may be behind. A fetch at its applied end waits, and so does one above it: only once this replica is known to
// hold everything that was committed when it was asked is the offset one that does not exist, which makes consumers reset.

// find looks the partition up and checks the epochs that the client knows.
func (f *fetchRun) find(item *fetchItem) {
	want, b := item.want, f.broker
	var ok bool
	if f.call.Version < 13 {
		if item.topic, ok = f.image.Topic(want.topic); !ok {
			item.code = wire.ErrUnknownTopicOrPartition
			return
		}
	} else if item.topic, ok = f.image.TopicByID(want.id); !ok {
		item.code = wire.ErrUnknownTopicId
		return
	}
	at, code := b.cluster.Lookup(item.topic.ID, want.index)
	item.leads = code == wire.ErrNone
	if code == wire.ErrNotLeaderOrFollower && f.call.Version >= 11 && !f.follower {
		at, code = b.cluster.Follow(item.topic.ID, want.index)
	}
	if code == wire.ErrUnknownTopicId && f.call.Version < 13 { // deleted a moment ago
		code = wire.ErrUnknownTopicOrPartition
	}
	if item.code = code; code != wire.ErrNone {
		return
	}
	if item.code = checkEpoch(want.leaderEpoch, at.LeaderEpoch); item.code != wire.ErrNone {
		return
	}
	if f.follower {
		item.code = wire.ErrNotLeaderOrFollower // replicas of this cluster do not fetch by this API
		return
	}
	item.at = at
	if f.rack != "" && item.leads && want.offset <= at.Log.View().End {
		item.preferred = b.readReplica(f.image, item.topic, want.index, f.rack)
	}
	if item.preferred >= 0 {
		item.view = at.Log.View()
		return
	}
	item.log = at.Log
}

// checkEpoch compares the leader epoch that a client knows, -1 for none, with the partition's.
func checkEpoch(known, current int32) wire.ErrorCode {
	switch {
	case known >= 0 && known < current:
		return wire.ErrFencedLeaderEpoch
	case known > current:
		return wire.ErrUnknownLeaderEpoch
	}
	return wire.ErrNone
}

// place says whether the client's place in the log, its offset and the epoch of its last record, is one of this log, as far
// as this replica has applied it: it sets beyond while that cannot be told.
func (f *fetchRun) place(item *fetchItem) {
	want := item.want
	item.beyond = want.offset > item.view.End || want.lastEpoch > item.at.LeaderEpoch
	if item.beyond {
		item.beyond = !f.confirming.done(item.at.Shard) && !mutant.On("fetch-beyond-applied-end")
	}
	if item.beyond || want.lastEpoch < 0 {
		return
	}
	epoch, end := epochEnd(item.at, want.lastEpoch)
	switch {
	case end < 0:
		item.code, item.log = wire.ErrOffsetOutOfRange, nil
	case epoch < want.lastEpoch || end < want.offset:
		item.diverges, item.divergesEpoch, item.divergesEnd, item.log = true, epoch, end, nil
	}
}

// confirm asks the shards whose partitions are not as long here as the client's place how far they are.
func (f *fetchRun) confirm() {
	for i := range f.items {
		if item := &f.items[i]; item.beyond {
			f.confirming.ask(item.at.Shard).Watch(f.call.waiter)
		}
	}
}

// until is how long the fetch waits: as the client says, and a little longer for what cannot be told yet.
func (f *fetchRun) until() host.Instant {
	for i := range f.items {
		if f.items[i].beyond {
			return max(f.deadline, f.call.Arrived.Add(freshRead))
		}
	}
	return f.deadline
}

// giveUp decides what to say of partitions in which nothing was found.
func (f *fetchRun) giveUp() {
	for i := range f.items {
		item := &f.items[i]
		switch {
		case item.log == nil || item.bytes > 0:
		case item.beyond && f.call.Version < 11:
			item.code = wire.ErrNotLeaderOrFollower
		case item.beyond:
			item.code = wire.ErrOffsetNotAvailable
		case !item.leads && item.at.Shard.Status().Leader == 0:
			// It may have been left behind: the client should look elsewhere.
			item.code = wire.ErrNotLeaderOrFollower
		}
	}
}

// tellLeader names the partition's leader to a client that asked another node or knows an old epoch (KIP-951).
func (f *fetchRun) tellLeader(item *fetchItem, d *wire.FetchResponsePartitionData) {
	if f.call.Version < 16 || item.topic == nil {
		return
	}
	if f.leaderBy == 0 {
		f.leaderBy = f.call.now().Add(findLeader)
	}
	l := f.call.awaitLeader(f.image, item.topic, int(item.want.index), f.leaderBy)
	if f.leaders.add(f.call, f.image, l.leader) {
		d.CurrentLeader = wire.FetchResponseLeaderIdAndEpoch{LeaderId: l.leader, LeaderEpoch: l.epoch}
	}
}

// confirmations are the questions of one request to shards how far they are, one for each shard.
type confirmations []confirmation

type confirmation struct {
	shard   *shard.Shard
	pending *shard.Pending
}

// ask has a shard confirm that it has applied what is committed now.
func (c *confirmations) ask(s *shard.Shard) *shard.Pending {
	i := slices.IndexFunc(*c, func(c confirmation) bool { return c.shard == s })
	if i < 0 {
		i = len(*c)
		*c = append(*c, confirmation{s, s.ReadIndex()})
	}
	return (*c)[i].pending
}

// done says that the shard was asked and has applied everything since.
func (c confirmations) done(s *shard.Shard) bool {
	for i := range c {
		if c[i].shard == s {
			result, ok := c[i].pending.Try()
			return ok && result.Error == wire.ErrNone
		}
	}
	return false
}
