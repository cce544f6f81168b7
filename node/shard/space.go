package shard

import (
	"fmt"
	"sort"
	"time"

	"millrace/node/host"
	"millrace/wal"
)

// Space says what the free space of the disk allows.
type Space struct {
	// Produce says that batches may be appended.
	Produce bool
	// Grow says that anything that takes space may be done: topics, configs. When it is false only deletions are.
	Grow bool
}

const (
	spaceEvery  = time.Second
	defaultHigh = 1 << 30
	defaultLow  = 512 << 20
)

// Room counts down how many bytes may be appended until the free space is looked at again. A disk can fill up in less time
// than passes between two looks.
type Room struct {
	left *host.Counter
	// asked is not zero once a look was asked for; waiter is who looks.
	asked  *host.Counter
	waiter host.Waiter
}

func newRoom(tasks host.Tasks) *Room {
	r := &Room{left: host.NewCounter(tasks), asked: host.NewCounter(tasks), waiter: tasks.NewWaiter()}
	r.left.Add(1 << 62) // until the first look
	return r
}

// take takes room for a batch, if there is some. A nil Room is large.
func (r *Room) take(bytes int) bool {
	if r == nil {
		return true
	}
	if r.left.Add(-int64(bytes)) >= 0 {
		return true
	}
	r.left.Add(int64(bytes))
	if r.asked.Load() == 0 {
		r.asked.Add(1)
		r.waiter.Wake()
	}
	return false
}

// set says how much there was when so many bytes were left: what was taken since stays taken.
func (r *Room) set(bytes, left int64) {
	r.left.Add(bytes - left)
	r.asked.Add(-r.asked.Load())
}

// leastLook is the time between two looks that were asked for.
const leastLook = 20 * time.Millisecond

// tendSpace is the task that looks at the free space: now and then, and when the room is used up.
func (s *Set) tendSpace(w host.Waiter) {
	for !s.over() {
		s.watchSpace()
		w.WaitUntil(s.host.Clock.Now().Add(spaceEvery))
		if !s.over() {
			s.host.Clock.Sleep(leastLook)
		}
	}
}

// watchSpace looks at the free space. Apply must never meet a full disk, so what is admitted stops early: the reserve covers
// what was admitted and is not on the disk yet, and what the write-ahead log, segments and indexes take besides.
func (s *Set) watchSpace() {
	left, before := s.room.left.Load(), s.pledges()
	usage, err := s.host.Disk.Usage()
	if err != nil {
		s.fail(fmt.Errorf("ask for the free space of the data directory: %w", err))
		return
	}
	after := s.pledges() // what came to the disk meanwhile is in one of them, whether the free space is without it or not
	free := func(more int64) int64 { return usage.Free - max(before.with(more), after.with(more)) }
	was := *s.space.Load()
	is := decideSpace(free(0), usage.Total, s.o.ReserveHigh, s.o.ReserveLow)
	s.room.set(mostMore(free, highMark(usage.Total, s.o.ReserveHigh)), left)
	if is == was {
		return
	}
	s.space.Store(&is)
	if s.cluster != nil && is.Produce != was.Produce {
		s.cluster.inbox.Post(noRoom{!is.Produce})
	}
	mebibytes := usage.Free >> 20
	switch {
	case !is.Grow:
		s.host.Log.Error("the disk is nearly full: only deletions are accepted until there is room; delete topics or records, shorten their retention, or enlarge the disk", "free MiB", mebibytes)
	case !is.Produce:
		s.host.Log.Error("the disk is nearly full: produce requests are refused until there is room; delete topics or records, shorten their retention, or enlarge the disk", "free MiB", mebibytes)
	default:
		s.host.Log.Info("the disk has room again", "free MiB", mebibytes)
	}
}

// pledges is the free space that is spoken for: records on their way into segments, entries on their way into the
// write-ahead log and then into segments, and what the log may grow by. A reserve that was given covers that itself.
type pledges struct {
	queued, flying int64
	log            wal.Pressure
	given          bool
}

func (s *Set) pledges() pledges {
	p := pledges{given: s.o.ReserveHigh != 0, flying: max(s.numbers.Flying.Load(), 0), log: s.wal.Pressure()}
	m := s.partitions.Memory()
	p.queued = m.Queued + m.Tails
	return p
}

// with is what is promised once so many bytes more are admitted.
func (p pledges) with(more int64) int64 {
	if p.given {
		return more
	}
	flying := p.flying + more
	return p.queued + flying + p.log.Growth(flying)
}

// mostMore is how many bytes more can be admitted so that at least high stay free; it is negative when too little is.
func mostMore(free func(more int64) int64, high int64) int64 {
	spare := free(0) - high
	if spare <= 0 {
		return spare
	}
	return int64(sort.Search(int(spare), func(n int) bool { return free(int64(n)+1) < high }))
}

// decideSpace applies the marks; zero marks are the defaults for the size of the disk.
func decideSpace(free, total, high, low int64) Space {
	if low == 0 {
		low = min(defaultLow, total/20)
	}
	return Space{Produce: free >= highMark(total, high), Grow: free >= low}
}

func highMark(total, high int64) int64 {
	if high == 0 {
		return min(defaultHigh, total/10)
	}
	return high
}

// Of a small disk the write-ahead log takes no more than one part in logShare, in files of one part in logFiles of that.
const (
	logShare = 8
	logFiles = 8
	// leastFile is the size of its files on a very small one.
	leastFile = 1 << 20
	// wholeGroup is what the write-ahead log writes at once when its files are large.
	wholeGroup = 4 << 20
)

// fitLog makes a write-ahead log whose size nobody has chosen fit the disk.
func (s *Set) fitLog(o wal.Options) (wal.Options, error) {
	if o.MaxBytes != 0 || o.FileSize != 0 {
		return o, nil
	}
	usage, err := s.host.Disk.Usage()
	if err != nil {
		return o, fmt.Errorf("ask for the size of the data directory's file system: %w", err)
	}
	most := usage.Total / logShare
	if most >= 1<<30 { // its own default
		return o, nil
	}
	o.FileSize = max(most/logFiles&^(host.Align-1), leastFile)
	o.MaxBytes = max(most, 4*o.FileSize)
	if o.GroupBytes == 0 && o.FileSize/4 < wholeGroup { // else a group may need a file of its own, larger than the others
		o.GroupBytes = int(o.FileSize / 4)
	}
	return o, nil
}

// flies counts bytes of entries that are on their way to being applied.
func (r *replica) flies(bytes int) {
	r.flying += bytes
	r.o.Numbers.Flying.Add(int64(bytes))
}

// noRoom says that this node's disk has no room for produces, or has again.
type noRoom struct{ full bool }

func (e noRoom) hear(c *cluster) {
	c.full = e.full
	c.tell(c.own())
}

// roomOf says the same of another node, to a shard.
type roomOf struct {
	node int32
	full bool
}

func (e roomOf) happen(r *replica) {
	if m := r.memberOn(e.node); m != nil {
		m.full = e.full
	}
}

// tellShards says it to all shards.
func (c *cluster) tellShards(node int32, full bool) {
	for _, s := range c.set.shards.Load().All {
		s.inbox.Post(roomOf{node, full})
	}
}

// memberFull says that another replica that is in sync has no room. What is admitted here must be applied there.
func (r *replica) memberFull() bool {
	for _, m := range r.others {
		if m.full && m.inSync {
			return true
		}
	}
	return false
}
