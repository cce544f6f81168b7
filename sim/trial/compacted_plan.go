package trial

import (
	"fmt"
	"time"

	"millrace/sim"
)

// CompactedPlan is a compacted topic, with who writes keys to it and who reads it from its start.
type CompactedPlan struct {
	Name       string
	Partitions int32
	Replicas   int16
	// DeleteRetention is delete.retention.ms; Configs are its other configs besides cleanup.policy, name and value in turn.
	DeleteRetention time.Duration
	Configs         []string `json:",omitempty"`
	// Deletes says that retention may delete records, too.
	Deletes bool `json:",omitempty"`
	// Keepers write; Rebuilders read from the start to the end, as who makes a table of a topic.
	Keepers, Rebuilders []ActorPlan
	// Keys is how many keys a keeper has at most.
	Keys int64
}

// drawCompacted gives some plans a compacted topic.
func drawCompacted(d *sim.Draws, p *Plan) {
	if !d.Chance(0.45) {
		return
	}
	c := CompactedPlan{Name: "compacted", Partitions: int32(d.Between(1, 2)), Replicas: 1, Keys: d.Skewed(1, 60),
		DeleteRetention: time.Duration(sim.Pick(d, 0, d.Skewed(1, 1000), d.Skewed(500, 20_000), 60_000)) * time.Millisecond}
	if p.Nodes > 1 {
		c.Replicas = 3
	}
	c.Configs = []string{"min.cleanable.dirty.ratio", sim.Pick(d, "0", "0.1", "0.5")}
	if d.Chance(0.3) {
		c.Configs = append(c.Configs, "max.compaction.lag.ms", fmt.Sprint(d.Skewed(1, 5000)))
	} else if d.Chance(0.3) {
		c.Configs = append(c.Configs, "min.compaction.lag.ms", fmt.Sprint(d.Skewed(1, 1000)))
	}
	if c.Deletes = d.Chance(0.2); c.Deletes {
		c.Configs = append(c.Configs, "retention.bytes", fmt.Sprint(d.Skewed(2000, 50_000)))
	}
	for range d.Between(1, 2) {
		c.Keepers = append(c.Keepers, ActorPlan{Idempotent: d.Chance(0.8), Acks: -1, Depth: int(d.Between(1, 4)), Records: d.Skewed(1, 12),
			Bytes: d.Skewed(20, 800), Pause: time.Duration(d.Skewed(300, 30_000)) * time.Microsecond, OldVersion: d.Chance(0.3),
			Codec: int(sim.Pick(d, 0, 0, 0, d.Between(1, 4))), First: int(d.Below(int64(p.Nodes)))})
	}
	for range d.Between(1, 2) {
		c.Rebuilders = append(c.Rebuilders, ActorPlan{Pause: time.Duration(d.Skewed(1000, 300_000)) * time.Microsecond, Sessions: d.Chance(0.5),
			Bytes: d.Skewed(500, 1<<20), OldVersion: d.Chance(0.3), First: int(d.Below(int64(p.Nodes)))})
	}
	p.Compacted = append(p.Compacted, c)
	for _, b := range []*BrokerPlan{&p.Broker, p.Other} {
		if b != nil {
			b.CleanInterval = time.Duration(d.Skewed(100, 3000)) * time.Millisecond
			b.CleanMemory = sim.Pick(d, int64(0), d.Skewed(1, 5000))
		}
	}
}

// configs are what the topic is created with.
func (c *CompactedPlan) configs() []string {
	policy := "compact"
	if c.Deletes {
		policy = "compact,delete"
	}
	return append([]string{"cleanup.policy", policy, "delete.retention.ms", fmt.Sprint(c.DeleteRetention.Milliseconds())}, c.Configs...)
}

// wallMoves says that wall clocks jump in the plan: then delete horizons come when they like.
func (p *Plan) wallMoves() bool { return p.World.WallJumps > 0 || p.has(faultWall) }

// fewerCompacted leaves compacted topics out.
func fewerCompacted(p *Plan) []*Plan {
	return without(p, len(p.Compacted), func(c *Plan, from, to int) { c.Compacted = append(c.Compacted[:from], c.Compacted[to:]...) })
}
