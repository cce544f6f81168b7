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
	c := newClusterWorld(1, 3, 10*time.Minute)
	f := &fillWorld{clusterWorld: c, d: c.world.Draws("filling")}
	if err := c.drive(func(h host.Host) error {
		if err := errors.Join(f.up(h, 0, 1, 2), f.makeTopic(h)); err != nil {
			return err
		}
		if err := errors.Join(f.load(h, 10), f.agree(h)); err != nil {
			return err
		}
		return f.on(h, 0, func(_ host.Host, s *Set) error { return f.pullAgain(s) })
	}); err != nil {
		t.Fatal(err)
	}
}

// pullAgain pulls what node 1 has.
func (f *fillWorld) pullAgain(s *Set) error {
	pulled := 0
	for p := range f.acked {
		id := partition.ID{Topic: f.topic.ID, Index: int32(p)}
		shard, ok := s.shardOf(id)
		log := f.log(0, p)
		if !ok || log == nil {
			return fmt.Errorf("partition %d is not here", p)
		}
		v := log.View()
		if v.LogStart == v.End {
			continue
		}
		pulled++
		j := &fillJob{fillOrder: fillOrder{shard, id}}
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
