package partition_test

import (
	"errors"
	"fmt"
	"testing"

	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/sim"
)

// TestLargeFilesAreDeletedInPieces: a dropped segment keeps its size as long as somebody reads it, and then loses it
// piece by piece; but a node that stops waits for nothing.
func TestLargeFilesAreDeletedInPieces(t *testing.T) {
	for seed := range uint64(20) {
		for _, stops := range []bool{false, true} {
			w := sim.New(seed, sim.Options{})
			w.AddNode("n").Boot(func(h host.Host) {
				if err := deleteInPieces(h, stops); err != nil {
					w.Fail(err)
				}
				w.Stop()
			})
			err := w.Run()
			w.Close()
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}

func deleteInPieces(h host.Host, stops bool) error {
	const chunk, piece, count = 4096, 4 * 4096, 200
	s := partition.NewShared(h, partition.Options{CacheBytes: 1, LargestChunk: chunk})
	l, err := partition.Create(s, "p", partition.ID{Topic: topic}, 0)
	if err != nil {
		return err
	}
	for i := range int64(count) {
		b, err := batch.Encode(nil, batch.Header{BaseOffset: i, ProducerID: batch.NoProducer, ProducerEpoch: -1,
			BaseSequence: batch.NoSequence}, []batch.Record{{Value: make([]byte, 1000), Timestamp: i}}, nil)
		if err = errors.Join(err, l.Append(partition.Batch{Bytes: b, Wall: 1})); err != nil {
			return err
		}
	}
	l.Publish()
	if _, err := l.Checkpoint(); err != nil {
		return err
	}
	whole := sizeOf(h)
	r, err := l.Read(0, 5000, true)
	if err != nil {
		return err
	}
	l.Drop()
	l.Checkpointed()
	h.Clock.Sleep(1e9)
	if now := sizeOf(h); now != whole || whole < 10*piece {
		return fmt.Errorf("of %d bytes %d are there while somebody reads", whole, now)
	}
	r.Release()
	steps := 0
	for size := whole; ; h.Clock.Sleep(1e6) {
		now := sizeOf(h)
		if now < 0 {
			break
		}
		if size-now > piece {
			return fmt.Errorf("%d bytes went at once", size-now)
		}
		if now < size {
			steps++
		}
		size = now
		if stops && steps == 2 {
			l.Close()
			began := h.Clock.Now()
			s.Close()
			if took := h.Clock.Now().Sub(began); took > 100e6 || sizeOf(h) >= 0 {
				return fmt.Errorf("%v after the node began to stop %d bytes are there", took, sizeOf(h))
			}
			return nil
		}
	}
	if steps < 10 {
		return fmt.Errorf("it went in %d pieces", steps)
	}
	l.Close()
	s.Close()
	return nil
}

// sizeOf is the size of the first segment, -1 when it is gone.
func sizeOf(h host.Host) int64 {
	f, err := h.Disk.Open("p/00000000000000000000.log", host.Mode{ReadOnly: true})
	if err != nil {
		return -1
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		return -1
	}
	return n
}
