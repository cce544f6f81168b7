package node

import (
	"strings"
	"testing"

	"millrace/net/wire"
	"millrace/node/group"
	"millrace/partition/batch"
)

// groupRecords makes n records that commit offsets of a group, through a coordinator.
func groupRecords(t *testing.T, n int) []group.Record {
	t.Helper()
	c := group.New(group.DefaultConfig(), nil)
	c.Elect(group.Now{})
	r := &group.OffsetCommitRequest{GroupID: "g", Generation: -1, Retention: -1, Topics: []group.CommitTopic{{Topic: "t"}}}
	for i := range n {
		r.Topics[0].Partitions = append(r.Topics[0].Partitions, group.CommitPartition{Partition: int32(i), Offset: int64(100 + i)})
	}
	return c.Step(group.Now{}, group.Input{Tag: 1, Request: r}).Appends[0].Records
}

func committedOffsets(c *group.Coordinator) int {
	c.Elect(group.Now{})
	out := c.Step(group.Now{}, group.Input{Tag: 1, Request: &group.OffsetFetchRequest{GroupID: "g", All: true}})
	n := 0
	for _, t := range out.Replies[0].Response.(*group.OffsetFetchResponse).Topics {
		n += len(t.Partitions)
	}
	return n
}

// TestReplayGroups reads batches of a coordinator, of a transaction, and its marker.
func TestReplayGroups(t *testing.T) {
	records := groupRecords(t, 5)
	plain, refused := encodeGroupBatch(records[:2], 1, 0)
	if refused != nil {
		t.Fatal(refused)
	}
	transactional := func(base int64, producer int64, attributes int16, r ...group.Record) []byte {
		var list []batch.Record
		for _, one := range r {
			list = append(list, batch.Record{Key: one.Key, Value: one.Value})
		}
		b, err := batch.Encode(nil, batch.Header{BaseOffset: base, ProducerID: producer, Attributes: attributes | batch.TransactionalBit}, list, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	commit := group.Record{Key: []byte{0, 0, 0, 1}, Value: []byte{0, 0, 0, 0, 0, 0}}
	abort := group.Record{Key: []byte{0, 0, 0, 0}, Value: []byte{0, 0, 0, 0, 0, 0}}
	var log []byte
	log = append(log, plain.Bytes...)
	log = append(log, transactional(2, 7, 0, records[2])...)
	log = append(log, transactional(3, 8, 0, records[3])...)
	log = append(log, transactional(4, 7, batch.ControlBit, commit)...)
	log = append(log, transactional(5, 8, batch.ControlBit, abort)...)
	log = append(log, transactional(6, 9, 0, records[4])...) // still open
	c := group.New(group.DefaultConfig(), nil)
	if err := replayBatches(c, log, 0, batch.NewCoders()); err != nil {
		t.Fatal(err)
	}
	if n := committedOffsets(c); n != 3 {
		t.Errorf("%d offsets are committed, want 3: two plain ones and one of a transaction", n)
	}
	if err := replayBatches(c, log[:len(log)-1], 0, batch.NewCoders()); err == nil {
		t.Error("a batch that is cut short was read")
	}
	damaged, err := batch.Encode(nil, batch.Header{ProducerID: -1}, []batch.Record{{Key: []byte{0, 1, 0, 9}, Value: []byte{1}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := replayBatches(c, damaged, 0, batch.NewCoders()); err == nil || !strings.Contains(err.Error(), "record at offset 0") {
		t.Errorf("a damaged record: %v", err)
	}
}

func TestGroupBatchTooLarge(t *testing.T) {
	_, refused := encodeGroupBatch(groupRecords(t, 100), 1, 1000)
	if refused == nil || refused.code != wire.ErrMessageTooLarge && refused.code != wire.ErrRecordListTooLarge {
		t.Errorf("a batch above max.message.bytes: %v", refused)
	}
}
