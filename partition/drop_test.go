package partition_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/sim"
)

// TestReadsBesideADrop has readers of a partition that is dropped while the end of it is in memory only, behind a block
// that a checkpoint has padded with zeros: they get the records or ErrDropped, and never what the file holds there.
func TestReadsBesideADrop(t *testing.T) {
	for seed := range uint64(200) {
		if err := readBesideDrop(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func readBesideDrop(seed uint64) error {
	w := sim.New(seed, sim.Options{})
	w.AddNode("n").Boot(func(h host.Host) {
		s := partition.NewShared(h, partition.Options{})
		l, err := partition.Create(s, "p", partition.ID{Topic: topic}, 0)
		var all []byte
		add := func(offset int64) {
			b, failed := batch.Encode(nil, batch.Header{BaseOffset: offset, ProducerID: batch.NoProducer, ProducerEpoch: -1,
				BaseSequence: batch.NoSequence}, []batch.Record{{Value: make([]byte, 100), Timestamp: offset}}, nil)
			err = errors.Join(err, failed, l.Append(partition.Batch{Bytes: b, Wall: 1}))
			all = append(all, b...)
			l.Publish()
		}
		add(0)
		if _, failed := l.Checkpoint(); failed != nil {
			err = failed
		}
		add(1)
		if err != nil {
			w.Fail(err)
			return
		}
		ended := host.NewQueue[error](h.Tasks, 8, nil)
		for range 2 {
			h.Tasks.Go("reader", func() { ended.Put(readUntilDropped(l, all)) })
		}
		h.Clock.Sleep(1)
		l.Drop()
		var results []error
		for len(results) < 2 {
			results, _ = ended.Take(results)
		}
		if err := errors.Join(results...); err != nil {
			w.Fail(err)
		}
		l.Checkpointed()
		s.Close()
		w.Stop()
	})
	err := w.Run()
	w.Close()
	return err
}

// readUntilDropped reads what is there, and looks for a time, again and again.
func readUntilDropped(l *partition.Log, want []byte) error {
	for {
		r, err := l.Read(0, 1<<20, true)
		if errors.Is(err, partition.ErrDropped) {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := gather(r.Parts)
		r.Release()
		if err != nil {
			return err
		}
		if !bytes.Equal(b, want) {
			return fmt.Errorf("read %d bytes that are not those appended", len(b))
		}
		if p, found, err := l.OffsetForTime(1); err != nil && !errors.Is(err, partition.ErrDropped) {
			return err
		} else if err == nil && (!found || p.Offset != 1) {
			return fmt.Errorf("time 1 is at %+v, %v", p, found)
		}
	}
}
