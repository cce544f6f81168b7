package trial

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"millrace/node/host"
	"millrace/sim/client"
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
	nodes []*survivors
	// flying are the requests that have no answer yet, looks what was left when they got it.
	flying map[answerID]bool
	looks  map[answerID]*look
	kept   []answerID // of looks, oldest first
	last   *look
	number int
	// acked are the batches that were acknowledged with acks=all, checked how many of them the last look had.
	acked   map[*partitionLog][]*client.Batch
	checked map[*partitionLog]int
	// looked, if not nil, is shown every look.
	looked func(t *trial, x *look)
}

// look is what a power cut of all nodes would leave at some moment.
type look struct {
	number int
	logs   []*partitionLog
	nodes  [][]remains // of each node and log
}

// remains is what a power cut would leave of one partition on one node.
type remains struct {
	node string
	// Of the leftOvers only what the look or an earlier one found counts. Below start nothing needs to be there.
	*leftOvers
	look int
	// doubt says that a fault may have taken away what was there.
	doubt bool
}

// outageLooks are kept until their answers have arrived.
const outageLooks = 32

func newOutages(t *trial, looked func(*trial, *look)) *outages {
	return &outages{trial: t, looked: looked, flying: make(map[answerID]bool), looks: make(map[answerID]*look),
		acked: make(map[*partitionLog][]*client.Batch), checked: make(map[*partitionLog]int)}
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
	if o.trial.lost {
		return
	}
	o.trial.looked++
	all := o.look()
	o.prove(all)
	o.looks[id], o.kept = all, append(o.kept, id)
	if len(o.kept) > outageLooks {
		delete(o.looks, o.kept[0])
		o.kept = o.kept[1:]
	}
}

// prove checks that everything is left that was acknowledged before a look. Where nothing has gone since the last one, what
// it proved is still there, and only what was acknowledged since is missing.
func (o *outages) prove(all *look) {
	for i, l := range all.logs {
		if l.limitless {
			continue
		}
		batches := o.acked[l]
		if o.last != nil && all.adds(o.last, i) {
			batches = batches[o.checked[l]:]
		}
		o.checked[l] = len(o.acked[l])
		for _, b := range batches {
			if b.Offset >= l.mayStart {
				o.check(l, b, all, "acknowledged before")
			}
		}
	}
	o.last = all
}

// adds says that the i-th partition has at least what it had at an earlier look.
func (x *look) adds(earlier *look, i int) bool {
	if i >= len(earlier.logs) || earlier.logs[i] != x.logs[i] {
		return false
	}
	for n := range x.nodes {
		now, was := &x.nodes[n][i], &earlier.nodes[n][i]
		if now.leftOvers != was.leftOvers || now.doubt != was.doubt {
			return false
		}
	}
	return true
}

// finished takes a batch that was acknowledged with acks=all.
func (o *outages) finished(l *partitionLog, b *client.Batch) {
	o.acked[l] = append(o.acked[l], b)
	if all, ok := o.looks[answerID{b.Local, b.Correlation}]; ok && slices.Contains(o.trial.partitions(), l) {
		o.check(l, b, all, "acknowledged at that instant")
	}
}

// check fails the trial when a batch is not left on a majority of its replicas.
func (o *outages) check(l *partitionLog, b *client.Batch, all *look, when string) {
	crc, known := b.CRC()
	known = known && !l.topic.plan.AppendTime
	have, replicas := 0, int(l.topic.plan.Replicas)
	i, nodes := slices.Index(all.logs, l), all.nodes
	if i < 0 {
		nodes = nil // it was not there yet
	}
	for _, node := range nodes {
		r := &node[i]
		k, there := r.at(b.Offset)
		there = there && k.next == b.Offset+int64(len(b.Records)) && (!known || k.crc == crc)
		if there || r.doubt || b.Offset < r.start {
			have++
		}
	}
	if have > replicas/2 {
		return
	}
	var text strings.Builder
	for _, node := range nodes {
		fmt.Fprintf(&text, "\n  %s", node[i].words(b.Offset))
	}
	id, _ := parseValue(b.Records[0].Value)
	o.trial.failf("%v: offsets %d to %d (record %v and %d more), %s with acks=all, would be left on %d of %d replicas if all nodes lost their power now:%s",
		l, b.Offset, b.Offset+int64(len(b.Records))-1, id, len(b.Records)-1, when, have, replicas, text.String())
}

// at is the batch that is left at an offset.
func (r *remains) at(offset int64) (leftOver, bool) {
	k, ok := r.batches[offset]
	return k, ok && k.since <= r.look
}

// words says what is left, and what of it at an offset.
func (r *remains) words(offset int64) string {
	bases := make([]int64, 0, len(r.batches))
	for base := range r.batches { //door:ordered sorted below
		if _, there := r.at(base); there {
			bases = append(bases, base)
		}
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
	if k, ok := r.at(offset); ok {
		text += fmt.Sprintf("; at %d a batch of %d records with checksum %08x", offset, k.next-offset, k.crc)
	}
	if r.doubt {
		text += "; damaged, so that it counts as having it"
	}
	return r.node + ": " + text
}

// look is what a power cut of all nodes would leave now.
func (o *outages) look() *look {
	t := o.trial
	for _, b := range t.brokers[len(o.nodes):] {
		o.nodes = append(o.nodes, b.survivors())
	}
	o.number++
	x := &look{number: o.number, logs: t.partitions()}
	for _, n := range o.nodes {
		x.nodes = append(x.nodes, n.remains(x.logs, x.number))
	}
	if o.looked != nil {
		o.looked(t, x)
	}
	return x
}
