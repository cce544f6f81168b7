package shard

import (
	"fmt"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/sim"
)

// TestDeletedTopicsLeaveNothing has the power fail just after a topic was deleted, when its partitions are not dropped:
// the next life drops them, also those that its shards find in the write-ahead log only after the catalog serves.
func TestDeletedTopicsLeaveNothing(t *testing.T) {
	for seed := range uint64(40) {
		w := sim.New(seed, sim.Options{})
		n := w.AddNode("n")
		n.Boot(func(h host.Host) {
			if err := deleteTopic(h); err != nil {
				w.Fail(err)
			}
			w.After(0, func() {
				n.Crash(sim.Power)
				n.Boot(func(h host.Host) {
					if err := findStrangers(h); err != nil {
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

func deleteTopic(h host.Host) error {
	s, err := OpenSet(h, smallOptions())
	if err != nil {
		return err
	}
	topic, err := makeTopic(h, s, "events", 2)
	if err != nil {
		return err
	}
	for range 20 { // something to read back
		p, err := send(s, topic, 1, -1, sequenced{}, "value")
		if err != nil {
			return err
		}
		p.Get()
	}
	if r := s.Change(catalog.DeleteTopic{Name: "events"}, deadline(h)); r.Error != wire.ErrNone {
		return fmt.Errorf("delete: %d %s", r.Error, r.Message)
	}
	return nil
}

func findStrangers(h host.Host) error {
	s, err := OpenSet(h, smallOptions())
	if err != nil {
		return err
	}
	h.Clock.Sleep(5 * time.Second)
	for _, shard := range s.shards.Load().All {
		for k := range shard.places.Load().All {
			if _, ok := s.Catalog().TopicByID(k.Topic); !ok {
				return fmt.Errorf("shard %d still has partition %d of a topic that was deleted", shard.id, k.Index)
			}
		}
	}
	return s.Close()
}
