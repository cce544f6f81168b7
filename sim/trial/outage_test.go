package trial

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"

	"millrace/node/shard"
	"millrace/partition/batch"
	"millrace/sim/client"
	"millrace/wal"
)

// TestLooks compares what the looks at the disks of many runs found, each with what a first look finds that knows of no
// other; and what is proved by having been proved before with what is there.
func TestLooks(t *testing.T) {
	looks, grown, damaged := 0, 0, 0
	for seed := range uint64(10) {
		nodes := []int{1, 3, 3, 5}[seed%4]
		number := 0
		compare := func(tr *trial, x *look) {
			if number++; number%7 != 0 && number > 20 {
				return
			}
			looks++
			for i, b := range tr.brokers {
				if x.nodes[i][0].doubt {
					damaged++
				}
				for j, want := range b.firstLook(x.logs) {
					have := &x.nodes[i][j]
					if have.look > x.number || have.start != want.start {
						t.Fatalf("seed %d, look %d: %s of %s: look %d, start %d, want %d", seed, x.number, x.logs[j], have.node, have.look, have.start, want.start)
					}
					found := make(map[int64]leftOver)
					for base, k := range have.batches {
						if k.since < x.number {
							grown++
						}
						k.since = 0
						found[base] = k
					}
					if !maps.Equal(found, want.batches) {
						t.Fatalf("seed %d, look %d: %s: have\n%s\nwant\n%s", seed, x.number, x.logs[j], have.words(-1), (&remains{leftOvers: &want}).words(-1))
					}
				}
			}
			tr.outages.proveAgain(x)
		}
		if r := Run(seed, Options{Plan: DrawNodes(seed, nodes), looked: compare}); r.Err != nil {
			t.Errorf("seed %d: %v", seed, r.Err)
		}
	}
	t.Logf("%d looks compared, %d with a damaged node, %d batches that an earlier look had found", looks, damaged, grown)
	if looks < 300 || grown == 0 || damaged == 0 {
		t.Errorf("only %d looks, %d with a damaged node, %d batches that an earlier look had found", looks, damaged, grown)
	}
}

// proveAgain checks everything that prove trusts an earlier look for.
func (o *outages) proveAgain(x *look) {
	for _, l := range o.trial.partitions() {
		for _, b := range l.batches {
			if b.Outcome == client.Acked && o.trial.oracle.producer(b).acks == -1 && b.Offset >= l.mayStart && !l.limitless {
				o.check(l, b, x, "acknowledged before")
			}
		}
	}
}

// firstLook is what a power cut would leave on a node of each partition, by everything that is on its disk.
func (b *broker) firstLook(logs []*partitionLog) []leftOvers {
	var files [][]byte
	b.node.Certain(func(path string) bool { return isLog(path) && strings.HasSuffix(path, ".wal") },
		func(_ string, data []byte) { files = append(files, data) })
	surveys := shard.SurveyOf(wal.Survey(files))
	all := make([]leftOvers, len(logs))
	dirs := make([]string, len(logs))
	ends := make([]int64, len(logs))
	for i, l := range logs {
		all[i].batches = make(map[int64]leftOver)
		dirs[i] = fmt.Sprintf("%x-%d/", l.topic.id[:], l.index)
		for _, s := range surveys {
			if s.Partition.Topic != l.topic.id || s.Partition.Index != l.index {
				continue
			}
			all[i].start, ends[i] = s.Start, s.End
			for _, x := range s.Batches {
				all[i].batches[x.Base] = leftOver{next: x.Base + int64(x.Count), crc: x.CRC, wal: true}
			}
		}
	}
	b.node.Certain(isSegment, func(path string, data []byte) {
		if i := slices.IndexFunc(dirs, func(dir string) bool { return strings.Contains(path, dir) }); i >= 0 {
			inSegment(data, ends[i], all[i].batches)
		}
	})
	return all
}

// inSegment adds the batches of a segment below the end of a checkpoint.
func inSegment(data []byte, end int64, into map[int64]leftOver) {
	for next := int64(0); len(data) >= batch.HeaderSize; {
		size := int(binary.BigEndian.Uint32(data[8:])) + batch.Overhead
		if size < batch.HeaderSize || size > len(data) {
			return
		}
		one := data[:size]
		data = data[size:]
		base, crc := int64(binary.BigEndian.Uint64(one)), binary.BigEndian.Uint32(one[17:])
		if base >= end || base < next {
			return
		}
		next = base + int64(binary.BigEndian.Uint32(one[23:])) + 1
		if crc32.Checksum(one[21:], castagnoli) == crc {
			into[base] = leftOver{next: next, crc: crc}
		}
	}
}
