package shard

import (
	"errors"
	"fmt"
	"testing"
	"time"

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

// TestWhatFollowsASupersededBatchWaitsForIt cuts a leader off while it appends the first batch of a producer, which
// another leader's entries replace, and sends the second one when the node leads again.
func TestWhatFollowsASupersededBatchWaitsForIt(t *testing.T) {
	if err := inGroups(nil, followSuperseded); err != nil {
		t.Error(err)
	}
}

func followSuperseded(s *scripted) error {
	old := s.leader()
	append := func(n *groupNode, first int32) wire.ErrorCode {
		return s.ask(n, 2*time.Second, func(shard *Shard) *Pending {
			b, err := newBatch(sequenced{id: 5, first: first}, fmt.Sprint("of sequence ", first))
			if err != nil {
				panic(err)
			}
			return shard.Append(groupPartition(1), b, nil, -1)
		})
	}
	s.isolate(old, true)
	replaced := noAnswer
	old.tell("first batch", func(shard *Shard) {
		b, err := newBatch(sequenced{id: 5}, "replaced")
		if err != nil {
			panic(err)
		}
		if r, ok := shard.Append(groupPartition(1), b, nil, -1).GetUntil(old.host.Clock.Now().Add(time.Minute)); ok {
			replaced = r.Error
		}
	})
	leads := func(n *groupNode, wanted bool) func() error {
		return func() error {
			if l := s.leader(); l == nil || (l == n) != wanted {
				return errors.New("somebody else leads")
			}
			return nil
		}
	}
	if err := s.await("another leader", 10*time.Second, leads(old, false)); err != nil {
		return err
	}
	other := s.leader()
	err := s.want("a batch of the other leader", s.append(other, -1, 5*time.Second), wire.ErrNone)
	s.heal()
	err = errors.Join(err, s.await("agreement", 10*time.Second, s.settled))
	if now := s.leader(); now != old {
		now.tell("transfer", func(shard *Shard) { shard.Transfer(int32(old.index + 1)) })
	}
	return errors.Join(err,
		s.await("the old leader", 5*time.Second, leads(old, true)),
		s.want("the batch that was replaced", replaced, wire.ErrNotLeaderOrFollower),
		s.want("what follows it", append(old, 1), wire.ErrNotLeaderOrFollower),
		s.want("it, again", append(old, 0), wire.ErrNone),
		s.want("what follows it, again", append(old, 1), wire.ErrNone),
		s.await("agreement", 5*time.Second, s.settled))
}
