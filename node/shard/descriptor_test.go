package shard

import (
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"millrace/partition"
)

func goldenRecords() []record {
	id := partition.ID{Topic: [16]byte{1, 2, 3, 15: 16}, Index: 7}
	return []record{
		{
			kind: kindBatch, partition: id, roll: true, baseOffset: 1 << 40, count: 3, bytes: 1000, crc: 0xdeadbeef,
			producerID: 4711, producerEpoch: 2, baseSequence: 99, maxTimestamp: 1700000000000,
		},
		{kind: kindBatch, partition: id, count: 1, bytes: 61, producerID: -1, producerEpoch: -1, baseSequence: -1, maxTimestamp: -1},
		{kind: kindAdopt, partition: id, epoch: 5},
		{kind: kindDrop, partition: id},
		{kind: kindLogStart, partition: id, value: 12345},
		{kind: kindRoll, partition: id},
		{kind: kindExpire, value: 86400000},
		{kind: kindCommand, command: []byte("command")},
	}
}

func encodeRecords(wall int64, records []record) []byte {
	b := beginEntry(nil, wall)
	for i := range records {
		b = records[i].put(b)
	}
	endEntry(b, len(records))
	return b
}

func decodeRecords(b []byte) (wall int64, records []record, err error) {
	e, err := readEntry(b)
	if err != nil {
		return 0, nil, err
	}
	for {
		var r record
		more, err := e.next(&r)
		if err != nil || !more {
			return e.wall, records, err
		}
		records = append(records, r)
	}
}

// TestEntryFormat holds the format to the bytes in testdata: other replicas and the next release must read it.
func TestEntryFormat(t *testing.T) {
	const file = "testdata/entry.hex"
	b := encodeRecords(1234567890123, goldenRecords())
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.Dump(b); got != string(want) {
		t.Errorf("an entry is encoded as\n%swant\n%s", got, want)
	}
	wall, records, err := decodeRecords(b)
	if err != nil || wall != 1234567890123 || !slices.EqualFunc(records, goldenRecords(), sameRecord) {
		t.Errorf("decoded as %d %+v, %v", wall, records, err)
	}
}

func sameRecord(a, b record) bool {
	same := string(a.command) == string(b.command)
	a.command, b.command = nil, nil
	return same && a.kind == b.kind && a.partition == b.partition && a.roll == b.roll && a.baseOffset == b.baseOffset &&
		a.count == b.count && a.bytes == b.bytes && a.crc == b.crc && a.producerID == b.producerID &&
		a.producerEpoch == b.producerEpoch && a.baseSequence == b.baseSequence && a.maxTimestamp == b.maxTimestamp &&
		a.epoch == b.epoch && a.value == b.value
}

func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOf(rapid.SampledFrom(goldenRecords())).Draw(t, "records")
		b := encodeRecords(rapid.Int64().Draw(t, "wall"), records)
		_, got, err := decodeRecords(b)
		if err != nil || !slices.EqualFunc(got, records, sameRecord) {
			t.Fatalf("decoded as %+v, %v", got, err)
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, _, err := decodeRecords(b[:cut]); err == nil {
			t.Fatalf("the first %d of %d bytes are taken for an entry", cut, len(b))
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add(encodeRecords(1, goldenRecords()))
	f.Fuzz(func(t *testing.T, b []byte) {
		wall, records, err := decodeRecords(b)
		if err != nil {
			return
		}
		if _, again, err := decodeRecords(encodeRecords(wall, records)); err != nil || !slices.EqualFunc(again, records, sameRecord) {
			t.Fatalf("%+v is decoded as %+v, %v", records, again, err)
		}
	})
}

func TestNewerEntryIsRefused(t *testing.T) {
	b := encodeRecords(1, nil)
	b[0] = entryVersion + 1
	if _, err := readEntry(b); err == nil || errors.Is(err, errMalformed) || !strings.Contains(err.Error(), "newer") {
		t.Errorf("an entry of a newer version: %v", err)
	}
}
