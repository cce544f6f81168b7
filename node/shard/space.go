package shard

import (
	"fmt"
	"time"
)

// Space says what the free space of the disk allows.
type Space struct {
	// Produce says that batches may be appended.
	Produce bool
	// Grow says that anything that takes space may be done: topics, configs. When it is false only deletions are.
	Grow bool
}

const (
	spaceEvery  = time.Second
	defaultHigh = 1 << 30
	defaultLow  = 512 << 20
)

// watchSpace looks at the free space now and then. Apply must never meet a full disk, so what is admitted stops early:
// the reserve covers what is under way and what the write-ahead log, segments and indexes take besides.
func (s *Set) watchSpace() {
	usage, err := s.host.Disk.Usage()
	if err != nil {
		s.fail(fmt.Errorf("ask for the free space of the data directory: %w", err))
		return
	}
	was := *s.space.Load()
	is := decideSpace(usage.Free, usage.Total, s.o.ReserveHigh, s.o.ReserveLow)
	if is == was {
		return
	}
	s.space.Store(&is)
	free := usage.Free >> 20
	switch {
	case !is.Grow:
		s.host.Log.Error("the disk is nearly full: only deletions are accepted until there is room; delete topics or records, shorten their retention, or enlarge the disk", "free MiB", free)
	case !is.Produce:
		s.host.Log.Error("the disk is nearly full: produce requests are refused until there is room; delete topics or records, shorten their retention, or enlarge the disk", "free MiB", free)
	default:
		s.host.Log.Info("the disk has room again", "free MiB", free)
	}
}

// decideSpace applies the marks; zero marks are the defaults for the size of the disk.
func decideSpace(free, total, high, low int64) Space {
	if high == 0 {
		high = min(defaultHigh, total/10)
	}
	if low == 0 {
		low = min(defaultLow, total/20)
	}
	return Space{Produce: free >= high, Grow: free >= low}
}
