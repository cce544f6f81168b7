package partition_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/sim"
)

// keyedRecord is a record of the model, by its place in a list of all records: its offset.
type keyedRecord struct {
	key, value string
	null       bool
	time       int64
}

// compactModel is a compacted partition as a list of records, with the harness around the real one: a node that appends,
// rolls, moves the log start, takes checkpoints and loses power, while a task compacts and others read.
type compactModel struct {
	model
	records []keyedRecord
	config  partition.CompactionConfig
	memory  int64
	runs    int
	changed int
	scans   int
}

// compactRun plays one seed.
func compactRun(seed uint64, steps int) (*compactModel, error) {
	w := sim.New(seed, sim.Options{Priorities: seed%4 == 3})
	d := w.Draws("model")
	m := &compactModel{model: model{w: w, node: w.AddNode("n"), d: d, steps: steps, seqs: map[int64]partition.Sequence{}}}
	m.options = partition.Options{
		CacheBytes: sim.Pick(d, int64(1), 16<<10, 1<<20), SmallestChunk: 4096, LargestChunk: sim.Pick(d, 4096, 16384),
		IndexInterval: sim.Pick(d, 1, 300, 4096), OpenFiles: sim.Pick(d, 1, 2, 100), OpenWriters: sim.Pick(d, 1, 100), Writers: 1}
	m.config = partition.CompactionConfig{MinDirtyRatio: sim.Pick(d, 0, 0.3), MaxLagMs: sim.Pick(d, int64(0), 50),
		MinLagMs: sim.Pick(d, int64(0), 0, 5), DeleteRetentionMs: sim.Pick(d, int64(0), 20, 100, 1000), SegmentBytes: sim.Pick(d, int64(2000), 20000)}
	m.memory = sim.Pick(d, int64(1), 24*20, 1<<20)
	m.bootCompacted()
	err := w.Run()
	w.Close()
	return m, err
}

func (m *compactModel) bootCompacted() {
	life := m.crashes
	m.node.Boot(func(h host.Host) {
		s := partition.NewShared(h, m.options)
		l, err := m.recoverCompacted(s)
		if err != nil {
			m.fail("recover: %w", err)
			return
		}
		orders := host.NewQueue[func(*partition.Log)](h.Tasks, 10, nil)
		h.Tasks.Go("cleaner", func() { m.clean(h, l, orders, m.w.Draws(fmt.Sprintf("cleaner.%d", life))) })
		for i := range 2 {
			h.Tasks.Go(fmt.Sprintf("reader%d", i), func() { m.scan(h, l, m.w.Draws(fmt.Sprintf("scan%d.%d", i, life))) })
		}
		m.ownCompacted(h, l, orders)
	})
	if m.crashes < 3 {
		m.w.After(time.Duration(m.d.Skewed(1, int64(2*time.Second))), func() {
			m.crashes++
			m.node.Crash(sim.Pick(m.d, sim.Power, sim.Power, sim.Kill))
			m.bootCompacted()
		})
	}
}

func (m *compactModel) recoverCompacted(s *partition.Shared) (*partition.Log, error) {
	id := partition.ID{Topic: topic, Index: 1}
	var l *partition.Log
	var err error
	if m.durable == nil {
		l, err = partition.Create(s, "p", id, 0)
	} else {
		var c partition.Checkpoint
		if c, err = partition.DecodeCheckpoint(m.durable); err == nil {
			l, err = partition.Open(s, "p", c)
		}
	}
	if err != nil {
		return nil, err
	}
	if !l.Whole() {
		return nil, fmt.Errorf("recovery finds holes %v", l.View().Holes())
	}
	for _, e := range m.entries[m.covered:] {
		if err := apply(l, e); err != nil {
			return nil, err
		}
	}
	l.Publish()
	return l, m.compare(l)
}

// clean is the task that compacts.
func (m *compactModel) clean(h host.Host, l *partition.Log, orders *host.Queue[func(*partition.Log)], d *sim.Draws) {
	for {
		h.Clock.Sleep(time.Duration(d.Skewed(1, int64(20*time.Millisecond))))
		wall := h.Clock.Wall().UnixMilli()
		if dirt := l.View().Dirt(m.config, wall); !dirt.Due {
			continue
		}
		begun := host.NewFuture[*partition.Compaction](h.Tasks)
		orders.Put(func(l *partition.Log) { begun.Set(l.BeginCompaction(m.config, wall)) })
		run := begun.Get()
		if run == nil {
			continue
		}
		slow := time.Duration(d.Skewed(0, int64(time.Millisecond)))
		err := run.Run(partition.CompactOptions{MapBytes: m.memory, Safe: 1 << 60, Pace: func(int) bool {
			h.Clock.Sleep(slow)
			return true
		}})
		if err != nil {
			m.fail("compaction: %w", err)
			return
		}
		m.runs++
		m.changed += run.Stats().Files
		taken := host.NewFuture[bool](h.Tasks)
		orders.Put(func(l *partition.Log) { taken.Set(l.TakeCompaction(run)) })
		taken.Get()
	}
}

// ownCompacted is the owner's task.
func (m *compactModel) ownCompacted(h host.Host, l *partition.Log, orders *host.Queue[func(*partition.Log)]) {
	durable := host.NewQueue[int](h.Tasks, 10, nil)
	busy := false
	for ; m.steps > 0; m.steps-- {
		if done, _ := durable.Drain(nil); len(done) > 0 {
			l.Checkpointed()
			busy = false
		}
		asked, _ := orders.Drain(nil)
		for _, do := range asked {
			do(l)
		}
		switch n := m.d.Between(0, 99); {
		case n < 60:
			e := m.newKeyedBatch(h)
			if err := apply(l, e); err != nil {
				m.fail("append: %w", err)
				return
			}
			m.record(e)
			if m.d.Between(0, 2) > 0 {
				l.Publish()
			}
		case n < 62 && m.end > m.start:
			e := entry{logStart: m.d.Skewed(m.start, m.end)}
			m.record(e)
			if err := apply(l, e); err != nil {
				m.fail("set log start: %w", err)
				return
			}
		case n < 80 && !busy:
			busy = true
			m.checkpoint(h, l, durable)
		case n < 82 && !busy:
			l.Idle()
		default:
			h.Clock.Sleep(time.Duration(m.d.Between(1, int64(10*time.Millisecond))))
		}
	}
	l.Publish()
	if err := m.compare(l); err != nil {
		m.fail("at the end: %w", err)
	}
	if err := m.scanOnce(h, l); err != nil {
		m.fail("at the end: %w", err)
	}
	m.w.Stop()
}

func (m *compactModel) checkpoint(h host.Host, l *partition.Log, durable *host.Queue[int]) {
	p := l.BeginCheckpoint()
	covered := len(m.entries)
	h.Tasks.Go("checkpoint", func() {
		c, err := p.Wait()
		if err == nil {
			err = h.Disk.SyncAll()
		}
		if err != nil {
			m.fail("checkpoint: %w", err)
			return
		}
		m.durable, m.covered = c.Encode(nil), covered
		durable.Put(1)
	})
}

// newKeyedBatch makes a batch of records of few keys.
func (m *compactModel) newKeyedBatch(h host.Host) entry {
	n := int(m.d.Skewed(1, 12))
	keys := sim.Pick(m.d, int64(3), 30, 300)
	b := &written{base: m.end, next: m.end + int64(n), epoch: m.epoch, wall: h.Clock.Wall().UnixMilli(), roll: m.d.Between(0, 7) == 0}
	if m.d.Between(0, 15) == 0 {
		b.epoch++
	}
	header := batch.Header{BaseOffset: b.base, LeaderEpoch: b.epoch, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1}
	header.Attributes = int16(sim.Pick(m.d, batch.None, batch.None, batch.LZ4, batch.Zstd, batch.Gzip, batch.Snappy))
	if pid := m.d.Between(0, 3); pid > 0 {
		s, ok := m.seqs[pid]
		first := batch.AddSequence(s.First, s.LastDelta+1)
		if !ok || m.d.Between(0, 9) == 0 {
			s.Epoch++
			first = 0
		}
		b.seq = partition.Sequence{ProducerID: pid, Epoch: s.Epoch, First: first, LastDelta: int32(n - 1)}
		header.ProducerID, header.ProducerEpoch, header.BaseSequence = pid, s.Epoch, first
	}
	var records []batch.Record
	for i := range n {
		r := keyedRecord{key: fmt.Sprint("key-", m.d.Between(1, keys)), time: b.wall + m.d.Between(-5, 5), null: m.d.Between(0, 3) == 0}
		k := batch.Record{Timestamp: r.time, Key: []byte(r.key)}
		if !r.null {
			r.value = fmt.Sprintf("%d-%0*d", b.base+int64(i), m.d.Skewed(1, 200), 7)
			k.Value = []byte(r.value)
		}
		b.times = append(b.times, r.time)
		m.records = append(m.records, r)
		records = append(records, k)
	}
	b.bytes, _ = batch.Encode(nil, header, records, nil)
	return entry{batch: b}
}

// scan is a reader's task.
func (m *compactModel) scan(h host.Host, l *partition.Log, d *sim.Draws) {
	for {
		h.Clock.Sleep(time.Duration(d.Between(1, int64(80*time.Millisecond))))
		if d.Between(0, 3) == 0 {
			if err := m.checkKeyedTime(l, h.Clock.Wall().UnixMilli()-d.Between(0, 500)); err != nil {
				m.fail("time: %w", err)
				return
			}
		}
		if err := m.scanOnce(h, l); err != nil {
			m.fail("reader: %w", err)
			return
		}
		m.scans++
	}
}

// scanOnce reads the log from its start to its end, and compares what a consumer makes of it with the model.
func (m *compactModel) scanOnce(h host.Host, l *partition.Log) error {
	began := h.Clock.Wall().UnixMilli()
	v := l.View()
	slow := sim.Pick(m.w.Draws("slow"), 0, time.Millisecond, 10*time.Millisecond, 30*time.Millisecond)
	got, last := map[string]string{}, int64(-1)
	offset := v.LogStart
	for offset < l.View().End {
		r, err := l.Read(offset, int(m.w.Draws("bytes").Skewed(1, 20000)), true)
		if errors.Is(err, partition.ErrOffsetOutOfRange) {
			return nil // the log start has moved
		}
		if err != nil {
			return err
		}
		h.Clock.Sleep(time.Duration(m.w.Draws("late").Between(0, int64(slow))))
		b, err := gather(r.Parts)
		next := r.Next
		r.Release()
		if err != nil {
			return fmt.Errorf("offset %d: %w", offset, err)
		}
		if next <= offset {
			return fmt.Errorf("a read at offset %d ends at %d", offset, next)
		}
		if last, err = m.consume(b, offset, v.LogStart, last, got); err != nil {
			return err
		}
		offset = next
	}
	if h.Clock.Wall().UnixMilli()-began > m.config.DeleteRetentionMs || l.View().LogStart != v.LogStart {
		return nil // tombstones may have been missed
	}
	want := map[string]string{}
	for _, r := range m.records[v.LogStart:offset] {
		if want[r.key] = r.value; r.null {
			delete(want, r.key)
		}
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("from offset %d to %d: a consumer has %v, the records say %v", v.LogStart, offset, got, want)
	}
	return nil
}

// consume checks batches and applies them as a consumer does that keeps the last value of each key.
func (m *compactModel) consume(b []byte, from, start, last int64, into map[string]string) (int64, error) {
	coders := batch.NewCoders()
	err := batch.Batches(b, func(h *batch.Header, one []byte) error {
		if err := batch.CheckCRC(one); err != nil {
			return err
		}
		i, ok := slices.BinarySearchFunc(m.batches, h.BaseOffset, func(b *written, o int64) int { return int(b.base - o) })
		if !ok || m.batches[i].next != h.LastOffset()+1 || m.batches[i].epoch != h.LeaderEpoch ||
			h.Idempotent() && partition.SequenceOf(h) != m.batches[i].seq {
			return fmt.Errorf("batch %+v was not written", *h)
		}
		records, err := batch.Read(one, coders, 0)
		if err != nil {
			return err
		}
		var r batch.Record
		greatest := int64(-1)
		for records.Next(&r) {
			want := m.records[r.Offset]
			if string(r.Key) != want.key || string(r.Value) != want.value || (r.Value == nil) != want.null || r.Timestamp != want.time {
				return fmt.Errorf("offset %d has %q=%q at %d, written was %+v", r.Offset, r.Key, r.Value, r.Timestamp, want)
			}
			if greatest = max(greatest, r.Timestamp); r.Offset < from || r.Offset < start {
				continue
			}
			if r.Offset <= last {
				return fmt.Errorf("offset %d comes after %d", r.Offset, last)
			}
			last = r.Offset
			if into[want.key] = want.value; want.null {
				delete(into, want.key)
			}
		}
		if h.Count > 0 && greatest != h.MaxTimestamp {
			return fmt.Errorf("batch %+v: its greatest time is %d", *h, greatest)
		}
		return records.Err()
	})
	return last, err
}

// checkKeyedTime looks for a time: what is found was written with at least that time.
func (m *compactModel) checkKeyedTime(l *partition.Log, ts int64) error {
	p, found, err := l.OffsetForTime(ts)
	if err != nil || !found {
		return err
	}
	if p.Offset >= int64(len(m.records)) || m.records[p.Offset].time != p.Timestamp || p.Timestamp < ts {
		return fmt.Errorf("time %d: found %+v", ts, p)
	}
	if greatest, found, err := l.MaxTimestamp(); err != nil || found && m.records[greatest.Offset].time != greatest.Timestamp {
		return fmt.Errorf("greatest time %+v: %w", greatest, err)
	}
	return nil
}

func TestCompactionModel(t *testing.T) {
	seeds := uint64(30)
	if testing.Short() {
		seeds = 10
	}
	runs, changed, scans := 0, 0, 0
	for seed := range seeds {
		m, err := compactRun(seed, 400)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		runs, changed, scans = runs+m.runs, changed+m.changed, scans+m.scans
	}
	t.Logf("%d runs replaced %d files, %d scans", runs, changed, scans)
	if runs < int(seeds) || changed < int(seeds) || scans < int(seeds) {
		t.Error("that is too little to say anything")
	}
}
