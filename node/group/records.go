package group

import (
	"fmt"

	"millrace/net/wire"
)

// Keys begin with a version that says which kind of record it is:
//
//	key     0, 1   group string, topic string, partition int32        OffsetCommitKey
//	value   0…4    offset, leader epoch, metadata, commit timestamp   OffsetCommitValue; tombstone: the offset is gone
//	key     2      group string                                       GroupMetadataKey
//	value   0…4    type, generation, protocol, leader, time, members  GroupMetadataValue; tombstone: the group is gone
//
// All numbers are big-endian; strings have a 16-bit length, in version 4 a compact one. Written are, as by Kafka 4.3:
// offsets in version 4, which has the topic id, or in version 1 when they have an expiry of their own (clients before
// version 5 of OffsetCommit), groups in version 3. Higher key versions belong to the other kinds of groups: those of
// consumer groups are in consumer_records.go.
const (
	offsetKeyVersion    = 1
	groupKeyVersion     = 2
	offsetValueVersion  = 4
	offsetExpireVersion = 1
	groupValueVersion   = 3
	highestValueVersion = 4
)

type keyKind uint8

const (
	keyOther keyKind = iota // of a type that this package does not know
	keyOffset
	keyGroup
	// Of consumer groups:
	keyConsumerGroup
	keyConsumerTopics
	keyConsumerMember
	keyTarget
	keyTargetMember
	keyCurrent
	keyPattern
)

// offsetKey names a committed offset.
type offsetKey struct {
	group     string
	topic     string
	partition int32
}

// recordKey is a decoded key.
type recordKey struct {
	kind    keyKind
	offset  offsetKey
	group   string
	member  string
	pattern string
}

// committed is a committed offset as the log has it.
type committed struct {
	offset       int64
	leaderEpoch  int32 // -1: none
	metadata     string
	commitMillis int64
	expireMillis int64 // -1: by the broker's rule
	topicID      wire.UUID
	recordOffset int64 // where in the log it stands
}

func decodeKey(b []byte) (recordKey, error) {
	r := wire.NewReader(b)
	version := r.Int16()
	if err := r.Err(); err != nil {
		return recordKey{}, fmt.Errorf("a key of __consumer_offsets: %w", err)
	}
	var key recordKey
	switch version {
	case 0, offsetKeyVersion:
		var m wire.OffsetCommitKey
		m.Decode(r, 0)
		key = recordKey{kind: keyOffset, offset: offsetKey{m.Group, m.Topic, m.Partition}}
	case groupKeyVersion:
		var m wire.GroupMetadataKey
		m.Decode(r, 0)
		key = recordKey{kind: keyGroup, group: m.Group}
	default:
		var known bool
		if key, known = decodeConsumerKey(r, version); !known {
			return recordKey{kind: keyOther}, nil
		}
	}
	r.ExpectEnd()
	if err := r.Err(); err != nil {
		return recordKey{}, fmt.Errorf("a key of __consumer_offsets of version %d: %w", version, err)
	}
	return key, nil
}

// decodeValue takes the version off a value and has decode read the rest.
func decodeValue(what string, b []byte, highest int16, decode func(r *wire.Reader, version int16)) error {
	r := wire.NewReader(b)
	version := r.Int16()
	if r.Err() == nil && (version < 0 || version > highest) {
		return fmt.Errorf("%s of __consumer_offsets has version %d, known are 0 to %d", what, version, highest)
	}
	decode(r, version)
	r.ExpectEnd()
	if err := r.Err(); err != nil {
		return fmt.Errorf("%s of __consumer_offsets of version %d: %w", what, version, err)
	}
	return nil
}

func decodeCommitted(b []byte) (committed, error) {
	var m wire.OffsetCommitValue
	if err := decodeValue("an offset", b, highestValueVersion, m.Decode); err != nil {
		return committed{}, err
	}
	return committed{
		offset:       m.Offset,
		leaderEpoch:  m.LeaderEpoch,
		metadata:     m.Metadata,
		commitMillis: m.CommitTimestamp,
		expireMillis: m.ExpireTimestamp,
		topicID:      m.TopicId,
	}, nil
}

func decodeGroup(b []byte) (*wire.GroupMetadataValue, error) {
	m := &wire.GroupMetadataValue{}
	if err := decodeValue("a group", b, highestValueVersion, m.Decode); err != nil {
		return nil, err
	}
	return m, nil
}

// encode writes the version and the message. It fails when a string is longer than its length field can say.
func encode(prefix, version int16, m wire.Record) ([]byte, error) {
	return wire.AppendRecord([]byte{byte(prefix >> 8), byte(prefix)}, m, version)
}

func encodeOffsetKey(k offsetKey) ([]byte, error) {
	return encode(offsetKeyVersion, 0, &wire.OffsetCommitKey{Group: k.group, Topic: k.topic, Partition: k.partition})
}

func offsetRecord(k offsetKey, v committed) (Record, error) {
	key, err := encodeOffsetKey(k)
	if err != nil {
		return Record{}, err
	}
	version := int16(offsetValueVersion)
	if v.expireMillis >= 0 {
		version = offsetExpireVersion
	}
	value, err := encode(version, version, &wire.OffsetCommitValue{
		Offset:          v.offset,
		LeaderEpoch:     v.leaderEpoch,
		Metadata:        v.metadata,
		CommitTimestamp: v.commitMillis,
		ExpireTimestamp: v.expireMillis,
		TopicId:         v.topicID,
	})
	return Record{Key: key, Value: value}, err
}

// offsetTombstone and groupTombstone name what the log already holds, so their keys fit.
func offsetTombstone(k offsetKey) Record {
	key, err := encodeOffsetKey(k)
	if err != nil {
		panic(fmt.Sprintf("group: the key of a stored offset does not fit: %v", err))
	}
	return Record{Key: key}
}

func groupTombstone(groupID string) Record {
	key, err := encode(groupKeyVersion, 0, &wire.GroupMetadataKey{Group: groupID})
	if err != nil {
		panic(fmt.Sprintf("group: the key of a stored group does not fit: %v", err))
	}
	return Record{Key: key}
}

func groupRecord(groupID string, m *wire.GroupMetadataValue) (Record, error) {
	key, err := encode(groupKeyVersion, 0, &wire.GroupMetadataKey{Group: groupID})
	if err != nil {
		return Record{}, err
	}
	value, err := encode(groupValueVersion, groupValueVersion, m)
	return Record{Key: key, Value: value}, err
}
