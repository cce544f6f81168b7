package trial

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"millrace/node/shard"
	"millrace/partition/batch"
	"millrace/sim"
	"millrace/sim/client"
	"millrace/sim/story"
	"millrace/wal"
)

// What the run notes for its story, beside what the oracle and the world note.
const (
	faultBegins = "plan: fault %d: %s"
	faultOver   = "plan: fault %d is over"
	armed       = "plan: crash %d of %s: %s"
)

// Teller takes down what happens in a run. It changes nothing in it.
type Teller struct {
	// Looks are times at which the replicas are looked at, besides the end.
	Looks []time.Duration
	Tale  story.Tale

	trial  *trial
	ends   map[string][2]int64
	aims   map[int][]int // whom the faults have struck
	failed bool          // what comes now is only the end of the run
}

// watch is what the world is to tell, nil for nobody.
func (x *Teller) watch() func(sim.Happening) {
	if x == nil {
		return nil
	}
	return x.take
}

// tell begins the tale of the run.
func (t *trial) tell(o Options) {
	x := o.Tale
	if x == nil {
		return
	}
	x.trial, x.ends, x.aims = t, make(map[string][2]int64), make(map[int][]int)
	x.Tale = story.Tale{Seed: t.plan.Seed, Nodes: t.plan.Nodes, Target: t.plan.Target, Setting: t.plan.setting(), Weather: t.plan.World.weather(), Faults: t.plan.faultWords()}
	for _, at := range x.Looks {
		t.world.After(at-t.world.Now(), func() { x.look() })
	}
}

// end ends the tale.
func (x *Teller) end(t *trial) {
	if x == nil {
		return
	}
	x.look()
	x.Tale.End, x.Tale.Acked = t.world.Now(), t.oracle.acked
}

func (x *Teller) add(h sim.Happening, kind story.Kind, e story.Event) {
	if x.failed {
		return
	}
	x.failed = kind == story.Violation
	e.At, e.Number, e.Kind = h.At, h.Event, kind
	if e.Node == "" {
		e.Node = h.Node
	}
	if e.Text == "" {
		e.Text = fmt.Sprintf(h.Format, h.Args...)
	}
	x.Tale.Events = append(x.Tale.Events, e)
}

// take makes an event of what the world notes. Whatever it does not know is a note.
func (x *Teller) take(h sim.Happening) {
	switch h.Format {
	case "boot %s #%d":
		x.add(h, story.Boot, story.Event{Node: h.Args[0].(string), Text: fmt.Sprintf("%s starts, for the %s time", h.Args[0], nth(h.Args[1].(int)))})
	case "end %s #%d: %v":
		x.add(h, story.End, story.Event{Node: h.Args[0].(string), Text: fmt.Sprintf("%s %s", h.Args[0], endWords[h.Args[2].(sim.End)])})
	case "pause %s for %v":
		x.add(h, story.Pause, story.Event{Node: h.Args[0].(string), Text: fmt.Sprintf("%s stands still for %v", h.Args[0], h.Args[1])})
	case "resume %s":
		x.add(h, story.Resume, story.Event{Node: h.Args[0].(string), Text: fmt.Sprintf("%s goes on", h.Args[0])})
	case "fault %s":
		if kind := h.Args[0].(string); kind != "pause" && !strings.HasPrefix(kind, "crash/") {
			x.add(h, story.World, story.Event{Text: worldWords(h.Node, kind), Disk: isDisk(kind)})
		}
	case "failed: %v":
		x.add(h, story.Violation, story.Event{})
	default:
		if !x.plan(h) && !x.oracle(h) {
			x.add(h, story.Note, story.Event{})
		}
	}
}

// plan takes what comes from the plan.
func (x *Teller) plan(h sim.Happening) bool {
	p := x.trial.plan
	switch h.Format {
	case faultBegins, faultOver:
		i := h.Args[0].(int)
		f := p.Faults[i]
		f.From, f.To = x.aim(i, f.From), x.trial.aim(f.To)
		e := story.Event{Fault: len(p.Crashes) + i + 1, Disk: isDisk(f.Kind) || f.Files != ""}
		if e.Node = nodeName(f.From[0]); len(f.From) == 1 {
			e.Other = nodeNames(f.To)
		} else {
			e.Other = nodeNames(append(slices.Clone(f.From[1:]), f.To...))
		}
		kind := story.Fault
		if e.Text = f.words(); h.Format == faultOver {
			kind, e.Text = story.Over, "over: "+f.words()
		}
		x.add(h, kind, e)
	case armed:
		x.add(h, story.Armed, story.Event{Fault: h.Args[0].(int) + 1, Node: h.Args[1].(string), Text: p.Crashes[h.Args[0].(int)].words()})
	default:
		return false
	}
	return true
}

// aim is whom a fault has struck: who led when it came.
func (x *Teller) aim(fault int, from []int) []int {
	if x.aims[fault] == nil {
		x.aims[fault] = x.trial.aim(from)
	}
	return x.aims[fault]
}

// oracle takes what the checks are told.
func (x *Teller) oracle(h sim.Happening) bool {
	switch {
	case h.Format == "oracle: %v: batch of %v (%d records) %v at %d: %v":
		log, n, at := fmt.Sprint(h.Args[0]), int64(h.Args[2].(int)), h.Args[4].(int64)
		e := story.Event{Log: log, From: at, To: at + n}
		switch h.Args[3].(client.Outcome) {
		case client.Acked:
			e.Text = fmt.Sprintf("%s: record %v and %d more acknowledged at %s", log, h.Args[1], n-1, offsets(at, at+n))
			if n == 1 {
				e.Text = fmt.Sprintf("%s: record %v acknowledged at %d", log, h.Args[1], at)
			}
			x.add(h, story.Ack, e)
		case client.Refused:
			e.From, e.To = 0, 0
			e.Text = fmt.Sprintf("%s: record %v (%d in its batch) refused: %v", log, h.Args[1], n, h.Args[5])
			x.add(h, story.Refused, e)
		default:
			e.From, e.To = 0, 0
			e.Text = fmt.Sprintf("%s: record %v (%d in its batch) has no answer: %v", log, h.Args[1], n, h.Args[5])
			x.add(h, story.Unknown, e)
		}
	case h.Format == "oracle: %v: %d holds %.12q":
		x.read(h, fmt.Sprint(h.Args[0]), h.Args[1].(int64))
	case h.Format == "oracle: %v: %s: start %d, end %d; at least %d and %d":
		x.watermarks(h, fmt.Sprint(h.Args[0]), [2]int64{h.Args[2].(int64), h.Args[3].(int64)})
	case strings.HasSuffix(h.Format, "node %d leads in epoch %d") && len(h.Args) == 5:
		x.add(h, story.Lead, story.Event{Node: fmt.Sprintf("n%d", h.Args[3]), Log: fmt.Sprintf("%v-%v", h.Args[0], h.Args[1]),
			From: int64(h.Args[4].(int32)), Text: fmt.Sprintf("%v-%v: n%d leads in epoch %d", h.Args[0], h.Args[1], h.Args[3], h.Args[4])})
	case strings.HasPrefix(h.Format, "admin: "):
		x.add(h, story.Admin, story.Event{Text: strings.TrimPrefix(fmt.Sprintf(h.Format, h.Args...), "admin: ")})
	case h.Format == "%s ends: %v":
		x.add(h, story.Gone, story.Event{Node: fmt.Sprint(h.Args[0])})
	default:
		return false
	}
	return true
}

// read joins the records of a fetch.
func (x *Teller) read(h sim.Happening, log string, offset int64) {
	if n := len(x.Tale.Events); n > 0 {
		if e := &x.Tale.Events[n-1]; e.Kind == story.Read && e.Log == log && e.To == offset && e.At == h.At {
			e.To++
			e.Text = fmt.Sprintf("%s: %s read", log, offsets(e.From, e.To))
			return
		}
	}
	x.add(h, story.Read, story.Event{Log: log, From: offset, To: offset + 1, Text: fmt.Sprintf("%s: %d read", log, offset)})
}

// watermarks takes ends that are news.
func (x *Teller) watermarks(h sim.Happening, log string, ends [2]int64) {
	was, known := x.ends[log]
	now := was
	for i, v := range ends {
		if v >= 0 {
			now[i] = v
		}
	}
	if known && now == was {
		return
	}
	x.ends[log] = now
	text := fmt.Sprintf("%s: a broker says that it ends at %d", log, now[1])
	if now[0] > 0 {
		text = fmt.Sprintf("%s: a broker says that it has %d to %d", log, now[0], now[1])
	}
	x.add(h, story.Ends, story.Event{Log: log, From: now[0], To: now[1], Text: text})
}

// look notes what the replicas hold.
func (x *Teller) look() {
	look := story.Look{At: x.trial.world.Now()}
	for _, b := range x.trial.brokers {
		look.Replicas = append(look.Replicas, b.holdings()...)
	}
	x.Tale.Looks = append(x.Tale.Looks, look)
}

// holdings is what a node's disk has of each partition.
func (b *broker) holdings() []story.Replica {
	var synced, seen [][]byte
	for _, name := range b.node.Files() {
		if isLog(name) && strings.HasSuffix(name, ".wal") {
			synced, seen = append(synced, b.node.Synced(name)), append(seen, b.node.Contents(name))
		}
	}
	durable := shard.SurveyOf(wal.Survey(synced))
	all := shard.SurveyOf(wal.Survey(seen))
	var list []story.Replica
	for _, l := range b.trial.partitions() {
		r := story.Replica{Node: b.node.Name(), Log: l.String(), State: strings.TrimPrefix(b.state(), b.node.Name()+" is ")}
		mine := func(s shard.Survey) bool { return s.Partition.Topic == l.topic.id && s.Partition.Index == l.index }
		i, j := slices.IndexFunc(durable, mine), slices.IndexFunc(all, mine)
		if i < 0 && j < 0 {
			continue
		}
		if i >= 0 {
			s := durable[i]
			r.Term, r.Vote, r.Commit, r.Start, r.Checkpoint = s.HardState.Term, s.HardState.Vote, s.HardState.Commit, s.Start, s.End
			r.Batches = append(b.inSegments(hex.EncodeToString(l.topic.id[:])+"-"+fmt.Sprint(l.index), s.End), entries(s)...)
		}
		if j >= 0 {
			for _, e := range entries(all[j]) {
				if e.Synced = false; i < 0 || !slices.ContainsFunc(r.Batches, func(x story.Batch) bool { return x.From == e.From && x.CRC == e.CRC }) {
					r.Batches = append(r.Batches, e)
				}
			}
		}
		list = append(list, r)
	}
	return list
}

// entries are the batches of a survey.
func entries(s shard.Survey) []story.Batch {
	var list []story.Batch
	for _, b := range s.Batches {
		list = append(list, story.Batch{From: b.Base, To: b.Base + int64(b.Count), Epoch: s.EpochBase + int32(b.Term), CRC: b.CRC, Synced: true})
	}
	return list
}

// inSegments reads the batches below a checkpoint's end from the segments of a directory.
func (b *broker) inSegments(dir string, end int64) []story.Batch {
	var list []story.Batch
	for _, name := range b.node.Files() {
		if !strings.Contains(name, dir+"/") || !isSegment(name) {
			continue
		}
		data, stable := b.node.Contents(name), b.node.Synced(name)
		for at := 0; len(data)-at >= batch.HeaderSize; {
			size := int(binary.BigEndian.Uint32(data[at+8:])) + batch.Overhead
			if size < batch.HeaderSize || size > len(data)-at {
				break
			}
			one := data[at : at+size]
			base := int64(binary.BigEndian.Uint64(one))
			if base >= end {
				break
			}
			x := story.Batch{From: base, To: base + int64(binary.BigEndian.Uint32(one[23:])) + 1, Epoch: int32(binary.BigEndian.Uint32(one[12:])),
				CRC: binary.BigEndian.Uint32(one[17:]), Segment: true}
			x.Synced = at+size <= len(stable) && string(stable[at:at+size]) == string(one) && crc32.Checksum(one[21:], castagnoli) == x.CRC
			list = append(list, x)
			at += size
		}
	}
	slices.SortStableFunc(list, func(a, b story.Batch) int { return int(a.From - b.From) })
	return list
}

func offsets(from, to int64) string {
	if to == from+1 {
		return fmt.Sprint("offset ", from)
	}
	return fmt.Sprintf("offsets %d-%d", from, to-1)
}
