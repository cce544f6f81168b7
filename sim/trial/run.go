package trial

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/partition/batch"
	"millrace/sim"
	"millrace/sim/client"
)

// What a trial must have reached to count.
const (
	leastAcked       = 200
	leastCrashes     = 2
	leastRolls       = 1
	leastCheckpoints = 1
)

// ErrEmpty is the failure of a trial that reached too little to show anything.
var ErrEmpty = errors.New("the trial shows nothing")

// Options of a run.
type Options struct {
	// Trace gets a line for each event from number TraceFrom on; Log what the nodes log.
	Trace     io.Writer
	TraceFrom uint64
	Log       io.Writer
	// History, if not nil, gets the operations that were checked for linearizability, as JSON lines.
	History io.Writer
	// Patience, if not nil, ends a run with its error, for a bound of real time.
	Patience func() error
	// Plan replaces the plan that is drawn from the seed.
	Plan *Plan
	// Tale, if not nil, takes down what happens, for the story of a failure.
	Tale *Teller

	looked func(t *trial, x *look) // for tests: at each look at what a power cut would leave
}

// Result is what came of a trial.
type Result struct {
	Seed   uint64
	Plan   *Plan
	Err    error
	Hash   uint64
	Events uint64
	Steps  uint64
	Trail  []uint64
	// Virtual is the simulated time, Real how long it took.
	Virtual, Real time.Duration
	Fired         map[string]int
	// Reached counts the states that nodes and clients met, by what the log says of them.
	Reached map[string]int

	Acked, Read, Crashes, Rolls, Checkpoints, Operations int
	// Answered counts the operations of the history that took effect and got their answer.
	Answered int
}

// trial is the state of a run.
type trial struct {
	plan    *Plan
	world   *sim.World
	brokers []*broker
	oracle  *oracle
	coders  *batch.Coders
	host    host.Host // of the clients' node
	clients *sim.Node

	stop      bool // the load shall end
	working   int  // actors that have not ended
	members   int  // those of them that are members of groups
	groups    []*groupState
	compacted []*compactedTopic
	tables    int             // that readers made of compacted topics
	acked     []*client.Batch // of idempotent producers, for the zombie
	changed   host.Waiter
	topics    []*topicState
	gone      map[string]bool    // topics that must not be there
	haunted   map[string]bool    // topics that requests without an answer may still make or delete
	ids       map[wire.UUID]bool // of all topics that were made
	sequence  uint64             // numbers producers
	restarts  int                // starts after the process had ended by itself
	crashes   int                // of the plan
	faulting  int                // faults that have not ended
	cuts      map[string]int     // how many faults cut a link
	lost      bool               // more than can be repaired is lost
	healed    bool               // nothing breaks any more, and long enough
	outages   *outages
	metadata  []string     // names of topics that one administrator changes
	lulls     int          // of the plan, that have begun
	busy      host.Instant // when the last of them ends
	looked    int          // answers at which the disks were looked at
}

// coders are kept from run to run: making them costs more than a run. What they give does not depend on earlier uses.
var coders = batch.NewCoders()

// Run carries out the trial of a seed. The result does not depend on anything but the seed and the program.
func Run(seed uint64, o Options) Result {
	began := realTime()
	plan := o.Plan
	if plan == nil {
		plan = Draw(seed)
	}
	seed = plan.Seed
	var t *trial
	sends := func(_ *sim.Node, to string, parts []host.Part) { t.outages.answers(to, parts) }
	w := sim.New(seed, sim.Options{Sends: sends, Keep: plan.World.Keep, Priorities: plan.World.Priorities, Changes: plan.World.Changes, Over: plan.World.Over, Spurious: plan.World.Spurious,
		Limit: 20 * time.Minute, Steps: cmp.Or(plan.World.Steps, 30e6), Patience: o.Patience, Trace: o.Trace, TraceFrom: o.TraceFrom, Log: o.Log, Watch: o.Tale.watch()})
	t = &trial{plan: plan, world: w, coders: coders, gone: make(map[string]bool), haunted: make(map[string]bool), ids: make(map[wire.UUID]bool), cuts: make(map[string]int)}
	t.oracle, t.outages = newOracle(t), newOutages(t, o.looked)
	t.setFaults(true)
	if plan.Reseed != nil {
		w.Reseed(plan.Reseed.At, plan.Reseed.Number)
	}
	t.tell(o)
	for i := range plan.Nodes {
		n := w.AddNode(fmt.Sprintf("n%d", i+1))
		n.Drift = plan.World.Drift
		if n.Drift != 0 {
			w.Struck("drift")
		}
		if i > 0 && i <= len(plan.World.Drifts) {
			n.Drift = plan.World.Drifts[i-1]
		}
		t.brokers = append(t.brokers, &broker{trial: t, id: i + 1, node: n})
	}
	t.clients = w.AddNode("c")
	t.clients.Boot(func(h host.Host) {
		t.host, t.changed = h, h.Tasks.NewWaiter()
		t.drive()
		w.Stop()
	})
	err := w.Run()
	if err != nil {
		err = fmt.Errorf("%w\nat %v:\n%s%s", err, w.Now(), t.states(), w.Parked())
	}
	r := Result{Seed: seed, Plan: plan, Err: err, Hash: w.Hash(), Events: w.Events(), Steps: w.Steps(), Trail: w.Trail(), Virtual: w.Now(),
		Fired: w.Fired(), Reached: t.reached(), Acked: t.oracle.acked, Read: t.oracle.reads}
	r.Crashes, r.Answered = t.crashes, t.oracle.answered()
	r.Rolls, r.Checkpoints = t.rolls(), t.checkpoints()
	o.Tale.end(t)
	w.Close()
	if r.Err == nil && plan.Beyond == nil { // else nobody knows what was kept of what has no answer
		r.Operations, r.Err = t.oracle.checkHistory(o.History)
	}
	if r.Err == nil {
		r.Err = r.enough()
	}
	r.Real = realTime().Sub(began)
	return r
}

// enough says what a trial is missing that would make it count.
func (r *Result) enough() error {
	var short []string
	for _, m := range []struct {
		what        string
		have, least int
	}{{"acknowledged records", r.Acked, leastAcked}, {"crashes", r.Crashes, leastCrashes},
		{"segment rolls", r.Rolls, leastRolls}, {"checkpoints", r.Checkpoints, leastCheckpoints}} {
		if m.have < m.least {
			short = append(short, fmt.Sprintf("%d %s of %d", m.have, m.what, m.least))
		}
	}
	if short != nil {
		return fmt.Errorf("%w: %s", ErrEmpty, strings.Join(short, ", "))
	}
	return nil
}

// rolls counts segments that do not begin a partition, over the cluster.
func (t *trial) rolls() int {
	n := 0
	for _, b := range t.brokers {
		for _, name := range b.node.Created() {
			if isSegment(name) && !strings.HasSuffix(name, "/00000000000000000000.log") {
				n++
			}
		}
	}
	return n
}

// checkpoints counts syncs of a whole disk, over the cluster.
func (t *trial) checkpoints() int {
	n := 0
	for _, b := range t.brokers {
		n += b.node.Syncs()
	}
	return n
}

// failf ends the trial.
func (t *trial) failf(format string, args ...any) { t.world.Fail(fmt.Errorf(format, args...)) }

// setFaults switches everything on that the plan has, or everything off.
func (t *trial) setFaults(on bool) {
	p := t.plan.World
	if !on {
		p = WorldPlan{}
	}
	t.world.SetNet(p.Net)
	t.world.SetSlowDisks(p.SlowDisks)
	t.world.SetDiskSpeed(max(1, p.DiskTimes))
	t.world.SetFailingSyncs(p.FailSyncs)
}

// drive is the driver's task: it follows the plan from the first boot to the last check.
func (t *trial) drive() {
	for _, b := range t.brokers {
		b.boot()
	}
	created := false
	t.host.Tasks.Go("creator", func() {
		created = t.createTopics()
		t.changed.Wake()
	})
	if !t.await("the creation of topics", func() bool { return created }) {
		return
	}
	for i, a := range t.plan.Actors {
		t.working++
		t.host.Tasks.Go(fmt.Sprintf("%s %d", a.Kind, i), func() {
			t.act(i, a)
			t.working--
			t.changed.Wake()
		})
	}
	t.startCompacted()
	t.host.Tasks.Go("disturber", t.disturb)
	t.startFaults()
	t.photograph()
	for i := range t.plan.Crashes {
		if !t.crash(i) {
			return
		}
	}
	enough := func() bool {
		return t.oracle.acked >= t.plan.Target && t.rolls() >= leastRolls && t.checkpoints() >= leastCheckpoints ||
			t.oracle.acked > 20*t.plan.Target
	}
	if !t.await("the load", enough) {
		return
	}
	t.stop = true
	t.setFaults(false)
	if !t.await("the end of the faults", func() bool { return t.faulting == 0 }) {
		return
	}
	if !t.await("the repair", func() bool { return t.working == 0 }) {
		return
	}
	running := func() bool {
		return !slices.ContainsFunc(t.brokers, func(b *broker) bool { return b.lost == "" && !b.node.Running() })
	}
	if !t.await("a start after the last crash", running) {
		return
	}
	if t.plan.Beyond != nil {
		t.beyond()
		return
	}
	t.finale()
}

// patience is how long nothing may be acknowledged, or a phase may last without an acknowledgement to wait for.
const patience = 2 * time.Minute

// busy is how many yields may pass meanwhile: ten times those of a usual run.
const busy = 8_000_000

// await waits for a condition while the brokers are kept running; false when it does not come.
func (t *trial) await(what string, reached func() bool) bool {
	last, since, steps := t.oracle.acked, t.host.Clock.Now(), t.world.Steps()
	for !reached() {
		t.keepRunning(nil)
		now := t.host.Clock.Now()
		if t.oracle.acked != last {
			last, since, steps = t.oracle.acked, now, t.world.Steps()
		}
		if t.world.Steps()-steps > busy {
			t.failf("no progress: %s waits after %v and %d yields (%d records acknowledged)", what, now.Sub(since), t.world.Steps()-steps, last)
			return false
		}
		if now.Sub(since) > patience {
			t.failf("no progress: %s waits after %v (%d records acknowledged)", what, patience, last)
			return false
		}
		t.changed.WaitUntil(now.Add(20 * time.Millisecond))
	}
	return true
}

// crash lets one crash of the plan happen. The broker starts again later.
func (t *trial) crash(i int) bool {
	c := t.plan.Crashes[i]
	goal := t.oracle.acked + c.After
	b := t.brokers[t.aim([]int{c.Node})[0]-1]
	if b.lost != "" {
		b = t.whole()[0]
	}
	n := b.node
	switch {
	case c.AtStart && i > 0 && !n.Running():
		boots := n.Boots()
		t.world.Note(armed, i, n.Name(), c.words())
		if b.arm = &c.At; !t.await("a start", func() bool { return n.Boots() > boots || b.lost != "" }) {
			return false
		}
	default:
		if !t.await("a crash", func() bool { return t.oracle.acked >= goal }) {
			return false
		}
		t.world.Note(armed, i, n.Name(), c.words())
		n.Arm(c.At)
	}
	for end := t.host.Clock.Now().Add(2 * time.Second); n.Running() && t.host.Clock.Now() < end; {
		t.host.Clock.Sleep(2 * time.Millisecond)
		t.keepRunning(b)
	}
	n.Disarm()
	if b.lost != "" {
		b = t.whole()[0]
	}
	for _, x := range t.brokers {
		if x != b && !c.All {
			continue
		}
		if x.lost != "" { // it stays away, lest it meets others who have forgotten what it was
			x.node.Crash(sim.Power)
			x.lost = "it is gone"
			continue
		}
		x.node.Crash(c.At.How)
		t.crashes++
		x.down = t.host.Clock.Now().Add(c.Down)
	}
	return true
}

// disturb clogs the network, moves the wall clock and fills the disk now and then.
func (t *trial) disturb() {
	d := t.world.Draws("disturb")
	p, n := t.plan.World, t.brokers[0].node
	var kinds []func()
	add := func(times int, what func()) {
		for range times {
			kinds = append(kinds, what)
		}
	}
	add(p.Clogs, func() { t.world.Clog(t.clients, n, time.Duration(d.Skewed(1_000_000, 400_000_000))) })
	add(p.WallJumps, func() { t.setWall(n, time.Duration(d.Between(-int64(mostWall), int64(mostWall)))) })
	add(p.FullDisks, func() {
		// The reserve is left: what is admitted must fit into it.
		t.world.Struck("disk nearly full")
		n.SetCapacity(n.Used() + t.plan.Broker.ReserveHigh + d.Skewed(1<<10, 256<<10))
		t.host.Clock.Sleep(time.Duration(d.Skewed(10_000_000, 3_000_000_000)))
		n.SetCapacity(0)
	})
	for len(kinds) > 0 && !t.stop {
		t.host.Clock.Sleep(time.Duration(d.Skewed(1_000_000, 500_000_000)))
		i := d.Below(int64(len(kinds)))
		kinds[i]()
		kinds = append(kinds[:i], kinds[i+1:]...)
	}
}
