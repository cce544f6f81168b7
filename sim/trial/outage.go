package trial

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"millrace/node/host"
	"millrace/node/shard"
	"millrace/partition/batch"
	"millrace/sim"
	"millrace/sim/client"
	"millrace/wal"
)

// An acknowledgement of acks=all promises that the records survive even if every node loses its power at that instant, and
// with it everything that was not synced. At the moment at which a broker hands such an answer to the network, outages looks
// at what would be left on the disks then. It touches nothing: a run with it and one without it are the same.

// answerID names a request by the address that it came from and its number.
type answerID struct {
	from        string
	correlation int32
}

// outages are the looks of a run.
type outages struct {
	trial *trial
	draws *sim.Draws
	share float64 // of the answers that are looked at
	// flying are the requests that have no answer yet, looks what was left when they got it.
	flying map[answerID]bool
	looks  map[answerID][]remains
	kept   []answerID // of looks, oldest first
}

// remains is what a power cut would leave of one partition on one node.
type remains struct {
	node string
	log  string
	// start is the log start of its checkpoint, below which nothing needs to be there.
	start   int64
	batches map[int64]leftOver // by their first offset
	// doubt says that a fault may have taken away what was there.
	doubt bool
}

// leftOver is a batch that is left.
type leftOver struct {
	next int64
	crc  uint32
	wal  bool // in the write-ahead log
}

// Every answer is looked at in one of outageSeeds seeds, and a few in the others: a look costs as much as a millisecond.
// outageLooks are kept until their answers have arrived.
const (
	outageSeeds = 64
	outageShare = 0.01
	outageLooks = 32
)

func newOutages(t *trial) *outages {
	o := &outages{trial: t, draws: t.world.Draws("outages"), share: outageShare, flying: make(map[answerID]bool), looks: make(map[answerID][]remains)}
	if t.plan.Seed%outageSeeds == 0 {
		o.share = 1
	}
	return o
}

// of returns what takes down the requests of an actor whose answers promise something; nil for one whose do not.
func (o *outages) of(a ActorPlan) func(from string, correlation int32) {
	if a.Kind == "producer" && a.Acks != -1 {
		return nil
	}
	return func(from string, correlation int32) { o.flying[answerID{from, correlation}] = true }
}

// answers is told that a node hands bytes to the network: it looks at the disks when they are the answer to a produce.
func (o *outages) answers(to string, parts []host.Part) {
	if len(o.flying) == 0 || len(parts) == 0 || len(parts[0].Bytes) < 8 {
		return
	}
	id := answerID{to, int32(binary.BigEndian.Uint32(parts[0].Bytes[4:]))}
	if !o.flying[id] {
		return
	}
	delete(o.flying, id)
	if o.trial.lost || !o.draws.Chance(o.share) {
		return
	}
	o.trial.looked++
	all := o.look()
	for _, l := range o.trial.partitions() {
		for _, b := range l.batches {
			if b.Outcome == client.Acked && o.trial.oracle.producer(b).acks == -1 && b.Offset >= l.mayStart && !l.limitless {
				o.check(l, b, all, "acknowledged before")
			}
		}
	}
	o.looks[id], o.kept = all, append(o.kept, id)
	if len(o.kept) > outageLooks {
		delete(o.looks, o.kept[0])
		o.kept = o.kept[1:]
	}
}

// finished takes a batch that was acknowledged with acks=all.
func (o *outages) finished(l *partitionLog, b *client.Batch) {
	id := answerID{b.Local, b.Correlation}
	if all, ok := o.looks[id]; ok && slices.Contains(o.trial.partitions(), l) {
		o.check(l, b, all, "acknowledged at that instant")
	}
}

// check fails the trial when a batch is not left on a majority of its replicas.
func (o *outages) check(l *partitionLog, b *client.Batch, all []remains, when string) {
	if b.Offset < 0 {
		return
	}
	crc, known := b.CRC()
	known = known && !l.topic.plan.AppendTime
	have, replicas := 0, int(l.topic.plan.Replicas)
	name := l.String()
	for _, r := range all {
		if r.log != name {
			continue
		}
		k, there := r.batches[b.Offset]
		there = there && k.next == b.Offset+int64(len(b.Records)) && (!known || k.crc == crc)
		if there || r.doubt || b.Offset < r.start {
			have++
		}
	}
	if have > replicas/2 {
		return
	}
	var text strings.Builder
	for _, r := range all {
		if r.log == name {
			fmt.Fprintf(&text, "\n  %s", r.words(b.Offset))
		}
	}
	id, _ := parseValue(b.Records[0].Value)
	o.trial.failf("%v: offsets %d to %d (record %v and %d more), %s with acks=all, would be left on %d of %d replicas if all nodes lost their power now:%s",
		l, b.Offset, b.Offset+int64(len(b.Records))-1, id, len(b.Records)-1, when, have, replicas, text.String())
}

// words says what is left, and what of it at an offset.
func (r *remains) words(offset int64) string {
	bases := make([]int64, 0, len(r.batches))
	for base := range r.batches {
		bases = append(bases, base)
	}
	slices.Sort(bases)
	var spans []string
	for i := 0; i < len(bases); {
		from, first := bases[i], r.batches[bases[i]]
		next := first.next
		for i++; i < len(bases) && bases[i] == next && r.batches[next].wal == first.wal; i++ {
			next = r.batches[next].next
		}
		where := "segments"
		if first.wal {
			where = "write-ahead log"
		}
		spans = append(spans, fmt.Sprintf("%s (%s)", offsets(from, next), where))
	}
	text := "nothing"
	if spans != nil {
		text = strings.Join(spans, ", ")
	}
	if r.start > 0 {
		text += fmt.Sprintf("; log start %d", r.start)
	}
	if k, ok := r.batches[offset]; ok {
		text += fmt.Sprintf("; at %d a batch of %d records with checksum %08x", offset, k.next-offset, k.crc)
	}
	if r.doubt {
		text += "; damaged, so that it counts as having it"
	}
	return r.node + ": " + text
}

// look is what a power cut of all nodes would leave now.
func (o *outages) look() []remains {
	t := o.trial
	logs := t.partitions()
	var all []remains
	for _, b := range t.brokers {
		all = append(all, b.remains(logs)...)
	}
	return all
}

// remains is what a power cut would leave on a node of each partition.
func (b *broker) remains(logs []*partitionLog) []remains {
	doubt := b.lost != "" || b.node.Damaged() > 0 || b.node.Misread() > 0
	var files [][]byte
	b.node.Certain(func(path string) bool { return isLog(path) && strings.HasSuffix(path, ".wal") },
		func(_ string, data []byte) { files = append(files, data) })
	surveys := shard.SurveyOf(wal.Survey(files))
	all := make([]remains, len(logs))
	dirs := make([]string, len(logs))
	ends := make([]int64, len(logs))
	for i, l := range logs {
		all[i] = remains{node: b.node.Name(), log: l.String(), batches: make(map[int64]leftOver), doubt: doubt}
		dirs[i] = fmt.Sprintf("%s-%d/", hex.EncodeToString(l.topic.id[:]), l.index)
		for _, s := range surveys {
			if s.Partition.Topic != l.topic.id || s.Partition.Index != l.index {
				continue
			}
			all[i].start, ends[i] = s.Start, s.End
			for _, x := range s.Batches {
				all[i].batches[x.Base] = leftOver{x.Base + int64(x.Count), x.CRC, true}
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

// inSegment adds the batches of a segment below the end of a checkpoint. Behind that, where recovery truncates, there may be
// anything: a write that was torn between the two parts of a header looks like a batch at offset 0.
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
