package wal_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/sim"
	"millrace/wal"
)

// small makes files turn, move and recycle within a few appends.
var small = wal.Options{
	Dir: "wal", Directory: [16]byte{7}, FileSize: 64 << 10, FirstFileSize: 16 << 10, MaxBytes: 256 << 10,
	GroupBytes: 16 << 10, MarkAfter: 5 * time.Millisecond,
}

// history is what one node's log has been told, over its crashes.
type history struct {
	draws  *sim.Draws
	shards map[uint64]*told
	opens  int
	acked  int
	bytes  int64
	failed func(error)
}

// told is one shard's history: what the log may show after a crash is one of states, from the one last acknowledged on.
type told struct {
	states []*modelShard
	acked  int
	term   uint64
}

const shardCount = 4

// run opens the log, checks it against the history and appends until the node dies or n appends are through.
func (hi *history) run(h host.Host, n int) {
	log, shards, err := wal.Open(h, small)
	if err != nil {
		hi.failed(fmt.Errorf("open %d: %w", hi.opens, err))
		return
	}
	hi.opens++
	if err := hi.check(log, shards); err != nil {
		hi.failed(fmt.Errorf("open %d: %w", hi.opens, err))
		return
	}
	for range n {
		if !hi.append(h, log) {
			hi.failed(fmt.Errorf("append was refused"))
			return
		}
		switch {
		case hi.draws.Chance(0.05):
			h.Clock.Sleep(time.Duration(hi.draws.Below(20)) * time.Millisecond)
		case hi.draws.Chance(0.2):
			h.Clock.Sleep(time.Duration(hi.draws.Below(300)) * time.Microsecond)
		}
	}
	hi.bytes += log.Pressure().Written
	if err := log.Close(); err != nil {
		hi.failed(err)
	}
	for _, t := range hi.shards {
		if last := len(t.states) - 1; t.acked < last && !t.states[last].gone {
			// Only bare appends are never acknowledged; a close writes them too.
			t.acked = last
		}
	}
}

// check compares what was recovered with what the log may show.
func (hi *history) check(log *wal.Log, shards []wal.RecoveredShard) error {
	reader := log.Reader()
	defer reader.Close()
	found := map[uint64]*modelShard{}
	for i, r := range shards {
		read := reader.ReadPayload
		if i%2 == 1 {
			read = log.ReadPayload
		}
		m, err := modelOf(r, read)
		if err != nil {
			return err
		}
		found[r.ID] = m
	}
	for id := range uint64(shardCount) {
		t := hi.shards[id]
		m := found[id]
		if m == nil {
			m = newModelShard()
			m.gone = true
		}
		delete(found, id)
		if err := t.match(id, m); err != nil {
			return err
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("%d shards that nobody appended to", len(found))
	}
	return nil
}

func (t *told) match(id uint64, m *modelShard) error {
	text := m.text()
	for i := t.acked; i < len(t.states); i++ {
		if t.states[i].text() == text {
			t.states, t.acked = []*modelShard{m}, 0
			return nil
		}
	}
	for i := range t.acked {
		if t.states[i].text() == text {
			return fmt.Errorf("shard %d went back to state %d, and %d was acknowledged:\n%s\nacknowledged:\n%s", id, i, t.acked, text, t.states[t.acked].text())
		}
	}
	return fmt.Errorf("shard %d has a state that it never had:\n%s\nacknowledged (%d of %d):\n%s\nlast:\n%s", id, text, t.acked, len(t.states), t.states[t.acked].text(), t.states[len(t.states)-1].text())
}

// append makes one append of a random shard.
func (hi *history) append(h host.Host, log *wal.Log) bool {
	d := hi.draws
	id := uint64(d.Below(shardCount))
	t := hi.shards[id]
	now := t.states[len(t.states)-1]
	a := wal.Append{Shard: id}
	bare := false
	switch {
	case d.Chance(0.01) && !now.gone:
		a.Forget = true
	case d.Chance(0.1):
		a.HardState = &wal.HardState{Term: t.term, Vote: uint64(d.Below(3)), Commit: now.last}
		bare = d.Chance(0.7)
	case d.Chance(0.1) && now.last > 0:
		a.Compact = now.last - uint64(d.Below(min(4, int64(now.last))))
		hi.state(&a)
	case d.Chance(0.02):
		a.Compact = now.last + uint64(d.Below(50))
		hi.entries(h, t, &a, a.Compact+1)
	default:
		first := now.last + 1
		if d.Chance(0.1) && now.last > now.compact {
			first -= uint64(d.Below(int64(now.last-now.compact) + 1))
			t.term++
		}
		hi.entries(h, t, &a, first)
		if d.Chance(0.3) {
			a.HardState = &wal.HardState{Term: t.term, Vote: 1, Commit: now.last}
		}
		if d.Chance(0.05) {
			hi.state(&a)
		}
	}
	if err := now.read(log, d); err != nil {
		hi.failed(fmt.Errorf("shard %d: %w", id, err))
		return false
	}
	next := now.clone()
	next.apply(a)
	t.states = append(t.states, next)
	index := len(t.states) - 1
	if !bare {
		a.Done = func(err error) {
			if err != nil {
				hi.failed(fmt.Errorf("append was lost: %w", err))
			}
			t.acked = index
			hi.acked++
			for _, e := range a.Entries {
				if known, ok := next.entries[e.Index]; ok {
					*known.at = e.At
				}
			}
		}
	}
	ok := log.Submit(a)
	for i := range a.Entries {
		a.Entries[i].Payload.Release()
	}
	return ok
}

// read reads the payload of a random live entry, at the location that was told when it became durable.
func (m *modelShard) read(log *wal.Log, d *sim.Draws) error {
	if m.last <= m.compact || d.Chance(0.5) {
		return nil
	}
	index := m.compact + 1 + uint64(d.Below(int64(m.last-m.compact)))
	e, ok := m.entries[index]
	if !ok || e.at.Nowhere() {
		return nil
	}
	b, err := log.ReadPayload(*e.at)
	if err != nil {
		return fmt.Errorf("entry %d: %w", index, err)
	}
	defer b.Release()
	if !bytes.Equal(b.Bytes(), e.payload) {
		return fmt.Errorf("entry %d has another payload", index)
	}
	return nil
}

// state puts keyed records into an append.
func (hi *history) state(a *wal.Append) {
	for range hi.draws.Below(5) {
		s := wal.State{Key: fmt.Sprint("key", hi.draws.Below(12))}
		if hi.draws.Chance(0.8) {
			s.Value = hi.random(hi.draws.Skewed(1, 3000) - 1)
		}
		a.State = append(a.State, s)
	}
}

// entries puts entries from index first on into an append.
func (hi *history) entries(h host.Host, t *told, a *wal.Append, first uint64) {
	for i := range uint64(hi.draws.Skewed(1, 8)) {
		e := wal.Entry{Index: first + i, Term: t.term, Type: uint8(hi.draws.Below(3)), Data: hi.random(hi.draws.Below(60))}
		high := int64(6000)
		if hi.draws.Chance(0.01) {
			high = 100_000 // more than a file
		}
		for range hi.draws.Below(3) {
			b := h.Buffers.Get(int(hi.draws.Skewed(1, high)))
			copy(b.Bytes(), hi.random(int64(len(b.Bytes()))))
			e.Payload.Parts = append(e.Payload.Parts, b.Bytes())
			e.Payload.Holds = append(e.Payload.Holds, b)
		}
		// The model keeps its own copy: the buffers go back to the pool.
		a.Entries = append(a.Entries, e)
	}
}

func (hi *history) random(n int64) []byte {
	b := make([]byte, n)
	x := hi.draws.Uint64()
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x >> 56)
	}
	return b
}

// TestCrashes appends at random, crashes at random points, and demands each time that every shard is in a state that it
// had, none older than what was acknowledged. WAL_SEEDS and WAL_FIRST_SEED choose more seeds.
func TestCrashes(t *testing.T) {
	seeds, first := uint64(100), uint64(0)
	if n, err := strconv.ParseUint(os.Getenv("WAL_SEEDS"), 10, 64); err == nil {
		seeds = n
	}
	if n, err := strconv.ParseUint(os.Getenv("WAL_FIRST_SEED"), 10, 64); err == nil {
		first = n
	}
	for seed := first; seed < first+seeds; seed++ {
		if err := crashes(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func crashes(seed uint64) error {
	w := sim.New(seed, sim.Options{Priorities: seed%3 == 2})
	defer w.Close()
	n := w.AddNode("n")
	d := w.Draws("plan")
	hi := &history{draws: d, shards: map[uint64]*told{}, failed: w.Fail}
	for id := range uint64(shardCount) {
		gone := newModelShard()
		gone.gone = true
		hi.shards[id] = &told{states: []*modelShard{gone}}
	}
	points := []sim.Point{sim.PointYield, sim.PointWrite, sim.PointSync, sim.PointSynced, sim.PointName}
	control := w.AddNode("control")
	control.Boot(func(h host.Host) {
		for range 6 {
			ended := false
			n.Boot(func(h host.Host) {
				hi.run(h, int(d.Skewed(5, 300)))
				ended = true
			})
			if d.Chance(0.8) {
				point := sim.Pick(d, points...)
				count := uint64(d.Skewed(1, map[sim.Point]int64{sim.PointYield: 20000, sim.PointWrite: 300, sim.PointSync: 30, sim.PointSynced: 30, sim.PointName: 20}[point]))
				n.Arm(sim.CrashPoint{Point: point, Count: count, How: sim.Pick(d, sim.Power, sim.Kill)})
			}
			for !ended && n.Running() {
				h.Clock.Sleep(time.Millisecond)
			}
			n.Disarm()
			if ended && n.Running() {
				if leaks := n.Leaks(); len(leaks) > 0 {
					w.Fail(fmt.Errorf("leaks: %v", leaks))
				}
				n.Crash(sim.Pick(d, sim.Power, sim.Kill))
			}
		}
		w.Stop()
	})
	return w.Run()
}
