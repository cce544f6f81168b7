package shard

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/ordered"
)

const (
	// settled is how long a node must have been there before leadership goes back to it.
	settled = 3 * time.Second
	// handOverEvery is how often StepDown tries to move a leadership that has not moved.
	handOverEvery = 100 * time.Millisecond
	// electAgain is how often ElectPreferred asks the leader again.
	electAgain = time.Second
	// fenceSelf is how long StepDown waits until the catalog shows the node no more.
	fenceSelf = 2 * time.Second
)

// preferLeaders gives the leadership of shards that another node should lead to that one, when it is there, in sync and
// not about to stop. It is repeated now and then, so that leadership goes back after a node has returned.
func (s *Set) preferLeaders() {
	image := s.Catalog()
	for id, shard := range s.shards.Load().All {
		if made, ok := image.Shard(uint64(id)); ok && made.Preferred != s.o.Node && s.mayLead(shard, made.Preferred, settled) {
			s.host.Log.Info("leadership goes back to the preferred node", "shard", uint64(id), "node", made.Preferred)
			shard.Transfer(made.Preferred)
		}
	}
}

// mayLead says whether a shard that is led from here can be led by another node, which has been there for some time.
func (s *Set) mayLead(shard *Shard, node int32, there time.Duration) bool {
	status := shard.Status()
	if !status.Serving || !slices.Contains(status.InSync, node) {
		return false
	}
	p, alive := s.cluster.view.Load().alive.Get(ordered.Int(node))
	return alive && !p.leaving && s.host.Clock.Now().Sub(p.since) >= there
}

// StepDown moves the leadership of all shards away from this node, as far as other replicas can take it, before it stops,
// and has the catalog fence it, so that clients look elsewhere. It returns when nothing is led here any more that others
// could lead, or at the deadline.
func (s *Set) StepDown(deadline host.Instant) {
	if s.o.alone() {
		return
	}
	s.leaving.Add(1)
	s.cluster.inbox.Post(leave{})
	s.handOverAll(deadline)
	if own, ok := s.Catalog().Broker(s.o.Node); ok && !own.Fenced {
		fence := catalog.FenceBroker{Node: s.o.Node, Epoch: own.Epoch, Fenced: true}
		s.Change(fence, min(deadline, s.host.Clock.Now().Add(fenceSelf)))
	}
}

// handOverAll returns when nothing is led here any more that others could lead, or at the deadline.
func (s *Set) handOverAll(deadline host.Instant) {
	w := s.host.Tasks.NewWaiter()
	s.changes.Add(w)
	defer s.changes.Remove(w)
	next := s.host.Clock.Now()
	for !s.stopped() {
		again := s.host.Clock.Now() >= next
		if again {
			next = s.host.Clock.Now().Add(handOverEvery)
		}
		if left := s.handOver(again); left == 0 {
			return
		}
		if s.host.Clock.Now() >= deadline {
			return
		}
		w.WaitUntil(min(next, deadline))
	}
}

// handOver asks every shard that is led from here to go to another node, if there is one, and returns how many do not
// have gone. Those of a node spread over all that can take them.
func (s *Set) handOver(ask bool) int {
	left := 0
	for id, shard := range s.shards.Load().All {
		var able []int32
		for _, node := range shard.Status().InSync {
			if node != s.o.Node && s.mayLead(shard, node, 0) {
				able = append(able, node)
			}
		}
		if len(able) == 0 {
			continue
		}
		left++
		if ask {
			shard.Transfer(able[int(id)%len(able)])
		}
	}
	return left
}

// ElectPreferred makes the first of a partition's replicas lead it, and with it all partitions of its shard. Errors:
// ELECTION_NOT_NEEDED when it does already, PREFERRED_LEADER_NOT_AVAILABLE when it cannot, REQUEST_TIMED_OUT.
func (s *Set) ElectPreferred(t *catalog.Topic, index int, deadline host.Instant) (wire.ErrorCode, string) {
	id := t.Partitions[index].Shard
	preferred := t.Partitions[index].Replicas[0]
	w := s.host.Tasks.NewWaiter()
	s.changes.Add(w)
	defer s.changes.Remove(w)
	var asked host.Instant
	for first := true; ; first = false {
		leader, ok := s.Leader(id)
		ask := first || s.host.Clock.Now().Sub(asked) >= electAgain
		if ask {
			asked = s.host.Clock.Now()
		}
		switch {
		case ok && leader.Node == preferred && first:
			return wire.ErrElectionNotNeeded, fmt.Sprintf("node %d leads the partition already", preferred)
		case ok && leader.Node == preferred:
			return wire.ErrNone, ""
		case ok && (!slices.Contains(leader.InSync, preferred) || !s.Alive(preferred)):
			return wire.ErrPreferredLeaderNotAvailable, fmt.Sprintf("node %d is not in sync", preferred)
		case ok && ask && leader.Node == s.o.Node:
			s.transfer(id, preferred)
		case ok && ask: // an error is seen by what does not happen
			if answer, err := s.links.Call(leader.Node, callTransfer, encodeTransfer(id, preferred), s.host.Clock.Now().Add(electAgain)); err == nil {
				answer.Release()
			}
		}
		if s.host.Clock.Now() >= deadline || s.over() {
			return wire.ErrRequestTimedOut, "the preferred leader did not take over in time"
		}
		w.WaitUntil(min(deadline, s.host.Clock.Now().Add(handOverEvery)))
	}
}

// transfer gives a shard that is led from here to another node.
func (s *Set) transfer(id uint64, to int32) {
	if shard, here := s.shards.Load().Get(ordered.Int(id)); here {
		shard.Transfer(to)
	}
}

// encodeTransfer writes the question of callTransfer: a shard, and the node that is to lead it. Its answer is empty.
func encodeTransfer(shard uint64, to int32) []byte {
	return binary.AppendVarint(binary.AppendUvarint([]byte{noteVersion}, shard), int64(to))
}

func (s *Set) serveTransfer(request []byte) error {
	f := fields{b: request}
	if f.byte() != noteVersion {
		return errNote
	}
	shard, to := f.uint(), f.node()
	if err := f.done(); err != nil {
		return err
	}
	s.transfer(shard, to)
	return nil
}
