package shard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/sim"
)

// fullOptions have a reserve that fits a disk of four mebibytes.
func fullOptions() SetOptions {
	o := smallOptions()
	o.WAL.MaxBytes = 1 << 20
	o.ReserveHigh, o.ReserveLow = 1<<20, 512<<10
	return o
}

// TestFullDisk fills a disk until produces are refused, loses power there or not, makes room, and goes on.
func TestFullDisk(t *testing.T) {
	for seed := range uint64(10) {
		w := sim.New(seed, sim.Options{Limit: 30 * time.Minute})
		n := w.AddNode("n")
		n.SetCapacity(4 << 20)
		n.Boot(func(h host.Host) {
			s, err := OpenSet(h, fullOptions())
			var topic *catalog.Topic
			if err == nil {
				topic, err = makeTopic(h, s, "events", 1)
			}
			sent := 0
			if err == nil {
				sent, err = fill(h, s, topic)
			}
			if err != nil {
				w.Fail(err)
				return
			}
			w.After(0, func() {
				n.Crash(sim.Power)
				n.Boot(func(h host.Host) {
					if err := makeRoom(h, sent); err != nil {
						w.Fail(err)
					}
					w.Stop()
				})
			})
			h.Clock.Sleep(time.Hour)
		})
		err := w.Run()
		w.Close()
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// fill produces until the disk is nearly full; it returns how many values were acknowledged.
func fill(h host.Host, s *Set, topic *catalog.Topic) (int, error) {
	for sent := range 5000 {
		p, err := send(s, topic, 0, -1, sequenced{}, strings.Repeat("x", 2000))
		if err != nil {
			return sent, err
		}
		switch r, ok := p.GetUntil(deadline(h)); {
		case !ok:
			return sent, fmt.Errorf("value %d was not answered: %v", sent, s.reason())
		case r.Error == wire.ErrKafkaStorageError:
			return sent, nil
		case r.Error != wire.ErrNone:
			return sent, fmt.Errorf("value %d: %+v", sent, r)
		}
		h.Clock.Sleep(4 * time.Millisecond)
	}
	return 0, fmt.Errorf("the disk does not become full")
}

func makeRoom(h host.Host, sent int) error {
	s, err := OpenSet(h, fullOptions())
	if err != nil {
		return err
	}
	topic, err := makeTopic(h, s, "events", 1)
	if err != nil {
		return err
	}
	if got, err := values(s, topic, 0); err != nil || len(got) != sent {
		return fmt.Errorf("%d of %d values are there: %w", len(got), sent, err)
	}
	at, _ := s.Lookup(topic.ID, 0)
	if r, ok := at.Shard.DeleteRecords(at.ID, -1).GetUntil(deadline(h)); !ok || r.Error != wire.ErrNone {
		return fmt.Errorf("delete records: %+v %v", r, ok)
	}
	h.Clock.Sleep(5 * time.Second)
	if n, err := fill(h, s, topic); err != nil || n < sent/2 {
		return fmt.Errorf("after room was made %d values fit, before %d: %w", n, sent, err)
	}
	return s.Close()
}

// TestCloseWithoutRoomForTheLog stops a node whose write-ahead log waits for a file that does not fit on the disk.
func TestCloseWithoutRoomForTheLog(t *testing.T) {
	w := sim.New(1, sim.Options{Limit: 30 * time.Minute})
	n := w.AddNode("n")
	n.Boot(func(h host.Host) {
		o := smallOptions()
		o.CheckpointBytes, o.CheckpointEvery = 1<<40, time.Hour
		s, err := OpenSet(h, o)
		var topic *catalog.Topic
		if err == nil {
			topic, err = makeTopic(h, s, "events", 1)
		}
		if err != nil {
			w.Fail(err)
			return
		}
		if err = s.Checkpoint(); err != nil {
			w.Fail(err)
			return
		}
		small, err := send(s, topic, 0, -1, sequenced{}, "something for the next checkpoint")
		if err != nil {
			w.Fail(err)
			return
		}
		small.Get()
		n.SetCapacity(n.Used() + 200<<10)
		large, err := send(s, topic, 0, -1, sequenced{}, strings.Repeat("x", 1<<20))
		if err != nil {
			w.Fail(err)
			return
		}
		if r, ok := large.GetUntil(h.Clock.Now().Add(time.Second)); ok {
			w.Fail(fmt.Errorf("a batch that does not fit is answered with %+v", r))
		}
		if _, failed := s.Failed().Try(); failed {
			w.Fail(fmt.Errorf("the segments failed first: %v", s.reason()))
		}
		s.Close()
		w.Stop()
	})
	err := w.Run()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
}

// TestStartWithoutSpace loses power just after a topic was created, and starts the node with next to no free space: it
// must start, so that somebody can delete something.
func TestStartWithoutSpace(t *testing.T) {
	w := sim.New(1, sim.Options{Limit: 10 * time.Minute})
	n := w.AddNode("n")
	n.Boot(func(h host.Host) {
		s, err := OpenSet(h, fullOptions())
		if err == nil {
			_, err = makeTopic(h, s, "first", 1)
		}
		if err != nil {
			w.Fail(err)
			return
		}
		c := catalog.CreateTopic{Name: "second", Partitions: 3, Replication: 1, ID: catalog.ID{1}}
		if r := s.Change(c, deadline(h)); r.Error != wire.ErrNone {
			w.Fail(fmt.Errorf("create: %+v", r))
		}
		w.After(0, func() {
			n.Crash(sim.Power)
			n.SetCapacity(n.Used() + 400<<10)
			n.Boot(func(h host.Host) {
				s, err := OpenSet(h, fullOptions())
				if err != nil {
					w.Fail(err)
					return
				}
				if r := s.Change(catalog.DeleteTopic{Name: "first"}, deadline(h)); r.Error != wire.ErrNone {
					w.Fail(fmt.Errorf("delete: %+v", r))
				}
				if err := s.Close(); err != nil {
					w.Fail(err)
				}
				w.Stop()
			})
		})
		h.Clock.Sleep(time.Hour)
	})
	err := w.Run()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
}
