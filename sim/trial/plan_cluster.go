package trial

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"millrace/sim"
)

// The kinds of FaultPlan. Those that take a node away for good, or what only it may hold, all strike the same node of a
// plan, so that a majority of every record's replicas can repair it.
const (
	faultCut       = "cut"        // nothing goes From To; with Both, nor back
	faultClog      = "clog"       // what goes From To is held back for the time
	faultSlowLink  = "slow link"  // it takes up to Delay longer
	faultReset     = "reset"      // connections between From and To break
	faultHalfOpen  = "half-open"  // they break for From only
	faultPause     = "pause"      // the tasks of From stand still
	faultSlowDisk  = "slow disk"  // operations of From's disk take Times as long
	faultStuckDisk = "stuck disk" // none of them ends
	faultDiskError = "disk error" // they fail at Rate
	faultFullDisk  = "full disk"  // little more than the reserve is left
	faultNoSpace   = "no space"   // less than the reserve is left, of which From may die
	faultMisdirect = "misdirect"  // writes go elsewhere at Rate
	faultWall      = "wall clock" // From's jumps by Delay
	faultLoop      = "crash loop" // From dies Times times soon after its start
	faultRot       = "rot"        // Times bits flip in what From has on its disk
	faultBad       = "bad sector" // Times sectors cannot be read there
	faultRotOnRead = "rot on read"
	faultStaleRead = "stale read" // reads give what was there before the last write, at Rate
	faultLying     = "lying disk" // writes are gone after a power cut although they were synced, at Rate
	faultRestart   = "restart"    // From is stopped in order and started again
	faultWipe      = "wipe"       // From's disk is replaced by an empty one
	faultTransfer  = "transfer"   // leadership of a partition moves, Times times
	faultStale     = "stale"      // From's disk is replaced by a copy of what was synced there when the load began
	faultLose      = "lose"       // From goes and never comes back
)

// theLeader stands for the node that leads the first partition when a fault strikes.
const theLeader = -1

// FaultPlan is one fault.
type FaultPlan struct {
	Kind string
	// After is how many records are acknowledged since the load began when it comes; at the latest it comes Within.
	After  int
	Within time.Duration
	// From and To are nodes; 0 is that of the clients, and -1 whoever leads the first partition at that time.
	From  []int
	To    []int         `json:",omitempty"`
	Both  bool          `json:",omitempty"`
	For   time.Duration `json:",omitempty"`
	Delay time.Duration `json:",omitempty"`
	Times int64         `json:",omitempty"`
	Rate  float64       `json:",omitempty"`
	// Files says what is damaged: segments, or wal.
	Files string `json:",omitempty"`
}

func (f FaultPlan) check(nodes int) error {
	if len(f.From) == 0 {
		return fmt.Errorf("fault %q strikes nobody", f.Kind)
	}
	for _, n := range slices.Concat(f.From, f.To) {
		if n < theLeader || n > nodes || n == 0 && !f.network() || n == theLeader && f.lossy() {
			return fmt.Errorf("fault %q strikes node %d of %d", f.Kind, n, nodes)
		}
	}
	if !slices.Contains(faultKinds, f.Kind) {
		return fmt.Errorf("there is no fault %q", f.Kind)
	}
	return nil
}

// network says that the fault strikes links and not a node.
func (f FaultPlan) network() bool {
	return slices.Contains([]string{faultCut, faultClog, faultSlowLink, faultReset, faultHalfOpen}, f.Kind)
}

// lossy says that something is gone for good unless others have it.
func (f FaultPlan) lossy() bool {
	return slices.Contains([]string{faultRot, faultBad, faultRotOnRead, faultMisdirect, faultStaleRead, faultLying, faultWipe, faultStale, faultLose}, f.Kind)
}

var faultKinds = []string{faultCut, faultClog, faultSlowLink, faultReset, faultHalfOpen, faultPause, faultSlowDisk, faultStuckDisk,
	faultDiskError, faultFullDisk, faultWall, faultLoop, faultRot, faultBad, faultRotOnRead, faultRestart, faultWipe, faultStale,
	faultLose, faultTransfer, faultNoSpace, faultMisdirect, faultStaleRead, faultLying}

// cluster makes the plan one of several nodes.
func (p *Plan) cluster(seed uint64) {
	d := sim.NewDraws(seed, "plan/cluster")
	n := int64(p.Nodes)
	if p.World.Drift != 0 {
		for range p.Nodes - 1 {
			p.World.Drifts = append(p.World.Drifts, d.Between(-5000, 5000))
		}
	}
	b := &p.Broker
	b.Lanes = int(d.Between(1, 2))
	b.SessionTimeout = time.Duration(d.Skewed(1000, 9000)) * time.Millisecond
	b.PreferredInterval = time.Duration(d.Skewed(1, 10)) * time.Second
	b.ScrubInterval = time.Duration(d.Skewed(1000, 20_000)) * time.Millisecond
	b.ScrubRate, b.FillRate = -1, -1
	if d.Chance(0.3) {
		b.ScrubRate = d.Skewed(50<<10, 1<<20)
	}
	if d.Chance(0.3) {
		b.FillRate = d.Skewed(20<<10, 1<<20)
	}
	p.World.Clogs, p.World.FullDisks, p.World.WallJumps = 0, 0, 0 // they are among the faults
	p.Faults = drawFaults(sim.NewDraws(seed, "plan/faults"), p)
	lossy := slices.ContainsFunc(p.Faults, FaultPlan.lossy)
	if lossy {
		b.scrubOften(d)
	}
	for i := range p.Topics {
		t := &p.Topics[i]
		t.Replicas = sim.Pick[int16](d, 3, 3, 3, 3, 3, 2, 1)
		if lossy {
			t.Replicas = 3
		}
		if t.Replicas == 3 && p.Nodes == 5 && d.Chance(0.3) {
			t.Replicas = 5
		}
		if t.Replicas >= 3 && d.Chance(0.3) {
			t.Configs = append(t.Configs, "min.insync.replicas", "2")
		}
	}
	if d.Chance(0.4) {
		b.Racks = 3
	}
	if d.Chance(0.7) {
		p.Actors = append(p.Actors, ActorPlan{Kind: "looker", Pause: time.Duration(d.Skewed(500, 20_000)) * time.Microsecond, OldVersion: d.Chance(0.3)})
	}
	for i := range p.Actors {
		if p.Actors[i].Kind == "consumer" && d.Chance(0.6) {
			p.Actors[i].Jump, p.Actors[i].Rejoin = float64(d.Skewed(2, 200))/1000, float64(d.Skewed(1, 50))/1000
		}
		if b.Racks > 0 && p.Actors[i].Kind == "consumer" && d.Chance(0.7) {
			p.Actors[i].Rack = rack(int(d.Below(int64(b.Racks))))
		}
		p.Actors[i].First, p.Actors[i].Epochs = int(d.Below(n)), d.Chance(0.5)
	}
	for i := range p.Crashes {
		c := &p.Crashes[i]
		if c.Node = 1 + int(d.Below(n)); d.Chance(0.3) {
			c.Node = theLeader
		}
		if c.AtStart {
			c.Node = p.Crashes[i-1].Node
		}
		if d.Chance(0.25) {
			c.All, c.At.How = true, sim.Power
		}
		if d.Chance(0.3) {
			c.Down = time.Duration(d.Skewed(300_000, 3_000_000)) * time.Microsecond
		}
	}
}

// drawFaults switches most kinds off.
func drawFaults(d *sim.Draws, p *Plan) []FaultPlan {
	var faults []FaultPlan
	n := int64(p.Nodes)
	node := func() []int {
		if d.Chance(0.4) {
			return []int{theLeader}
		}
		return []int{1 + int(d.Below(n))}
	}
	add := func(chance float64, most int64, make func() FaultPlan) {
		if !d.Chance(chance) {
			return
		}
		for range d.Between(1, most) {
			f := make()
			f.After = int(d.Below(int64(p.Target)))
			f.Within = time.Duration(d.Skewed(50, 10_000)) * time.Millisecond
			if f.For == 0 {
				f.For = time.Duration(d.Skewed(2, 5000)) * time.Millisecond
			}
			faults = append(faults, f)
		}
	}
	pair := func(kind string) FaultPlan {
		a := d.Below(n + 1)
		b := (a + d.Between(1, n)) % (n + 1)
		return FaultPlan{Kind: kind, From: []int{int(a)}, To: []int{int(b)}, Both: d.Chance(0.5)}
	}
	add(0.5, 3, func() FaultPlan { return drawCut(d, n) })
	add(0.2, 3, func() FaultPlan { return pair(faultClog) })
	add(0.3, 3, func() FaultPlan {
		f := pair(faultSlowLink)
		f.Delay = time.Duration(d.Skewed(1000, 1_500_000)) * time.Microsecond
		return f
	})
	add(0.2, 4, func() FaultPlan { return pair(faultReset) })
	add(0.15, 3, func() FaultPlan { return pair(faultHalfOpen) })
	add(0.35, 3, func() FaultPlan { return FaultPlan{Kind: faultPause, From: node()} })
	add(0.15, 2, func() FaultPlan { return FaultPlan{Kind: faultSlowDisk, From: node(), Times: d.Skewed(2, 100)} })
	add(0.15, 2, func() FaultPlan { return FaultPlan{Kind: faultStuckDisk, From: node()} })
	add(0.1, 2, func() FaultPlan {
		return FaultPlan{Kind: faultDiskError, From: node(), Rate: float64(d.Skewed(1, 50)) / 1000}
	})
	add(0.1, 2, func() FaultPlan { return FaultPlan{Kind: faultFullDisk, From: node()} })
	add(0.07, 1, func() FaultPlan { return FaultPlan{Kind: faultNoSpace, From: node(), Times: d.Skewed(1<<10, 256<<10)} })
	add(0.2, 3, func() FaultPlan {
		return FaultPlan{Kind: faultWall, From: node(), Delay: time.Duration(d.Between(-mostWall.Milliseconds(), mostWall.Milliseconds())) * time.Millisecond}
	})
	add(0.2, 4, func() FaultPlan { return FaultPlan{Kind: faultRestart, From: node()} })
	add(0.4, 2, func() FaultPlan {
		return FaultPlan{Kind: faultTransfer, From: []int{theLeader}, Times: d.Between(1, 6)}
	})
	add(0.1, 1, func() FaultPlan { return FaultPlan{Kind: faultLoop, From: node(), Times: d.Between(2, 4)} })
	drawLosses(d, p, add)
	return faults
}

// drawChanges gives most of the plans with priorities a number of points at which they change, over the yields that a run
// usually has.
func (p *Plan) drawChanges(d *sim.Draws) {
	if !p.World.Priorities || d.Chance(0.2) {
		return
	}
	p.World.Changes = int(d.Skewed(1, 16))
	p.World.Over = map[int]uint64{1: 120_000, 3: 400_000, 5: 800_000}[p.Nodes]
}

// drawCut draws who cannot reach whom: one node from all, some from some, and any of it in one direction only.
func drawCut(d *sim.Draws, n int64) FaultPlan {
	f := FaultPlan{Kind: faultCut, Both: d.Chance(0.6)}
	one := 1 + int(d.Below(n))
	if d.Chance(0.4) { // the leader from all other nodes, but not from the clients
		f.From = []int{theLeader}
		for i := range int(n) {
			f.To = append(f.To, i+1)
		}
		return f
	}
	switch d.Below(4) {
	case 0: // from everybody, perhaps the clients too
		f.From = []int{one}
	case 1: // halves
		for i := range int(n) {
			if d.Chance(0.5) {
				f.From = append(f.From, i+1)
			}
		}
		if len(f.From) == 0 {
			f.From = []int{one}
		}
	case 2: // a pair; the others reach both
		f.From, f.To = []int{one}, []int{1 + one%int(n)}
		return f
	default: // from the clients
		f.From, f.To = []int{0}, []int{one}
		return f
	}
	for i := range int(n) + 1 {
		if !slices.Contains(f.From, i) && (i > 0 || d.Chance(0.4)) {
			f.To = append(f.To, i)
		}
	}
	if len(f.To) == 0 {
		f.To = []int{0}
	}
	if !f.Both && d.Chance(0.5) {
		f.From, f.To = f.To, f.From
	}
	return f
}

// drawLosses adds what one node loses.
func drawLosses(d *sim.Draws, p *Plan, add func(chance float64, most int64, make func() FaultPlan)) {
	long := func() time.Duration { return time.Duration(d.Skewed(500, 8000)) * time.Millisecond }
	often := func() float64 { return float64(d.Skewed(20, 500)) / 1000 }
	victim := []int{1 + int(d.Below(int64(p.Nodes)))}
	files := func() string { return sim.Pick(d, "segments", "segments", "segments", "wal") }
	switch d.Below(10) { // stale reads are only in plans that are written by hand: the store does not survive all of them yet
	case 9:
		add(1, 2, func() FaultPlan {
			return FaultPlan{Kind: faultMisdirect, From: victim, Rate: often(), For: long(), Files: sim.Pick(d, "segments", "segments", "wal")}
		})
	case 8:
		add(1, 2, func() FaultPlan {
			return FaultPlan{Kind: faultLying, From: victim, Rate: often(), For: long(), Files: files()}
		})
	case 0:
		add(1, 1, func() FaultPlan { return FaultPlan{Kind: faultWipe, From: victim} })
	case 6:
		add(1, 1, func() FaultPlan { return FaultPlan{Kind: faultStale, From: victim} })
	case 1:
		add(1, 1, func() FaultPlan { return FaultPlan{Kind: faultLose, From: victim} })
	case 2, 3:
		add(1, 2, func() FaultPlan {
			return FaultPlan{Kind: faultRot, From: victim, Times: d.Between(1, 4), Files: files()}
		})
	case 4:
		add(1, 2, func() FaultPlan {
			return FaultPlan{Kind: faultBad, From: victim, Times: d.Between(1, 3), Files: files()}
		})
	case 5:
		add(1, 2, func() FaultPlan {
			return FaultPlan{Kind: faultRotOnRead, From: victim, Rate: float64(d.Skewed(5, 300)) / 1000, Files: "segments"}
		})
	}
}

// scrubOften is for brokers whose disks lose something.
func (b *BrokerPlan) scrubOften(d *sim.Draws) {
	b.ScrubInterval = time.Duration(d.Skewed(200, 5000)) * time.Millisecond
	if b.SegmentBytes < 1000 { // thousands of segments, which the nodes would do nothing but read
		b.ScrubInterval = max(b.ScrubInterval, time.Second)
	}
}

// refused is from how many bytes on a batch is refused now and taken then, 0 when it always is the same: starts of brokers differ,
// or the admin raises the limit of a topic.
func (p *Plan) refused() int {
	least := int64(math.MaxInt64)
	if p.Other != nil && p.Other.SegmentBytes != p.Broker.SegmentBytes {
		least = min(p.Other.SegmentBytes, p.Broker.SegmentBytes)
	}
	for _, t := range p.Topics {
		if i := slices.Index(t.Configs, "max.message.bytes"); i >= 0 && i+1 < len(t.Configs) {
			if n, err := strconv.ParseInt(t.Configs[i+1], 10, 64); err == nil {
				least = min(least, n)
			}
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return int(least)
}
