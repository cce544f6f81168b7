package node

import (
	"errors"
	"time"

	"millrace/node/host"
	"millrace/partition/batch"
)

// rooms are where produced batches are decompressed to be checked: a batch of some KB may say that it holds 128 MiB. All
// begin in the first room, which is small and there for each core. Who finds no room there goes on to the next one, which is
// larger and holds fewer at a time. So memory does not depend on how many clients send such batches: about 130 MiB in the last
// room, 80 in the second one, and 5 for each core; twice or three times the first figure where a topic's batches are written
// anew. While somebody uses the large rooms their memory is used again and again, so that there is no garbage
// that a collector would let grow beside it; then it is given back.
type rooms struct {
	host  host.Host
	list  [3]room
	large *host.Counter // how many are in the large rooms, or wait for them
}

type room struct {
	// bytes is the room of a batch, places how many there are at a time; 0: as many as there are cores, or no bound.
	bytes  int
	places int64
	taken  *host.Counter
	coders *host.Spares[*batch.Coders]
}

const (
	smallRoom  = 4 << 20 // more than usual clients send
	middleRoom = 16 << 20
	// roomPatience is how long who waits for a place sleeps before it looks again.
	roomPatience = 2 * time.Millisecond
)

func newRooms(h host.Host) *rooms {
	large := func(bytes int, places int64) room {
		fresh := func() *batch.Coders { return batch.NewLargeCoders(bytes) }
		return room{bytes: bytes, places: places, taken: host.NewCounter(h.Tasks), coders: host.NewSpares(h.Tasks, int(places), fresh)}
	}
	return &rooms{host: h, large: host.NewCounter(h.Tasks), list: [...]room{
		{bytes: smallRoom, coders: batch.NewSpareCoders(h.Tasks, 8)},
		large(middleRoom, 4),
		large(batch.DefaultMaxDecompressed, 1),
	}}
}

// errEnding is what a batch gets whose connection ends while it waits for room: it may come again elsewhere.
var errEnding = &batch.Error{Code: batch.NotLeaderOrFollower, Message: "the connection ends"}

// validate runs batch.Validate, off the connection's own task when it is much work. It waits for room until giveUp says so.
func (r *rooms) validate(giveUp func() bool, records []byte, o batch.Options) (info batch.Info, err error) {
	if !batch.NeedsCompute(records, o) {
		return batch.Validate(records, o)
	}
	if info, err = r.list[0].try(r.host.Tasks, records, o); !errors.Is(err, batch.ErrRoom) {
		return info, err
	}
	r.large.Add(1)
	for i := 1; i < len(r.list) && errors.Is(err, batch.ErrRoom); i++ {
		if !r.list[i].enter(r.host.Clock, giveUp) {
			err = errEnding
			break
		}
		info, err = r.list[i].try(r.host.Tasks, records, o)
		r.list[i].taken.Add(-1)
	}
	if r.large.Add(-1) == 0 {
		for i := 1; i < len(r.list); i++ {
			r.list[i].coders.Trim()
		}
	}
	return info, err
}

// enter waits for a place.
func (r *room) enter(clock host.Clock, giveUp func() bool) bool {
	for r.taken.Add(1) > r.places {
		r.taken.Add(-1)
		if giveUp() {
			return false
		}
		clock.Sleep(roomPatience)
	}
	return true
}

// try validates a batch in this room. The coders are taken when a core is there, so that there are no more of them than cores.
func (r *room) try(tasks host.Tasks, records []byte, o batch.Options) (info batch.Info, err error) {
	o.Room = r.bytes
	tasks.Compute("node.validate", len(records), func() {
		o.Coders = r.coders.Get()
		info, err = batch.Validate(records, o)
		r.coders.Put(o.Coders)
	})
	return info, err
}
