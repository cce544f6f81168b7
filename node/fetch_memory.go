package node

import (
	"time"

	"millrace/net/server"
	"millrace/node/host"
	"millrace/partition"
)

// What an answer to a fetch holds in memory, the cached tails of partitions, stays there until the client has taken it, also
// when the cache would let go of it. So it is charged to the server's budget of answers before it is read. When that is
// used up, because many clients are slow to take what they asked for, a fetch finds less, or waits as if there was nothing
// new, and is answered without records when its time is over.

// roomAgain is how soon a fetch that found no room looks again.
const roomAgain = 20 * time.Millisecond

// leastRoom is not worth reading into. A batch that is larger than what was reserved is read all the same: clients could not
// go on otherwise.
const leastRoom = 4 << 10

// reserve takes room for up to n bytes from the budget of answers; false when there is none worth the while.
func (f *fetchRun) reserve(n int64) (int64, bool) {
	answers := f.answers()
	if answers == nil {
		return n, true
	}
	room := answers.Reserve(max(n, leastRoom))
	if room < min(n, leastRoom) || room == 0 {
		answers.Give(room)
		f.tight = true
		return 0, false
	}
	if room > n {
		answers.Give(room - n)
		room = n
	}
	return room, true
}

// answers is the budget; nil for a fetch without a connection.
func (f *fetchRun) answers() *server.Budget {
	if f.call.Connection == nil {
		return nil
	}
	return f.call.Connection.Answers()
}

// charge gives back what was reserved beyond what a range holds in memory.
func (item *fetchItem) charge(f *fetchRun, r *partition.Range, reserved int64) {
	answers := f.answers()
	if answers == nil {
		return
	}
	var held int64
	if r != nil {
		for _, p := range r.Parts {
			held += int64(len(p.Bytes))
		}
	}
	answers.Give(reserved - held)
	item.charged += held
	f.call.charged += held
}

// refund gives back what the item's ranges were charged with.
func (item *fetchItem) refund(f *fetchRun) {
	if answers := f.answers(); answers != nil {
		answers.Give(item.charged)
	}
	f.call.charged -= item.charged
	item.charged = 0
}

// again is when to look again although nothing has changed.
func (f *fetchRun) again(until host.Instant) host.Instant {
	if !f.tight {
		return until
	}
	f.tight = false
	return min(until, f.call.now().Add(roomAgain))
}
