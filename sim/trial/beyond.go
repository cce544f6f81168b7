package trial

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"millrace/node/host"
	"millrace/sim"
	"millrace/sim/client"
)

// BeyondPlan is what is lost when the load is over, after a power cut of all nodes: more than a cluster can repair. It may
// refuse whatever it likes, but what it says must be right: no record where another one was acknowledged, no end below the
// known one, no acknowledgement by those who cannot know what was acknowledged before.
type BeyondPlan struct {
	Kind    string
	Victims []int
	// Alone is how long those who are whole run before the victims come back.
	Alone time.Duration
}

// The kinds of BeyondPlan.
const (
	beyondWipe  = "majority wiped"  // the victims come back with empty disks
	beyondStale = "majority stale"  // the victims come back with what was synced on theirs in the middle of the load
	beyondLose  = "majority gone"   // the victims do not come back
	beyondRot   = "no copy is good" // one segment is damaged on the victims, which are all nodes
)

// DrawBeyond makes the plan of a seed that goes beyond repair; nodes is 3 or 5, or 0 to draw that.
func DrawBeyond(seed uint64, nodes int) *Plan {
	d := sim.NewDraws(seed, "plan/beyond")
	if nodes == 0 {
		nodes = sim.Pick(d, 3, 3, 3, 5)
	}
	p := DrawNodes(seed, nodes)
	if nodes < 3 {
		return p
	}
	p.Faults = slices.DeleteFunc(p.Faults, func(f FaultPlan) bool { return f.lossy() || f.Kind == faultNoSpace || f.Kind == faultDiskError })
	p.World.FailSyncs = 0
	p.Actors = slices.DeleteFunc(p.Actors, func(a ActorPlan) bool { return a.Member != nil || a.Kind == "zombie" || a.Kind == "watcher" })
	b := &BeyondPlan{Kind: sim.Pick(d, beyondWipe, beyondStale, beyondLose, beyondRot), Alone: time.Duration(d.Between(2000, 8000)) * time.Millisecond}
	if b.Kind == beyondWipe && d.Chance(0.5) {
		b.Alone = time.Duration(d.Skewed(1, 1000)) * time.Millisecond // who lost everything must ask all others
	}
	b.Victims = []int{}
	first := int(d.Below(int64(nodes)))
	n := nodes/2 + 1
	if b.Kind == beyondRot {
		n = nodes
	}
	for i := range n {
		b.Victims = append(b.Victims, 1+(first+i)%nodes)
	}
	slices.Sort(b.Victims)
	p.Beyond = b
	return p
}

func (b *BeyondPlan) check(nodes int) error {
	if !slices.Contains([]string{beyondWipe, beyondStale, beyondLose, beyondRot}, b.Kind) {
		return fmt.Errorf("there is no loss %q", b.Kind)
	}
	for _, id := range b.Victims {
		if id < 1 || id > nodes {
			return fmt.Errorf("loss %q strikes node %d of %d", b.Kind, id, nodes)
		}
	}
	return nil
}

// photograph copies what is synced on the disks of the victims in the middle of the load.
func (t *trial) photograph() {
	b := t.plan.Beyond
	if b == nil || b.Kind != beyondStale {
		return
	}
	t.host.Tasks.Go("photographer", func() {
		for t.oracle.acked < t.plan.Target/2 && !t.stop {
			t.host.Clock.Sleep(5 * time.Millisecond)
		}
		for _, id := range b.Victims {
			x := t.brokers[id-1]
			x.image, x.copied = x.node.CopyDisk(), x.node.Boots()
		}
	})
}

// beyond lets the loss of the plan come and looks at what is said afterwards.
func (t *trial) beyond() {
	plan := t.plan.Beyond
	replicas := t.placements()
	if replicas == nil {
		return
	}
	if plan.Kind == beyondStale && !t.startAgain(plan.Victims) {
		return
	}
	for _, b := range t.brokers {
		b.node.Crash(sim.Power)
		t.crashes++
	}
	back := t.loseMajority(plan)
	t.world.Struck("beyond repair: " + plan.Kind)
	t.wait(t.host.Clock.Now().Add(plan.Alone))
	for _, b := range back {
		b.down = t.host.Clock.Now()
	}
	t.lost = true
	sound := func(l *partitionLog) bool {
		if plan.Kind == beyondRot {
			return true // the log itself goes on
		}
		whole := 0
		for _, id := range replicas[l] {
			if !slices.Contains(plan.Victims, int(id)) {
				whole++
			}
		}
		return whole > len(replicas[l])/2
	}
	t.tryEverything(sound)
}

// startAgain starts the victims twice more: an old copy is known by the number of its starts.
func (t *trial) startAgain(victims []int) bool {
	for range 2 {
		for _, id := range victims {
			b := t.brokers[id-1]
			b.node.Crash(sim.Kill)
			t.crashes++
			b.down = t.host.Clock.Now()
			if !t.await("a start", b.up) {
				return false
			}
			t.wait(t.host.Clock.Now().Add(time.Second)) // in which the others hear of it
		}
	}
	return true
}

// loseMajority takes from the victims what the plan says, and returns those that come back later.
func (t *trial) loseMajority(plan *BeyondPlan) (back []*broker) {
	damaged := t.damagedSegment(plan)
	for _, id := range plan.Victims {
		b := t.brokers[id-1]
		switch plan.Kind {
		case beyondWipe:
			b.node.ReplaceDisk()
			b.lost = wiped
		case beyondStale:
			if b.image == nil || b.node.Boots() < b.copied+2 {
				b.lost = "it is gone"
				continue
			}
			b.node.RestoreDisk(b.image)
			b.lost = stale
		case beyondLose:
			b.lost = "it is gone"
			continue
		case beyondRot:
			for range 3 {
				t.world.Note("rot: %s: %s", b.node.Name(), b.node.Rot(func(p string) bool { return strings.HasSuffix(p, damaged) }))
			}
			continue
		}
		b.down = host.Never
		back = append(back, b)
	}
	return back
}

// damagedSegment is the segment that all victims lose: one that every one of them has.
func (t *trial) damagedSegment(plan *BeyondPlan) string {
	d := t.world.Draws("beyond")
	var common []string
	for _, name := range t.brokers[plan.Victims[0]-1].node.Files() {
		everywhere := isSegment(name) && !slices.ContainsFunc(plan.Victims, func(id int) bool {
			return !slices.Contains(t.brokers[id-1].node.Files(), name)
		})
		if everywhere {
			common = append(common, name)
		}
	}
	if len(common) == 0 {
		return "none"
	}
	return common[d.Below(int64(len(common)))]
}

// placements are the replicas of the partitions of the load.
func (t *trial) placements() map[*partitionLog][]int32 {
	c := t.newClient("placements", ActorPlan{})
	defer c.Close()
	placed := make(map[*partitionLog][]int32)
	for _, l := range t.partitions() {
		err := c.Retry(t.host.Clock.Now().Add(patience), func() error { return c.Refresh(l.topic.plan.Name) })
		info := c.Topic(l.topic.plan.Name)
		if err != nil || info == nil || int(l.index) >= len(info.Partitions) {
			t.failf("%v: metadata before the loss: %w", l, err)
			return nil
		}
		placed[l] = info.Partitions[l.index].Replicas
	}
	return placed
}

// wait keeps the brokers running that are not lost, until a time.
func (t *trial) wait(until host.Instant) {
	for now := t.host.Clock.Now(); now < until; now = t.host.Clock.Now() {
		t.keepRunning(nil)
		t.changed.WaitUntil(min(until, now.Add(20*time.Millisecond)))
	}
}

// afterwards is how long clients try after the loss.
const afterwards = 15 * time.Second

// tryEverything reads, asks and produces, and lets nothing pass that is wrong. Where it is not sound, nothing may be
// acknowledged by all.
func (t *trial) tryEverything(sound func(*partitionLog) bool) {
	end := t.host.Clock.Now().Add(afterwards)
	left := 2
	t.host.Tasks.Go("reader beyond", func() {
		c := t.newClient("reader-beyond", ActorPlan{})
		f := client.NewFetcher(c, client.FetchOptions{MaxWait: 50 * time.Millisecond, MinBytes: 1, MaxBytes: 1 << 20, PartitionMaxBytes: 1 << 16})
		r := &reader{who: 98, client: c, fetcher: f}
		r.readAll(t.partitions())
		for i := 0; t.host.Clock.Now() < end; i++ {
			if n, err := t.poll(r); n == 0 && err == nil {
				t.host.Clock.Sleep(20 * time.Millisecond)
			}
			logs := t.partitions()
			t.lookAtEnds(98, c, logs[i%len(logs)])
		}
		c.Close()
		left--
		t.changed.Wake()
	})
	t.host.Tasks.Go("producer beyond", func() {
		t.produceBeyond(end, sound)
		left--
		t.changed.Wake()
	})
	for left > 0 {
		t.wait(t.host.Clock.Now().Add(100 * time.Millisecond))
	}
	for _, b := range t.brokers {
		if b.lost != "" && b.refused != nil {
			t.world.Struck("beyond repair: a start was refused")
		}
	}
}

func (t *trial) produceBeyond(end host.Instant, sound func(*partitionLog) bool) {
	c := t.newClient("producer-beyond", ActorPlan{})
	defer c.Close()
	d := t.world.Draws("producer-beyond")
	a := ActorPlan{Kind: "producer", Idempotent: true, Acks: -1, Records: 2, Bytes: 100}
	for t.host.Clock.Now() < end {
		producer, p, under := t.newProducer(c, &a)
		var batches []*client.Batch
		logs := t.partitions()
		for _, l := range logs {
			b, x := t.makeBatch(p, l, d, a)
			under[b], batches = x, append(batches, b)
			producer.Send(b)
		}
		for until := t.host.Clock.Now().Add(afterwards / 3); t.host.Clock.Now() < until && producer.Pump(); {
		}
		producer.Abandon()
		t.host.Clock.Sleep(300 * time.Millisecond)
		for i, b := range batches {
			switch l := logs[i]; {
			case b.Outcome == client.Acked && !sound(l):
				t.failf("%v: a record was acknowledged at %d although a majority of the copies is lost (%s)", l, b.Offset, t.plan.Beyond.Kind)
			case b.Outcome == client.Acked:
				t.world.Reach("(beyond) a produce was taken where a majority is whole")
			default:
				t.world.Reach("(beyond) a produce was refused")
			}
		}
	}
}
