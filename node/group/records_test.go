package group

import (
	"bytes"
	"encoding/hex"
	"testing"

	"millrace/net/wire"
)

// What Apache Kafka 4.3.1 wrote into its __consumer_offsets, read back with kcat: a static member of the console
// consumer, a member of librdkafka, their commits, deletions.
var fromKafka = []struct{ key, value string }{
	{"000200096772c3bc7070652d31", "0003000000000000ffffffff000001a202e43b5600000000"},
	{"000200096772c3bc7070652d31", "00030008636f6e73756d657200000001000572616e6765002b696e73742d312d32643636613232302d31" +
		"3736342d343738382d383366382d633134383334303839373432000001a202e43b6000000001002b696e73742d312d32643636613232302d31" +
		"3736342d343738382d383366382d6331343833343038393734320006696e73742d310010636f6e736f6c652d636f6e73756d6572000a2f31" +
		"32372e302e302e31000493e00000afc80000001800030000000100027431ffffffff00000000ffffffffffff0000001e0003000000010002" +
		"743100000003000000000000000100000002ffffffff"},
	{"000100096772c3bc7070652d310002743100000002",
		"000400000000000000020000000001000001a202e44c370100105f602dbd9072447086dfcf3cdc69e1e2"},
	{"000200026732", "00030008636f6e73756d657200000001000572616e6765002c72646b61666b612d66313436343631362d653433612d34" +
		"3563392d613662342d393735373464356637353338000001a202e44cab00000001002c72646b61666b612d66313436343631362d65343361" +
		"2d343563392d613662342d393735373464356637353338ffff000772646b61666b61000a2f3132372e302e302e31000493e00000afc80000" +
		"00120001000000010002743100000000000000000000001e000000000001000274310000000300000000000000010000000200000000"},
	{"0001000267320002743100000000", "00040000000000000001ffffffff01000001a202e44f1c0100105f602dbd9072447086dfcf3cdc69e1e2"},
	{"000200026732", "00030008636f6e73756d657200000002ffffffff000001a202e44f2200000000"},
	{"0001000267320002743100000001", ""},
	{"000200026732", ""},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func kafkaRecords(t testing.TB) []Record {
	var out []Record
	for _, r := range fromKafka {
		record := Record{Key: unhex(t, r.key)}
		if r.value != "" {
			record.Value = unhex(t, r.value)
		}
		out = append(out, record)
	}
	return out
}

// TestRecordsOfKafka reads Kafka's records and writes them again, byte by byte the same.
func TestRecordsOfKafka(t *testing.T) {
	for i, r := range kafkaRecords(t) {
		again, err := reencode(r)
		if err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if !bytes.Equal(again.Key, r.Key) || !bytes.Equal(again.Value, r.Value) {
			t.Errorf("record %d: read\n%x %x\nwritten\n%x %x", i, r.Key, r.Value, again.Key, again.Value)
		}
	}
}

func reencode(r Record) (Record, error) {
	key, err := decodeKey(r.Key)
	if err != nil || key.kind == keyOther {
		return r, err
	}
	switch {
	case key.kind == keyOffset && r.Value == nil:
		return offsetTombstone(key.offset), nil
	case key.kind == keyGroup && r.Value == nil:
		return groupTombstone(key.group), nil
	case key.kind == keyOffset:
		v, err := decodeCommitted(r.Value)
		if err != nil {
			return r, err
		}
		return offsetRecord(key.offset, v)
	}
	v, err := decodeGroup(r.Value)
	if err != nil {
		return r, err
	}
	return groupRecord(key.group, v)
}

// TestLoadFromKafka takes over a group from Kafka's own records, and stores it as Kafka has.
func TestLoadFromKafka(t *testing.T) {
	records := kafkaRecords(t)
	c, err := replay(DefaultConfig(), &counting{}, records[:5])
	if err != nil {
		t.Fatal(err)
	}
	c.Elect(Now{})
	const id = "inst-1-2d66a220-1764-4788-83f8-c14834089742"
	out := c.Step(Now{}, Input{Tag: 1, Request: &HeartbeatRequest{GroupID: "grüppe-1", Generation: 1, MemberID: id, InstanceID: "inst-1"}})
	if code := out.Replies[0].Response.(*HeartbeatResponse).Error; code != wire.ErrNone {
		t.Errorf("heartbeat of Kafka's member: %v", code)
	}
	out = c.Step(Now{}, Input{Tag: 2, Request: &OffsetFetchRequest{GroupID: "grüppe-1", All: true}})
	got := out.Replies[0].Response.(*OffsetFetchResponse)
	if len(got.Topics) != 1 || got.Topics[0].Topic != "t1" || got.Topics[0].Partitions[0] != (FetchedPartition{Partition: 2, Offset: 2}) {
		t.Errorf("fetched %+v", got)
	}
	g := c.groups["grüppe-1"]
	record, err := g.record(func(m *member) []byte { return m.assignment })
	if err != nil || !bytes.Equal(record.Value, records[1].Value) {
		t.Errorf("stored again, %v:\n%x\nwas\n%x", err, record.Value, records[1].Value)
	}
	if !g.subscribed("t1") || g.subscribed("t2") {
		t.Errorf("subscribed topics: %v", g.topics)
	}
}

func TestPartitionOf(t *testing.T) {
	// By Kafka 4.3.1 and by Java's String.hashCode; the third hashes to the least int, whose absolute value is none.
	for id, want := range map[string]int32{"grüppe-1": 8, "g2": 43, "polygenelubricants": 0, "": 0, "😀grp": 36} {
		if got := PartitionOf(id, 50); got != want {
			t.Errorf("PartitionOf(%q, 50) = %d, want %d", id, got, want)
		}
	}
}

// TestApplyDamage sees that damaged records are errors, that they change nothing, and that unknown types are skipped.
func TestApplyDamage(t *testing.T) {
	records := kafkaRecords(t)
	c, err := replay(DefaultConfig(), &counting{}, records)
	if err != nil {
		t.Fatal(err)
	}
	before := printImage(&c.image)
	for i, r := range records {
		for _, damaged := range []Record{
			{Key: r.Key[:len(r.Key)-1], Value: r.Value},
			{Key: append(bytes.Clone(r.Key), 0), Value: r.Value},
			{Key: r.Key, Value: append(bytes.Clone(r.Value), 0)},
			{Key: r.Key, Value: []byte{0, 99}},
			{Key: r.Key, Value: []byte{}},
		} {
			if err := c.Apply(0, NoProducer, damaged); err == nil {
				t.Errorf("record %d, damaged to %x %x, was applied", i, damaged.Key, damaged.Value)
			}
		}
	}
	if err := c.Apply(0, NoProducer, Record{Key: []byte{0, 12, 1, 2, 3}, Value: []byte{1}}); err != nil {
		t.Errorf("a record of another kind of group: %v", err)
	}
	if after := printImage(&c.image); after != before {
		t.Errorf("the image changed from\n%s\nto\n%s", before, after)
	}
}

// TestTransaction sees that offsets of a transaction count from its commit, and not at all when something newer is
// there or when it is aborted.
func TestTransaction(t *testing.T) {
	c := New(DefaultConfig(), &counting{})
	commit := func(at int64, producer Producer, partition int32, offset int64) {
		t.Helper()
		r, err := offsetRecord(offsetKey{"g", "t", partition}, committed{offset: offset, expireMillis: -1})
		if err == nil {
			err = c.Apply(at, producer, r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	one, two := Producer{ID: 1, Transactional: true}, Producer{ID: 2, Transactional: true}
	commit(0, NoProducer, 0, 10)
	commit(1, one, 0, 11)
	commit(2, one, 1, 12)
	commit(3, two, 2, 13)
	commit(4, NoProducer, 1, 14)
	c.Elect(Now{})
	fetch := func(stable bool) string {
		out := c.Step(Now{}, Input{Tag: 1, Request: &OffsetFetchRequest{GroupID: "g", RequireStable: stable,
			Topics: []FetchTopic{{"t", []int32{0, 1, 2}}}}})
		var got string
		for _, p := range out.Replies[0].Response.(*OffsetFetchResponse).Topics[0].Partitions {
			got += " " + errorName(p.Error) + ":" + string(rune('0'+p.Offset/10)) + string(rune('0'+(p.Offset+10)%10))
		}
		return got
	}
	const pending = "UNSTABLE_OFFSET_COMMIT:09"
	if got, want := fetch(true), " "+pending+" "+pending+" "+pending; got != want {
		t.Errorf("stable, with open transactions: %s, want %s", got, want)
	}
	if got, want := fetch(false), " ok:10 ok:14 ok:09"; got != want {
		t.Errorf("with open transactions: %s, want %s", got, want)
	}
	c.ApplyMarker(1, true)
	c.ApplyMarker(2, false)
	c.ApplyMarker(3, true)
	if got, want := fetch(true), " ok:11 ok:14 ok:09"; got != want {
		t.Errorf("after the transactions: %s, want %s", got, want)
	}
	if c.image.unstable(offsetKey{"g", "t", 0}) {
		t.Error("still unstable")
	}
}

func FuzzApply(f *testing.F) {
	for _, r := range kafkaRecords(f) {
		f.Add(r.Key, r.Value, r.Value == nil)
	}
	f.Add([]byte{0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 1}, []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		0, 0, 0, 0, 0, 0, 0, 5}, false)
	f.Fuzz(func(t *testing.T, key, value []byte, tombstone bool) {
		r := Record{Key: key, Value: value}
		if tombstone {
			r.Value = nil
		}
		c := New(DefaultConfig(), &counting{})
		if c.Apply(0, NoProducer, r) != nil {
			return
		}
		c.Elect(Now{}) // whatever was accepted can be taken over
		for range 20 {
			c.Expire(Now{Instant: c.Deadline(), WallMillis: int64(c.Deadline() / 1e6)})
		}
		again, err := reencode(r)
		if err != nil {
			return // a name that came as broken UTF-8 may be too long to write
		}
		d := New(DefaultConfig(), &counting{})
		if err := d.Apply(0, NoProducer, again); err != nil {
			t.Errorf("%x %x, written again as %x %x, is not accepted: %v", key, value, again.Key, again.Value, err)
		}
	})
}
