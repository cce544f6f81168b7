package shard

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/sim"
)

// TestTopicsComeAndGo creates a topic, produces to it and deletes it again and again, under the same name, with crashes at
// any time. In the end the disk holds the directories of the partitions that the catalog has, and no others.
func TestTopicsComeAndGo(t *testing.T) {
	for seed := range uint64(3) {
		w := sim.New(seed, sim.Options{Limit: 10 * time.Minute})
		n := w.AddNode("n")
		d := w.Draws("test")
		made := 0
		var boot func(life int)
		boot = func(life int) {
			if life < 5 {
				how := sim.Pick(d, sim.Power, sim.Kill)
				w.After(time.Duration(d.Between(100, 1500))*time.Millisecond, func() {
					n.Arm(sim.CrashPoint{Point: sim.Point(d.Below(6)), Count: uint64(d.Between(1, 30)), How: how})
				})
				w.After(1600*time.Millisecond, func() {
					n.Crash(how)
					boot(life + 1)
				})
			}
			n.Boot(func(h host.Host) {
				if err := comeAndGo(h, &made, life == 5); err != nil {
					w.Fail(fmt.Errorf("life %d: %w", life, err))
				}
				if life == 5 {
					w.Stop()
				}
			})
		}
		boot(0)
		err := w.Run()
		w.Close()
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func comeAndGo(h host.Host, made *int, last bool) error {
	s, err := OpenSet(h, smallOptions())
	if err != nil {
		return err
	}
	end := h.Clock.Now().Add(2 * time.Second)
	for h.Clock.Now() < end {
		topic, err := makeTopicAnew(h, s, made)
		if err != nil {
			return err
		}
		for i := range h.Random.Uint64("test-n") % 20 {
			p, err := send(s, topic, int32(i%2), -1, sequenced{}, "value")
			if err != nil {
				return err
			}
			if i%3 == 0 {
				if r, ok := p.GetUntil(deadline(h)); !ok || r.Error != wire.ErrNone {
					return fmt.Errorf("produce: %+v %v", r, ok)
				}
			}
		}
		if r := s.Change(catalog.DeleteTopic{Name: "events"}, deadline(h)); r.Error != wire.ErrNone {
			return fmt.Errorf("delete: %+v", r)
		}
	}
	if !last {
		return nil
	}
	topic, err := makeTopicAnew(h, s, made)
	if err != nil {
		return err
	}
	h.Clock.Sleep(5 * time.Second)
	names, err := h.Disk.List(partitionsDir)
	var want []string
	for i := range topic.Partitions {
		want = append(want, fmt.Sprintf("%x-%d/", topic.ID[:], i))
	}
	if !slices.Equal(names, want) {
		err = errors.Join(err, fmt.Errorf("the disk holds %v, the catalog %v", names, want))
	}
	return errors.Join(err, s.Close())
}

// makeTopicAnew creates the topic with an id of its own, unless it is there.
func makeTopicAnew(h host.Host, s *Set, made *int) (*catalog.Topic, error) {
	if _, ok := s.Catalog().Topic("events"); !ok {
		register := catalog.RegisterBroker{Node: 1, Directory: s.Identity().Directory, Lanes: 2}
		*made++
		c := catalog.CreateTopic{Name: "events", Partitions: 2, Replication: 1, ID: catalog.ID{byte(*made), byte(*made >> 8), 1}}
		for _, c := range []catalog.Command{register, c} {
			if r := s.Change(c, deadline(h)); r.Error != wire.ErrNone {
				return nil, fmt.Errorf("%T: %d %s", c, r.Error, r.Message)
			}
		}
	}
	return makeTopic(h, s, "events", 2)
}
