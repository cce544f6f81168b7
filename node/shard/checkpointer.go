package shard

import (
	"errors"
	"fmt"
	"time"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

const (
	// pollPressure is how often the checkpointer looks at the write-ahead log when nobody wakes it.
	pollPressure = time.Second
	// pollFull is the time between two attempts to make room in a log that is full.
	pollFull = 20 * time.Millisecond
)

// wrote counts bytes given to the write-ahead log, and wakes the checkpointer when there are enough.
func (s *Set) wrote(n int) {
	if after := s.written.Add(int64(n)); after >= s.o.CheckpointBytes && after-int64(n) < s.o.CheckpointBytes {
		s.checkpoints.Post(nil)
	}
}

// full notes that a shard waits for room in the write-ahead log.
func (s *Set) full() {
	s.held.Add(1)
	s.numbers.HeldFull.Add(1)
	s.checkpoints.Post(nil)
}

// Checkpoint takes a checkpoint of all shards now and waits for it.
func (s *Set) Checkpoint() error { return s.checkpoint(host.Never) }

func (s *Set) checkpoint(deadline host.Instant) error {
	done := host.NewFuture[error](s.host.Tasks)
	if !s.checkpoints.Post(done) {
		return errStopped
	}
	err, ok := awaitUntil(s, done, deadline)
	if _, failed := s.failed.Try(); !ok && (failed || s.stopped()) {
		return s.reason()
	} else if !ok {
		return errors.New("a checkpoint took too long")
	}
	return err
}

// checkpointer is the task that takes all checkpoints: when enough was written, when enough time has passed, when the
// write-ahead log is full, when somebody asks.
func (s *Set) checkpointer(w host.Waiter) {
	last := s.host.Clock.Now()
	var asked []*host.Future[error]
	for {
		w.WaitUntil(s.host.Clock.Now().Add(pollPressure))
		held := s.held.Load()
		if held > 0 { // the log frees its files soon after a checkpoint, and not always all that is hoped for
			s.held.Add(-held)
			s.host.Clock.Sleep(pollFull)
		}
		var more bool
		if asked, more = s.checkpoints.Drain(asked[:0]); !more {
			return
		}
		due := s.host.Clock.Now().Sub(last) >= s.o.CheckpointEvery || s.wal.Pressure().Full
		if due || len(asked) > 0 || s.written.Load() >= s.o.CheckpointBytes {
			err := s.takeCheckpoint()
			if err != nil {
				s.fail(fmt.Errorf("take a checkpoint: %w", err))
			}
			last = s.host.Clock.Now()
			for _, f := range asked {
				if f != nil {
					f.Set(err)
				}
			}
			if err != nil {
				return
			}
		}
		if held > 0 {
			for _, shard := range s.shards.Load().All {
				shard.inbox.Post(nudge{})
			}
		}
	}
}

// takeCheckpoint takes one checkpoint of all shards that changed. The order is what makes it sound: note what was
// applied, have all of it in the segments, sync them, and only then say so in the write-ahead log.
func (s *Set) takeCheckpoint() error {
	began := s.host.Clock.Now()
	s.written.Add(-s.written.Load())
	var captures []*host.Future[*captured]
	for _, shard := range s.shards.Load().All {
		c := &capture{done: host.NewFuture[*captured](s.host.Tasks)}
		if shard.inbox.Post(c) {
			captures = append(captures, c.done)
		}
	}
	var all []*captured
	for _, f := range captures {
		c, ok := await(s, f)
		switch {
		case !ok:
			return s.reason()
		case c == nil:
			continue
		}
		if err := c.collect(); err != nil {
			return err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil
	}
	if !mutant.On("shard-checkpoint-before-sync") {
		syncing := s.host.Clock.Now()
		if err := s.host.Disk.SyncAll(); err != nil {
			return fmt.Errorf("sync the data directory: %w", err)
		}
		s.numbers.Syncs.Observe(int64(s.host.Clock.Now().Sub(syncing)))
	}
	for _, c := range all {
		c.shard.inbox.Post(install{c})
	}
	for _, c := range all {
		if _, ok := await(s, c.installed); !ok {
			return s.reason()
		}
	}
	s.numbers.Checkpoints.Observe(int64(s.host.Clock.Now().Sub(began)))
	return nil
}
