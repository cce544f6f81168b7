package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/sim"
	"millrace/wal"
)

// inGroup runs a script against three replicas that are up and whole. It runs in a task of a fourth node, which nothing
// happens to.
func inGroup(t *testing.T, change func(*groupOptions), script func(s *scripted) error) {
	t.Helper()
	if err := inGroups(change, script); err != nil {
		t.Fatal(err)
	}
}

func inGroups(change func(*groupOptions), script func(s *scripted) error) error {
	for seed := range uint64(3) {
		o := groupSimOptions()
		o.preferred = true
		if change != nil {
			change(&o)
		}
		g := newGroup(seed, 3, o, sim.Options{Limit: 10 * time.Minute})
		for _, n := range g.nodes {
			n.boot()
		}
		g.world.AddNode("script").Boot(func(h host.Host) {
			s := &scripted{group: g, h: h}
			err := s.await("the start", 20*time.Second, g.settled)
			if err == nil {
				err = script(s)
			}
			if err != nil {
				g.fail("seed %d: %w", seed, err)
			}
			g.stop()
		})
		err := g.world.Run()
		g.world.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

type scripted struct {
	*group
	h    host.Host
	next int
}

// await looks until something holds.
func (s *scripted) await(what string, most time.Duration, look func() error) error {
	until := s.world.Now() + most
	for {
		err := look()
		if err == nil {
			return nil
		}
		if s.world.Now() > until {
			return fmt.Errorf("after %v of waiting for %s: %w", most, what, err)
		}
		s.h.Clock.Sleep(5 * time.Millisecond)
	}
}

// append appends a value to partition 1 in a task of a node, and waits for the answer; -1 is no answer.
func (s *scripted) append(n *groupNode, acks int16, wait time.Duration) wire.ErrorCode {
	s.next++
	value := fmt.Sprint("value ", s.next)
	return s.ask(n, wait, func(shard *Shard) *Pending {
		b, err := newBatch(sequenced{}, value)
		if err != nil {
			panic(err)
		}
		return shard.Append(groupPartition(1), b, nil, acks)
	})
}

const noAnswer wire.ErrorCode = -99

func (s *scripted) ask(n *groupNode, wait time.Duration, ask func(*Shard) *Pending) wire.ErrorCode {
	code, answered := noAnswer, false
	n.tell("ask", func(shard *Shard) {
		if r, ok := ask(shard).GetUntil(n.host.Clock.Now().Add(wait)); ok {
			code = r.Error
		}
		answered = true
	})
	for until := s.world.Now() + wait + time.Second; !answered && s.world.Now() < until; {
		s.h.Clock.Sleep(time.Millisecond)
	}
	return code
}

// follower is a node that does not lead, another one than skip.
func (s *scripted) follower(skip *groupNode) *groupNode {
	for _, n := range s.nodes {
		if n != s.leader() && n != skip {
			return n
		}
	}
	return nil
}

func (s *scripted) want(what string, got, want wire.ErrorCode) error {
	if got != want {
		return fmt.Errorf("%s was answered with %d, not with %d", what, got, want)
	}
	return nil
}

func TestMinInSync(t *testing.T) {
	inGroup(t, func(o *groupOptions) { o.settings.MinInSync = 3 }, func(s *scripted) error {
		leader, lost := s.leader(), s.follower(nil)
		before := s.append(leader, -1, time.Second)
		s.isolate(lost, true)
		during := s.append(leader, -1, 3*time.Second)
		err := s.await("the ISR to shrink", 5*time.Second, func() error {
			if n := len(leader.shard.status.Load().InSync); n != 2 {
				return fmt.Errorf("%d in sync", n)
			}
			return nil
		})
		after, one := s.append(leader, -1, time.Second), s.append(leader, 1, time.Second)
		s.heal()
		return errors.Join(err,
			s.want("a batch with all in sync", before, wire.ErrNone),
			s.want("a batch whose last copy got lost", during, wire.ErrNotEnoughReplicasAfterAppend),
			s.want("a batch with two in sync", after, wire.ErrNotEnoughReplicas),
			s.want("acks=1 with two in sync", one, wire.ErrNone),
			s.await("the ISR to grow", 5*time.Second, s.settled),
			s.want("a batch with all in sync again", s.append(s.leader(), -1, time.Second), wire.ErrNone))
	})
}

func TestFailoverIsQuick(t *testing.T) {
	inGroup(t, nil, func(s *scripted) error {
		old := s.leader()
		old.crash(sim.Kill)
		began := s.world.Now()
		err := s.await("a new leader", 5*time.Second, func() error {
			if s.leader() == nil {
				return errors.New("nobody serves")
			}
			return nil
		})
		if took := s.world.Now() - began; took > 200*time.Millisecond {
			err = errors.Join(err, fmt.Errorf("it took %v until the next leader served", took))
		}
		return errors.Join(err, s.want("a batch after the failover", s.append(s.leader(), -1, time.Second), wire.ErrNone))
	})
}

func TestTransferIsQuick(t *testing.T) {
	inGroup(t, nil, func(s *scripted) error {
		for _, named := range []bool{true, false} {
			old, to := s.leader(), s.follower(nil)
			target := int32(-1)
			if named {
				target = int32(to.index + 1)
			}
			began := s.world.Now()
			old.tell("transfer", func(shard *Shard) { shard.Transfer(target) })
			err := s.await("the transfer", 2*time.Second, func() error {
				if l := s.leader(); l == nil || l == old || named && l != to {
					return errors.New("it has not happened")
				}
				return nil
			})
			if took := s.world.Now() - began; err == nil && took > 100*time.Millisecond {
				err = fmt.Errorf("it took %v", took)
			}
			if err == nil {
				err = s.await("agreement", 5*time.Second, s.settled)
			}
			if err != nil {
				return err
			}
		}
		return s.want("a batch after the transfers", s.append(s.leader(), -1, time.Second), wire.ErrNone)
	})
}

// TestStuckDisk stops the disk of the leader: it gives the leadership to a node that can write.
func TestStuckDisk(t *testing.T) {
	inGroup(t, nil, func(s *scripted) error {
		old := s.leader()
		old.node.StickDisk(20 * time.Second)
		old.tell("stuck", func(shard *Shard) {
			b, err := newBatch(sequenced{}, "stuck")
			if err != nil {
				panic(err)
			}
			shard.Append(groupPartition(1), b, nil, -1)
		})
		err := s.await("another leader", 4*time.Second, func() error {
			if l := s.leader(); l == nil || l == old {
				return errors.New("nobody took over")
			}
			return nil
		})
		if err == nil {
			err = s.want("a batch", s.append(s.leader(), -1, time.Second), wire.ErrNone)
		}
		return errors.Join(err, s.await("agreement", 40*time.Second, s.settled))
	})
}

// TestRest lets a shard become idle: then no message is sent. It wakes for a batch, for a read on any replica, and when
// its leader is lost; a leader that was cut off while resting answers no reads.
func TestRest(t *testing.T) {
	inGroup(t, func(o *groupOptions) { o.checkpointEvery = 0 }, func(s *scripted) error {
		rest := func() error {
			return s.await("rest", 20*time.Second, func() error {
				for _, n := range s.nodes {
					if n.shard == nil || !n.shard.status.Load().Quiet {
						return fmt.Errorf("node %d does not rest", n.index+1)
					}
				}
				return nil
			})
		}
		if err := rest(); err != nil {
			return err
		}
		clear(s.sent)
		s.h.Clock.Sleep(10 * time.Second)
		if len(s.sent) > 0 {
			return fmt.Errorf("an idle shard sent %v", s.sent)
		}
		if err := s.want("a batch of a shard that rests", s.append(s.leader(), -1, 100*time.Millisecond), wire.ErrNone); err != nil {
			return err
		}
		if err := rest(); err != nil {
			return err
		}
		readIndex := func(shard *Shard) *Pending { return shard.ReadIndex() }
		if err := s.want("a read of a follower that rests", s.ask(s.follower(nil), 100*time.Millisecond, readIndex), wire.ErrNone); err != nil {
			return err
		}
		if err := rest(); err != nil {
			return err
		}
		old := s.leader()
		s.isolate(old, true)
		if err := s.want("a read of a leader that is cut off", s.ask(old, 3*time.Second, readIndex), noAnswer); err != nil {
			return err
		}
		if s.leader() == old || old.shard.status.Load().Serving {
			return errors.New("a leader that was cut off while it rested still serves")
		}
		s.heal()
		return errors.Join(s.await("agreement", 10*time.Second, s.settled), rest())
	})
}

// TestSlowFollower cuts a follower off while much is written and checkpoints are taken: it is served from the
// write-ahead log, without a snapshot.
func TestSlowFollower(t *testing.T) {
	inGroup(t, func(o *groupOptions) { o.checkpointEvery = 100 * time.Millisecond }, func(s *scripted) error {
		slow := s.follower(nil)
		s.isolate(slow, true)
		for range 300 {
			if err := s.want("a batch", s.append(s.leader(), -1, 2*time.Second), wire.ErrNone); err != nil {
				return err
			}
		}
		s.h.Clock.Sleep(time.Second)
		s.heal()
		if err := s.await("the slow one", 10*time.Second, s.settled); err != nil {
			return err
		}
		if s.sent[raftpb.MsgSnap] > 0 {
			return errors.New("it took a snapshot")
		}
		if w := s.leader().shard.status.Load(); w.Matches[0].Behind || w.Matches[1].Behind || w.Matches[2].Behind {
			return fmt.Errorf("somebody is behind the window: %v", w.Matches)
		}
		return nil
	})
}

// TestHostileMessages gives a replica what no replica sends.
func TestHostileMessages(t *testing.T) {
	inGroup(t, nil, func(s *scripted) error {
		for round := range 2 {
			n := s.leader()
			if round == 1 {
				n = s.follower(nil)
			}
			from := s.follower(n)
			status := n.shard.status.Load()
			for _, m := range hostile(status, s.members[n.index].Replica, s.members[from.index].Replica) {
				n.tell("hostile", func(shard *Shard) {
					hold := n.host.Buffers.Get(10)
					payloads := make([]wal.Payload, len(m.GetEntries()))
					for i := range payloads {
						payloads[i] = wal.Payload{Parts: [][]byte{hold.Bytes()}, Holds: []*host.Buffer{hold}}
					}
					if m.GetType() != raftpb.MsgApp {
						payloads = nil
					}
					shard.Receive(m, payloads)
					hold.Release()
				})
			}
			s.h.Clock.Sleep(time.Second)
		}
		return errors.Join(s.await("agreement", 10*time.Second, s.settled),
			s.want("a batch after all that", s.append(s.leader(), -1, time.Second), wire.ErrNone))
	})
}

func hostile(s *Status, to, from uint64) []*raftpb.Message {
	term, last, zero, far := s.Term, s.Last, uint64(0), s.Last+1000
	message := func(kind raftpb.MessageType) *raftpb.Message {
		return &raftpb.Message{Type: kind.Enum(), To: &to, From: &from, Term: &term, Index: &last, LogTerm: &term, Commit: &zero}
	}
	var all []*raftpb.Message
	add := func(kind raftpb.MessageType, change func(*raftpb.Message)) {
		m := message(kind)
		if change != nil {
			change(m)
		}
		all = append(all, m)
	}
	stranger := uint64(77)
	entry := func(index uint64, kind raftpb.EntryType, data string) *raftpb.Entry {
		return &raftpb.Entry{Index: &index, Term: &term, Type: kind.Enum(), Data: []byte(data)}
	}
	for kind := range raftpb.MessageType(len(raftpb.MessageType_name)) {
		add(kind, func(m *raftpb.Message) { m.From = &stranger; m.Index = &far })
		add(kind, func(m *raftpb.Message) { m.To = &stranger; m.Index = &far })
	}
	for _, kind := range []raftpb.MessageType{
		raftpb.MsgProp, raftpb.MsgTransferLeader, raftpb.MsgUnreachable, raftpb.MsgCheckQuorum, raftpb.MsgBeat, raftpb.MsgSnapStatus,
		raftpb.MsgStorageAppendResp, raftpb.MsgReadIndex, raftpb.MsgReadIndexResp, raftpb.MsgSnap, raftpb.MsgForgetLeader,
	} {
		add(kind, nil)
	}
	add(raftpb.MsgAppResp, func(m *raftpb.Message) { m.Index = &far })
	for _, size := range []int{2, 7, 8, 9} {
		add(raftpb.MsgHeartbeatResp, func(m *raftpb.Message) {
			m.Context = binary.LittleEndian.AppendUint64(nil, 1<<40)
			m.Context = append(m.Context, 1)[:size]
		})
	}
	add(raftpb.MsgApp, func(m *raftpb.Message) { m.Entries = []*raftpb.Entry{entry(far, raftpb.EntryNormal, "")} })
	add(raftpb.MsgApp, func(m *raftpb.Message) { m.Entries = []*raftpb.Entry{entry(last+1, raftpb.EntryConfChange, "")} })
	add(raftpb.MsgApp, func(m *raftpb.Message) {
		m.Entries = []*raftpb.Entry{entry(last+1, raftpb.EntryNormal, "not descriptors")}
	})
	add(raftpb.MsgReadIndex, func(m *raftpb.Message) { m.Entries = []*raftpb.Entry{entry(1, raftpb.EntryNormal, "short")} })
	return all
}

// TestLostLog gives a replica a heartbeat that says that it has acknowledged what it does not have: it retires.
func TestLostLog(t *testing.T) {
	inGroup(t, nil, func(s *scripted) error {
		lost, from := s.follower(nil), s.leader()
		status := from.shard.status.Load()
		far := status.Last + 5
		lost.tell("lost", func(shard *Shard) {
			shard.Receive(&raftpb.Message{
				Type: raftpb.MsgHeartbeat.Enum(), To: &s.members[lost.index].Replica, From: &s.members[from.index].Replica,
				Term: &status.Term, Commit: &far,
			}, nil)
		})
		return errors.Join(s.await("retirement", time.Second, func() error {
			if lost.shard.status.Load().Retired == "" {
				return errors.New("the replica goes on")
			}
			return nil
		}), s.want("a batch without the retired one", s.append(s.leader(), -1, time.Second), wire.ErrNone))
	})
}

func TestShardRecordVersions(t *testing.T) {
	old := []byte{0, 5, 3, 4, 5, 6, 200, 1, 9}
	s, err := decodeShard(old)
	if err != nil || s.replica != 5 || len(s.members) != 3 || s.members[2] != (Member{Replica: 6, Node: -1}) ||
		s.index != 200 || s.term != 9 || s.compact != 200 || s.compactTerm != 9 {
		t.Errorf("version 0 is read as %+v, %v", s, err)
	}
	want := shardState{
		replica: 5, members: []Member{{4, 1, [16]byte{1}}, {5, 2, [16]byte{2}}}, index: 300, term: 7, compact: 250, compactTerm: 6,
	}
	b := encodeShard(want)
	if s, err = decodeShard(b); err != nil || fmt.Sprint(s) != fmt.Sprint(want) {
		t.Errorf("%+v is read as %+v, %v", want, s, err)
	}
	for n := range b {
		if _, err := decodeShard(b[:n]); err == nil {
			t.Errorf("%d of %d bytes are read", n, len(b))
		}
	}
	if _, err := decodeShard(append([]byte{2}, b[1:]...)); err == nil {
		t.Error("a newer version is read")
	}
}
