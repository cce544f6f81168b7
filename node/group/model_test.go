package group

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"millrace/net/wire"
	"pgregory.net/rapid"
)

// TestModel lets members come, sync, commit, fall silent and leave in any order, with appends that are applied late or
// fail, and crashes, and holds against it:
//
//	a request is answered at most once, and, when everything is quiet, exactly once
//	the generations of a group that the log holds never go back, and neither do those that members are told, but for
//	  generations that no member was given an assignment in
//	in a generation there is one leader, one set of members and one assignment; a partition has at most one owner
//	an offset that was acknowledged is the one that is fetched, until another one is committed
//	the image is the log's: replaying it gives the same
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"join":      m.join,
			"rejoin":    m.rejoin,
			"sync":      m.sync,
			"heartbeat": m.heartbeat,
			"leave":     m.leave,
			"commit":    m.commit,
			"pass":      func(t *rapid.T) { m.w.advance(time.Duration(rapid.IntRange(0, 8000).Draw(t, "ms")) * time.Millisecond) },
			"apply":     m.apply,
			"fail":      m.fail,
			"crash":     m.crash,
			"resign":    m.resign,
			"delete":    m.delete,
			"":          m.check,
		})
		m.quiet()
	})
}

// client is somebody that joins groups, as the model sees it.
type client struct {
	group      string
	instance   string
	memberID   string
	generation int32
	leads      bool
	members    []string // as the leader was told
	joined     bool     // has been told of its generation
}

type model struct {
	t       *rapid.T
	w       *world
	clients []*client
	byTag   map[uint64]*client
	// The rest is by group.
	assigned map[string]map[int32]map[string]string // generation, member: the assignment it was given
	leaders  map[string]map[int32]string
	stored   map[string]int32 // the generation in the log
	lastSeen map[string]int32
	offsets  map[string]int64 // acknowledged
	maybe    map[string][]int64
}

func newModel(t *rapid.T) *model {
	config := DefaultConfig()
	config.InitialRebalanceDelay = time.Duration(rapid.SampledFrom([]int{0, 500}).Draw(t, "delay")) * time.Millisecond
	config.MaxSize = rapid.SampledFrom([]int{2, 3, 100}).Draw(t, "size")
	config.OffsetsRetentionInterval = 24 * time.Hour // a group that is cleaned up begins with generation 1 again
	m := &model{
		t: t, w: newWorld(config), byTag: map[uint64]*client{},
		assigned: map[string]map[int32]map[string]string{}, leaders: map[string]map[int32]string{},
		stored: map[string]int32{}, lastSeen: map[string]int32{}, offsets: map[string]int64{}, maybe: map[string][]int64{},
	}
	for i := range 6 {
		c := &client{group: []string{"g", "g", "g", "g", "h", "h"}[i]}
		if i%2 == 1 {
			c.instance = fmt.Sprintf("i%d", i/4) // two clients of g share an instance id: one fences the other
		}
		m.clients = append(m.clients, c)
	}
	m.w.hold = rapid.Bool().Draw(t, "hold")
	m.w.seen = m.seen
	m.w.handle(m.w.c.Elect(m.w.time()))
	return m
}

func (m *model) any(t *rapid.T) *client { return rapid.SampledFrom(m.clients).Draw(t, "client") }

func (m *model) ask(c *client, r Request) {
	m.byTag[m.w.tag+1] = c
	m.w.ask(r)
}

func (m *model) join(t *rapid.T) {
	c := m.any(t)
	m.ask(c, &JoinRequest{
		GroupID: c.group, MemberID: c.memberID, InstanceID: c.instance, ClientID: "c", ClientHost: "/192.0.2.1",
		ProtocolType:      "consumer",
		Protocols:         []Protocol{{"range", subscribe(rapid.SampledFrom([]string{"t", "u"}).Draw(t, "topic"))}},
		SessionTimeout:    time.Duration(rapid.SampledFrom([]int{6, 9}).Draw(t, "session")) * time.Second,
		RebalanceTimeout:  time.Duration(rapid.SampledFrom([]int{-1, 0, 4, 10}).Draw(t, "rebalance")) * time.Second,
		RequireMemberID:   rapid.Bool().Draw(t, "require"),
		CanSkipAssignment: rapid.Bool().Draw(t, "skip"),
	})
}

// rejoin is a client that lost its member id, as after a restart of its process.
func (m *model) rejoin(t *rapid.T) {
	c := m.any(t)
	*c = client{group: c.group, instance: c.instance}
	m.join(t)
}

func (m *model) sync(t *rapid.T) {
	c := m.any(t)
	r := &SyncRequest{GroupID: c.group, MemberID: c.memberID, InstanceID: c.instance, Generation: c.generation}
	if c.leads {
		// Partition i to the i-th member: what two members have in common has two owners.
		for i, id := range c.members {
			r.Assignments = append(r.Assignments, Assignment{id, fmt.Appendf(nil, "partition %d", i)})
		}
	}
	m.ask(c, r)
}

func (m *model) heartbeat(t *rapid.T) {
	c := m.any(t)
	m.ask(c, &HeartbeatRequest{GroupID: c.group, MemberID: c.memberID, InstanceID: c.instance, Generation: c.generation})
}

func (m *model) leave(t *rapid.T) {
	c := m.any(t)
	l := LeavingMember{MemberID: c.memberID, InstanceID: c.instance}
	m.ask(c, &LeaveRequest{GroupID: c.group, Members: []LeavingMember{l}})
}

func (m *model) commit(t *rapid.T) {
	c := m.any(t)
	offset := int64(m.w.tag + 1) // another one each time
	r := &OffsetCommitRequest{GroupID: c.group, MemberID: c.memberID, InstanceID: c.instance, Generation: c.generation,
		Retention: -1, Topics: []CommitTopic{{Topic: "t", Partitions: []CommitPartition{{Offset: offset}}}}}
	if rapid.Bool().Draw(t, "outside") {
		r.MemberID, r.InstanceID, r.Generation = "", "", -1
	}
	m.maybe[c.group] = append(m.maybe[c.group], offset)
	m.ask(c, r)
}

func (m *model) apply(t *rapid.T) {
	if len(m.w.open) > 0 {
		m.w.commitOne()
	}
}

func (m *model) fail(t *rapid.T) {
	if len(m.w.open) > 0 {
		m.w.failOne(wire.ErrNotEnoughReplicas)
	}
}

func (m *model) crash(t *rapid.T) {
	m.byTag = map[uint64]*client{}
	if err := m.w.restart(); err != nil {
		t.Fatal(err)
	}
	m.lastSeen = map[string]int32{} // generations that were not stored are given again
	m.leaders = map[string]map[int32]string{}
}

// resign hands over and comes back: what was open has its fate by then.
func (m *model) resign(t *rapid.T) {
	m.w.handle(m.w.c.Resign(m.w.time()))
	for len(m.w.open) > 0 {
		m.w.commitOne()
	}
	m.w.handle(m.w.c.Elect(m.w.time()))
	m.lastSeen = map[string]int32{}
	m.leaders = map[string]map[int32]string{}
	if len(m.w.asked) > 0 {
		t.Fatalf("after resigning and with nothing open, %d requests have no answer", len(m.w.asked))
	}
}

func (m *model) delete(t *rapid.T) {
	m.ask(m.any(t), &DeleteRequest{GroupIDs: []string{"g"}})
}

// seen checks an answer and lets its client learn from it.
func (m *model) seen(tag uint64, r Request, answer Response) {
	c := m.byTag[tag]
	switch a := answer.(type) {
	case *JoinResponse:
		m.joined(c, a)
	case *SyncResponse:
		if s := r.(*SyncRequest); a.Error == wire.ErrNone {
			m.gave(c.group, s.Generation, s.MemberID, string(a.Assignment))
		} else if a.Error == wire.ErrUnknownMemberId && s.MemberID == c.memberID {
			c.memberID = ""
		}
	case *HeartbeatResponse:
		if h := r.(*HeartbeatRequest); a.Error == wire.ErrUnknownMemberId && h.MemberID == c.memberID {
			c.memberID = ""
		}
	case *OffsetCommitResponse:
		if a.Topics[0].Partitions[0].Error == wire.ErrNone {
			m.offsets[c.group] = r.(*OffsetCommitRequest).Topics[0].Partitions[0].Offset
		}
	case *DeleteResponse:
		if a.Groups[0].Error == wire.ErrNone {
			// Offsets are numbered by their requests.
			if v, ok := m.w.c.image.offsets.get(offsetKey{"g", "t", 0}); ok && v.offset < int64(tag) {
				m.t.Fatalf("offset %d outlived the deletion of its group by request %d", v.offset, tag)
			}
			delete(m.offsets, "g")
			delete(m.lastSeen, "g") // a group of the same name starts from nothing
			delete(m.assigned, "g")
			delete(m.leaders, "g")
		}
	}
}

func (m *model) joined(c *client, a *JoinResponse) {
	switch a.Error {
	case wire.ErrNone:
		if a.Generation < m.lastSeen[c.group] {
			m.t.Fatalf("group %s: generation %d after %d", c.group, a.Generation, m.lastSeen[c.group])
		}
		m.lastSeen[c.group] = a.Generation
		c.memberID, c.generation, c.joined, c.members = a.MemberID, a.Generation, true, nil
		c.leads = a.Leader == a.MemberID && !a.SkipAssignment
		for _, j := range a.Members {
			c.members = append(c.members, j.MemberID)
		}
		if c.leads && !slices.Contains(c.members, c.memberID) {
			m.t.Fatalf("group %s: the leader is not among its members %v", c.group, c.members)
		}
		if c.leads {
			m.leads(c)
		}
	case wire.ErrMemberIdRequired:
		c.memberID = a.MemberID
	case wire.ErrUnknownMemberId, wire.ErrFencedInstanceId:
		*c = client{group: c.group, instance: c.instance}
	}
}

// leads checks that a generation has one leader.
func (m *model) leads(c *client) {
	if m.leaders[c.group] == nil {
		m.leaders[c.group] = map[int32]string{}
	}
	if other, ok := m.leaders[c.group][c.generation]; ok && other != c.memberID {
		m.t.Fatalf("group %s, generation %d: %s leads, and %s did", c.group, c.generation, c.memberID, other)
	}
	m.leaders[c.group][c.generation] = c.memberID
}

// gave checks that nobody else was given the same partition in the generation. A static member that came back has its
// predecessor's.
func (m *model) gave(group string, generation int32, member, assignment string) {
	if assignment == "" {
		return
	}
	if m.assigned[group] == nil {
		m.assigned[group] = map[int32]map[string]string{}
	}
	owners := m.assigned[group][generation]
	if owners == nil {
		owners = map[string]string{}
		m.assigned[group][generation] = owners
	}
	if other, ok := owners[assignment]; ok && prefix(other) != prefix(member) {
		m.t.Fatalf("group %s, generation %d: %q belongs to %s and to %s", group, generation, assignment, other, member)
	}
	if other, ok := owners[assignment]; ok && other != member && prefix(member) == "c" {
		m.t.Fatalf("group %s, generation %d: %q belongs to %s and to %s", group, generation, assignment, other, member)
	}
	owners[assignment] = member
}

// prefix is what a member id begins with: the client id or the instance id.
func prefix(id string) string { return id[:max(0, len(id)-37)] }

// check holds the invariants of the state.
func (m *model) check(t *rapid.T) {
	m.t = t
	m.checkLog(t)
	for id, offset := range m.offsets { // each by itself
		v, ok := m.w.c.image.offsets.get(offsetKey{id, "t", 0})
		if !ok {
			t.Fatalf("group %s: the acknowledged offset %d is gone", id, offset)
		}
		if v.offset != offset && !slices.Contains(m.maybe[id], v.offset) {
			t.Fatalf("group %s: offset %d, acknowledged was %d", id, v.offset, offset)
		}
		if v.offset < offset {
			t.Fatalf("group %s: offset %d, acknowledged was the later %d", id, v.offset, offset)
		}
	}
	for _, g := range m.w.c.sortedGroups() {
		checkGroup(t, m.w, g)
	}
}

// checkLog checks that the image is what the log says and that stored generations never go back.
func (m *model) checkLog(t *rapid.T) {
	again, err := replay(m.w.config, m.w.random, m.w.log)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := printImage(&again.image), printImage(&m.w.c.image); got != want {
		t.Fatalf("the log says\n%s\nthe coordinator has\n%s", got, want)
	}
	stored := map[string]int32{}
	for i, r := range m.w.log {
		key, err := decodeKey(r.Key)
		if err != nil {
			t.Fatal(err)
		}
		if key.kind != keyGroup {
			continue
		}
		if r.Value == nil {
			delete(stored, key.group)
			continue
		}
		v, err := decodeGroup(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		if v.Generation < stored[key.group] {
			t.Fatalf("log %d: generation %d of %s after %d", i, v.Generation, key.group, stored[key.group])
		}
		stored[key.group] = v.Generation
	}
}

func checkGroup(t *rapid.T, w *world, g *classic) {
	awaiting, offered := 0, map[string]int{}
	for _, m := range g.members {
		if m.joinTag != 0 {
			awaiting++
			if w.asked[m.joinTag] == nil {
				t.Fatalf("group %s: member %s waits for request %d, which does not", g.id, m.id, m.joinTag)
			}
		}
		for _, p := range m.protocols {
			offered[p.Name]++
		}
		if g.byID[m.id] != m || m.instanceID != "" && g.instances[m.instanceID] != m.id {
			t.Fatalf("group %s: member %s is not found by its ids", g.id, m.id)
		}
		if w.c.timers.byKey[memberTimer(g, m.id)] == nil && m.joinTag == 0 && m.syncTag == 0 {
			t.Fatalf("group %s: nothing ends the session of member %s", g.id, m.id)
		}
	}
	for instance, id := range g.instances { // each by itself
		if m := g.byID[id]; m == nil || m.instanceID != instance {
			t.Fatalf("group %s: instance %s is member %s, which is not", g.id, instance, id)
		}
	}
	if awaiting != g.awaiting || len(g.byID) != len(g.members) || fmt.Sprint(offered) != fmt.Sprint(g.offered) {
		t.Fatalf("group %s: awaiting %d (%d), by id %d (%d), offered %v (%v)", g.id, g.awaiting, awaiting,
			len(g.byID), len(g.members), g.offered, offered)
	}
	if (g.leader == "") != (len(g.members) == 0) || g.leader != "" && g.byID[g.leader] == nil {
		t.Fatalf("group %s: leader %q of %d members", g.id, g.leader, len(g.members))
	}
	if (g.state == empty) && len(g.members) > 0 {
		t.Fatalf("group %s is empty with %d members", g.id, len(g.members))
	}
	checkStable(t, w, g)
	timer := func(kind timerKind) bool { return w.c.timers.byKey[timerKey{kind: kind, group: g.id}] != nil }
	if g.state == preparingRebalance && !timer(timerJoin) && !timer(timerInitialJoin) {
		t.Fatalf("group %s: nothing ends the join phase", g.id)
	}
	if g.state == completingRebalance && !timer(timerSync) && !w.c.inFlight.storesGroup(g.id) {
		t.Fatalf("group %s: nothing ends the sync phase", g.id)
	}
}

// checkStable checks that a stable group is the stored one, and that nobody waits for what has come.
func checkStable(t *rapid.T, w *world, g *classic) {
	if g.state != stable || w.c.inFlight.storesGroup(g.id) {
		return
	}
	for _, m := range g.members {
		if m.joinTag != 0 || m.syncTag != 0 {
			t.Fatalf("group %s is stable, and member %s waits", g.id, m.id)
		}
	}
	live := g.value(func(m *member) []byte { return m.assignment })
	stored, err := decodeGroup(w.c.image.groups[g.id])
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*wire.GroupMetadataValue{live, stored} {
		v.CurrentStateTimestamp = 0
	}
	a, errA := groupRecord(g.id, live)
	b, errB := groupRecord(g.id, stored)
	if errA != nil || errB != nil || !bytes.Equal(a.Value, b.Value) {
		t.Fatalf("group %s is stable as\n%+v\nand stored as\n%+v", g.id, live, stored)
	}
}

// quiet lets everything end: then every request has its answer, and the groups are empty.
func (m *model) quiet() {
	m.w.hold = false
	m.w.commitAll()
	m.w.advance(10 * time.Minute)
	if len(m.w.asked) > 0 {
		m.t.Fatalf("%d requests never have an answer: %v", len(m.w.asked), m.w.asked)
	}
	for _, g := range m.w.c.sortedGroups() {
		if g.state != empty {
			m.t.Fatalf("group %s is %s, long after the last of its members was heard", g.id, g.state)
		}
	}
}
