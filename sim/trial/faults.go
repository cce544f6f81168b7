package trial

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"millrace/sim"
)

// startFaults starts a task for each fault of the plan. They end when the load does.
func (t *trial) startFaults() {
	for i, f := range t.plan.Faults {
		t.faulting++
		t.host.Tasks.Go(fmt.Sprintf("fault %d: %s", i, f.Kind), func() {
			t.strike(i, f)
			t.world.Note(faultOver, i)
			t.faulting--
			t.changed.Wake()
		})
	}
}

// rests lets a fault last, but not longer than the load; false when that has ended.
func (t *trial) rests(d time.Duration, reached func() bool) bool {
	for end := t.host.Clock.Now().Add(d); !t.stop; {
		now := t.host.Clock.Now()
		if now >= end || reached != nil && reached() {
			return true
		}
		t.host.Clock.Sleep(min(end.Sub(now), 10*time.Millisecond))
	}
	return false
}

// strike waits for the time of a fault, lets it come and ends it.
func (t *trial) strike(i int, f FaultPlan) {
	if f.Kind == faultStale {
		b := t.brokers[f.From[0]-1]
		b.image, b.copied = b.node.CopyDisk(), b.node.Boots()
	}
	if f.Kind == faultStaleRead {
		b := t.brokers[f.From[0]-1]
		b.disk.Remember, b.disk.Only = true, t.silent(f)
		b.node.SetDiskFaults(b.disk)
	}
	if !t.rests(f.Within, func() bool { return t.oracle.acked >= f.After }) {
		return
	}
	f.From, f.To = t.aim(f.From), t.aim(f.To)
	t.world.Note(faultBegins, i, f.words())
	switch {
	case f.network():
		t.disconnect(f)
	case f.lossy():
		t.damage(f)
	default:
		for _, id := range f.From {
			t.disturbNode(f, t.brokers[id-1])
		}
	}
}

// aim puts the node that leads the first partition in the place of theLeader.
func (t *trial) aim(nodes []int) []int {
	aimed := slices.Clone(nodes)
	for i, id := range nodes {
		if id == theLeader {
			aimed[i] = t.leader()
		}
	}
	return aimed
}

// leader is who leads the first partition as far as a client has heard.
func (t *trial) leader() int {
	if len(t.topics) == 0 {
		return 1
	}
	leader, newest := 1, int32(-1)
	for k, id := range t.oracle.leaders { //door:ordered the highest epoch, of which there is one
		if k.topic == t.topics[0].id && k.partition == 0 && k.epoch > newest {
			leader, newest = int(id), k.epoch
		}
	}
	return leader
}

// machine is a node by its number in the plan.
func (t *trial) machine(id int) *sim.Node {
	if id == 0 {
		return t.clients
	}
	return t.brokers[id-1].node
}

// disconnect is a fault between nodes.
func (t *trial) disconnect(f FaultPlan) {
	clog := t.world.ClogWay
	if f.Kind == faultClog && f.Both {
		clog, f.Both = t.world.Clog, false
	}
	t.eachLink(f, func(a, b *sim.Node) {
		switch f.Kind {
		case faultCut:
			name := a.Name() + ">" + b.Name()
			if t.cuts[name]++; t.cuts[name] == 1 {
				t.world.Cut(a, b)
			}
		case faultClog:
			clog(a, b, f.For)
		case faultSlowLink:
			t.world.SlowLink(a, b, f.Delay, f.For)
		case faultReset:
			t.world.ResetAll(a, b)
		case faultHalfOpen:
			t.world.HalfOpen(a, b)
		}
	})
	if f.Kind != faultCut {
		return
	}
	t.rests(f.For, nil)
	t.eachLink(f, func(a, b *sim.Node) {
		name := a.Name() + ">" + b.Name()
		if t.cuts[name]--; t.cuts[name] == 0 {
			t.world.Heal(a, b)
		}
	})
}

// eachLink runs what for every link that a fault strikes.
func (t *trial) eachLink(f FaultPlan, what func(a, b *sim.Node)) {
	for _, from := range f.From {
		for _, to := range f.To {
			if from == to {
				continue
			}
			what(t.machine(from), t.machine(to))
			if f.Both {
				what(t.machine(to), t.machine(from))
			}
		}
	}
}

// disturbNode is a fault of one node that takes nothing away for good.
func (t *trial) disturbNode(f FaultPlan, b *broker) {
	n := b.node
	switch f.Kind {
	case faultPause:
		if n.Running() {
			n.Pause(f.For)
		}
	case faultWall:
		t.setWall(n, f.Delay)
	case faultStuckDisk:
		n.StickDisk(f.For)
	case faultSlowDisk:
		t.withDisk(b, f.For, func(x *sim.DiskFaults) { x.Times = f.Times }, func(x *sim.DiskFaults) { x.Times = 0 })
	case faultDiskError:
		t.withDisk(b, f.For, func(x *sim.DiskFaults) { x.Write, x.Sync = f.Rate, f.Rate },
			func(x *sim.DiskFaults) { x.Write, x.Sync = 0, 0 })
	case faultFullDisk:
		// The reserve is left: what is admitted must fit into it.
		t.world.Struck("disk nearly full")
		n.SetCapacity(n.Used() + t.plan.Broker.ReserveHigh + 64<<10)
		t.rests(f.For, nil)
		n.SetCapacity(0)
	case faultNoSpace:
		n.Exhaust(f.Times)
		t.rests(f.For, nil)
		n.SetCapacity(0)
	case faultRestart:
		t.restart(b, f.For)
	case faultTransfer:
		t.transfer(f)
	case faultLoop:
		t.world.Struck("crash loop")
		for range f.Times {
			if !n.Running() || !t.rests(f.For/time.Duration(f.Times), nil) {
				return
			}
			n.Crash(sim.Power)
			t.crashes++
			b.down = t.host.Clock.Now().Add(time.Millisecond)
			t.changed.Wake()
		}
	}
}

// restart stops a broker in order, under load, and starts it again later. Others may end it meanwhile.
func (t *trial) restart(b *broker, down time.Duration) {
	if !b.up() || b.stopping {
		return
	}
	boots, running, done := b.node.Boots(), b.running, false
	b.stopping = true
	b.node.Go("harness: restart", func() {
		if err := running.Stop(); err != nil {
			b.end(fmt.Errorf("stop: %w", err))
		}
		done = true
	})
	for end := t.host.Clock.Now().Add(time.Minute); !done && b.node.Running() && b.node.Boots() == boots; {
		if t.host.Clock.Now() > end {
			t.failf("%s does not stop", b.node.Name())
			return
		}
		t.host.Clock.Sleep(5 * time.Millisecond)
	}
	b.stopping = false
	if done && b.node.Boots() == boots {
		t.world.Struck("restart in order")
		b.node.Crash(sim.Kill)
		b.down = t.host.Clock.Now().Add(down)
	}
}

// transfer moves the leadership of some partition from whoever leads it, again and again.
func (t *trial) transfer(f FaultPlan) {
	d := t.world.Draws("transfer")
	for range f.Times {
		if logs := t.partitions(); len(logs) > 0 {
			l := logs[d.Below(int64(len(logs)))]
			for _, b := range t.whole() {
				if b.up() {
					running := b.running
					b.node.Go("harness: transfer", func() {
						if running.Transfer(l.topic.id, l.index, -1) {
							t.world.Struck("leader transfer")
						}
					})
				}
			}
		}
		if !t.rests(f.For/time.Duration(f.Times), nil) {
			return
		}
	}
}

// withDisk lets a disk be faulty for a time.
func (t *trial) withDisk(b *broker, d time.Duration, on, off func(x *sim.DiskFaults)) {
	on(&b.disk)
	b.node.SetDiskFaults(b.disk)
	t.rests(d, nil)
	off(&b.disk)
	b.node.SetDiskFaults(b.disk)
}

// isSegment and isLog say what kind of file a path names.
func isSegment(path string) bool { return strings.HasSuffix(path, ".log") }

func isLog(path string) bool { return strings.HasPrefix(path, "wal/") }

// damage takes from a node what others must have.
func (t *trial) damage(f FaultPlan) {
	b := t.brokers[f.From[0]-1]
	match, silent := f.match(), t.silent(f)
	switch f.Kind {
	case faultRot:
		for range f.Times {
			t.world.Note("rot: %s: %s", b.node.Name(), b.node.Rot(silent))
		}
	case faultBad:
		for range f.Times {
			t.world.Note("bad sector: %s: %s", b.node.Name(), b.node.BadSector(match))
		}
	case faultRotOnRead:
		t.withDisk(b, f.For, func(x *sim.DiskFaults) { x.Rot, x.Only = f.Rate, silent },
			func(x *sim.DiskFaults) { x.Rot, x.Only = 0, nil })
	case faultMisdirect:
		t.withDisk(b, f.For, func(x *sim.DiskFaults) { x.Misdirect, x.Only = f.Rate, silent },
			func(x *sim.DiskFaults) { x.Misdirect, x.Only = 0, nil })
	case faultStaleRead:
		t.withDisk(b, f.For, func(x *sim.DiskFaults) { x.Stale = f.Rate }, func(x *sim.DiskFaults) { x.Stale = 0 })
	case faultLying:
		t.lie(b, f, silent)
	case faultWipe:
		b.node.Crash(sim.Power)
		t.crashes++
		b.node.ReplaceDisk()
		b.lost, b.down = wiped, t.host.Clock.Now().Add(f.For)
	case faultStale:
		t.goBack(b, f.For)
	case faultLose:
		b.node.Crash(sim.Power)
		t.crashes++
		b.lost = "it is gone"
		t.world.Struck("node lost for good")
	}
}

// match says which files a fault strikes.
func (f FaultPlan) match() func(path string) bool {
	if f.Files == "wal" {
		return isLog
	}
	return isSegment
}

// silent says which files a fault strikes that changes something without an error. The checksum of a batch is not over its
// base offset. In a log without gaps a wrong one shows; in a compacted one only to whoever has the checksum of the segment's
// offsets, which readers have not. So those are spared.
func (t *trial) silent(f FaultPlan) func(path string) bool {
	match := f.match()
	return func(path string) bool { return match(path) && !t.ofCompacted(path) }
}

// lie lets a drive lie for a time and then cuts the power, so that it comes out.
func (t *trial) lie(b *broker, f FaultPlan, silent func(string) bool) {
	b.disk.Lie, b.disk.Only = f.Rate, silent
	b.node.SetDiskFaults(b.disk)
	t.rests(f.For, nil)
	running := b.node.Running()
	if b.node.Crash(sim.Power); running {
		t.crashes++
		b.down = t.host.Clock.Now().Add(time.Millisecond)
	}
	b.disk.Lie, b.disk.Only = 0, nil
	b.node.SetDiskFaults(b.disk)
	b.node.DriveFlushes()
}

// mostWall is how far a wall clock is off at most. Topics take timestamps that are off by an hour, and records have theirs from a
// client up to a second away, whose clock drifts.
const mostWall = 58 * time.Minute

// setWall lets a wall clock jump.
func (t *trial) setWall(n *sim.Node, to time.Duration) {
	if to > n.WallOffset {
		t.world.Struck("wall clock forward")
	} else {
		t.world.Struck("wall clock back")
	}
	t.world.Note("oracle: the wall clock of %s is off by %v", n.Name(), to)
	n.WallOffset = to
}

// goBack gives a node the old copy of its disk and starts it. The others know an old copy by the number of its starts, so
// there must have been more since, and all others must have heard of the last one and go on running: who asks for more
// asks for the impossible, since a majority of nodes that know nothing newer cannot tell.
func (t *trial) goBack(b *broker, down time.Duration) {
	steady := func() string {
		s := ""
		for _, x := range t.brokers {
			if x != b {
				s += fmt.Sprint(x.node.Boots(), x.up() && !x.stopping, " ")
			}
		}
		return s
	}
	for b.node.Boots() < b.copied+2 {
		boots := b.node.Boots()
		b.node.Crash(sim.Power)
		t.crashes++
		b.down = t.host.Clock.Now().Add(time.Millisecond)
		if !t.rests(time.Minute, func() bool { return b.node.Boots() > boots && b.up() }) {
			return
		}
	}
	was := steady()
	if !t.rests(time.Second, nil) || !b.up() || steady() != was || strings.Contains(was, "false") || !t.known(b) {
		return
	}
	b.node.Crash(sim.Power)
	t.crashes++
	b.node.RestoreDisk(b.image)
	b.lost, b.down = stale, t.host.Clock.Now().Add(down)
	for b.refused == nil && t.rests(5*time.Millisecond, nil) {
		if steady() != was {
			b.node.Crash(sim.Power)
			b.lost = "it had an old copy of its disk, and is gone"
			return
		}
	}
}

// known says that all others know how often a node has been started.
func (t *trial) known(b *broker) bool {
	return !slices.ContainsFunc(t.brokers, func(x *broker) bool { return x != b && !b.running.Reached(int32(x.id)) })
}

// damagesLog says that the plan damages the write-ahead log of a node.
func (t *trial) damagesLog() bool {
	return slices.ContainsFunc(t.plan.Faults, func(f FaultPlan) bool { return f.Files == "wal" })
}

// rots says that the plan damages what is read, so that a client's checksum may be what finds it.
func (t *trial) rots() bool {
	if b := t.plan.Beyond; b != nil && b.Kind == beyondRot {
		return true
	}
	return slices.ContainsFunc(t.plan.Faults, func(f FaultPlan) bool { return f.Files == "segments" })
}
