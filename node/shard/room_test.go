package shard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/sim"
	"millrace/wal"
)

// TestADiskThatFillsFasterThanItIsLookedAt has a producer that could fill the disk several times over between two looks at
// the free space. The node must refuse in time, with what is admitted and not written yet counted, and go on when there is
// room again, by itself.
func TestADiskThatFillsFasterThanItIsLookedAt(t *testing.T) {
	for seed := range uint64(30) {
		w := sim.New(seed, sim.Options{Limit: 30 * time.Minute})
		n := w.AddNode("n")
		n.SetCapacity(8 << 20)
		n.Boot(func(h host.Host) {
			defer w.Stop()
			o := smallOptions()
			o.WAL, o.ReserveHigh, o.ReserveLow = wal.Options{}, 0, 0 // as they fit the disk
			s, err := OpenSet(h, o)
			if err != nil {
				w.Fail(err)
				return
			}
			topic, err := makeTopic(h, s, "events", 2)
			if err != nil {
				w.Fail(err)
				return
			}
			for round := range 3 {
				var flying []*Pending
				sent := 0
				for i := range 200 { // 20 MB
					p, err := send(s, topic, int32(i%2), -1, sequenced{}, strings.Repeat("x", 100_000))
					if err != nil {
						w.Fail(err)
						return
					}
					flying = append(flying, p)
				}
				for _, p := range flying {
					switch r, ok := p.GetUntil(deadline(h)); {
					case !ok:
						w.Fail(fmt.Errorf("seed %d, round %d: no answer after %d values: %v", seed, round, sent, s.reason()))
						return
					case r.Error == wire.ErrNone:
						sent++
					case r.Error != wire.ErrKafkaStorageError:
						w.Fail(fmt.Errorf("seed %d: %+v", seed, r))
						return
					}
				}
				if sent < 10 || sent > 70 {
					w.Fail(fmt.Errorf("seed %d, round %d: %d values of 100 KB fit on a disk of 8 MiB", seed, round, sent))
					return
				}
				for i := range int32(2) {
					at, _ := s.Lookup(topic.ID, i)
					if r, ok := at.Shard.DeleteRecords(at.ID, -1).GetUntil(deadline(h)); !ok || r.Error != wire.ErrNone {
						w.Fail(fmt.Errorf("seed %d: delete records: %+v %v", seed, r, ok))
						return
					}
				}
				h.Clock.Sleep(time.Minute)
			}
			if err := s.Close(); err != nil {
				w.Fail(err)
			}
		})
		err := w.Run()
		w.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRoom(t *testing.T) {
	h := newMachine(t, t.TempDir())
	r := newRoom(h.Tasks)
	if !(*Room)(nil).take(1<<40) || !r.take(1<<40) {
		t.Error("without a look there is room")
	}
	r.set(100, r.left.Load())
	if !r.take(60) || r.take(60) || !r.take(40) || r.take(1) {
		t.Error("a hundred bytes are sixty and forty")
	}
	if r.asked.Load() == 0 {
		t.Error("nobody was asked to look")
	}
	if r.set(-5, r.left.Load()); r.take(1) || r.left.Load() != -5 {
		t.Errorf("%d are left", r.left.Load())
	}
}
