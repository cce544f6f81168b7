package trial

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"millrace/sim"
	"millrace/sim/client"
)

// clientsNode is the name of the clients' node in stories.
const clientsNode = "clients"

func nodeName(id int) string {
	switch id {
	case 0:
		return clientsNode
	case theLeader:
		return "whoever leads"
	}
	return fmt.Sprintf("n%d", id)
}

func nodeNames(ids []int) []string {
	var names []string
	for _, id := range ids {
		if name := nodeName(id); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

func nth(n int) string {
	switch {
	case n%10 == 1 && n%100 != 11:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2 && n%100 != 12:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3 && n%100 != 13:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}

var endWords = map[sim.End]string{sim.Power: "loses its power", sim.Kill: "is killed"}

var pointWords = map[sim.Point]string{sim.PointYield: "yield", sim.PointSend: "handing of bytes to the network", sim.PointWrite: "write, in the middle of it",
	sim.PointSync: "sync, in the middle of it", sim.PointSynced: "sync, just after it", sim.PointName: "change of a name, just after it"}

// words describes a crash.
func (c CrashPlan) words() string {
	who := nodeName(c.Node)
	if c.All {
		who = "every node, when " + who + " gets there,"
	}
	point := pointWords[c.At.Point]
	if point == "" {
		point = c.At.Point.String()
	}
	text := fmt.Sprintf("%s %s at its %s %s", who, endWords[c.At.How], nth(int(c.At.Count)), point)
	if c.AtStart {
		text += " after the start that follows"
	} else {
		text += fmt.Sprintf(" once %d more records are acknowledged", c.After)
	}
	return text + fmt.Sprintf(", and is down for %v", c.Down.Round(time.Millisecond))
}

// words describes a fault.
func (f FaultPlan) words() string {
	from, to := strings.Join(nodeNames(f.From), ", "), strings.Join(nodeNames(f.To), ", ")
	way := "from " + from + " to " + to
	if f.Both {
		way = "between " + from + " and " + to
	}
	d := f.For.Round(time.Millisecond)
	switch f.Kind {
	case faultCut:
		return fmt.Sprintf("nothing gets %s for %v", way, d)
	case faultClog:
		return fmt.Sprintf("everything %s is held back for %v", way, d)
	case faultSlowLink:
		return fmt.Sprintf("everything %s takes up to %v longer for %v", way, f.Delay.Round(time.Millisecond), d)
	case faultReset:
		return "all connections between " + from + " and " + to + " break"
	case faultHalfOpen:
		return "all connections between " + from + " and " + to + " break, and only " + from + " knows"
	case faultPause:
		return fmt.Sprintf("%s stands still for %v", from, d)
	case faultSlowDisk:
		return fmt.Sprintf("the disk of %s takes %d times as long for %v", from, f.Times, d)
	case faultStuckDisk:
		return fmt.Sprintf("nothing on the disk of %s ends for %v", from, d)
	case faultDiskError:
		return fmt.Sprintf("one in %.0f writes and syncs of %s fails, for %v", 1/f.Rate, from, d)
	case faultFullDisk:
		return fmt.Sprintf("the disk of %s is nearly full for %v", from, d)
	case faultWall:
		return fmt.Sprintf("the wall clock of %s jumps by %v", from, f.Delay.Round(time.Second))
	case faultLoop:
		return fmt.Sprintf("%s loses its power %d times within %v", from, f.Times, d)
	case faultRot:
		return fmt.Sprintf("%d bits flip in what %s has on its disk (%s)", f.Times, from, f.Files)
	case faultBad:
		return fmt.Sprintf("%d sectors of %s cannot be read (%s)", f.Times, from, f.Files)
	case faultRotOnRead:
		return fmt.Sprintf("one in %.0f reads of %s returns a wrong bit, for %v", 1/f.Rate, from, d)
	case faultRestart:
		return fmt.Sprintf("%s is stopped in order and started again after %v", from, d)
	case faultWipe:
		return fmt.Sprintf("the disk of %s is replaced by an empty one", from)
	case faultStale:
		return fmt.Sprintf("the disk of %s is replaced by an old copy of itself", from)
	case faultTransfer:
		return fmt.Sprintf("leadership moves %d times within %v", f.Times, d)
	case "no space":
		return fmt.Sprintf("the disk of %s is full, reserve and all, for %v", from, d)
	case "misdirect":
		return fmt.Sprintf("one in %.0f writes of %s goes elsewhere, for %v", 1/f.Rate, from, d)
	case faultStaleRead:
		return fmt.Sprintf("one in %.0f reads of %s gives what was there before, for %v", 1/f.Rate, from, d)
	case faultLying:
		return fmt.Sprintf("one in %.0f writes of %s is gone after a power cut, although it was synced, for %v (%s)", 1/f.Rate, from, d, f.Files)
	case faultLose:
		return fmt.Sprintf("%s goes and never comes back", from)
	}
	text := f.Kind + ": " + from
	if to != "" {
		text += ", " + to
	}
	if f.For > 0 {
		text += fmt.Sprintf(", for %v", d)
	}
	return text
}

// faultWords describes crashes and faults, in this order.
func (p *Plan) faultWords() []string {
	var all []string
	for _, c := range p.Crashes {
		all = append(all, c.words())
	}
	for _, f := range p.Faults {
		all = append(all, f.words())
	}
	return all
}

// Strikes counts what a plan does to the cluster besides load: crashes, faults, and what its world does all the time.
func (p *Plan) Strikes() int { return len(p.Crashes) + len(p.Faults) + len(p.World.weather()) }

// weather describes what the world does all the time.
func (w WorldPlan) weather() []string {
	var all []string
	add := func(on bool, format string, args ...any) {
		if on {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	add(w.Net.Reset > 0, "%.0f %% of connections break within %d bytes", 100*w.Net.Reset, w.Net.ResetWithin)
	add(w.Net.Refuse > 0, "%.0f %% of dials are refused", 100*w.Net.Refuse)
	add(w.FailSyncs > 0, "%.2f %% of syncs fail", 100*w.FailSyncs)
	add(w.Clogs > 0, "the clients' links are clogged %d times", w.Clogs)
	add(w.WallJumps > 0, "the wall clock jumps %d times", w.WallJumps)
	add(w.FullDisks > 0, "the disk is nearly full %d times", w.FullDisks)
	return all
}

// slowness describes what the world does that is slow or strange, and breaks nothing.
func (w WorldPlan) slowness() []string {
	var all []string
	for _, x := range []struct {
		on   bool
		what string
	}{
		{w.Priorities, "tasks have fixed priorities"}, {w.Spurious > 0, "waits return without a wake"},
		{w.SlowDisks > 0 || w.DiskTimes > 1, "disks are slow now and then"},
		{w.Net.Small > 0 || w.Net.Slow > 0, "bytes come late and in small pieces"}, {w.Net.Window > 0, "windows are small"},
		{w.Drift != 0 || len(w.Drifts) > 0, "clocks drift"},
	} {
		if x.on {
			all = append(all, x.what)
		}
	}
	return all
}

// setting describes everything else: topics, clients, the world.
func (p *Plan) setting() []string {
	var all []string
	for _, t := range p.Topics {
		s := fmt.Sprintf("topic %s: %s, %s", t.Name, plural(int(t.Partitions), "partition"), plural(int(t.Replicas), "replica"))
		for i := 0; i+1 < len(t.Configs); i += 2 {
			s += ", " + t.Configs[i] + "=" + t.Configs[i+1]
		}
		all = append(all, s)
	}
	for _, a := range p.Actors {
		s := a.Kind
		if a.Kind == "producer" {
			s = fmt.Sprintf("producer, acks=%d", a.Acks)
			if a.Idempotent {
				s += ", idempotent"
			}
			if a.Rules != client.Java {
				s += ", by the rules of " + string(a.Rules)
			}
			s += fmt.Sprintf(", up to %d batches ahead of up to %d records", a.Depth, a.Records)
		}
		all = append(all, s)
	}
	if slow := p.World.slowness(); len(slow) > 0 {
		all = append(all, strings.Join(slow, "; "))
	}
	return all
}

// isDisk says that a kind of fault, of a plan or of the world, strikes a disk.
func isDisk(kind string) bool {
	for _, word := range []string{"disk", "sync", "write", "read", "sector", "rot", "space", faultWipe, faultStale} {
		if strings.Contains(kind, word) {
			return true
		}
	}
	return false
}

// worldWords describes a fault that the world drew, on a node.
func worldWords(node, kind string) string {
	if node == "" {
		return kind
	}
	return fmt.Sprintf("%s: %s", node, kind)
}
