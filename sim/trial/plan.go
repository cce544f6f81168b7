package trial

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"millrace/net/server"
	"millrace/node"
	"millrace/sim"
	"millrace/sim/client"
)

// Plan is everything that a trial does besides the inner draws of its world.
type Plan struct {
	Seed   uint64
	Nodes  int // 1, 3 or 5
	Target int // acknowledged records at which the load may end
	World  WorldPlan
	Broker BrokerPlan
	// Beyond, if not nil, is what is lost in the end, more than can be repaired; see beyond.go.
	Beyond *BeyondPlan `json:",omitempty"`
	// Other, if not nil, are the options of every other start of each broker.
	Other  *BrokerPlan `json:",omitempty"`
	Topics []TopicPlan
	Actors []ActorPlan
	// Compacted are topics that are compacted; see compacted.go.
	Compacted []CompactedPlan `json:",omitempty"`
	Crashes   []CrashPlan
	// Lulls are times without load; see lulls.go.
	Lulls []LullPlan `json:",omitempty"`
	// Faults come beside the crashes; see faults.go.
	Faults []FaultPlan `json:",omitempty"`
	// Reseed, if not nil, lets everything that the world draws from a time on be drawn anew.
	Reseed *ReseedPlan `json:",omitempty"`
}

// ReseedPlan is a time, and which of the other ways is taken from there on.
type ReseedPlan struct {
	At     time.Duration
	Number uint64
}

// WorldPlan are the options of the world.
type WorldPlan struct {
	Keep       float64 // 0: drawn by the world
	Priorities bool
	// Changes and Over are those of sim.Options.
	Changes   int    `json:",omitempty"`
	Over      uint64 `json:",omitempty"`
	Spurious  float64
	Net       sim.NetProfile
	SlowDisks float64
	DiskTimes int64 // how much longer than usual syncs take
	FailSyncs float64
	Clogs     int
	WallJumps int
	FullDisks int // how often the disk is nearly full for a while
	Drift     int64
	Drifts    []int64 `json:",omitempty"` // of the nodes after the first
	// Steps bounds the yields of the run; 0 means 30 million.
	Steps uint64 `json:",omitempty"`
}

// TopicPlan is a topic of the load.
type TopicPlan struct {
	Name       string
	Partitions int32
	Replicas   int16
	Configs    []string // name and value in turn
	// Empties says that records may go: by retention or DeleteRecords.
	Empties bool
	// AppendTime says that the broker sets the timestamps.
	AppendTime bool
}

// ActorPlan is one client.
type ActorPlan struct {
	Kind       string // producer, consumer, admin, looker, offsets, and those of kind* in this package
	Idempotent bool
	Acks       int16
	Depth      int   // batches that wait at most
	Records    int64 // per batch at most
	Bytes      int64 // per record at most
	Pause      time.Duration
	Sticky     bool // stays with a partition for a while
	Retries    bool `json:",omitempty"` // a producer that is not idempotent sends again what was refused for now
	// Rules are whose conclusions a producer draws: the Java client's, or "librdkafka". InFlight is how many requests it has under
	// way to one broker, 0 for five; Delivery after what time it gives a batch up, 0 for delivery.
	Rules      client.Rules  `json:",omitempty"`
	InFlight   int           `json:",omitempty"`
	Delivery   time.Duration `json:",omitempty"`
	Timeout    time.Duration `json:",omitempty"` // of a client's requests, 0 for two seconds
	Sessions   bool
	Back       float64       // probability of going back after a fetch, to read something again
	Jump       float64       `json:",omitempty"` // probability of going to the end after a fetch
	Rejoin     float64       `json:",omitempty"` // probability of beginning anew at the end, with another client
	Stalls     float64       `json:",omitempty"` // probability that it stands still before it reads an answer
	Lazy       time.Duration // before each piece of a large answer is read
	Codec      int
	OldVersion bool   // draws API versions instead of using the highest
	Epochs     bool   // sends the leader epochs that it knows
	First      int    // the broker that it asks first
	Rack       string `json:",omitempty"`
	// Member is what a member of a group is; see group_plan.go.
	Member *MemberPlan `json:",omitempty"`
}

// CrashPlan is one crash.
type CrashPlan struct {
	// Node is who crashes, from 1 on, or -1 for whoever leads the first partition. All cuts the power of every node at that moment.
	Node int
	All  bool
	// After is how many more records are acknowledged before it is armed. AtStart arms it together with the start that
	// follows the crash before it, so that it strikes recovery.
	After   int
	AtStart bool
	At      sim.CrashPoint
	Down    time.Duration
}

// String is the plan as JSON.
func (p *Plan) String() string {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b)
}

// ReadPlan reads what String wrote.
func ReadPlan(b []byte) (*Plan, error) {
	p := new(Plan)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if p.Nodes != 1 && p.Nodes != 3 && p.Nodes != 5 {
		return nil, fmt.Errorf("read plan: %d nodes instead of 1, 3 or 5", p.Nodes)
	}
	for _, c := range p.Crashes {
		if c.Node < theLeader || c.Node == 0 || c.Node > p.Nodes {
			return nil, fmt.Errorf("read plan: a crash of node %d of %d", c.Node, p.Nodes)
		}
	}
	if p.Beyond != nil {
		if err := p.Beyond.check(p.Nodes); err != nil {
			return nil, fmt.Errorf("read plan: %w", err)
		}
	}
	for _, f := range p.Faults {
		if err := f.check(p.Nodes); err != nil {
			return nil, fmt.Errorf("read plan: %w", err)
		}
	}
	return p, nil
}

// Draw makes the plan of a seed.
func Draw(seed uint64) *Plan { return DrawNodes(seed, 0) }

// DrawNodes makes the plan of a seed with a number of nodes; 0 draws that, too.
func DrawNodes(seed uint64, nodes int) *Plan {
	d := sim.NewDraws(seed, "plan")
	p := &Plan{Seed: seed, Nodes: nodes, Target: 200 + int(d.Below(60))}
	if nodes == 0 {
		p.Nodes = sim.Pick(sim.NewDraws(seed, "plan/nodes"), 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 5)
	}
	p.World = drawWorld(sim.NewDraws(seed, "plan/world"))
	p.Broker = drawBroker(sim.NewDraws(seed, "plan/broker"))
	p.Topics = drawTopics(sim.NewDraws(seed, "plan/topics"))
	p.Actors = drawActors(sim.NewDraws(seed, "plan/actors"))
	p.Crashes = drawCrashes(sim.NewDraws(seed, "plan/crashes"), p.Target)
	if p.Nodes > 1 {
		p.cluster(seed)
	}
	p.drawChanges(sim.NewDraws(seed, "plan/changes"))
	drawRetries(sim.NewDraws(seed, "plan/retries"), p)
	drawRules(sim.NewDraws(seed, "plan/rules"), p)
	drawGroups(sim.NewDraws(seed, "plan/groups"), p)
	drawCompacted(sim.NewDraws(seed, "plan/compacted"), p)
	drawMetadata(sim.NewDraws(seed, "plan/metadata"), p)
	drawForgetters(sim.NewDraws(seed, "plan/forgetters"), p)
	p.drawOther(sim.NewDraws(seed, "plan/other"))
	drawKnobs(sim.NewDraws(seed, "plan/knobs"), p)
	p.drawLulls(sim.NewDraws(seed, "plan/lulls"))
	return p
}

// drawWorld switches most kinds of fault off, and the rest on at any strength.
func drawWorld(d *sim.Draws) WorldPlan {
	var w WorldPlan
	some := func(p, low, high float64) float64 {
		if !d.Chance(p) {
			return 0
		}
		return low + (high-low)*float64(d.Below(1000))/1000
	}
	w.Priorities = d.Chance(0.2)
	w.Spurious = some(0.3, 0.001, 0.05)
	w.SlowDisks = some(0.5, 0.001, 0.1)
	w.DiskTimes = 1
	if d.Chance(0.3) {
		w.DiskTimes = d.Skewed(2, 30)
	}
	w.FailSyncs = some(0.1, 0.0005, 0.005)
	w.Net = sim.NetProfile{Refuse: some(0.3, 0.01, 0.3), Reset: some(0.4, 0.02, 0.3), ResetWithin: d.Skewed(2000, 100_000),
		Small: some(0.5, 0.1, 1), Slow: some(0.3, 0.001, 0.1)}
	if d.Chance(0.3) {
		w.Net.Window = d.Skewed(200, 4000)
	}
	if d.Chance(0.3) {
		w.Clogs = 1 + int(d.Below(3))
	}
	if d.Chance(0.3) {
		w.WallJumps = 1 + int(d.Below(3))
	}
	if d.Chance(0.15) {
		w.FullDisks = 1 + int(d.Below(2))
	}
	if d.Chance(0.5) {
		w.Drift = d.Between(-5000, 5000)
	}
	return w
}

// BrokerPlan are the broker's options. Everything is small, so that files roll and checkpoints pass every few operations.
type BrokerPlan struct {
	Lanes                                    int
	WALFileBytes, WALFirstBytes, WALMaxBytes int64
	CheckpointBytes                          int64
	CheckpointInterval                       time.Duration
	CacheBytes                               int64
	SmallestChunkBytes, LargestChunkBytes    int
	IndexInterval                            int
	SegmentBytes                             int64
	RetentionInterval                        time.Duration
	ReserveHigh, ReserveLow                  int64
	OffsetsPartitions                        int
	Racks                                    int           `json:",omitempty"` // the nodes are spread over so many
	FillRate, ScrubRate                      int64         `json:",omitempty"`
	ScrubInterval                            time.Duration `json:",omitempty"`
	// SessionTimeout and PreferredInterval are broker.session.timeout.ms and leader.imbalance.check.interval.seconds.
	SessionTimeout, PreferredInterval time.Duration `json:",omitempty"`
	// CleanInterval and CleanMemory are log.cleaner.backoff.ms and the memory for keys.
	CleanInterval time.Duration `json:",omitempty"`
	CleanMemory   int64         `json:",omitempty"`
	// EntryBytes bounds a raft entry, InFlightRequests those of one connection; 0 is what brokers have by default.
	EntryBytes       int `json:",omitempty"`
	InFlightRequests int `json:",omitempty"`
	// Properties are further configs of the broker.
	Properties map[string]string `json:",omitempty"`
}

// config is what a broker of some is started with.
func (b *BrokerPlan) config(id, nodes int) node.Config {
	c := node.Config{Listen: fmt.Sprintf("n%d:9092", id), NodeID: int32(id), Lanes: b.Lanes,
		WALFileBytes: b.WALFileBytes, WALFirstBytes: b.WALFirstBytes, WALMaxBytes: b.WALMaxBytes,
		CheckpointBytes: b.CheckpointBytes, CheckpointInterval: b.CheckpointInterval, CacheBytes: b.CacheBytes,
		SmallestChunkBytes: b.SmallestChunkBytes, LargestChunkBytes: b.LargestChunkBytes, IndexInterval: b.IndexInterval,
		CleanInterval: b.CleanInterval, CleanMemory: b.CleanMemory,
		SegmentBytes: b.SegmentBytes, RetentionInterval: b.RetentionInterval, ReserveHigh: b.ReserveHigh, ReserveLow: b.ReserveLow,
		EntryBytes: b.EntryBytes, Server: server.Options{InFlightRequests: b.InFlightRequests},
		Properties: map[string]string{"offsets.topic.num.partitions": fmt.Sprint(b.OffsetsPartitions)},
	}
	maps.Copy(c.Properties, b.Properties)
	if nodes > 1 {
		c.Secret = []byte("a secret of the trial")
		c.Properties["offsets.topic.replication.factor"] = "3"
		c.Properties["broker.session.timeout.ms"] = fmt.Sprint(b.SessionTimeout.Milliseconds())
		c.Properties["leader.imbalance.check.interval.seconds"] = fmt.Sprint(int(b.PreferredInterval.Seconds()))
		if b.Racks > 0 {
			c.Rack = rack(id % b.Racks)
		}
		c.FillRate, c.ScrubRate, c.ScrubInterval = b.FillRate, b.ScrubRate, b.ScrubInterval
		for i := range nodes {
			c.Peers = append(c.Peers, node.Peer{Node: int32(i + 1), Addr: fmt.Sprintf("n%d:9093", i+1)})
		}
	}
	return c
}

func rack(i int) string { return fmt.Sprintf("rack-%d", i) }

func drawBroker(d *sim.Draws) BrokerPlan {
	wal := d.Skewed(64<<10, 512<<10) &^ 4095
	return BrokerPlan{Lanes: int(d.Between(1, 3)),
		WALFileBytes: wal, WALFirstBytes: max(16<<10, wal/4) &^ 4095, WALMaxBytes: wal * d.Between(4, 8),
		CheckpointBytes: d.Skewed(16<<10, wal), CheckpointInterval: time.Duration(d.Skewed(20, 2000)) * time.Millisecond,
		CacheBytes: d.Skewed(4<<10, 1<<20), SmallestChunkBytes: 4096, LargestChunkBytes: 4096 << d.Below(4),
		IndexInterval: int(d.Skewed(64, 4096)), SegmentBytes: d.Skewed(400, 8<<10),
		RetentionInterval: time.Duration(d.Skewed(50, 3000)) * time.Millisecond,
		// More than what comes between two looks at the free space.
		ReserveHigh: 2*wal + 4<<20, ReserveLow: wal + 2<<20,
		OffsetsPartitions: int(d.Between(1, 3)),
	}
}

// drawOther gives some plans brokers that come back with other options: those that an operator may change at any time.
func (p *Plan) drawOther(d *sim.Draws) {
	if !d.Chance(0.3) {
		return
	}
	other, o := p.Broker, drawBroker(d)
	other.CheckpointBytes, other.CheckpointInterval, other.CacheBytes = o.CheckpointBytes, o.CheckpointInterval, o.CacheBytes
	other.LargestChunkBytes, other.IndexInterval, other.SegmentBytes = o.LargestChunkBytes, o.IndexInterval, o.SegmentBytes
	other.RetentionInterval, other.WALFileBytes, other.WALFirstBytes, other.WALMaxBytes = o.RetentionInterval, o.WALFileBytes, o.WALFirstBytes, o.WALMaxBytes
	other.ReserveHigh, other.ReserveLow = max(other.ReserveHigh, o.ReserveHigh), max(other.ReserveLow, o.ReserveLow)
	p.Broker.ReserveHigh, p.Broker.ReserveLow = other.ReserveHigh, other.ReserveLow
	p.Other = &other
}

func drawTopics(d *sim.Draws) []TopicPlan {
	topics := make([]TopicPlan, d.Between(1, 3))
	for i := range topics {
		t := TopicPlan{Name: fmt.Sprintf("t%d", i), Partitions: int32(d.Between(1, 3)), Replicas: 1, Empties: d.Chance(0.5)}
		if d.Chance(0.25) {
			t.AppendTime = true
			t.Configs = append(t.Configs, "message.timestamp.type", "LogAppendTime")
		}
		if t.Empties && d.Chance(0.5) {
			t.Configs = append(t.Configs, "retention.bytes", fmt.Sprint(d.Skewed(2000, 50_000)))
		}
		topics[i] = t
	}
	return topics
}

func drawActors(d *sim.Draws) []ActorPlan {
	var actors []ActorPlan
	for i := range d.Between(2, 4) {
		a := ActorPlan{Kind: "producer", Idempotent: d.Chance(0.7), Acks: -1, Depth: int(d.Between(1, 8)), Records: d.Skewed(1, 12),
			Bytes: d.Skewed(20, 1500), Pause: time.Duration(d.Skewed(300, 30_000)) * time.Microsecond, OldVersion: d.Chance(0.3)}
		if !a.Idempotent {
			a.Acks = sim.Pick[int16](d, -1, -1, 1, 1, 0)
		}
		if a.Sticky = d.Chance(0.4); a.Sticky {
			a.Depth += 5
		}
		if a.Acks == 0 {
			a.Pause += 5 * time.Millisecond // nothing else holds it back
		}
		if i == 0 {
			a.Acks, a.Idempotent = -1, true
		}
		if d.Chance(0.2) {
			a.Codec = int(d.Between(1, 4))
		}
		actors = append(actors, a)
	}
	for range d.Between(1, 3) {
		a := ActorPlan{Kind: "consumer", Back: 0.03, Sessions: d.Chance(0.6), OldVersion: d.Chance(0.3),
			Pause: time.Duration(d.Skewed(1, 20_000)) * time.Microsecond, Bytes: d.Skewed(100, 1<<20)}
		if d.Chance(0.4) {
			a.Lazy = time.Duration(d.Skewed(1000, 50_000)) * time.Microsecond
			a.Bytes, a.Back = 1<<20, 0.5
		}
		actors = append(actors, a)
	}
	if stall := sim.NewDraws(d.Uint64(), "stalls"); stall.Chance(0.3) {
		actors[stall.Below(int64(len(actors)))].Stalls = float64(stall.Skewed(1, 20)) / 1000
	}
	if d.Chance(0.7) {
		actors = append(actors, ActorPlan{Kind: "admin", OldVersion: d.Chance(0.3), Pause: time.Duration(d.Skewed(2000, 200_000)) * time.Microsecond})
	}
	if d.Chance(0.5) {
		actors = append(actors, ActorPlan{Kind: "offsets", OldVersion: d.Chance(0.3), Pause: time.Duration(d.Skewed(1000, 50_000)) * time.Microsecond})
	}
	return actors
}

func drawCrashes(d *sim.Draws, target int) []CrashPlan {
	crashes := make([]CrashPlan, d.Between(2, 4))
	share := target / (len(crashes) + 1)
	for i := range crashes {
		c := CrashPlan{Node: 1, After: int(d.Between(1, int64(share))), Down: time.Duration(d.Skewed(1000, 300_000)) * time.Microsecond}
		c.At.How = sim.Pick(d, sim.Power, sim.Power, sim.Power, sim.Kill)
		c.At.Point = sim.Pick(d, sim.PointYield, sim.PointSend, sim.PointSend, sim.PointWrite, sim.PointSync, sim.PointSynced, sim.PointName, sim.PointRemoved)
		switch c.At.Point {
		case sim.PointYield:
			c.At.Count = uint64(d.Skewed(1, 20_000))
		case sim.PointName, sim.PointRemoved:
			c.At.Count = uint64(d.Skewed(1, 8))
		default:
			c.At.Count = uint64(d.Skewed(1, 30))
		}
		c.AtStart = i > 0 && d.Chance(0.2)
		crashes[i] = c
	}
	return crashes
}
