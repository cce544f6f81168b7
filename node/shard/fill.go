package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/node/ordered"
	"millrace/partition"
)

const (
	fillers = 2
	// fillCall is how long a call for a piece may take, fillBytes how large a piece is.
	fillCall  = 3 * time.Second
	fillBytes = 1 << 20
	// fillAgain and fillRarely bound the time until the next attempt at what could not be filled; fillSoon is when it is
	// looked whether a checkpoint has made a partition whole.
	fillAgain  = 200 * time.Millisecond
	fillRarely = 10 * time.Second
	fillSoon   = 100 * time.Millisecond
)

// errRefused says that a piece does not fit what is here: the log start has passed it, or its batches overlap others.
var errRefused = errors.New("what it has does not fit to what is here")

// fillOrder asks for a partition to be made whole.
type fillOrder struct {
	shard *Shard
	id    partition.ID
}

// fillJob is a partition that is not whole.
type fillJob struct {
	fillOrder
	due   host.Instant
	delay time.Duration
	// source is where the next attempt begins among the other members.
	source int
	// salvaged are the damaged files that were searched for what is sound in them.
	salvaged map[[2]int64]bool
	// told says that the log has a line about it being stuck.
	told bool
}

// filler is a task that makes partitions whole, one after the other.
type filler struct {
	set    *Set
	orders *host.Queue[fillOrder]
	jobs   []*fillJob
	known  map[partition.ID]*fillJob
}

// prepareFilling makes the queues of the fillers, which start with startFilling.
func (s *Set) prepareFilling() {
	for range fillers {
		w := s.host.Tasks.NewWaiter()
		s.fillers = append(s.fillers, &filler{set: s, orders: host.NewQueue[fillOrder](s.host.Tasks, 1, w), known: map[partition.ID]*fillJob{}})
		s.fillWaiters = append(s.fillWaiters, w)
	}
	s.prepareScrub()
}

// startFilling starts the fillers and the scrub.
func (s *Set) startFilling() {
	for i, f := range s.fillers {
		s.taskOf(fmt.Sprintf("filler-%d", i), s.fillWaiters[i], f.run)
	}
	s.startScrub()
}

// fill asks for a partition to be made whole. Any task may call it.
func (s *Set) fill(shard *Shard, id partition.ID) {
	f := s.fillers[key(id).Hash()%uint64(len(s.fillers))]
	f.orders.Post(fillOrder{shard, id})
}

// run is the task. Its waiter is woken by orders and when the set stops.
func (f *filler) run(w host.Waiter) {
	var orders []fillOrder
	for !f.set.stopped() {
		w.WaitUntil(f.next())
		orders, _ = f.orders.Drain(orders[:0])
		for _, o := range orders {
			f.take(o)
		}
		clear(orders)
		now, ripe := f.set.host.Clock.Now(), false
		for _, j := range slices.Clone(f.jobs) {
			if j.due <= now && !f.set.stopped() {
				ripe = f.attempt(j) || ripe
			}
		}
		if ripe {
			f.set.checkpointSoon()
		}
	}
}

// next is when the next job is due.
func (f *filler) next() host.Instant {
	next := host.Never
	for _, j := range f.jobs {
		next = min(next, j.due)
	}
	return next
}

func (f *filler) take(o fillOrder) {
	j := f.known[o.id]
	if j == nil {
		j = &fillJob{salvaged: map[[2]int64]bool{}}
		f.known[o.id] = j
		f.jobs = append(f.jobs, j)
	}
	j.fillOrder, j.due, j.delay = o, f.set.host.Clock.Now(), fillAgain
}

func (f *filler) forget(j *fillJob) {
	delete(f.known, j.id)
	f.jobs = slices.DeleteFunc(f.jobs, func(o *fillJob) bool { return o == j })
}

// attempt works on one partition. true says that all it lacks was brought, and counts with the next checkpoint.
func (f *filler) attempt(j *fillJob) bool {
	l, ok := f.ask(j)
	if !ok || l.log == nil || l.whole {
		if !mutant.On("fill-damage-kept-when-whole") {
			l.release() // the log start may have passed what is damaged
		}
		f.forget(j)
		return false
	}
	defer l.release() // of these, whatever is asked again
	err := f.salvage(j, l)
	if l, ok = f.again(j, l); !ok {
		return false
	}
	for _, hole := range l.wanted {
		if err != nil {
			break
		}
		err = f.pullHole(j, l.log, hole)
	}
	now := f.set.host.Clock.Now()
	if err == nil {
		j.due, j.delay, j.told = now.Add(fillSoon), fillAgain, false
		return true
	}
	if !j.told {
		j.told = true
		f.tell(j, l, err)
	}
	j.due = now.Add(j.delay)
	j.delay = min(2*j.delay, fillRarely)
	return false
}

// ask asks the shard what the partition lacks; false when it has stopped.
func (f *filler) ask(j *fillJob) (lack, bool) {
	a := &askHoles{id: j.id, answer: host.NewFuture[lack](f.set.host.Tasks)}
	if !j.shard.inbox.Post(a) {
		return lack{}, false
	}
	return await(f.set, a.answer)
}

// again asks once more after damaged files were salvaged.
func (f *filler) again(j *fillJob, l lack) (lack, bool) {
	if len(l.damaged) == 0 {
		return l, true
	}
	l, ok := f.ask(j)
	l.release()
	if !ok || l.log == nil {
		f.forget(j)
		return l, false
	}
	return l, true
}

// tell says once why a partition stays as it is, and what can be done.
func (f *filler) tell(j *fillJob, l lack, err error) {
	if len(j.shard.members) > 1 {
		f.set.host.Log.Warn("a partition is not whole and cannot be filled now", "partition", j.id, "missing", l.wanted, "reason", err)
		return
	}
	f.set.host.Log.Error("records of a partition without another replica are damaged or gone: "+
		"put their file back from a copy and start again, or give them up by deleting the records before the end of the gap (kafka-delete-records)",
		"partition", j.id, "missing", l.wanted)
}

// salvage copies what is sound in damaged files.
func (f *filler) salvage(j *fillJob, l lack) error {
	for _, d := range l.damaged {
		info := d.Info()
		file := [2]int64{info.Base, info.Generation}
		if j.salvaged[file] {
			continue
		}
		f.set.host.Log.Warn("a damaged file is searched for what is sound in it", "file", d.Name(), "from", info.Base, "to", info.End)
		err := d.Salvage(l.wanted, f.pace, func(fill *partition.Fill) error {
			_, err := f.hand(j, fill) // one that is not wanted does no harm
			return err
		})
		if err != nil && !f.set.stopped() {
			f.set.host.Log.Warn("a damaged file cannot be searched to its end", "file", d.Name(), "error", err)
		}
		j.salvaged[file] = true
	}
	return nil
}

// pace bounds how fast fillers and scrub use the disk and the network; false when the set stops.
func (f *filler) pace(bytes int) bool { return f.set.pace(bytes, f.set.o.FillRate/fillers) }

func (s *Set) pace(bytes int, rate int64) bool {
	if rate > 0 {
		s.host.Clock.Sleep(time.Duration(int64(bytes) * int64(time.Second) / rate))
	}
	return !s.stopped()
}

// hand gives a finished fill to the shard, and says whether it was wanted.
func (f *filler) hand(j *fillJob, fill *partition.Fill) (taken bool, err error) {
	t := &takeFill{id: j.id, fill: fill, answer: host.NewFuture[bool](f.set.host.Tasks)}
	if !j.shard.inbox.Post(t) {
		fill.Abandon()
		return false, errStopped
	}
	taken, ok := await(f.set, t.answer)
	if !ok {
		return false, f.set.reason()
	}
	return taken, nil
}

// pullHole fills a hole from the other members, beginning with the one that served last.
func (f *filler) pullHole(j *fillJob, log *partition.Log, hole partition.OffsetRange) error {
	var others []int32
	for _, m := range j.shard.members {
		if m.Node != f.set.o.Node && m.Node >= 0 {
			others = append(others, m.Node)
		}
	}
	if len(others) == 0 || f.set.links == nil {
		return errors.New("there is no other replica")
	}
	var last error
	for range others {
		node := others[j.source%len(others)]
		at, err := f.pullFrom(j, log, hole, node)
		if err == nil {
			return nil
		}
		last = fmt.Errorf("node %d: %w", node, err)
		hole.Start = at
		j.source++
	}
	return last
}

// pullFrom fills a hole from one node, file by file, and returns up to where it came.
func (f *filler) pullFrom(j *fillJob, log *partition.Log, hole partition.OffsetRange, node int32) (int64, error) {
	for hole.Start < hole.End {
		files, err := f.files(j, node)
		if err != nil {
			return hole.Start, err
		}
		i := slices.IndexFunc(files, func(s partition.SegmentInfo) bool { return s.Base <= hole.Start && hole.Start < s.End })
		if i < 0 {
			return hole.Start, fmt.Errorf("it has not got offset %d", hole.Start)
		}
		next, err := f.pullFile(j, log, hole, node, &files[i])
		if next == hole.Start && err == nil {
			err = errors.New("nothing came")
		}
		hole.Start = next
		if err != nil {
			return hole.Start, err
		}
	}
	return hole.Start, nil
}

// pullFile fills the front of a hole from one file of another node, and returns up to where it came. What came is kept
// when the connection breaks; nothing is when the file has changed meanwhile, so that a fill never mixes two files.
func (f *filler) pullFile(j *fillJob, log *partition.Log, hole partition.OffsetRange, node int32, file *partition.SegmentInfo) (int64, error) {
	fill := log.StartFill(hole)
	fill.Source(*file)
	position := int64(-1)
	var failed error
	for more := true; more && position < file.Bytes && failed == nil; {
		position, more, failed = f.pullPiece(j, fill, node, file, position)
	}
	if failed == nil && !fill.Agrees(*file) {
		f.doubt(j, node, file)
		fill.Abandon()
		return hole.Start, fmt.Errorf("the offsets in its segment %d do not check: %w", file.Base, partition.ErrCorrupt)
	}
	if failed == nil && file.Sparse {
		failed = fill.Reach(file.End)
	}
	if errors.Is(failed, partition.ErrChanged) || f.set.stopped() {
		fill.Abandon()
		return hole.Start, failed
	}
	next := fill.Next()
	ok, err := fill.Finish()
	if err == nil && ok {
		// What is refused is no progress: it would be brought again and again, and nobody would hear of it.
		if ok, err = f.hand(j, fill); err == nil && !ok {
			err = errRefused
		}
	}
	if err != nil {
		return hole.Start, err
	}
	return next, failed
}

// pullPiece asks for one piece of a file and adds it to the fill. It returns the position behind it.
func (f *filler) pullPiece(j *fillJob, fill *partition.Fill, node int32, file *partition.SegmentInfo, position int64) (int64, bool, error) {
	w := wanted{shard: j.shard.id, id: j.id, base: file.Base, generation: file.Generation, position: position,
		offset: fill.Next(), bytes: fillBytes}
	b, err := f.set.links.CallBulk(node, callRange, w.encode(), f.set.host.Clock.Now().Add(fillCall))
	if err != nil {
		return position, false, err
	}
	defer b.Release()
	answer, err := readFillAnswer(b.Bytes())
	if err != nil {
		return position, false, err
	}
	at, n := binary.Varint(answer)
	if ended := file.Sparse && at == file.Bytes; n <= 0 || position >= 0 && at != position || len(answer) == n && !ended {
		return position, false, errors.New("its answer makes no sense")
	}
	batches := answer[n:]
	more, err := fill.Write(batches)
	if errors.Is(err, partition.ErrCorrupt) {
		f.doubt(j, node, file)
	}
	if err != nil {
		return position, false, err
	}
	f.set.numbers.Filled.Add(int64(len(batches)))
	f.pace(len(batches))
	return at + int64(len(batches)), more, nil
}

// doubt tells another node that a file of it is damaged, which it does not know.
func (f *filler) doubt(j *fillJob, node int32, file *partition.SegmentInfo) {
	w := wanted{shard: j.shard.id, id: j.id, base: file.Base, generation: file.Generation}
	if b, err := f.set.links.Call(node, callDoubtful, w.encode(), f.set.host.Clock.Now().Add(fillCall)); err == nil {
		b.Release()
	}
}

// files asks another node what it holds of a partition.
func (f *filler) files(j *fillJob, node int32) ([]partition.SegmentInfo, error) {
	w := wanted{shard: j.shard.id, id: j.id}
	b, err := f.set.links.CallBulk(node, callFiles, w.encode(), f.set.host.Clock.Now().Add(fillCall))
	if err != nil {
		return nil, err
	}
	defer b.Release()
	answer, err := readFillAnswer(b.Bytes())
	if err != nil {
		return nil, err
	}
	return partition.DecodeSegments(answer)
}

// checkpointSoon wakes the checkpointer.
func (s *Set) checkpointSoon() { s.checkpoints.Post(nil) }

// shardOf finds the shard that replicates a partition here.
func (s *Set) shardOf(id partition.ID) (*Shard, bool) {
	t, ok := s.Catalog().TopicByID(id.Topic)
	if !ok || id.Index < 0 || int(id.Index) >= len(t.Partitions) {
		return nil, false
	}
	return s.shards.Load().Get(ordered.Int(t.Partitions[id.Index].Shard))
}
