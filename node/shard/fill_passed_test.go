package shard

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/partition"
)

// TestDamageBelowTheLogStart: the log start passes a damaged segment before its filler comes to it. Then nothing is
// missing, and the filler has no work; it must let go of the damaged file all the same. Held, the file stayed on the disk
// for as long as the node lived, one for each time that this happened, and its directory after its topic.
func TestDamageBelowTheLogStart(t *testing.T) {
	for seed := range uint64(3) {
		if err := runPassed(seed); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func runPassed(seed uint64) error {
	return inFillWorld(seed, (*fillWorld).passDamage)
}

// passDamage has a filler ask about each partition at such a moment, and waits until what was damaged is gone.
func (f *fillWorld) passDamage(h host.Host, s *Set) error {
	passed := 0
	for p := range f.acked {
		j, log, err := f.jobAt(s, p)
		if err != nil {
			return err
		}
		files, err := log.Files()
		if err != nil || len(files) == 0 {
			continue
		}
		passed++
		j.shard.inbox.Post(passSegment{j.id, files[0]})
		s.fillers[0].attempt(j)
		if v := log.View(); !v.Whole || v.LogStart < files[0].End {
			return fmt.Errorf("partition %d: the log start is %d, and it lacks %v", p, v.LogStart, v.Holes())
		}
		name := fmt.Sprintf("%020d.log", files[0].Base)
		if err := errors.Join(s.Checkpoint(), until(h, 10*time.Second, name+" is deleted", func() bool {
			names, err := h.Disk.List(partitionDir(j.id))
			return err == nil && !slices.Contains(names, name)
		})); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	if passed == 0 {
		return errors.New("there was nothing to damage")
	}
	return nil
}

// passSegment damages a segment and moves the log start behind it, as one step of the shard.
type passSegment struct {
	id partition.ID
	partition.SegmentInfo
}

func (e passSegment) happen(r *replica) {
	foundDamage{e.id, e.Base, e.Generation}.happen(r)
	p := r.partitions[e.id]
	if err := p.log.SetLogStart(e.End); err != nil {
		panic(err)
	}
	r.change(p)
	r.noteHoles(p)
}
