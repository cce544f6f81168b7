package shard

import (
	"fmt"
	"testing"

	"millrace/net/wire"
)

// TestWhatFollowsARefusedBatchWaitsForIt refuses the first batch of a producer for want of space, and sends the second
// when there is space again.
func TestWhatFollowsARefusedBatchWaitsForIt(t *testing.T) {
	if err := followRefused(t); err != nil {
		t.Error(err)
	}
}

func followRefused(t *testing.T) error {
	h := newMachine(t, t.TempDir())
	s, err := OpenSet(h, smallOptions())
	if err != nil {
		return err
	}
	defer s.Close()
	topic, err := makeTopic(h, s, "events", 1)
	if err != nil {
		return err
	}
	for i, step := range []struct {
		full  bool
		first int32
		want  wire.ErrorCode
	}{
		{true, 2, wire.ErrKafkaStorageError},
		{true, 0, wire.ErrKafkaStorageError},
		{true, 1, wire.ErrKafkaStorageError},
		{false, 1, wire.ErrNotLeaderOrFollower},
		{false, 0, wire.ErrNone},
		{false, 1, wire.ErrNone},
		{false, 2, wire.ErrNone},
		{false, 9, wire.ErrOutOfOrderSequenceNumber},
	} {
		s.space.Store(&Space{Produce: !step.full, Grow: true})
		pending, err := send(s, topic, 0, -1, sequenced{id: 5, first: step.first}, fmt.Sprint(step.first))
		if err != nil {
			return err
		}
		if r := pending.Get(); r.Error != step.want {
			return fmt.Errorf("step %d, sequence %d: %v, not %v", i, step.first, r.Error, step.want)
		}
	}
	return nil
}
