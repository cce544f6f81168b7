package shard

import (
	"errors"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/sim"
)

// TestVoteWaitsForTheDisk asks a replica for its vote while nothing on its disk ends: a vote that leaves before it is durable
// can be given again, to another one, after a power cut.
func TestVoteWaitsForTheDisk(t *testing.T) {
	for seed := range uint64(3) {
		if err := runVote(seed); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func runVote(seed uint64) error {
	o := groupSimOptions()
	o.checkpointEvery = 0
	g := newGroup(seed, 3, o, sim.Options{Limit: time.Minute})
	defer g.world.Close()
	for _, n := range g.nodes {
		n.boot()
	}
	const stuck = 2 * time.Second
	early := 0
	g.world.After(5*time.Second, func() {
		leader := g.leader()
		if leader == nil {
			g.fail("nobody leads")
			return
		}
		voter, candidate := g.nodes[(leader.index+1)%3], g.nodes[(leader.index+2)%3]
		status := leader.shard.status.Load()
		from, to := g.members[candidate.index].Replica, g.members[voter.index].Replica
		term, last := status.Term+1, status.Last
		voter.node.StickDisk(stuck)
		voter.tell("asked", func(s *Shard) {
			s.Receive(&raftpb.Message{Type: raftpb.MsgVote.Enum(), To: &to, From: &from, Term: &term, Index: &last, LogTerm: &status.Term,
				Context: []byte("CampaignTransfer")}, nil) // a transfer: nobody waits for the leader's silence
		})
		g.world.After(300*time.Millisecond, func() { early = g.sent[raftpb.MsgVoteResp] })
	})
	before := 0
	g.world.After(5*time.Second-time.Millisecond, func() { before = g.sent[raftpb.MsgVoteResp] })
	g.world.After(15*time.Second, func() {
		switch {
		case early > before:
			g.world.Fail(errors.New("a vote left a node on whose disk nothing ends"))
		case g.sent[raftpb.MsgVoteResp] == before:
			g.world.Fail(errors.New("the vote never came"))
		}
		g.stop()
	})
	return g.world.Run()
}
