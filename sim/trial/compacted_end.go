package trial

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"millrace/partition/batch"
	"millrace/sim/client"
)

func sortedKeys(m map[string]*kept) []string { return slices.Sorted(maps.Keys(m)) }

// readCompacted reads the compacted topics at the end.
func (t *trial) readCompacted(when string) bool {
	c := t.newClient("tables "+when, ActorPlan{})
	defer c.Close()
	deadline := t.host.Clock.Now().Add(patience)
	for _, topic := range t.compacted {
		for _, l := range topic.logs {
			o := client.FetchOptions{MaxWait: 10 * time.Millisecond, MinBytes: 1, MaxBytes: 8 << 20, PartitionMaxBytes: 1 << 20}
			for !t.rebuildOnce(c, l, o, "who reads "+when, func() bool { return t.host.Clock.Now() < deadline }) {
				if t.host.Clock.Now() > deadline {
					t.failf("%s: %v cannot be read to its end", when, l)
					return false
				}
			}
		}
	}
	return true
}

// compareCompacted reads the segments of compacted topics on all nodes after an orderly stop: at an offset there is the same
// record wherever there is one, each replica has the last value of each key, and none has let go of a tombstone too early.
func (t *trial) compareCompacted() bool {
	for _, topic := range t.compacted {
		for _, l := range topic.logs {
			dir := hex.EncodeToString(topic.id[:]) + "-" + fmt.Sprint(l.index)
			acked := l.acknowledged()
			tables := make(map[string]*table)
			var names []string
			for _, b := range t.whole() {
				if b.node.Damaged() > 0 {
					continue // what it keeps of damaged files may be anything
				}
				got, there, err := t.readReplica(b, l, dir)
				if err != nil {
					t.failf("%v: on %s: %w", l, b.node.Name(), err)
					return false
				}
				if there {
					t.judge(l, got, acked, false, b.node.Name())
					tables[b.node.Name()], names = got, append(names, b.node.Name())
				}
			}
			t.compareTombstones(l, names, tables)
		}
	}
	return true
}

// compareTombstones checks that what one replica holds of a key no other one has let go of together with the tombstone: filled
// from there, it would have the key for ever.
func (t *trial) compareTombstones(l *compactedLog, names []string, tables map[string]*table) {
	if l.topic.plan.Deletes {
		return // what lies below the log start may be gone on one and not yet on another
	}
	for _, holder := range names {
		held := tables[holder].values
		for _, key := range sortedKeys(held) {
			for _, other := range names {
				if last := tables[other].last[key]; last == nil || last.offset < held[key].offset {
					t.failf("%v: %s has a value of key %s at offset %d, and %s nothing of the key from there on: its tombstone is gone too early",
						l, holder, key, held[key].offset, other)
				}
			}
		}
	}
}

var errCut = errors.New("a batch is cut off")

// readReplica reads the records in the segments of one of the node's directories. A record may be in two files: in one that
// was compacted, and in what was made of it.
func (t *trial) readReplica(b *broker, l *compactedLog, dir string) (got *table, there bool, err error) {
	found := make(map[int64]batch.Record)
	for _, name := range b.node.Files() {
		if !strings.Contains(name, dir+"/") || !isSegment(name) {
			continue
		}
		there = true
		if err := t.readSegment(b.node.Contents(name), found); err != nil {
			return nil, true, fmt.Errorf("%s: %w", path.Base(name), err)
		}
	}
	got = &table{last: make(map[string]*kept), values: make(map[string]*kept)}
	for _, offset := range slices.Sorted(maps.Keys(found)) {
		r := found[offset]
		t.add(l, got, offset, r.Key, r.Timestamp, string(r.Value), r.Value == nil)
		if k := got.last[string(r.Key)]; k != nil && !k.tombstone {
			got.values[k.key] = k
		}
	}
	return got, there, nil
}

// readSegment adds the records of a segment.
func (t *trial) readSegment(data []byte, into map[int64]batch.Record) error {
	for len(data) >= batch.HeaderSize {
		size := int(binary.BigEndian.Uint32(data[8:]))
		if size == 0 {
			return nil // the rest of the last block
		}
		if size += batch.Overhead; size < batch.HeaderSize || size > len(data) {
			return errCut
		}
		one := data[:size]
		data = data[size:]
		if crc32.Checksum(one[21:], castagnoli) != binary.BigEndian.Uint32(one[17:]) {
			return fmt.Errorf("the batch at %d does not check", binary.BigEndian.Uint64(one))
		}
		records, err := batch.Read(one, t.coders, 0)
		if err != nil {
			return err
		}
		var r batch.Record
		for records.Next(&r) {
			into[r.Offset] = batch.Record{Timestamp: r.Timestamp, Key: slices.Clone(r.Key), Value: slices.Clone(r.Value)}
		}
		if err := records.Err(); err != nil {
			return err
		}
	}
	return nil
}
