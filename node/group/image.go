package group

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
)

// image is what the applied log says. It depends on the log's records and their order alone, so that all replicas
// have the same one.
type image struct {
	// groups holds the last stored value of each group's metadata. It stays encoded: it is looked at at an election.
	groups map[string][]byte
	// consumers holds the groups of the consumer protocol.
	consumers map[string]*consumerGroup
	// offsets holds what counts as committed.
	offsets offsetTable
	// pending holds, by producer, what open transactions will commit.
	pending map[int64]offsetTable
}

// offsetTable is offsets by group, topic and partition. No level is empty.
type offsetTable map[string]map[string]map[int32]committed

func newImage() image {
	return image{groups: map[string][]byte{}, consumers: map[string]*consumerGroup{}, offsets: offsetTable{},
		pending: map[int64]offsetTable{}}
}

func (t offsetTable) get(k offsetKey) (committed, bool) {
	v, ok := t[k.group][k.topic][k.partition]
	return v, ok
}

func (t offsetTable) put(k offsetKey, v committed) {
	topics := t[k.group]
	if topics == nil {
		topics = map[string]map[int32]committed{}
		t[k.group] = topics
	}
	partitions := topics[k.topic]
	if partitions == nil {
		partitions = map[int32]committed{}
		topics[k.topic] = partitions
	}
	partitions[k.partition] = v
}

func (t offsetTable) remove(k offsetKey) {
	topics := t[k.group]
	partitions := topics[k.topic]
	delete(partitions, k.partition)
	if len(partitions) == 0 {
		delete(topics, k.topic)
	}
	if len(topics) == 0 {
		delete(t, k.group)
	}
}

// keys returns the keys of a group's offsets, sorted by topic and partition.
func (t offsetTable) keys(groupID string) []offsetKey {
	var keys []offsetKey
	for topic, partitions := range t[groupID] { //door:ordered the keys are sorted below
		for partition := range partitions { //door:ordered the keys are sorted below
			keys = append(keys, offsetKey{groupID, topic, partition})
		}
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

func compareKeys(a, b offsetKey) int {
	return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
}

// sortKeys sorts and removes what is there twice.
func sortKeys(keys []offsetKey) []offsetKey {
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (im *image) apply(offset int64, producer Producer, record Record) error {
	key, err := decodeKey(record.Key)
	if err != nil {
		return err
	}
	switch key.kind {
	case keyGroup:
		return im.applyGroup(key.group, record.Value)
	case keyOffset:
		return im.applyOffset(offset, producer, key.offset, record.Value)
	case keyOther:
		return nil
	}
	return applyConsumer(im.consumers, key, record.Value)
}

func (im *image) applyGroup(groupID string, value []byte) error {
	if value == nil {
		delete(im.groups, groupID)
		return nil
	}
	if _, err := decodeGroup(value); err != nil {
		return err
	}
	im.groups[groupID] = bytes.Clone(value)
	return nil
}

func (im *image) applyOffset(offset int64, producer Producer, key offsetKey, value []byte) error {
	if value == nil {
		im.offsets.remove(key)
		for _, pending := range im.pending { //door:ordered each loses the same key
			pending.remove(key)
		}
		return nil
	}
	v, err := decodeCommitted(value)
	if err != nil {
		return err
	}
	v.recordOffset = offset
	table := im.offsets
	if producer.Transactional {
		if table = im.pending[producer.ID]; table == nil {
			table = offsetTable{}
			im.pending[producer.ID] = table
		}
	}
	table.put(key, v)
	return nil
}

// endTransaction makes a producer's pending offsets count, unless something newer was committed meanwhile, or drops
// them.
func (im *image) endTransaction(producerID int64, commit bool) {
	pending := im.pending[producerID]
	delete(im.pending, producerID)
	if !commit {
		return
	}
	for groupID := range pending { //door:ordered the keys of two groups differ
		for _, k := range pending.keys(groupID) {
			v, _ := pending.get(k)
			if old, ok := im.offsets.get(k); !ok || v.recordOffset > old.recordOffset {
				im.offsets.put(k, v)
			}
		}
	}
}

// unstable says whether an open transaction has a pending commit for the partition.
func (im *image) unstable(k offsetKey) bool {
	for _, pending := range im.pending { //door:ordered the answer is the same whichever has it
		if _, ok := pending.get(k); ok {
			return true
		}
	}
	return false
}

// pendingKeys returns the keys that open transactions have pending for a group, sorted.
func (im *image) pendingKeys(groupID string) []offsetKey {
	var keys []offsetKey
	for _, pending := range im.pending { //door:ordered the keys are sorted below
		keys = append(keys, pending.keys(groupID)...)
	}
	return sortKeys(keys)
}

// knows says whether anything is stored for the group.
func (im *image) knows(groupID string) bool {
	return im.groups[groupID] != nil || im.consumers[groupID] != nil || len(im.offsets[groupID]) > 0 || len(im.pendingKeys(groupID)) > 0
}

// groupIDs returns all groups that something is stored for, sorted.
func (im *image) groupIDs() []string {
	ids := append(sortedKeys(im.groups), sortedKeys(im.consumers)...)
	ids = append(ids, sortedKeys(im.offsets)...)
	for _, pending := range im.pending { //door:ordered the keys are sorted below
		ids = append(ids, sortedKeys(pending)...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
