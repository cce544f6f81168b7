package shard

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/sim"
)

// TestSnapshotLostOnTheWayIsSentAgain kills a follower that a snapshot is on the way to, when the leader suspects it already
// and its connection has taken the snapshot: the follower gets it as soon as it is there again.
func TestSnapshotLostOnTheWayIsSentAgain(t *testing.T) {
	if err := inGroups(smallLog, loseSnapshot); err != nil {
		t.Error(err)
	}
}

// smallLog has room for few entries, so that who is away for long needs a snapshot.
func smallLog(o *groupOptions) { o.wal.MaxBytes, o.checkpointEvery = 512<<10, 100*time.Millisecond }

func loseSnapshot(s *scripted) error {
	leader, away := s.leader(), s.follower(nil)
	snapshots := func(least int) func() error {
		return func() error {
			if n := s.sent[raftpb.MsgSnap]; n < least {
				return fmt.Errorf("%d were sent", n)
			}
			return nil
		}
	}
	s.isolate(away, true)
	err := s.await("the write-ahead log to forget what the one that is away lacks", 2*time.Minute, func() error {
		_ = s.append(leader, -1, time.Second)
		for _, m := range leader.shard.status.Load().Matches {
			if m.Node == int32(away.index+1) && m.Behind {
				return nil
			}
		}
		return errors.New("it keeps it")
	})
	if err != nil {
		return err
	}
	s.swallowed = raftpb.MsgSnap
	s.heal()
	if err := s.await("a snapshot", 5*time.Second, snapshots(1)); err != nil {
		return err
	}
	away.crash(sim.Kill)
	err = s.await("the leader to suspect it", 5*time.Second, func() error {
		if !leader.suspected[away.index] {
			return errors.New("it does not")
		}
		return nil
	})
	if err != nil {
		return err
	}
	away.boot()
	return s.await("another snapshot", snapshotPatience*TickEvery/2, snapshots(2))
}
