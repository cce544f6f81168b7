package node

import (
	"errors"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/partition/batch"
	"millrace/sim"
)

// bomb is a batch with a record of n zeros.
func bomb(t *testing.T, n int) []byte {
	t.Helper()
	b, err := batch.Encode(nil, batch.Header{Attributes: int16(batch.Gzip)}, []batch.Record{{Value: make([]byte, n)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// smallRooms are rooms for batches of some KB, and how many coders they have made.
func smallRooms(h host.Host, made *[3]int) *rooms {
	r := newRooms(h)
	for i := range r.list {
		room := &r.list[i]
		room.bytes = []int{1 << 10, 8 << 10, 64 << 10}[i]
		room.coders = host.NewSpares(h.Tasks, 8, func() *batch.Coders { made[i]++; return batch.NewLargeCoders(room.bytes) })
	}
	return r
}

// TestBombsShareRooms lets many tasks validate batches of all sizes at once. Each is answered as it would be alone, memory is
// used again while there are others, and afterwards nothing is kept.
func TestBombsShareRooms(t *testing.T) {
	sizes := []int{100, 2 << 10, 20 << 10, 200 << 10}
	want := []batch.Code{0, 0, 0, batch.MessageTooLarge}
	bombs := make([][]byte, len(sizes))
	for i, n := range sizes {
		bombs[i] = bomb(t, n)
	}
	var made [3]int
	w := sim.New(1, sim.Options{Limit: time.Minute})
	left := 60
	w.AddNode("n").Boot(func(h host.Host) {
		r := smallRooms(h, &made)
		for i := range left {
			h.Tasks.Go("client", func() {
				at := i % len(sizes)
				_, err := r.validate(func() bool { return false }, append([]byte(nil), bombs[at]...), batch.Options{MaxDecompressed: 64 << 10, Compression: batch.Producer})
				var e *batch.Error
				switch {
				case want[at] == 0 && err != nil, want[at] != 0 && (!errors.As(err, &e) || e.Code != want[at] || errors.Is(err, batch.ErrRoom)):
					t.Errorf("%d bytes: %v", sizes[at], err)
				}
				if left--; left == 0 {
					if n := r.large.Load() + r.list[1].taken.Load() + r.list[2].taken.Load(); n != 0 {
						t.Errorf("%d places are still taken", n)
					}
					before := made[2]
					_, _ = r.validate(func() bool { return false }, append([]byte(nil), bombs[3]...), batch.Options{MaxDecompressed: 64 << 10, Compression: batch.Producer})
					if made[2] != before+1 {
						t.Error("the memory of the largest room was kept")
					}
					w.Stop()
				}
			})
		}
	})
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	// One more is from the end, and each time that everybody has gone the memory is given back.
	if made[1] > 4+2 || made[2] > 1+2 {
		t.Errorf("%v coders were made", made)
	}
}

// TestWhoWaitsForRoomLeavesWithItsConnection ends a connection whose batch waits.
func TestWhoWaitsForRoomLeavesWithItsConnection(t *testing.T) {
	b := bomb(t, 20<<10)
	var made [3]int
	w := sim.New(1, sim.Options{Limit: time.Minute})
	w.AddNode("n").Boot(func(h host.Host) {
		r := smallRooms(h, &made)
		r.list[2].taken.Add(1)
		end := h.Clock.Now().Add(time.Second)
		_, err := r.validate(func() bool { return h.Clock.Now() > end }, b, batch.Options{Compression: batch.Producer})
		if !errors.Is(err, errEnding) || made[2] != 0 || r.list[1].taken.Load() != 0 || r.large.Load() != 0 {
			t.Errorf("%v, coders made: %v", err, made)
		}
		w.Stop()
	})
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	w.Close()
}

// TestRoomsHaveSoManyPlaces lets more tasks into a room than it has places.
func TestRoomsHaveSoManyPlaces(t *testing.T) {
	w := sim.New(1, sim.Options{Limit: time.Minute})
	left, inside, most := 30, int64(0), int64(0)
	w.AddNode("n").Boot(func(h host.Host) {
		r := &newRooms(h).list[1]
		for i := range left {
			h.Tasks.Go("client", func() {
				h.Clock.Sleep(time.Duration(i%7) * time.Millisecond)
				r.enter(h.Clock, func() bool { return false })
				inside++
				most = max(most, inside)
				h.Clock.Sleep(time.Duration(1+i%11) * time.Millisecond)
				inside--
				r.taken.Add(-1)
				if left--; left == 0 {
					w.Stop()
				}
			})
		}
		if r.places != 4 {
			t.Errorf("%d places", r.places)
		}
	})
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if most != 4 {
		t.Errorf("%d were in a room of four places", most)
	}
}
