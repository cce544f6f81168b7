package shard

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/sim"
)

var (
	cleanFirst = flag.Uint64("clean.first", 0, "the first seed of TestCompactedReplicas")
	cleanSeeds = flag.Uint64("clean.seeds", 4, "the number of seeds of TestCompactedReplicas")
)

// TestCompactedReplicas has three nodes with a compacted topic, of which one after the other is away for long, loses power
// in the middle of a compaction or while it is filled from replicas that are compacted, or has rot in its segments. In the
// end all replicas have the same record at an offset that they have, and the same last value of each key: the one that was
// acknowledged. Tombstones are gone where everybody has heard of them, and bring no value back.
func TestCompactedReplicas(t *testing.T) {
	seeds := *cleanSeeds
	if testing.Short() {
		seeds = 2
	}
	runs, removed := int64(0), int64(0)
	for seed := *cleanFirst; seed < *cleanFirst+seeds; seed++ {
		w, err := runCompacted(seed)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		runs, removed = runs+w.runs, removed+w.removed
	}
	t.Logf("%d compactions removed %d records", runs, removed)
	if runs == 0 || removed == 0 {
		t.Error("that says nothing")
	}
}

type cleanWorld struct {
	*fillWorld
	runs, removed int64
}

func runCompacted(seed uint64) (*cleanWorld, error) {
	c := newClusterWorld(seed, 3, 60*time.Minute)
	w := &cleanWorld{fillWorld: &fillWorld{clusterWorld: c, d: c.world.Draws("filling")}}
	retention := sim.Pick(w.d, int64(0), 500, 3000, 30000)
	memory := sim.Pick(w.d, int64(0), 24*30)
	c.options = func(_ int, o *SetOptions) {
		o.WAL.MaxBytes = 1 << 20
		o.ScrubEvery, o.ScrubRate, o.FillRate = 2*time.Second, 1<<20, 2<<20
		o.CleanEvery, o.CleanRate, o.CleanMemory = 300*time.Millisecond, 1<<20, memory
		o.Settings = func(*catalog.Image, *catalog.Topic) Settings {
			s := DefaultSettings()
			s.Roll.SegmentBytes = 8 << 10
			s.Retention.RetentionMs = -1
			s.Compaction = &partition.CompactionConfig{MinDirtyRatio: 0.1, DeleteRetentionMs: retention, SegmentBytes: 32 << 10}
			return s
		}
	}
	return w, c.drive(func(h host.Host) error { return w.run(h) })
}

func (w *cleanWorld) run(h host.Host) error {
	if err := w.up(h, 0, 1, 2); err != nil {
		return err
	}
	if err := w.makeTopic(h); err != nil {
		return err
	}
	for round := range 5 {
		if err := w.round(h); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}

// round is a load with one node away for a part of it.
func (w *cleanWorld) round(h host.Host) error {
	if err := w.keyedLoad(h, w.d.Between(10, 60)); err != nil {
		return err
	}
	away := int(w.d.Between(0, 2))
	w.count1(away)
	w.crash(away, sim.Pick(w.d, sim.Kill, sim.Power))
	if w.d.Between(0, 2) == 0 { // found when it is read the first time
		w.nodes[away].Rot(segments)
	}
	if err := w.keyedLoad(h, w.d.Between(20, 150)); err != nil {
		return err
	}
	h.Clock.Sleep(time.Duration(w.d.Between(0, int64(10*time.Second)))) // the others compact
	if err := w.up(h, away); err != nil {
		return err
	}
	for w.d.Between(0, 1) == 0 { // once more, perhaps in the middle of filling or compacting
		h.Clock.Sleep(time.Duration(w.d.Between(0, int64(2*time.Second))))
		again := int(w.d.Between(0, 2))
		w.count1(again)
		w.crash(again, sim.Power)
		if err := w.keyedLoad(h, w.d.Between(1, 10)); err != nil {
			return err
		}
		if err := w.up(h, again); err != nil {
			return err
		}
	}
	if w.d.Between(0, 2) == 0 {
		w.nodes[w.anyNode()].Rot(segments)
		h.Clock.Sleep(6 * time.Second)
	}
	return w.agreeOnKeys(h)
}

// count1 adds what a node has done before it ends.
func (w *cleanWorld) count1(i int) {
	if s := w.sets[i]; s != nil {
		_ = w.on(w.driver, i, func(_ host.Host, s *Set) error {
			w.runs += s.Cleaned().Runs.Load()
			w.removed += s.Cleaned().Removed.Load()
			return nil
		})
	}
}

// keyedLoad appends records of few keys, one after the other.
func (w *cleanWorld) keyedLoad(h host.Host, batches int64) error {
	for range batches {
		p := int(w.d.Between(0, int64(len(w.acked)-1)))
		value := fmt.Sprintf("key-%d=", w.d.Skewed(1, 40))
		if w.d.Between(0, 3) > 0 {
			value += fmt.Sprint(w.count) + strings.Repeat("x", int(w.d.Between(0, 5000)))
		}
		w.count++
		i := w.anyNode()
		if err := w.on(h, i, func(h host.Host, s *Set) error { return w.produce(h, s, w.topic, p, value) }); err != nil {
			return err
		}
		w.acked[p] = append(w.acked[p], value)
	}
	return nil
}

// agreeOnKeys waits until every replica is whole, and compares them.
func (w *cleanWorld) agreeOnKeys(h host.Host) error {
	err := until(h, 3*time.Minute, "all replicas are whole", func() bool {
		for p := range w.acked {
			for i := range w.sets {
				l, first := w.log(i, p), w.log(0, p)
				if l == nil || first == nil || !l.Whole() || l.View().End != first.View().End {
					return false
				}
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, w.describe())
	}
	for p := range w.acked {
		err := w.compareKeys(h, p)
		for n := 0; n < 5 && (errors.Is(err, partition.ErrCorrupt) || errors.Is(err, partition.ErrMissing)); n++ {
			h.Clock.Sleep(3 * time.Second) // refused, and repaired
			err = w.compareKeys(h, p)
		}
		if err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return nil
}

func (w *cleanWorld) compareKeys(h host.Host, p int) error {
	want := map[string]string{}
	for _, value := range w.acked[p] {
		key, rest, _ := strings.Cut(value, "=")
		if want[key] = value; rest == "" {
			delete(want, key)
		}
	}
	known := map[int64]string{}
	for i := range w.sets {
		got := map[string]string{}
		err := w.on(h, i, func(_ host.Host, _ *Set) error { return w.readKeys(w.log(i, p), known, got) })
		if err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
		for key, value := range want {
			if got[key] != value {
				return fmt.Errorf("node %d: the last value of %s is %.20q, acknowledged was %.20q", i+1, key, got[key], value)
			}
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("node %d has %d keys, there should be %d", i+1, len(got), len(want))
		}
	}
	return nil
}

// readKeys reads a log from its start as a consumer does that keeps the last value of each key.
func (w *cleanWorld) readKeys(l *partition.Log, known map[int64]string, into map[string]string) error {
	v, last := l.View(), int64(-1)
	for next := v.LogStart; next < v.End; {
		r, err := l.Read(next, 64<<10, true)
		if err != nil {
			return err
		}
		var b []byte
		if r.Bytes > 0 {
			b, err = rangeBytes(r)
		}
		next = r.Next
		r.Release()
		if err != nil {
			return err
		}
		err = batch.Batches(b, func(h *batch.Header, one []byte) error {
			if err := batch.CheckCRC(one); err != nil {
				return err
			}
			records, err := batch.Read(one, nil, 1<<20)
			if err != nil {
				return err
			}
			var record batch.Record
			for records.Next(&record) {
				as := fmt.Sprintf("%d %d %s=%s", h.LeaderEpoch, record.Timestamp, record.Key, record.Value)
				if was, ok := known[record.Offset]; ok && was != as || record.Offset <= last {
					return fmt.Errorf("offset %d, after %d, is %.60s, elsewhere it is %.60s", record.Offset, last, as, was)
				}
				known[record.Offset], last = as, record.Offset
				if into[string(record.Key)] = string(record.Value); record.Value == nil {
					delete(into, string(record.Key))
				}
			}
			return records.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}
