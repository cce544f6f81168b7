package shard

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/sim"
)

// TestFilling has three nodes of which one after the other is away for long under load, loses power while it is filled,
// or has rot in its segments, while log starts move. In the end all replicas hold the same bytes, and those are what was
// acknowledged.
func TestFilling(t *testing.T) {
	seeds := *fillSeeds
	if testing.Short() {
		seeds = 3
	}
	for seed := *fillFirst; seed < *fillFirst+seeds; seed++ {
		if err := runFilling(seed); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

var (
	fillFirst = flag.Uint64("fill.first", 0, "the first seed of TestFilling")
	fillSeeds = flag.Uint64("fill.seeds", 6, "the number of seeds of TestFilling")
)

// fillWorld is a cluster with one topic, and what its clients know.
type fillWorld struct {
	*clusterWorld
	d     *sim.Draws
	topic *catalog.Topic
	// acked are the values that were acknowledged, by partition.
	acked [][]string
	count int
}

func runFilling(seed uint64) error {
	c := newClusterWorld(seed, 3, 30*time.Minute)
	f := &fillWorld{clusterWorld: c, d: c.world.Draws("filling")}
	c.options = func(_ int, o *SetOptions) {
		o.WAL.MaxBytes = 1 << 20
		o.ScrubEvery, o.ScrubRate, o.FillRate = 2*time.Second, 1<<20, 2<<20
	}
	return c.drive(func(h host.Host) error { return f.run(h) })
}

func (f *fillWorld) run(h host.Host) error {
	if err := f.up(h, 0, 1, 2); err != nil {
		return err
	}
	if err := f.makeTopic(h); err != nil {
		return err
	}
	for round := range 4 {
		away := int(f.d.Between(0, 2))
		f.crash(away, sim.Pick(f.d, sim.Kill, sim.Power))
		if f.d.Between(0, 2) == 0 { // found when it is read the first time
			f.nodes[away].Rot(segments)
		}
		if err := f.load(h, f.d.Between(20, 120)); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if err := f.up(h, away); err != nil {
			return err
		}
		for f.d.Between(0, 2) == 0 { // once more, perhaps in the middle of filling
			h.Clock.Sleep(time.Duration(f.d.Between(0, int64(time.Second))))
			f.crash(away, sim.Power)
			if err := f.load(h, f.d.Between(1, 10)); err != nil {
				return err
			}
			if err := f.up(h, away); err != nil {
				return err
			}
		}
		if err := f.load(h, f.d.Between(1, 10)); err != nil {
			return err
		}
		if err := f.agree(h); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if f.d.Between(0, 1) == 0 {
			if err := f.rot(h); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
		}
	}
	return nil
}

func (f *fillWorld) makeTopic(h host.Host) error {
	create := catalog.CreateTopic{Name: "filled", Partitions: 3, Replication: 3}
	copy(create.ID[:], create.Name)
	var r catalog.Result
	if err := f.on(h, 0, func(h host.Host, s *Set) error {
		if err := until(h, 30*time.Second, "all brokers registered", func() bool { return s.Catalog().Brokers.Len() == 3 }); err != nil {
			return err
		}
		if r = s.Change(create, deadline(h)); r.Error != wire.ErrNone || !s.AwaitTopic(r.Topic, deadline(h)) {
			return fmt.Errorf("create the topic: %d %s", r.Error, r.Message)
		}
		return nil
	}); err != nil {
		return err
	}
	f.topic, f.acked = r.Topic, make([][]string, len(r.Topic.Partitions))
	return nil
}

// on runs something in a task of a node and waits for it.
func (f *fillWorld) on(h host.Host, i int, what func(h host.Host, s *Set) error) error {
	done, failed := false, error(nil)
	s := f.sets[i]
	if s == nil {
		return errors.New("the node is down")
	}
	f.nodes[i].Go("test", func() { failed = what(f.hosts[i], s); done = true })
	err := until(h, 2*time.Minute, "a task ends", func() bool { return done || f.sets[i] != s })
	return errors.Join(failed, err)
}

// load appends batches, and deletes records now and then.
func (f *fillWorld) load(h host.Host, batches int64) error {
	for range batches {
		p := int(f.d.Between(0, int64(len(f.acked)-1)))
		value := strconv.Itoa(f.count) + strings.Repeat("x", int(f.d.Between(0, 20000)))
		f.count++
		i := f.anyNode()
		if err := f.on(h, i, func(h host.Host, s *Set) error { return f.produce(h, s, f.topic, p, value) }); err != nil {
			return err
		}
		f.acked[p] = append(f.acked[p], value)
		if f.d.Between(0, 30) == 0 {
			f.deleteSome(h, p)
		}
	}
	return nil
}

func (f *fillWorld) anyNode() int {
	for {
		if i := int(f.d.Between(0, int64(len(f.nodes)-1))); f.sets[i] != nil {
			return i
		}
	}
}

// deleteSome moves a log start, wherever that is possible now.
func (f *fillWorld) deleteSome(h host.Host, p int) {
	for i, s := range f.sets {
		if s == nil {
			continue
		}
		if at, code := s.Lookup(f.topic.ID, int32(p)); code == wire.ErrNone {
			v := at.Log.View()
			to := v.LogStart + f.d.Between(0, (v.End-v.LogStart)/3)
			// One whose leader loses its office may never be answered, and may still happen.
			_ = f.on(h, i, func(h host.Host, _ *Set) error {
				at.Shard.DeleteRecords(at.ID, to).GetUntil(h.Clock.Now().Add(5 * time.Second))
				return nil
			})
		}
	}
}

// agree waits until every replica is whole and in sync, and compares them.
func (f *fillWorld) agree(h host.Host) error {
	err := until(h, 3*time.Minute, "all replicas are whole and in sync", func() bool {
		for p := range f.acked {
			node, _, isr, ok := f.sets[0].PartitionLeader(f.topic, p)
			if !ok || len(isr) != 3 || f.sets[node-1] == nil {
				return false
			}
			for i := range f.sets {
				l := f.log(i, p)
				if l == nil || !l.Whole() {
					return false
				}
				v, leader := l.View(), f.log(int(node)-1, p).View()
				if v.End != leader.End || v.LogStart != leader.LogStart {
					return false
				}
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, f.describe())
	}
	for p := range f.acked {
		err := f.compare(h, p)
		for n := 0; n < 5 && (errors.Is(err, partition.ErrCorrupt) || errors.Is(err, partition.ErrMissing)); n++ {
			h.Clock.Sleep(3 * time.Second) // refused, and repaired
			err = f.compare(h, p)
		}
		if err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return f.tidy(h)
}

func segments(path string) bool {
	return strings.HasSuffix(path, ".log") && strings.Contains(path, "partitions/")
}

// tidy waits until every replica's directory holds nothing but what the replica has: a file that something holds for ever,
// which read it or was to mend it, is never deleted.
func (f *fillWorld) tidy(h host.Host) error {
	for i := range f.sets {
		for p := range f.acked {
			var left []string
			err := f.on(h, i, func(h host.Host, s *Set) error {
				if err := s.Checkpoint(); err != nil {
					return err
				}
				return until(h, 10*time.Second, "nothing else is there", func() bool {
					left = f.leftovers(h, i, p)
					return len(left) == 0
				})
			})
			if err != nil {
				return fmt.Errorf("node %d, partition %d, files %v: %w", i+1, p, left, err)
			}
		}
	}
	return nil
}

// leftovers are the segment files in a replica's directory that are none of its.
func (f *fillWorld) leftovers(h host.Host, i, p int) []string {
	files, err := f.log(i, p).Files()
	if err != nil {
		return []string{err.Error()}
	}
	names, err := h.Disk.List(partitionDir(partition.ID{Topic: f.topic.ID, Index: int32(p)}))
	if err != nil {
		return []string{err.Error()}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasSuffix(name, ".log") || slices.ContainsFunc(files, func(s partition.SegmentInfo) bool {
			return name == fmt.Sprintf("%020d.log", s.Base) && s.Generation == 0 || name == fmt.Sprintf("%020d-%d.log", s.Base, s.Generation)
		})
	})
}

func (f *fillWorld) describe() string {
	var b strings.Builder
	for i, s := range f.sets {
		if s == nil {
			fmt.Fprintf(&b, "\nnode %d is down", i+1)
			continue
		}
		for id, shard := range s.shards.Load().All {
			fmt.Fprintf(&b, "\nnode %d shard %d: %+v", i+1, id, *shard.Status())
		}
		for p := range f.acked {
			if l := f.log(i, p); l != nil {
				v := l.View()
				fmt.Fprintf(&b, "\nnode %d partition %d: %d to %d, missing %v", i+1, p, v.LogStart, v.End, v.Holes())
			}
		}
	}
	return b.String()
}

func (f *fillWorld) log(i, p int) *partition.Log {
	if f.sets[i] == nil {
		return nil
	}
	shard, ok := f.sets[i].shardOf(partition.ID{Topic: f.topic.ID, Index: int32(p)})
	if !ok {
		return nil
	}
	l, _, _ := shard.Held(partition.ID{Topic: f.topic.ID, Index: int32(p)})
	return l
}

// compare reads one partition on all nodes.
func (f *fillWorld) compare(h host.Host, p int) error {
	var first []byte
	var start int64
	for i := range f.sets {
		var all []byte
		var values []string
		var from int64
		err := f.on(h, i, func(_ host.Host, _ *Set) (err error) {
			all, values, from, err = readAll(f.log(i, p))
			return err
		})
		if err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
		if i == 0 {
			first, start = all, from
		}
		if from != start || !bytes.Equal(all, first) {
			return fmt.Errorf("node %d holds %d bytes from %d on, node 1 %d bytes from %d on", i+1, len(all), from, len(first), start)
		}
		if err := inOrder(f.acked[p], values); err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
	}
	return nil
}

// inOrder says whether what is there is the tail of what was acknowledged; a produce that was tried again may be there
// twice.
func inOrder(acked, values []string) error {
	values = slices.Compact(values)
	if len(values) > len(acked) || !slices.Equal(values, acked[len(acked)-len(values):]) {
		return fmt.Errorf("%d values are there, which are not the last of %d that were acknowledged", len(values), len(acked))
	}
	return nil
}

// readAll reads a log from its start.
func readAll(l *partition.Log) (all []byte, out []string, start int64, err error) {
	v := l.View()
	for next := v.LogStart; next < v.End; {
		r, err := l.Read(next, 64<<10, true)
		if err != nil {
			return nil, nil, 0, err
		}
		b, err := rangeBytes(r)
		next = r.Next
		r.Release()
		if err != nil {
			return nil, nil, 0, err
		}
		all = append(all, b...)
		for len(b) > 0 {
			h, err := batch.Parse(b)
			if err == nil {
				err = batch.CheckCRC(b[:h.Size()])
			}
			if err != nil {
				return nil, nil, 0, err
			}
			records, err := batch.Read(b[:h.Size()], nil, 1<<20)
			if err != nil {
				return nil, nil, 0, err
			}
			var record batch.Record
			for records.Next(&record) {
				out = append(out, string(record.Value))
			}
			b = b[h.Size():]
		}
	}
	return all, out, v.LogStart, nil
}

// rot flips a bit in a segment of one node, and waits until a scrub has had the time to find it.
func (f *fillWorld) rot(h host.Host) error {
	i := f.anyNode()
	where := f.nodes[i].Rot(segments)
	if where == "" {
		return nil
	}
	h.Clock.Sleep(6 * time.Second)
	if err := f.agree(h); err != nil {
		return fmt.Errorf("after rot of node %d in %s: %w", i+1, where, err)
	}
	return nil
}
