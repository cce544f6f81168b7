package group

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"pgregory.net/rapid"
)

// TestMigrationModel lets clients of both protocols share a group, each of them changing its protocol now and then, with
// appends that are applied late or fail, crashes, and a topic that grows. It holds against it:
//
//	a partition has at most one owner among the clients that may think they have it
//	every request is answered once
//	the image is the log's, and the leader's groups are the image's when nothing is open
//	in the end each partition has an owner, and the group is of the protocol of its clients
func TestMigrationModel(t *testing.T) { rapid.Check(t, runMigrationModel) }

func runMigrationModel(t *rapid.T) {
	m := newMigrationModel(t)
	t.Repeat(map[string]func(*rapid.T){
		"step":     func(t *rapid.T) { m.step(m.any(t)) },
		"step all": func(*rapid.T) { m.stepAll() },
		"settle":   func(*rapid.T) { m.settle() },
		"restart":  func(t *rapid.T) { m.begin(m.any(t), rapid.Bool().Draw(t, "classic")) },
		"leave":    func(t *rapid.T) { m.leave(m.any(t)) },
		"pass":     func(t *rapid.T) { m.w.advance(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond) },
		"grow":     func(*rapid.T) { m.grow() },
		"apply":    func(*rapid.T) { m.apply() },
		"fail":     func(*rapid.T) { m.fail() },
		"crash":    m.crash,
		"":         m.check,
	})
	m.quiet(t)
}

// migrant is a client that speaks either protocol. The classic one it speaks as an eager or as a cooperative consumer does.
type migrant struct {
	n        int
	classic  bool
	id       string
	instance string
	epoch    int32  // or generation
	state    string // "new", "joined": needs its assignment, "stable"
	leads    []JoinedMember
	counted  int32 // of the topic's partitions when it became the leader of a classic group, 0: it is not
	owned    partitions
	reports  bool // has something to report
	until    host.Instant
	answer   uint64
	sent     host.Instant
}

type migrationModel struct {
	t     *rapid.T
	w     *world
	topic Topic
	// cooperative says what classic clients are, all of them.
	cooperative bool
	clients     []*migrant
	asked       map[uint64]*migrant
	lives       int
}

func newMigrationModel(t *rapid.T) *migrationModel {
	config := DefaultConfig()
	config.InitialRebalanceDelay = 0
	config.ConsumerSession = Bounds{6 * time.Second, time.Second, time.Minute}
	config.ConsumerAssignment = Bounds{0, 0, time.Minute}
	config.OffsetsRetentionInterval = 24 * time.Hour
	m := &migrationModel{t: t, w: newWorld(config), asked: map[uint64]*migrant{}, cooperative: rapid.Bool().Draw(t, "cooperative")}
	cluster := (*testCluster)(nil).with("t", 4)
	m.topic, _ = cluster.Topic("t")
	m.w.cluster = cluster
	for i := range 4 {
		c := &migrant{n: i, state: "new"}
		if i == 3 {
			c.instance = "i"
		}
		m.clients = append(m.clients, c)
	}
	m.w.hold = rapid.Bool().Draw(t, "hold")
	m.w.seen = m.seen
	m.w.c.SetCluster(cluster, true)
	m.w.handle(m.w.c.Elect(m.w.time()))
	return m
}

func (m *migrationModel) any(t *rapid.T) *migrant {
	return rapid.SampledFrom(m.clients).Draw(t, "client")
}

func (m *migrationModel) stepAll() {
	for _, c := range m.clients {
		if c.id != "" || c.state != "new" {
			m.step(c)
		}
	}
}

// settle lets the clients go on for a while without trouble.
func (m *migrationModel) settle() {
	for range 5 {
		m.stepAll()
		m.w.commitAll()
		m.w.advance(100 * time.Millisecond)
	}
}

func (m *migrationModel) ask(c *migrant, r Request) {
	c.answer, c.sent = m.w.tag+1, m.w.now
	m.asked[c.answer] = c
	m.w.ask(r)
}

// begin is a new process of the client; a static one keeps its instance id.
func (m *migrationModel) begin(c *migrant, classic bool) {
	m.lives++
	c.classic, c.epoch, c.state, c.owned, c.leads, c.counted = classic, 0, "new", nil, nil, 0
	if c.id = ""; !classic {
		c.id = fmt.Sprintf("m%d-%d", c.n, m.lives)
	}
	c.answer = 0
	m.step(c)
}

// step does what the client has to do next.
func (m *migrationModel) step(c *migrant) {
	if m.w.asked[c.answer] != nil {
		return // it waits
	}
	switch {
	case !c.classic && c.id == "":
		m.begin(c, false)
	case !c.classic:
		r := &ConsumerHeartbeatRequest{GroupID: "g", MemberID: c.id, MemberEpoch: c.epoch, RebalanceTimeoutMs: -1, ClientID: "c",
			ClientHost: "/192.0.2.1"}
		if c.instance != "" {
			r.InstanceID = &c.instance
		}
		if c.state == "new" || c.reports {
			r.RebalanceTimeoutMs, r.TopicNames = 4000, []string{"t"}
			r.Owned = append([]TopicPartitions{}, c.owned.byTopic()...)
		}
		m.ask(c, r)
	case c.state == "new" || c.state == "stable" && c.counted != 0 && c.counted != m.topic.Partitions:
		if c.state, c.counted = "new", 0; !m.cooperative {
			c.owned = nil // an eager consumer gives all back before it joins
		}
		m.ask(c, &JoinRequest{GroupID: "g", MemberID: c.id, InstanceID: c.instance, ClientID: "c", ClientHost: "/192.0.2.1",
			ProtocolType: "consumer", Protocols: []Protocol{{"range", c.subscription()}}, SessionTimeout: 6 * time.Second,
			RebalanceTimeout: 4 * time.Second, RequireMemberID: true, CanSkipAssignment: true})
	case c.state == "joined":
		r := &SyncRequest{GroupID: "g", MemberID: c.id, InstanceID: c.instance, Generation: c.epoch, ProtocolType: "consumer", ProtocolName: "range"}
		for i, member := range c.leads {
			r.Assignments = append(r.Assignments, Assignment{member.MemberID, m.w.c.classicAssignment(m.part(c.leads, i), member.Metadata)})
		}
		m.ask(c, r)
	default:
		m.ask(c, &HeartbeatRequest{GroupID: "g", MemberID: c.id, InstanceID: c.instance, Generation: c.epoch})
	}
}

// subscription is what a classic client says of itself.
func (c *migrant) subscription() []byte {
	s := &wire.ConsumerProtocolSubscription{Topics: []string{"t"}, GenerationId: c.epoch}
	for _, p := range c.owned {
		s.OwnedPartitions = append(s.OwnedPartitions, wire.ConsumerProtocolSubscriptionTopicPartition{Topic: "t", Partitions: []int32{p.index}})
	}
	b, err := encode(2, 2, s)
	if err != nil {
		panic(err)
	}
	return b
}

// part is what the leader gives to one of the members: nothing that another one says it has.
func (m *migrationModel) part(members []JoinedMember, i int) partitions {
	var set partitions
	for p := range m.topic.Partitions {
		id := partitionID{m.topic.ID, p}
		free := int(p)%len(members) == i
		for j, o := range members {
			if s, _ := readSubscription(o.Metadata); j != i && m.w.c.ownedByName(s).has(id) {
				free = false
			}
		}
		if free {
			set = append(set, id)
		}
	}
	return set
}

func (m *migrationModel) leave(c *migrant) {
	if c.id == "" {
		return
	}
	if c.classic {
		m.w.ask(&LeaveRequest{GroupID: "g", Members: []LeavingMember{{MemberID: c.id, InstanceID: c.instance}}})
	} else {
		r := &ConsumerHeartbeatRequest{GroupID: "g", MemberID: c.id, MemberEpoch: leavingEpoch, RebalanceTimeoutMs: -1}
		if c.instance != "" {
			r.InstanceID, r.MemberEpoch = &c.instance, awayEpoch
		}
		m.w.ask(r)
	}
	c.id, c.state, c.owned, c.answer = "", "new", nil, 0
}

func (m *migrationModel) seen(tag uint64, r Request, answer Response) {
	c := m.asked[tag]
	if c == nil || c.answer != tag {
		return
	}
	lost := func() { c.id, c.state, c.owned, c.epoch = "", "new", nil, 0 }
	switch a := answer.(type) {
	case *ConsumerHeartbeatResponse:
		switch a.Error {
		case wire.ErrNone:
			c.epoch, c.state, c.reports = a.MemberEpoch, "stable", a.Assigned
			if a.Assigned {
				c.owned = fromTopics(a.Assignment)
			}
			m.heard(c)
		case wire.ErrCoordinatorNotAvailable, wire.ErrNotCoordinator:
		default:
			lost()
		}
	case *JoinResponse:
		switch a.Error {
		case wire.ErrNone:
			c.id, c.epoch, c.state, c.leads, c.counted = a.MemberID, a.Generation, "joined", nil, 0
			if a.Leader == a.MemberID {
				c.counted = m.topic.Partitions
			}
			c.leads = a.Members
			if a.Leader != a.MemberID || a.SkipAssignment {
				c.leads = nil
			}
			if a.SkipAssignment {
				c.counted = -1 // it does not know for how many that was
			}
		case wire.ErrMemberIdRequired:
			c.id = a.MemberID
		case wire.ErrCoordinatorNotAvailable, wire.ErrNotCoordinator, wire.ErrRebalanceInProgress:
		default:
			lost()
		}
	case *SyncResponse:
		switch a.Error {
		case wire.ErrNone:
			var owned partitions
			if parsed, ok := readAssignment(a.Assignment); ok {
				for _, t := range parsed.AssignedPartitions {
					owned = append(owned, fromTopics([]TopicPartitions{{m.topic.ID, t.Partitions}})...)
				}
			}
			c.state = "stable"
			if slices.ContainsFunc(c.owned, func(p partitionID) bool { return !owned.has(p) }) {
				c.state = "new" // it says what it has given back
			}
			c.owned = owned
			m.heard(c)
		case wire.ErrUnknownMemberId, wire.ErrFencedInstanceId:
			lost()
		case wire.ErrCoordinatorNotAvailable, wire.ErrNotCoordinator:
		default:
			c.rejoins(a.Error)
		}
	case *HeartbeatResponse:
		switch a.Error {
		case wire.ErrNone:
			m.heard(c)
		case wire.ErrUnknownMemberId, wire.ErrFencedInstanceId:
			lost()
		case wire.ErrCoordinatorNotAvailable, wire.ErrNotCoordinator:
		default:
			c.rejoins(a.Error)
		}
	}
}

// rejoins makes a classic client join again. What it has it can keep only if the generation is the last that it knows.
func (c *migrant) rejoins(code ErrorCode) {
	if c.state = "new"; code != wire.ErrRebalanceInProgress {
		c.owned, c.epoch = nil, -1
	}
}

// heard says that the client has what it has, for as long as the coordinator must count with it.
func (m *migrationModel) heard(c *migrant) { c.until = c.sent.Add(4 * time.Second) }

// grow adds a partition to the topic, which the leader of a classic group sees by itself.
func (m *migrationModel) grow() {
	cluster := m.w.cluster.(*testCluster).with("t", min(m.topic.Partitions+1, 8))
	m.topic, _ = cluster.Topic("t")
	m.w.cluster = cluster
	m.w.c.SetCluster(cluster, false)
}

func (m *migrationModel) apply() {
	if len(m.w.open) > 0 {
		m.w.commitOne()
	}
}

func (m *migrationModel) fail() {
	if len(m.w.open) > 0 {
		m.w.failOne(wire.ErrNotEnoughReplicas)
	}
}

func (m *migrationModel) crash(t *rapid.T) {
	m.asked = map[uint64]*migrant{}
	for _, c := range m.clients {
		c.answer = 0
	}
	if err := m.w.restart(); err != nil {
		t.Fatal(err)
	}
}

func (m *migrationModel) check(t *rapid.T) {
	owner := map[partitionID]*migrant{}
	for _, c := range m.clients {
		for _, p := range c.owned {
			if m.w.now >= c.until {
				continue
			}
			if o := owner[p]; o != nil {
				t.Fatalf("%s belongs to client %d (%s, epoch %d) and to client %d (%s, epoch %d)", printPartition(p), o.n, o.id, o.epoch,
					c.n, c.id, c.epoch)
			}
			owner[p] = c
		}
	}
	again, err := replay(m.w.config, m.w.random, m.w.log)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := printImage(&again.image), printImage(&m.w.c.image); got != want {
		t.Fatalf("the log says\n%s\nthe coordinator has\n%s", got, want)
	}
	im, c := &m.w.c.image, m.w.c
	if im.consumers["g"] != nil && im.groups["g"] != nil {
		t.Fatalf("stored are groups of both kinds\n%s", printImage(im))
	}
	if c.busy("g") {
		return
	}
	if stored, live := im.consumers["g"], c.consumers["g"]; (stored == nil) != (live == nil) || stored != nil && printConsumer(stored) != printConsumer(live) {
		t.Fatalf("stored is %v, the leader has %v", stored, live)
	}
	if g := c.groups["g"]; g != nil {
		if c.consumers["g"] != nil {
			t.Fatalf("the leader has groups of both kinds")
		}
		checkGroup(t, m.w, g)
		checkTimers(t, c, "g")
	}
}

// quiet lets the clients do what they have to until nothing changes.
func (m *migrationModel) quiet(t *rapid.T) {
	m.w.hold = false
	m.w.commitAll()
	classics := 0
	for range 60 {
		classics = 0
		for _, c := range m.clients {
			if c.classic {
				classics++
			}
			m.step(c)
			m.step(c)
		}
		m.w.advance(500 * time.Millisecond)
		m.check(t)
	}
	got := map[partitionID]bool{}
	for _, c := range m.clients {
		for _, p := range c.owned {
			got[p] = true
		}
	}
	if len(got) != int(m.topic.Partitions) {
		t.Fatalf("assigned are %v of %d partitions\n%s\n%+v", got, m.topic.Partitions, printImage(&m.w.c.image), m.w.c.groups["g"])
	}
	if g := m.w.c.consumers["g"]; (g != nil) != (classics < len(m.clients)) {
		t.Fatalf("%d of %d clients are classic, and the group is %v", classics, len(m.clients), g)
	}
}
