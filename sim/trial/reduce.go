package trial

import (
	"encoding/json"
	"slices"

	"millrace/sim"
	"millrace/sim/client"
)

// clone copies a plan.
func (p *Plan) clone(change func(*Plan)) *Plan {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	c := new(Plan)
	if err := json.Unmarshal(text, c); err != nil {
		panic(err)
	}
	change(c)
	return c
}

// With is the plan with another seed: the same load and faults, and everything else drawn anew.
func (p *Plan) With(seed uint64) *Plan { return p.clone(func(c *Plan) { c.Seed = seed }) }

// Reseeded is the plan with everything drawn anew from a time on.
func (p *Plan) Reseeded(r ReseedPlan) *Plan { return p.clone(func(c *Plan) { c.Reseed = &r }) }

// Reductions are the ways in which a plan can be made smaller, the most telling one first. Each returns plans, the
// smallest first, none of which is the plan itself.
func Reductions() []func(*Plan) []*Plan {
	return []func(*Plan) []*Plan{fewerFaults, fewerCrashes, calmer, fewerNodes, fewerActors, fewerCompacted, fewerTopics, plainer}
}

// Removals are those of them that leave out faults: what is worth trying with other seeds, too.
func Removals() []func(*Plan) []*Plan {
	return []func(*Plan) []*Plan{fewerFaults, fewerCrashes, calmer}
}

func fewerFaults(p *Plan) []*Plan {
	return without(p, len(p.Faults), func(c *Plan, from, to int) { c.Faults = slices.Delete(c.Faults, from, to) })
}

// fewerCrashes leaves crashes out; what comes behind them keeps its time.
func fewerCrashes(p *Plan) []*Plan {
	return without(p, len(p.Crashes), func(c *Plan, from, to int) {
		if to < len(c.Crashes) {
			next := &c.Crashes[to]
			for _, x := range c.Crashes[from:to] {
				next.After += x.After
			}
			next.AtStart = next.AtStart && from > 0 && c.Crashes[from-1].Node == next.Node
		}
		c.Crashes = slices.Delete(c.Crashes, from, to)
	})
}

// fewerActors leaves clients out, but for one producer that waits for all replicas: without any nothing happens.
func fewerActors(p *Plan) []*Plan {
	plans := without(p, len(p.Actors), func(c *Plan, from, to int) { c.Actors = slices.Delete(c.Actors, from, to) })
	return slices.DeleteFunc(plans, func(c *Plan) bool {
		return !slices.ContainsFunc(c.Actors, func(a ActorPlan) bool { return a.Kind == "producer" && a.Acks == -1 })
	})
}

func fewerTopics(p *Plan) []*Plan {
	plans := without(p, len(p.Topics), func(c *Plan, from, to int) { c.Topics = slices.Delete(c.Topics, from, to) })
	return slices.DeleteFunc(plans, func(c *Plan) bool { return len(c.Topics) == 0 })
}

// without leaves out pieces of a list of n: all, halves, quarters, single ones.
func without(p *Plan, n int, drop func(c *Plan, from, to int)) []*Plan {
	var plans []*Plan
	for size := n; size >= 1; size /= 2 {
		for from := 0; from < n; from += size {
			plans = append(plans, p.clone(func(c *Plan) { drop(c, from, min(n, from+size)) }))
		}
	}
	return plans
}

// fewerNodes takes the last nodes out of a cluster, with what strikes them.
func fewerNodes(p *Plan) []*Plan {
	var plans []*Plan
	for _, n := range []int{1, 3} {
		if n >= p.Nodes {
			continue
		}
		plans = append(plans, p.clone(func(c *Plan) { c.shrinkTo(n) }))
	}
	return plans
}

func (p *Plan) shrinkTo(n int) {
	p.Nodes = n
	p.World.Drifts = p.World.Drifts[:min(len(p.World.Drifts), n-1)]
	there := func(ids []int) []int { return slices.DeleteFunc(ids, func(id int) bool { return id > n }) }
	for i := range p.Faults {
		f := &p.Faults[i]
		had := len(f.To) > 0
		if f.From, f.To = there(f.From), there(f.To); had && len(f.To) == 0 {
			f.From = nil
		}
	}
	p.Faults = slices.DeleteFunc(p.Faults, func(f FaultPlan) bool { return len(f.From) == 0 || n == 1 && f.lossy() })
	for i := range p.Crashes {
		c := &p.Crashes[i]
		c.Node = (c.Node-1)%n + 1
	}
	for i := range p.Topics {
		t := &p.Topics[i]
		t.Replicas = min(t.Replicas, int16(n))
		if k := slices.Index(t.Configs, "min.insync.replicas"); k >= 0 && n == 1 {
			t.Configs = slices.Delete(t.Configs, k, k+2)
		}
	}
	for i := range p.Actors {
		p.Actors[i].First %= n
	}
}

// changed applies each change alone, and leaves out those that change nothing.
func changed(p *Plan, changes []func(*Plan)) []*Plan {
	var plans []*Plan
	was, _ := json.Marshal(p)
	for _, change := range changes {
		c := p.clone(change)
		if now, _ := json.Marshal(c); string(now) != string(was) {
			plans = append(plans, c)
		}
	}
	return plans
}

// calmer switches off what the world does beyond the usual, all of it and one after the other.
func calmer(p *Plan) []*Plan {
	single := []func(*Plan){
		func(p *Plan) { p.World.FailSyncs = 0 },
		func(p *Plan) { p.World.Net.Reset, p.World.Net.ResetWithin = 0, 0 },
		func(p *Plan) { p.World.Net.Refuse = 0 },
		func(p *Plan) { p.World.Clogs = 0 },
		func(p *Plan) { p.World.WallJumps = 0 },
		func(p *Plan) { p.World.FullDisks = 0 },
		func(p *Plan) { p.World.Net = sim.NetProfile{} },
		func(p *Plan) { p.World.Spurious = 0 },
		func(p *Plan) { p.World.SlowDisks, p.World.DiskTimes = 0, 1 },
		func(p *Plan) { p.World.Drift, p.World.Drifts = 0, nil },
		func(p *Plan) { p.World.Priorities = false },
	}
	all := func(p *Plan) {
		for _, change := range single {
			change(p)
		}
	}
	breaking := func(p *Plan) {
		for _, change := range single[:6] {
			change(p)
		}
	}
	return changed(p, append([]func(*Plan){all, breaking}, single...))
}

// plainer makes what is left usual: topics of one partition, clients and crashes without refinements.
func plainer(p *Plan) []*Plan {
	var changes []func(*Plan)
	for i := range p.Topics {
		changes = append(changes,
			func(p *Plan) { p.Topics[i].Partitions = 1 },
			func(p *Plan) { p.Topics[i].Configs, p.Topics[i].Empties, p.Topics[i].AppendTime = nil, false, false },
			func(p *Plan) {
				if !slices.Contains(p.Topics[i].Configs, "retention.bytes") {
					p.Topics[i].Empties = false
				}
			})
	}
	for i := range p.Actors {
		changes = append(changes, func(p *Plan) {
			a := &p.Actors[i]
			a.OldVersion, a.Lazy, a.Codec, a.Sessions, a.Epochs, a.Rack = false, 0, 0, false, false, ""
			a.Stalls = 0
		}, func(p *Plan) {
			a := &p.Actors[i]
			a.Depth, a.Records, a.Bytes = min(a.Depth, 1), min(a.Records, 1), min(a.Bytes, 100)
			a.Retries = false
		}, func(p *Plan) {
			a := &p.Actors[i]
			a.Rules, a.InFlight, a.Delivery, a.Timeout = client.Java, 0, 0, 0
		})
		if p.Actors[i].Member != nil {
			changes = append(changes,
				func(p *Plan) { p.Actors[i].Member.Restless = 0 },
				func(p *Plan) { p.Actors[i].Member.Slow = 0 },
				func(p *Plan) { p.Actors[i].Member.Instance = "" },
				func(p *Plan) { p.Actors[i].Member.Migrates = false },
				func(p *Plan) { p.Actors[i].Member.Assignor, p.Actors[i].Member.Pattern = "", "" })
		}
	}
	for i := range p.Crashes {
		changes = append(changes, func(p *Plan) { p.Crashes[i].AtStart = false }, func(p *Plan) { p.Crashes[i].All = false })
	}
	for i := range p.Faults {
		changes = append(changes, func(p *Plan) { p.Faults[i].For /= 4 })
	}
	changes = append(changes, func(p *Plan) { p.Broker.Racks = 0 },
		func(p *Plan) { p.Broker.EntryBytes, p.Broker.InFlightRequests, p.Broker.Properties = 0, 0, nil },
		func(p *Plan) { p.Other = nil }, func(p *Plan) { p.Lulls = nil }, func(p *Plan) { p.Beyond = nil })
	return changed(p, changes)
}
