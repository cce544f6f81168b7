package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/node/ordered"
	"millrace/partition"
)

const (
	// cleanCall is how long another replica may take to say how far it is compacted.
	cleanCall = 3 * time.Second
	// cleanAgain is after how long a partition is tried again that could not be compacted.
	cleanAgain = 5 * time.Minute
	// cleanWishes is how many partitions may be remembered whose other replicas wait for this one.
	cleanWishes = 1024
)

// Cleaned counts what compaction has done since the node started.
type Cleaned struct {
	// Runs counts compactions; Failed those that came to nothing.
	Runs, Failed *host.Counter
	// Read and Written are bytes; Records were read, and Removed of them.
	Read, Written, Records, Removed *host.Counter
}

// Cleaned are the counters of compaction.
func (s *Set) Cleaned() Cleaned { return s.cleaned }

// cleaner is the task that compacts the partitions of a node, one after the other, the dirtiest first.
type cleaner struct {
	set *Set
	// failed says from when on a partition is tried again.
	failed map[partition.ID]host.Instant
	// wished are partitions on which another replica waits before it lets go of tombstones.
	wished map[partition.ID]bool
	// checkpoint says that a checkpoint would make something that was compacted, or can be then, count.
	checkpoint bool
	// configs is how the topics of image are compacted, nil for those that are not, as far as it was asked for.
	configs map[catalog.ID]*partition.CompactionConfig
	image   *catalog.Image
}

// prepareCleaning makes what other tasks need before the cleaner starts.
func (s *Set) prepareCleaning() {
	s.wishes = host.NewQueue[partition.ID](s.host.Tasks, cleanWishes, nil)
	for _, c := range []**host.Counter{&s.cleaned.Runs, &s.cleaned.Failed, &s.cleaned.Read, &s.cleaned.Written,
		&s.cleaned.Records, &s.cleaned.Removed} {
		*c = host.NewCounter(s.host.Tasks)
	}
}

// startCleaning starts the cleaner.
func (s *Set) startCleaning() {
	if s.o.CleanEvery < 0 {
		return
	}
	c := &cleaner{set: s, failed: map[partition.ID]host.Instant{}, wished: map[partition.ID]bool{}}
	s.every("cleaner", s.o.CleanEvery, c.cleanAll)
}

// cleanAll compacts everything that is due.
func (c *cleaner) cleanAll() {
	wishes, _ := c.set.wishes.Drain(nil)
	for _, id := range wishes {
		c.wished[id] = true
	}
	now := c.set.host.Clock.Now()
	for id, until := range c.failed {
		if until <= now {
			delete(c.failed, id)
		}
	}
	c.checkpoint = false
	for !c.set.stopped() {
		shard, log, ok := c.filthiest()
		if !ok {
			break
		}
		c.clean(shard, log)
	}
	if clear(c.wished); c.checkpoint {
		c.set.checkpointSoon()
	}
}

// filthiest is the partition that is due for compaction and has the largest share of what is new.
func (c *cleaner) filthiest() (best *Shard, log *partition.Log, found bool) {
	wall, now := c.set.host.Clock.Wall().UnixMilli(), c.set.host.Clock.Now()
	image, most := c.set.Catalog(), float64(-1)
	if !c.set.Space().Grow {
		return nil, nil, false // it needs room before it makes room
	}
	for _, shard := range c.set.shards.Load().All {
		for _, place := range shard.places.Load().All {
			id := place.log.ID()
			config := c.configOf(image, id.Topic)
			if config == nil || c.failed[id] > now {
				continue
			}
			dirt := place.log.View().Dirt(*config, wall)
			c.checkpoint = c.checkpoint || dirt.WantsCheckpoint(*config)
			if (dirt.Due || c.wished[id] && dirt.Offsets > 0) && dirt.Ratio() > most {
				best, log, most, found = shard, place.log, dirt.Ratio(), true
			}
		}
	}
	return best, log, found
}

// configOf is how a topic is compacted, nil when it is not. It is computed once for each image.
func (c *cleaner) configOf(image *catalog.Image, id catalog.ID) *partition.CompactionConfig {
	if c.image != image {
		c.image, c.configs = image, make(map[catalog.ID]*partition.CompactionConfig)
	}
	config, known := c.configs[id]
	if !known {
		if topic, ok := image.TopicByID(id); ok {
			config = c.set.o.Settings(image, topic).Compaction
		}
		c.configs[id] = config
	}
	return config
}

// clean compacts one partition.
func (c *cleaner) clean(shard *Shard, log *partition.Log) {
	s, id := c.set, log.ID()
	began := s.host.Clock.Now()
	c.failed[id] = began.Add(s.o.CleanEvery / 2) // not again in this round, whatever comes of it
	b := &beginCompaction{id: id, wall: s.host.Clock.Wall().UnixMilli(), answer: host.NewFuture[*partition.Compaction](s.host.Tasks)}
	if !shard.inbox.Post(b) {
		return
	}
	run, ok := await(s, b.answer)
	if !ok || run == nil {
		return
	}
	o := partition.CompactOptions{MapBytes: s.o.CleanMemory, Pace: func(bytes int) bool { return s.pace(bytes, s.o.CleanRate) }}
	if run.Expired() {
		o.Safe = c.safe(shard, id)
	}
	err := run.Run(o)
	if err == nil {
		err = c.hand(shard, id, run)
	}
	switch {
	case err == nil:
		delete(c.failed, id)
		c.count(id, run.Stats(), s.host.Clock.Now().Sub(began))
		return
	case errors.Is(err, partition.ErrEnded), errors.Is(err, partition.ErrDropped):
		return
	}
	s.cleaned.Failed.Add(1)
	c.failed[id] = s.host.Clock.Now().Add(min(cleanAgain, 20*s.o.CleanEvery))
	s.host.Log.Warn("a partition could not be compacted", "partition", id, "reason", err)
}

// count tells what a run did.
func (c *cleaner) count(id partition.ID, did partition.CompactStats, took time.Duration) {
	k := &c.set.cleaned
	k.Runs.Add(1)
	k.Read.Add(did.Read)
	k.Written.Add(did.Written)
	k.Records.Add(did.Records)
	k.Removed.Add(did.Records - did.Kept)
	c.set.host.Log.Info("a partition was compacted", "partition", id, "from", did.From, "to", did.To, "records", did.Records,
		"kept", did.Kept, "bytes read", did.Read, "bytes written", did.Written, "took", took.Round(time.Millisecond))
	c.checkpoint = true
}

// hand gives a finished run to the shard.
func (c *cleaner) hand(shard *Shard, id partition.ID, run *partition.Compaction) error {
	t := &takeCompaction{id: id, run: run, answer: host.NewFuture[bool](c.set.host.Tasks)}
	if !shard.inbox.Post(t) {
		run.Abandon()
		return partition.ErrEnded
	}
	taken, ok := await(c.set, t.answer)
	switch {
	case !ok:
		return partition.ErrEnded
	case !taken:
		return errors.New("the log has changed meanwhile")
	}
	return nil
}

// safe is the offset below which no other replica of a partition has anything that a tombstone stands for, nor owes a
// tombstone to a reader. All of them must have been so at one moment, so they are asked twice, and nothing may have
// happened to them in between (see docs/decisions/0006).
func (c *cleaner) safe(shard *Shard, id partition.ID) int64 {
	safe, lives := int64(math.MaxInt64), map[int32]int64{}
	if mutant.On("compaction-does-not-ask") {
		return safe
	}
	for round := range 2 {
		for _, m := range shard.members {
			if m.Node == c.set.o.Node {
				continue
			}
			settled, life, err := c.ask(shard, id, m.Node)
			if err != nil || round > 0 && lives[m.Node] != life {
				return 0
			}
			safe, lives[m.Node] = min(safe, settled), life
		}
	}
	return safe
}

// ask asks another replica how far it is compacted, and which life of its log says so.
func (c *cleaner) ask(shard *Shard, id partition.ID, node int32) (settled, life int64, err error) {
	if c.set.links == nil || node < 0 {
		return 0, 0, errors.New("it cannot be reached")
	}
	w := wanted{shard: shard.id, id: id}
	b, err := c.set.links.Call(node, callSettled, w.encode(), c.set.host.Clock.Now().Add(cleanCall))
	if err != nil {
		return 0, 0, err
	}
	defer b.Release()
	answer, err := readFillAnswer(b.Bytes())
	if err != nil {
		return 0, 0, err
	}
	d := decoder{b: answer}
	if settled, life = d.signed(), d.signed(); d.bad || len(d.b) > 0 {
		return 0, 0, fmt.Errorf("its answer makes no sense")
	}
	return settled, life, nil
}

// serveSettled answers ask. Who asks waits for this replica, so it is compacted soon.
func (s *Set) serveSettled(log *partition.Log) []host.Part {
	s.wishes.TryPut(log.ID())
	v := log.View()
	b := binary.AppendVarint([]byte{fillVersion, fillGood}, v.Settled(s.host.Clock.Wall().UnixMilli()))
	return []host.Part{{Bytes: binary.AppendVarint(b, v.Life())}}
}

// beginCompaction asks for a run over a partition; nil when there is nothing to do.
type beginCompaction struct {
	id     partition.ID
	wall   int64
	answer *host.Future[*partition.Compaction]
}

func (b *beginCompaction) happen(r *replica) {
	p := r.partitions[b.id]
	if settings := r.settings[b.id]; r.dead || p == nil || settings.Compaction == nil {
		b.answer.Set(nil)
	} else {
		b.answer.Set(p.log.BeginCompaction(*settings.Compaction, b.wall))
	}
}

// takeCompaction hands a finished run to its partition; the answer is whether it was taken.
type takeCompaction struct {
	id     partition.ID
	run    *partition.Compaction
	answer *host.Future[bool]
}

func (t *takeCompaction) happen(r *replica) {
	p := r.partitions[t.id]
	if r.dead || p == nil {
		t.run.Abandon()
		t.answer.Set(false)
		return
	}
	taken := p.log.TakeCompaction(t.run)
	if taken {
		r.change(p)
	}
	t.answer.Set(taken)
}

// Dirt says what compaction has to do in a partition that is here; false when it is not, or its topic is not compacted.
func (s *Set) Dirt(id partition.ID) (partition.Dirt, bool) {
	topic, ok := s.Catalog().TopicByID(id.Topic)
	if !ok || id.Index < 0 || int(id.Index) >= len(topic.Partitions) {
		return partition.Dirt{}, false
	}
	config := s.o.Settings(s.Catalog(), topic).Compaction
	shard, ok := s.shards.Load().Get(ordered.Int(topic.Partitions[id.Index].Shard))
	if !ok || config == nil {
		return partition.Dirt{}, false
	}
	log, _, ok := shard.Held(id)
	if !ok {
		return partition.Dirt{}, false
	}
	return log.View().Dirt(*config, s.host.Clock.Wall().UnixMilli()), true
}
