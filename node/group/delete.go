package group

import (
	"slices"

	"millrace/net/wire"
	"millrace/node/host/mutant"
)

// tombstonesPerAppend bounds a batch of tombstones that need not be atomic, so that it fits in max.message.bytes.
const tombstonesPerAppend = 1000

// deleteOffsets handles OffsetDelete.
func (c *Coordinator) deleteOffsets(tag uint64, r *OffsetDeleteRequest) {
	g, consumers := c.groups[r.GroupID], c.consumers[r.GroupID]
	switch {
	case r.GroupID == "":
		c.reply(tag, &OffsetDeleteResponse{Error: wire.ErrInvalidGroupId})
		return
	case g == nil && consumers == nil:
		c.reply(tag, &OffsetDeleteResponse{Error: wire.ErrGroupIdNotFound})
		return
	case g != nil && g.state != empty && g.protocolType != typeConsumer:
		c.reply(tag, &OffsetDeleteResponse{Error: wire.ErrNonEmptyGroup}) // nobody can tell what its members read
		return
	}
	id := r.GroupID
	stored := c.storedOffsets(id)
	out := &OffsetDeleteResponse{}
	var records []Record
	for _, t := range r.Topics {
		code := wire.ErrNone
		if g != nil && g.subscribed(t.Topic) || consumers != nil && consumers.subscribed(t.Topic) {
			code = wire.ErrGroupSubscribedToTopic
		}
		errors := TopicErrors{Topic: t.Topic}
		for _, p := range t.Partitions {
			errors.Partitions = append(errors.Partitions, PartitionError{p, code})
			key := offsetKey{id, t.Topic, p}
			if _, found := slices.BinarySearchFunc(stored, key, compareKeys); found && code == wire.ErrNone {
				records = append(records, offsetTombstone(key))
			}
		}
		out.Topics = append(out.Topics, errors)
	}
	if len(records) == 0 {
		c.reply(tag, out)
		return
	}
	if mutant.On("group-offset-deleted-early") {
		c.reply(tag, out)
		c.append([]string{id}, records, func() {}, func(ErrorCode) {})
		return
	}
	c.append([]string{id}, records,
		func() { c.reply(tag, out) },
		func(code ErrorCode) { c.reply(tag, &OffsetDeleteResponse{Error: code}) })
}

// storedOffsets returns the keys of all offsets that the log holds, or is about to hold, for a group, sorted.
func (c *Coordinator) storedOffsets(groupID string) []offsetKey {
	keys := c.image.offsets.keys(groupID)
	keys = append(keys, c.image.pendingKeys(groupID)...)
	keys = append(keys, c.inFlight.offsets(&groupID)...)
	return sortKeys(keys)
}

// gathering answers a request when several appends have their fate.
type gathering struct {
	open   int
	answer func()
}

func (w *gathering) done() {
	if w.open--; w.open == 0 {
		w.answer()
	}
}

// deleteGroups handles DeleteGroups: each group with its offsets in a batch of its own.
func (c *Coordinator) deleteGroups(tag uint64, r *DeleteRequest) {
	out := &DeleteResponse{}
	wait := &gathering{open: 1, answer: func() { c.reply(tag, out) }}
	for i, id := range r.GroupIDs {
		out.Groups = append(out.Groups, DeletedGroup{GroupID: id})
		g := c.groups[id]
		switch {
		case slices.Contains(r.GroupIDs[:i], id):
			out.Groups[i].Error = wire.ErrGroupIdNotFound // by then
			continue
		case c.consumers[id] != nil || c.busy(id):
			wait.open++
			c.enter(id, operation{request: &removeGroup{groupID: id, done: func(code ErrorCode) {
				out.Groups[i].Error = code
				wait.done()
			}}})
			continue
		case g == nil:
			out.Groups[i].Error = wire.ErrGroupIdNotFound
			continue
		case g.state != empty:
			out.Groups[i].Error = wire.ErrNonEmptyGroup
			continue
		}
		for _, member := range sortedKeys(g.pending) { // ids that were given out end with the group
			c.removePending(g, member)
		}
		records := make([]Record, 0, 1)
		for _, key := range c.storedOffsets(id) {
			records = append(records, offsetTombstone(key))
		}
		if mutant.On("group-deletion-keeps-offsets") {
			records = records[:0]
		}
		records = append(records, groupTombstone(id))
		wait.open++
		c.append([]string{id}, records,
			func() { c.groupDeleted(id); wait.done() },
			func(code ErrorCode) { out.Groups[i].Error = code; wait.done() })
	}
	wait.done()
}

// groupDeleted forgets what the live group remembers of the deleted one, unless it lives on: then somebody joined after
// the deletion was ordered and before it was applied.
func (c *Coordinator) groupDeleted(id string) {
	g := c.groups[id]
	if g == nil || g.state != empty || len(g.pending) > 0 || c.inFlight.storesGroup(id) {
		return
	}
	delete(c.groups, id)
	c.follow([]string{id})
}

// follow makes a live group for each of these for which something is stored: a commit makes a group.
func (c *Coordinator) follow(groupIDs []string) {
	for _, id := range groupIDs {
		if c.groups[id] == nil && c.consumers[id] == nil && c.image.knows(id) {
			c.create(id)
		}
	}
}

// settle does what can be done for these groups now that one append less is open.
func (c *Coordinator) settle(groupIDs []string) {
	for _, w := range c.inFlight.takeReady() {
		c.reply(w.tag, c.fetched(w.request))
	}
	for _, id := range groupIDs {
		if g := c.groups[id]; g != nil {
			c.forgetUnused(g)
		}
	}
}

// deleteTopics removes the offsets of topics that are gone.
func (c *Coordinator) deleteTopics(tag uint64, r *TopicsDeletedRequest) {
	gone := map[string]bool{}
	for _, t := range r.Topics {
		gone[t] = true
	}
	var keys []offsetKey
	for _, id := range c.image.groupIDs() {
		keys = append(keys, c.image.offsets.keys(id)...)
		keys = append(keys, c.image.pendingKeys(id)...)
	}
	keys = sortKeys(append(keys, c.inFlight.offsets(nil)...))
	keys = slices.DeleteFunc(keys, func(k offsetKey) bool { return !gone[k.topic] })
	out := &TopicsDeletedResponse{}
	wait := &gathering{open: 1, answer: func() { c.reply(tag, out) }}
	b := tombstones{c: c, wait: wait, failed: func(code ErrorCode) { out.Error = code }}
	for _, k := range keys {
		b.add(k.group, offsetTombstone(k))
	}
	b.flush()
	wait.done()
}

// tombstones packs tombstones of many groups into appends.
type tombstones struct {
	c       *Coordinator
	groups  []string
	records []Record
	deleted []string // groups whose own tombstone is in the batch
	wait    *gathering
	failed  func(ErrorCode)
}

// add puts in a tombstone; the groups come one after the other.
func (b *tombstones) add(groupID string, record Record) {
	if len(b.records) == tombstonesPerAppend {
		b.flush()
	}
	if n := len(b.groups); n == 0 || b.groups[n-1] != groupID {
		b.groups = append(b.groups, groupID)
	}
	b.records = append(b.records, record)
}

func (b *tombstones) addGroup(groupID string) {
	b.add(groupID, groupTombstone(groupID))
	b.deleted = append(b.deleted, groupID)
}

func (b *tombstones) flush() {
	if len(b.records) == 0 {
		return
	}
	c, wait, failed, deleted := b.c, b.wait, b.failed, b.deleted
	wait.open++
	c.append(b.groups, b.records, func() {
		for _, id := range deleted {
			c.groupDeleted(id)
		}
		wait.done()
	}, func(code ErrorCode) {
		failed(code)
		wait.done()
	})
	b.groups, b.records, b.deleted = nil, nil, nil
}
