package shard

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/partition"
	"millrace/sim"
	"millrace/wal"
)

// groupLife is producers and readers of a replicated shard, and what they were told. Partition 0 gets the numbers from 0
// on from one idempotent producer that goes to whoever serves; partition 1 gets values of all nodes, each once.
type groupLife struct {
	*group
	// acked is the number of values of partition 0 that were acknowledged; taken says that a node's producer is at work.
	acked int
	taken *groupNode
	// newest is the newest leader epoch that the producer knows.
	newest int32
	// plain is what was acknowledged of partition 1, by offset; refusals are the values that were refused for good.
	plain    map[int64]string
	refusals map[string]wire.ErrorCode
	values   int
	reads    int
	calm     bool
}

func groupSimOptions() groupOptions {
	s := DefaultSettings()
	s.Roll.SegmentBytes = 16 << 10
	return groupOptions{
		wal:      wal.Options{FileSize: 64 << 10, FirstFileSize: 64 << 10, MaxBytes: 256 << 20},
		settings: s, checkpointEvery: 600 * time.Millisecond,
	}
}

func TestReplicasAgree(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		if err := runGroup(seed, nil); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// runGroup runs one seed.
func runGroup(seed uint64, change func(*sim.Options)) error {
	so := sim.Options{Limit: 5 * time.Minute}
	if change != nil {
		change(&so)
	}
	o := groupSimOptions()
	n := 3
	if seed%5 == 4 {
		n = 5
	}
	if seed%3 == 1 {
		o.settings.MinInSync = 2 + int(seed/3%2)
	}
	l := &groupLife{group: newGroup(seed, n, o, so), plain: map[int64]string{}, refusals: map[string]wire.ErrorCode{}}
	defer l.world.Close()
	d := l.world.Draws("faults")
	if d.Chance(0.3) {
		l.world.SetDiskSpeed(d.Between(2, 20))
	}
	if d.Chance(0.3) {
		l.world.SetSlowDisks(0.02)
	}
	l.clients = func(n *groupNode, h host.Host, s *Shard) {
		h.Tasks.Go("producer", func() { l.produce(n, h, s) })
		h.Tasks.Go("plain", func() { l.plainly(n, h, s) })
		h.Tasks.Go("reader", func() { l.read(n, h, s) })
	}
	for _, n := range l.nodes {
		n.boot()
	}
	l.faults(d)
	l.world.After(groupStorm, l.endStorm)
	if err := l.world.Run(); err != nil {
		return err
	}
	if testing.Verbose() {
		fmt.Printf("seed %d: %d values, %d plain, %d refused, %d reads, %d terms, %v\n",
			seed, l.acked, len(l.plain), len(l.refusals), l.reads, len(l.served), l.sent)
	}
	if l.acked == 0 || len(l.plain) == 0 || l.reads == 0 {
		return fmt.Errorf("%d values, %d plain ones and %d reads were answered", l.acked, len(l.plain), l.reads)
	}
	return nil
}

const groupStorm = 15 * time.Second

// faults breaks something now and then.
func (l *groupLife) faults(d *sim.Draws) {
	if l.world.Now() > groupStorm-2*time.Second {
		return
	}
	n := l.nodes[d.Below(int64(len(l.nodes)))]
	for_ := time.Duration(d.Skewed(int64(50*time.Millisecond), int64(3*time.Second)))
	switch d.Below(12) {
	case 0, 1:
		l.kill(n, sim.Kill, for_)
	case 2:
		l.kill(n, sim.Power, for_)
	case 3:
		l.isolate(n, true)
		l.world.After(for_, func() { l.isolate(n, false) })
	case 4:
		other := l.nodes[d.Below(int64(len(l.nodes)))]
		l.cut[n.index][other.index] = n != other
		l.world.After(for_, func() { l.cut[n.index][other.index] = false })
	case 5:
		l.lost, l.doubled, l.stripped = 0.2, 0.1, 0.1
		l.world.After(for_, func() { l.lost, l.doubled, l.stripped = 0.01, 0.01, 0 })
	case 6:
		l.slow = 300 * time.Millisecond
		l.world.After(for_, func() { l.slow = 5 * time.Millisecond })
	case 7:
		if leader := l.leader(); leader != nil {
			to := int32(d.Between(-1, int64(len(l.nodes))))
			leader.tell("transfer", func(s *Shard) { s.Transfer(to) })
		}
	case 8: // two that do not see each other, and a third that may forget
		other := l.nodes[(n.index+1)%len(l.nodes)]
		l.cut[n.index][other.index], l.cut[other.index][n.index] = true, true
		l.world.After(for_, func() { l.cut[n.index][other.index], l.cut[other.index][n.index] = false, false })
		l.strike(l.nodes[(n.index+2)%len(l.nodes)], d)
	case 9:
		if leader := l.leader(); leader != nil {
			l.kill(leader, sim.Kill, for_)
			l.strike(l.nodes[(leader.index+1)%len(l.nodes)], d)
			if third := l.nodes[(leader.index+2)%len(l.nodes)]; d.Chance(0.5) {
				l.world.After(time.Duration(d.Between(int64(20*time.Millisecond), int64(500*time.Millisecond))), func() { l.isolate(third, true) })
				l.world.After(2*time.Second, func() { l.isolate(third, false) })
			}
		}
	case 10:
		if leader := l.leader(); leader != nil {
			leader.node.Pause(for_)
		}
	case 11:
		if leader := l.leader(); leader != nil {
			l.kill(leader, sim.Power, for_)
		}
	}
	l.world.After(time.Duration(d.Skewed(int64(20*time.Millisecond), int64(2*time.Second))), func() { l.faults(d) })
}

// strike ends a node in the middle of one of its next writes, for a moment.
func (l *groupLife) strike(n *groupNode, d *sim.Draws) {
	n.node.Arm(sim.CrashPoint{Point: sim.PointWrite, Count: 1 + d.Uint64()%4, How: sim.Power})
	l.world.After(time.Duration(d.Between(int64(10*time.Millisecond), int64(500*time.Millisecond))), func() {
		n.node.Disarm()
		if !n.node.Running() && n.shard != nil {
			l.ended(n)
			n.boot()
		}
	})
}

// ended notes that a node's process has ended.
func (l *groupLife) ended(n *groupNode) {
	n.shard = nil
	if l.taken == n {
		l.taken = nil
	}
}

func (l *groupLife) kill(n *groupNode, how sim.End, after time.Duration) {
	if n.shard == nil {
		return
	}
	n.crash(how)
	l.ended(n)
	l.world.After(after, func() {
		if !n.node.Running() {
			n.boot()
		}
	})
}

// endStorm ends the faults; some time later everything must be well.
func (l *groupLife) endStorm() {
	for _, n := range l.nodes {
		if !n.node.Running() {
			n.boot()
		}
	}
	l.heal()
	l.world.After(8*time.Second, func() { l.calm = true })
	l.world.After(12*time.Second, func() {
		err := l.settled()
		if err == nil {
			err = l.checkAll()
		}
		if err != nil {
			l.fail("after the storm: %w", err)
		}
		l.stop()
	})
}

// checkAll compares what was acknowledged and refused with what is there.
func (l *groupLife) checkAll() error {
	if len(l.truth[0]) < l.acked {
		return fmt.Errorf("%d values are visible, %d were acknowledged", len(l.truth[0]), l.acked)
	}
	for i, v := range l.truth[0] {
		if n, _, _ := strings.Cut(v.value, " "); n != strconv.Itoa(i) {
			return fmt.Errorf("offset %d of partition 0 holds the value %s", i, n)
		}
	}
	for offset, v := range l.truth[0] {
		if told, ok := l.told[int64(offset)]; ok && v.epoch < told {
			return fmt.Errorf("offset %d has epoch %d, but was sent in epoch %d", offset, v.epoch, told)
		}
	}
	there := map[string]int{}
	for offset, v := range l.truth[1] {
		if code, ok := l.refusals[v.value]; ok {
			return fmt.Errorf("the value %s was refused with %d and is visible at offset %d", v.value, code, offset)
		}
		if first, ok := there[v.value]; ok {
			return fmt.Errorf("the value %s is at offsets %d and %d", v.value, first, offset)
		}
		there[v.value] = offset
	}
	for offset, value := range l.plain {
		if offset >= int64(len(l.truth[1])) || l.truth[1][offset].value != value {
			return fmt.Errorf("the value %s was acknowledged at offset %d and is not there", value, offset)
		}
	}
	for i := range groupPartitions {
		for _, n := range l.nodes {
			if n.checked[i] != int64(len(l.truth[i])) {
				return fmt.Errorf("node %d shows %d records of partition %d, there are %d", n.index+1, n.checked[i], i, len(l.truth[i]))
			}
		}
	}
	return nil
}

// produce is the idempotent producer while this node serves.
func (l *groupLife) produce(n *groupNode, h host.Host, s *Shard) {
	id := groupPartition(0)
	for !l.calm {
		h.Clock.Sleep(time.Duration(1+h.Random.Uint64("test-pause")%30) * time.Millisecond)
		_, epoch, code := s.lookup(id)
		if code != wire.ErrNone || l.taken != nil || epoch < l.newest {
			continue // a client that knows a newer leader does not go back
		}
		l.taken, l.newest = n, epoch
		if err := l.pipeline(h, s, id); err != nil {
			l.fail("node %d: produce: %w", n.index+1, err)
		}
		if l.taken == n {
			l.taken = nil
		}
	}
}

// pipeline sends some batches at once and waits for all of them.
func (l *groupLife) pipeline(h host.Host, s *Shard, id partition.ID) error {
	var flying []flight
	next := l.acked
	for range 1 + h.Random.Uint64("test-depth")%4 {
		f := flight{first: next, count: 1 + next%3}
		var values []string
		for i := range f.count {
			values = append(values, strconv.Itoa(f.first+i)+" "+strings.Repeat("x", (f.first+i)*37%700))
		}
		b, err := newBatch(sequenced{id: 7, first: int32(f.first)}, values...)
		if err != nil {
			return err
		}
		if _, told := l.told[int64(f.first)]; !told {
			_, l.told[int64(f.first)], _ = s.lookup(id)
		}
		f.pending = s.Append(id, b, nil, -1)
		flying = append(flying, f)
		next += f.count
	}
	until := h.Clock.Now().Add(1500 * time.Millisecond)
	failed := false
	for i, f := range flying {
		r, ok := f.pending.GetUntil(until)
		switch {
		case !ok:
			return nil
		case r.Error == wire.ErrNone && r.BaseOffset != int64(f.first):
			return fmt.Errorf("the values from %d on were acknowledged at offset %d", f.first, r.BaseOffset)
		case r.Error == wire.ErrNone && !failed:
			l.acked = max(l.acked, f.first+f.count)
		case r.Error == wire.ErrNone:
			return fmt.Errorf("the values from %d on were acknowledged and those before refused", f.first)
		case i == 0 && (r.Error == wire.ErrOutOfOrderSequenceNumber || r.Error == wire.ErrUnknownProducerId):
			return fmt.Errorf("the values from %d on were refused with %d %s", f.first, r.Error, r.Message)
		default:
			failed = true
		}
	}
	return nil
}

// plainly appends values of this node's own.
func (l *groupLife) plainly(n *groupNode, h host.Host, s *Shard) {
	id := groupPartition(1)
	for !l.calm {
		h.Clock.Sleep(time.Duration(1+h.Random.Uint64("test-plain")%60) * time.Millisecond)
		if h.Random.Uint64("test-anyway")%4 > 0 {
			if _, _, code := s.lookup(id); code != wire.ErrNone {
				continue
			}
		}
		l.values++
		value := fmt.Sprintf("v%d", l.values)
		acks := []int16{-1, -1, 1}[h.Random.Uint64("test-acks")%3]
		b, err := newBatch(sequenced{}, value)
		if err != nil {
			l.fail("%w", err)
			return
		}
		pending := s.Append(id, b, nil, acks)
		h.Tasks.Go("answer", func() {
			r, ok := pending.GetUntil(h.Clock.Now().Add(3 * time.Second))
			switch {
			case !ok:
			case refused(r.Error):
				l.refusals[value] = r.Error
			case r.Error == wire.ErrNone && acks == -1:
				if old, ok := l.plain[r.BaseOffset]; ok {
					l.fail("the values %s and %s were both acknowledged at offset %d", old, value, r.BaseOffset)
				}
				l.plain[r.BaseOffset] = value
			}
		})
	}
}

// read checks that reads that must not be stale are not.
func (l *groupLife) read(n *groupNode, h host.Host, s *Shard) {
	for !l.calm {
		h.Clock.Sleep(time.Duration(1+h.Random.Uint64("test-read")%100) * time.Millisecond)
		floor := l.acked
		r, ok := s.ReadIndex().GetUntil(h.Clock.Now().Add(2 * time.Second))
		if !ok || r.Error != wire.ErrNone {
			continue
		}
		log, _, ok := s.Held(groupPartition(0))
		if end := int64(0); floor > 0 {
			if ok {
				end = log.View().End
			}
			if end < int64(floor) {
				l.fail("node %d: a read that must not be stale ended at %d after %d values were acknowledged", n.index+1, end, floor)
			}
		}
		l.reads++
	}
}
