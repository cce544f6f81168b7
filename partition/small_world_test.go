package partition_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/sim"
)

// A small world is a log of a few operations (a: append, r: append to a new segment, c: checkpoint, made durable as the
// write-ahead log does, d: records deleted up to the middle) and one power cut, at the end or at the n-th sync, of which
// each possible outcome is tried: every set of the names and writes that were not synced.
type smallWorld struct {
	ops string
	// syncs is at which sync the power goes; 0: after the last operation.
	syncs uint64
	keep  func(i int) bool

	all     []smallEntry
	applied int
	durable []byte // the checkpoint
	covered int    // how many entries it holds
	cut     bool   // the power has gone
}

type smallEntry struct {
	bytes []byte
	roll  bool
	start int64 // of a deletion; -1 for a batch
}

// cutAll tries every outcome of one power cut. It returns how many there were; 0 when the sync did not come.
func cutAll(ops string, syncs uint64) (int, error) {
	changes := 0
	count := &smallWorld{ops: ops, syncs: syncs, keep: func(i int) bool {
		changes = max(changes, i+1)
		return true
	}}
	if err := count.run(); err != nil {
		return 1, fmt.Errorf("%s, sync %d, everything survives: %w", ops, syncs, err)
	}
	if !count.cut {
		return 0, nil
	}
	const most = 9
	for set := range 1 << min(changes, most) {
		w := &smallWorld{ops: ops, syncs: syncs, keep: func(i int) bool { return set>>(i%most)&1 == 1 }}
		if err := w.run(); err != nil {
			return set + 1, fmt.Errorf("%s, sync %d, of %d changes %b survive: %w", ops, syncs, changes, set, err)
		}
	}
	return 1 << min(changes, most), nil
}

func (x *smallWorld) run() error {
	w := sim.New(1, sim.Options{Keep: 1})
	defer w.Close()
	n := w.AddNode("n")
	n.Survivors(x.keep)
	n.Boot(func(h host.Host) {
		if x.syncs > 0 {
			n.Arm(sim.CrashPoint{Point: sim.PointSync, Count: x.syncs, How: sim.Power})
		}
		if err := x.work(h); err != nil {
			w.Fail(err)
		}
		if x.syncs > 0 {
			w.Stop() // there are not so many syncs
			return
		}
		n.Crash(sim.Power)
	})
	again := w.AddNode("watch")
	again.Boot(func(h host.Host) {
		for n.Running() {
			h.Clock.Sleep(1_000_000)
		}
		x.cut = true
		n.Survivors(func(int) bool { return false })
		n.Boot(func(h host.Host) {
			if err := x.check(h); err != nil {
				w.Fail(err)
			}
			w.Stop()
		})
	})
	return w.Run()
}

func smallShared(h host.Host) *partition.Shared {
	return partition.NewShared(h, partition.Options{CacheBytes: 1, LargestChunk: 4096, IndexInterval: 1, OpenFiles: 3, Writers: 1})
}

var smallID = partition.ID{Topic: topic, Index: 1}

// work is what happens before the power cut.
func (x *smallWorld) work(h host.Host) error {
	l, err := partition.Create(smallShared(h), "p", smallID, 0)
	if err != nil {
		return err
	}
	for i, op := range x.ops {
		if op == 'c' {
			c, err := l.Checkpoint()
			if err == nil {
				err = h.Disk.SyncAll()
			}
			if err != nil {
				return err
			}
			x.durable, x.covered = c.Encode(nil), x.applied
			l.Checkpointed()
			continue
		}
		e := smallEntry{start: -1, roll: op == 'r'}
		if op == 'd' {
			e.start = l.End() / 2
		} else if e.bytes, err = batch.Encode(nil, batch.Header{BaseOffset: l.End(), ProducerID: batch.NoProducer, ProducerEpoch: -1,
			BaseSequence: batch.NoSequence}, []batch.Record{{Value: bytes.Repeat([]byte{byte('a' + i)}, 700), Timestamp: int64(i)}}, nil); err != nil {
			return err
		}
		x.all = append(x.all, e)
		if err := e.apply(l); err != nil {
			return err
		}
		x.applied++
	}
	return nil
}

func (e smallEntry) apply(l *partition.Log) error {
	defer l.Publish()
	if e.start >= 0 {
		return l.SetLogStart(e.start)
	}
	return l.Append(partition.Batch{Bytes: e.bytes, Roll: e.roll, Wall: 1})
}

// check recovers, twice, and compares all records.
func (x *smallWorld) check(h host.Host) error {
	for range 2 {
		s := smallShared(h)
		var l *partition.Log
		var err error
		if x.durable == nil {
			l, err = partition.Create(s, "p", smallID, 0)
		} else {
			var c partition.Checkpoint
			if c, err = partition.DecodeCheckpoint(x.durable); err == nil {
				l, err = partition.Open(s, "p", c)
			}
		}
		if err != nil {
			return err
		}
		for _, e := range x.all[x.covered:x.applied] {
			if err := e.apply(l); err != nil {
				return err
			}
		}
		if err := x.compare(l); err != nil {
			return err
		}
		c, err := l.Checkpoint()
		if err != nil {
			return err
		}
		if err := h.Disk.SyncAll(); err != nil {
			return err
		}
		x.durable, x.covered = c.Encode(nil), x.applied
		l.Checkpointed()
		l.Close()
		s.Close()
	}
	return nil
}

func (x *smallWorld) compare(l *partition.Log) error {
	offset, start := int64(0), l.View().LogStart
	for _, e := range x.all[:x.applied] {
		if e.start >= 0 {
			continue
		}
		if offset >= start {
			r, err := l.Read(offset, 1, true)
			if err != nil {
				return fmt.Errorf("offset %d: %w", offset, err)
			}
			got, err := gather(r.Parts)
			r.Release()
			if err != nil || !bytes.Equal(got, e.bytes) {
				return fmt.Errorf("offset %d has %d other bytes (%v)", offset, len(got), err)
			}
		}
		offset++
	}
	want := int64(0)
	for _, e := range x.all[:x.applied] {
		want = max(want, e.start)
	}
	if start != want {
		return fmt.Errorf("the log starts at %d instead of %d", start, want)
	}
	if l.End() != offset {
		return fmt.Errorf("the log ends at %d instead of %d", l.End(), offset)
	}
	return nil
}

// TestSmallWorlds tries logs of up to six operations, and every outcome of a power cut at their end and at every sync.
func TestSmallWorlds(t *testing.T) {
	longest := 6
	if testing.Short() {
		longest = 4
	}
	logs, outcomes := 0, 0
	var try func(ops string, syncs uint64)
	try = func(ops string, syncs uint64) {
		if ops != "" {
			// At the end, and at the syncs of the last operation; those before it have had their turn.
			n, err := cutAll(ops, 0)
			for at := syncs + 1; err == nil && n > 0 && ops[len(ops)-1] == 'c'; at++ {
				outcomes += n
				if n, err = cutAll(ops, at); n > 0 {
					syncs = at
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			outcomes += n
			logs++
		}
		if len(ops) == longest {
			return
		}
		for _, op := range "arcd" {
			// What comes before the first record, and twice the same checkpoint, is no other log. One deletion and two rolls
			// are enough, and long logs do without a deletion.
			if op != 'a' && ops == "" || op == 'c' && strings.HasSuffix(ops, "c") || strings.Count(ops, "r") == 2 && op == 'r' ||
				op == 'd' && (strings.Contains(ops, "d") || len(ops) > 3) || len(ops) > 3 && strings.Contains(ops, "d") {
				continue
			}
			try(ops+string(op), syncs)
		}
	}
	try("", 0)
	t.Logf("%d logs, %d outcomes", logs, outcomes)
}
