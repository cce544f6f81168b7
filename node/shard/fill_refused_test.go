package shard

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/partition"
)

// TestRefusedFillIsNoProgress: a piece that the log refuses, because something of its range is here, ends the attempt with
// an error. Taken for progress it was brought ten times a second for ever, each time with a checkpoint, and no line of
// the log told of it.
func TestRefusedFillIsNoProgress(t *testing.T) {
	if err := inFillWorld(1, (*fillWorld).pullAgain); err != nil {
		t.Fatal(err)
	}
}

// inFillWorld loads three nodes until all of them have the same, and then does something on the first.
func inFillWorld(seed uint64, do func(f *fillWorld, h host.Host, s *Set) error) error {
	c := newClusterWorld(seed, 3, 10*time.Minute)
	f := &fillWorld{clusterWorld: c, d: c.world.Draws("filling")}
	return c.drive(func(h host.Host) error {
		if err := errors.Join(f.up(h, 0, 1, 2), f.makeTopic(h)); err != nil {
			return err
		}
		if err := errors.Join(f.load(h, 10), f.agree(h)); err != nil {
			return err
		}
		return f.on(h, 0, func(h host.Host, s *Set) error { return do(f, h, s) })
	})
}

// jobAt is what a filler of the first node is asked to do for a partition, and the log that it is for.
func (f *fillWorld) jobAt(s *Set, p int) (*fillJob, *partition.Log, error) {
	id := partition.ID{Topic: f.topic.ID, Index: int32(p)}
	shard, ok := s.shardOf(id)
	log := f.log(0, p)
	if !ok || log == nil {
		return nil, nil, fmt.Errorf("partition %d is not here", p)
	}
	return &fillJob{fillOrder: fillOrder{shard, id}}, log, nil
}

// pullAgain pulls what node 1 has.
func (f *fillWorld) pullAgain(_ host.Host, s *Set) error {
	pulled := 0
	for p := range f.acked {
		j, log, err := f.jobAt(s, p)
		if err != nil {
			return err
		}
		v := log.View()
		if v.LogStart == v.End {
			continue
		}
		pulled++
		at, err := s.fillers[0].pullFrom(j, log, partition.OffsetRange{Start: v.LogStart, End: v.End}, 2)
		if at != v.LogStart || !errors.Is(err, errRefused) {
			return fmt.Errorf("partition %d: what is here already was brought up to %d: %w", p, at, err)
		}
	}
	if pulled == 0 {
		return errors.New("there was nothing to pull")
	}
	return nil
}
