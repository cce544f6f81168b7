package partition_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/sim"
)

// transactionLog is a compacted log with transactions that are decided, written batch by batch.
type transactionLog struct {
	h      host.Host
	l      *partition.Log
	next   int64
	config partition.CompactionConfig
}

// put appends a batch and says where it begins.
func (x *transactionLog) put(pid int64, attributes int16, roll bool, keyed ...string) (int64, error) {
	h := batch.Header{BaseOffset: x.next, ProducerID: pid, ProducerEpoch: 0, BaseSequence: int32(x.next), Attributes: attributes}
	if pid == batch.NoProducer {
		h.ProducerEpoch, h.BaseSequence = -1, batch.NoSequence
	}
	if attributes&batch.ControlBit != 0 {
		h.BaseSequence = batch.NoSequence
	}
	wall := x.h.Clock.Wall().UnixMilli()
	var records []batch.Record
	for i := 0; i < len(keyed); i += 2 {
		r := batch.Record{Timestamp: wall, Key: []byte(keyed[i])}
		if keyed[i+1] != "" {
			r.Value = []byte(keyed[i+1])
		}
		records = append(records, r)
	}
	b, err := batch.Encode(nil, h, records, nil)
	if err == nil {
		err = x.l.Append(partition.Batch{Bytes: b, Wall: wall, Roll: roll})
	}
	at := x.next
	x.next += int64(len(records))
	return at, err
}

// marker appends the end of a transaction.
func (x *transactionLog) marker(pid int64, commit bool) (int64, error) {
	kind := uint16(0)
	if commit {
		kind = 1
	}
	key := binary.BigEndian.AppendUint16([]byte{0, 0}, kind)
	return x.put(pid, batch.TransactionalBit|batch.ControlBit, false, string(key), "\x00\x00\x00\x00\x00\x00")
}

// compact closes the segment behind a record of no importance, and compacts what is before.
func (x *transactionLog) compact(safe int64) error {
	if _, err := x.put(batch.NoProducer, 0, true, fmt.Sprint("filler-", x.next), "x"); err != nil {
		return err
	}
	if _, err := x.put(batch.NoProducer, 0, true, fmt.Sprint("filler-", x.next), "x"); err != nil {
		return err
	}
	x.l.Publish()
	if err := x.checkpoint(); err != nil {
		return err
	}
	run := x.l.BeginCompaction(x.config, x.h.Clock.Wall().UnixMilli())
	if run == nil {
		return fmt.Errorf("there is nothing to compact: %+v", x.l.View().Dirt(x.config, x.h.Clock.Wall().UnixMilli()))
	}
	if err := run.Run(partition.CompactOptions{MapBytes: 1 << 16, Safe: safe, Pace: func(int) bool { return true }}); err != nil {
		return err
	}
	if !x.l.TakeCompaction(run) {
		return fmt.Errorf("what was compacted is not taken")
	}
	return x.checkpoint()
}

func (x *transactionLog) checkpoint() error {
	if _, err := x.l.BeginCheckpoint().Wait(); err != nil {
		return err
	}
	if err := x.h.Disk.SyncAll(); err != nil {
		return err
	}
	x.l.Checkpointed()
	return nil
}

// left are the records that are there by offset, without the fillers; a marker is "commit" or "abort".
func (x *transactionLog) left() (map[int64]string, error) {
	left, coders := map[int64]string{}, batch.NewCoders()
	for offset := int64(0); offset < x.next; {
		r, err := x.l.Read(offset, 1<<20, true)
		if err != nil {
			return nil, err
		}
		b, err := gather(r.Parts)
		offset = r.Next
		r.Release()
		if err != nil {
			return nil, err
		}
		err = batch.Batches(b, func(h *batch.Header, one []byte) error {
			if h.Control() && h.Count > 0 {
				left[h.BaseOffset] = "abort"
				if commit, _ := batch.Marker(one, coders); commit {
					left[h.BaseOffset] = "commit"
				}
				return nil
			}
			return batch.Keys(one, coders, func(k batch.Keyed) bool {
				if name := string(k.Key); len(name) < 7 {
					left[k.Offset] = name
				}
				return true
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return left, nil
}

// states is what Explain says of offsets.
func (x *transactionLog) states(offsets ...int64) (states []string, err error) {
	for _, o := range offsets {
		e, err := x.l.Explain(o, &x.config, x.h.Clock.Wall().UnixMilli())
		if err != nil {
			return nil, err
		}
		states = append(states, e.State)
	}
	return states, nil
}

// run writes two transactions, one of which is aborted, and one whose record nothing takes the place of, and compacts them
// until their markers may go.
func (x *transactionLog) run() error {
	const txn = batch.TransactionalBit
	var failed error
	at := func(offset int64, err error) int64 {
		if err != nil && failed == nil {
			failed = err
		}
		return offset
	}
	kept := at(x.put(batch.NoProducer, 0, false, "k0", "a"))
	old := at(x.put(7, txn, false, "k1", "old"))
	undone := at(x.put(8, txn, false, "k0", "never", "k2", "never"))
	stays := at(x.put(9, txn, false, "k5", "stays"))
	committed, aborted, settled := at(x.marker(7, true)), at(x.marker(8, false)), at(x.marker(9, true))
	newer := at(x.put(7, txn, false, "k1", "newer")) // and so nothing remembers the first transactions' sequence numbers
	again := at(x.put(8, txn, false, "k6", "again"))
	committed2, committed3 := at(x.marker(7, true)), at(x.marker(8, true))
	if failed != nil {
		return failed
	}
	want := map[int64]string{kept: "k0", stays: "k5", committed: "commit", aborted: "abort", settled: "commit", newer: "k1", again: "k6",
		committed2: "commit", committed3: "commit"}
	for round, c := range []struct {
		when string
		safe int64
		gone []int64
	}{
		{"what is superseded or aborted goes first", math.MaxInt64, nil},
		{"then markers without records get their horizon", math.MaxInt64, nil},
		{"and stay while another replica may have what they stand for", 0, nil},
		{"then they go", math.MaxInt64, []int64{committed, aborted}},
		{"and those of records that are there stay", math.MaxInt64, nil},
	} {
		if round > 1 {
			x.h.Clock.Sleep(2 * time.Second)
		}
		if err := x.compact(c.safe); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		for _, o := range c.gone {
			delete(want, o)
		}
		got, err := x.left()
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("round %d, %s: %v is left, not %v", round, c.when, got, want)
		}
	}
	states, err := x.states(kept, old, undone, committed, settled, newer, x.next)
	if expected := []string{"there", "removed", "removed", "removed", "marker", "there", "beyond"}; err != nil || !slices.Equal(states, expected) {
		return fmt.Errorf("explained as %v (%w), not %v", states, err, expected)
	}
	return nil
}

// TestCompactionRespectsTransactions: what was aborted takes nobody's place and goes; a marker stays as long as a record that it
// decides on, then until its delete horizon, and until no other replica needs it.
func TestCompactionRespectsTransactions(t *testing.T) {
	w := sim.New(1, sim.Options{})
	w.AddNode("n").Boot(func(h host.Host) {
		s := partition.NewShared(h, partition.Options{})
		l, err := partition.Create(s, "p", partition.ID{Topic: topic}, 0)
		if err == nil {
			x := transactionLog{h: h, l: l, config: partition.CompactionConfig{DeleteRetentionMs: 1000, SegmentBytes: 1 << 20}}
			err = x.run()
		}
		if err != nil {
			w.Fail(err)
		}
		w.Stop()
	})
	err := w.Run()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
}
