package trial

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"path"
	"slices"
	"strings"

	"millrace/node/shard"
	"millrace/partition/batch"
	"millrace/sim"
	"millrace/wal"
)

// survivors is what the looks at one node know of its disk. They read only what has changed since the last one; what they find
// is what a first look would find.
type survivors struct {
	broker        *broker
	log, segments *sim.Certainty
	surveyor      wal.Surveyor
	shards        shard.Surveyor
	surveys       []*shard.Survey
	directories   map[string][]*segmentBatches // by their names, in the order of the paths of the files
	left          map[*partitionLog]*leftOvers
	last          []remains
	of            []*partitionLog // those of last
}

func (b *broker) survivors() *survivors {
	return &survivors{broker: b, left: make(map[*partitionLog]*leftOvers),
		log:      b.node.Certainty(func(path string) bool { return isLog(path) && strings.HasSuffix(path, ".wal") }),
		segments: b.node.Certainty(isSegment)}
}

// leftOvers is what would be left of a partition on a node. As long as nothing of it goes or changes, batches are added to
// it, and show at which look; else another one takes its place.
type leftOvers struct {
	surveys  []*shard.Survey
	taken    []int // of the batches of each survey
	segments []*segmentBatches
	start    int64
	batches  map[int64]leftOver // by their first offset
}

// leftOver is a batch that is left.
type leftOver struct {
	next  int64
	crc   uint32
	wal   bool // in the write-ahead log
	since int  // the look that found it
}

// remains is what the look of some number would leave of the partitions, in their order.
func (s *survivors) remains(logs []*partitionLog, look int) []remains {
	b := s.broker
	doubt := b.lost != "" || b.node.Damaged() > 0 || b.node.Misread() > 0
	logged, filed := s.readLog(), s.readSegments()
	if !logged && !filed && slices.Equal(logs, s.of) {
		if len(s.last) == 0 || s.last[0].doubt == doubt {
			return s.last
		}
	}
	all := make([]remains, len(logs))
	for i, l := range logs {
		all[i] = remains{node: b.node.Name(), leftOvers: s.partition(l, look), look: look, doubt: doubt}
	}
	s.last, s.of = all, logs
	return all
}

// readLog reads what has changed of the write-ahead log, and says whether anything has.
func (s *survivors) readLog() bool {
	files, changed := s.log.Look()
	if !changed {
		return false
	}
	all := make([]*wal.SurveyedFile, len(files))
	for i, f := range files {
		if f.Known == nil {
			f.Known = new(wal.SurveyedFile)
		}
		if all[i] = f.Known.(*wal.SurveyedFile); f.Changed {
			all[i].Read(f.Bytes, f.From)
		}
	}
	s.surveys = s.shards.Survey(s.surveyor.Survey(all))
	return true
}

// readSegments reads what has changed of the segments, and says whether anything has.
func (s *survivors) readSegments() bool {
	files, changed := s.segments.Look()
	if !changed {
		return false
	}
	s.directories = make(map[string][]*segmentBatches)
	for _, f := range files {
		if f.Changed {
			was, _ := f.Known.(*segmentBatches)
			f.Known = readBatches(was, f.Bytes, f.From)
		}
		dir := path.Base(path.Dir(f.Path))
		s.directories[dir] = append(s.directories[dir], f.Known.(*segmentBatches))
	}
	return true
}

// partition is what is left of a partition.
func (s *survivors) partition(l *partitionLog, look int) *leftOvers {
	var surveys []*shard.Survey
	for _, x := range s.surveys {
		if x.Partition.Topic == l.topic.id && x.Partition.Index == l.index {
			surveys = append(surveys, x)
		}
	}
	segments := s.directories[l.directory()]
	have := s.left[l]
	if have == nil || !slices.Equal(have.surveys, surveys) || !slices.Equal(have.segments, segments) || !have.grow(look) {
		have = newLeftOvers(surveys, segments, look)
		s.left[l] = have
	}
	return have
}

// directory is the name of the partition's directory.
func (l *partitionLog) directory() string {
	if l.dir == "" {
		l.dir = fmt.Sprintf("%s-%d", hex.EncodeToString(l.topic.id[:]), l.index)
	}
	return l.dir
}

// newLeftOvers puts together what the log and the segments have.
func newLeftOvers(surveys []*shard.Survey, segments []*segmentBatches, look int) *leftOvers {
	number := 0
	for _, s := range surveys {
		number += len(s.Batches)
	}
	for _, s := range segments {
		number += len(s.batches)
	}
	x := &leftOvers{surveys: surveys, segments: segments, taken: make([]int, len(surveys)), batches: make(map[int64]leftOver, number)}
	var end int64
	for i, s := range surveys {
		x.start, end, x.taken[i] = s.Start, s.End, len(s.Batches)
		for _, b := range s.Batches {
			x.batches[b.Base] = leftOver{b.Base + int64(b.Count), b.CRC, true, look}
		}
	}
	// Behind the end of the checkpoint, where recovery truncates, there may be anything: a write that was torn between the
	// two parts of a header looks like a batch at offset 0.
	for _, s := range segments {
		for _, b := range s.batches {
			if b.base >= end {
				break
			}
			if b.whole {
				x.batches[b.base] = leftOver{b.next, b.crc, false, look}
			}
		}
	}
	return x
}

// grow adds what the log has got since; false when that changes what was there.
func (x *leftOvers) grow(look int) bool {
	for i, s := range x.surveys {
		for _, b := range s.Batches[x.taken[i]:] {
			if _, there := x.batches[b.Base]; there {
				return false
			}
			x.batches[b.Base] = leftOver{b.Base + int64(b.Count), b.CRC, true, look}
		}
		x.taken[i] = len(s.Batches)
	}
	return true
}

// segmentBatches is what a segment's file holds, one batch behind the other. It does not change.
type segmentBatches struct {
	batches []segmentBatch
	size    []int64 // of the file up to the end of each
}

// segmentBatch is a batch of a segment; whole says that it checks.
type segmentBatch struct {
	base, next int64
	crc        uint32
	whole      bool
}

// readBatches reads a segment, of which what lies below an offset is as it was.
func readBatches(was *segmentBatches, data []byte, from int64) *segmentBatches {
	x := new(segmentBatches)
	at, next := int64(0), int64(0)
	if was != nil {
		n, _ := slices.BinarySearch(was.size, from+1)
		if x.batches, x.size = slices.Clone(was.batches[:n]), slices.Clone(was.size[:n]); n > 0 {
			at, next = x.size[n-1], x.batches[n-1].next
		}
	}
	for int64(len(data))-at >= batch.HeaderSize {
		size := int64(binary.BigEndian.Uint32(data[at+8:])) + batch.Overhead
		if size < batch.HeaderSize || size > int64(len(data))-at {
			break
		}
		one := data[at : at+size]
		base, crc := int64(binary.BigEndian.Uint64(one)), binary.BigEndian.Uint32(one[17:])
		if base < next {
			break
		}
		at += size
		next = base + int64(binary.BigEndian.Uint32(one[23:])) + 1
		x.batches = append(x.batches, segmentBatch{base, next, crc, crc32.Checksum(one[21:], castagnoli) == crc})
		x.size = append(x.size, at)
	}
	return x
}
