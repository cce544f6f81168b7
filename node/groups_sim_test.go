package node_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node"
	"millrace/node/host"
	"millrace/sim"
	"millrace/sim/client"
)

// TestGroupsInTheSimulator lets members of a group come, share the partitions of a topic, commit, leave or fall silent,
// while the broker, or one of three, is killed, loses its power, is paused or cut off from the others. Held against it:
//
//	in a generation a partition belongs to one member
//	a fetched offset is never below one that was acknowledged before
//	a commit is acknowledged only to a member of a generation that is not older than one that committed before it asked
//	members come to own the topic again when the faults are over
//
// SIM_SEEDS sets the number of seeds.
func TestGroupsInTheSimulator(t *testing.T) {
	seeds := uint64(4)
	if n, err := strconv.ParseUint(os.Getenv("SIM_SEEDS"), 10, 64); err == nil {
		seeds = n
	}
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprint("nodes=", nodes), func(t *testing.T) {
			commits := 0
			for seed := range seeds {
				g, err := runGroupWorld(seed, nodes)
				if err != nil {
					t.Fatal(err)
				}
				commits += g.commits
				if seed == 0 {
					if again, err := runGroupWorld(seed, nodes); err != nil || again.hash != g.hash {
						t.Errorf("seed %d: hash %x, and again %x", seed, g.hash, again.hash)
					}
				}
			}
			t.Logf("%d seeds, %d commits", seeds, commits)
			if commits < 100 {
				t.Errorf("%d commits were acknowledged: too few to show anything", commits)
			}
		})
	}
}

const (
	simPartitions = 4
	simMembers    = 3
	simChaos      = 40 * time.Second // of virtual time
	simEnd        = 90 * time.Second
)

// groupWorld is a run. The host is that of the members' node; there is a client for each of them.
type groupWorld struct {
	*simBrokers
	topic   wire.UUID
	owners  map[string]string
	acked   [simPartitions]int64
	newest  [simPartitions]int32 // the newest generation that committed
	commits int
	late    [simPartitions]int // commits after the faults
	running int
	hash    uint64
}

func runGroupWorld(seed uint64, nodes int) (*groupWorld, error) {
	return runGroups(seed, nodes, (*simMember).run)
}

// runGroups runs a world with members that do this.
func runGroups(seed uint64, nodes int, run func(*simMember)) (*groupWorld, error) {
	g := &groupWorld{owners: map[string]string{}, simBrokers: newSimBrokers(seed, 10*time.Minute, nodes, node.Config{
		Lanes: 2, WALFileBytes: 256 << 10, WALFirstBytes: 64 << 10,
		WALMaxBytes: 2 << 20, CheckpointBytes: 128 << 10, ReserveHigh: 1, ReserveLow: 1, CacheBytes: 256 << 10,
		Properties: map[string]string{"offsets.topic.num.partitions": "3", "group.initial.rebalance.delay.ms": "200",
			"group.consumer.min.session.timeout.ms": "1000", "group.consumer.session.timeout.ms": "6000",
			"group.consumer.min.heartbeat.interval.ms": "100", "group.consumer.heartbeat.interval.ms": "300",
			"group.consumer.assignment.interval.ms": "200"}})}
	w := g.world
	members := w.AddNode("c")
	members.Boot(func(h host.Host) {
		g.h = h
		if err := g.create(); err != nil {
			w.Fail(err)
			return
		}
		h.Tasks.Go("crashes", g.crashes)
		h.Tasks.Go("observer", g.observe)
		for i := range simMembers {
			g.running++
			m := &simMember{g: g, draws: w.Draws(fmt.Sprint("member ", i)), c: client.New(h, client.Options{
				Name: fmt.Sprint("m", i), Brokers: g.listens, Timeout: 20 * time.Second, Violated: w.Fail})}
			h.Tasks.Go(fmt.Sprint("member ", i), func() { run(m) })
		}
	})
	err := w.Run()
	if err != nil {
		err = fmt.Errorf("seed %d, at %v: %w\n%s", seed, w.Now(), err, w.Parked())
	}
	for p, n := range g.late {
		if n == 0 && err == nil {
			err = fmt.Errorf("seed %d: nobody committed for partition %d after the faults", seed, p)
		}
	}
	g.hash = w.Hash()
	w.Close()
	return g, err
}

func (g *groupWorld) create() error {
	c := client.New(g.h, client.Options{Name: "creator", Brokers: g.listens, Violated: g.world.Fail})
	defer c.Close()
	err := c.Retry(g.h.Clock.Now().Add(time.Minute), func() error {
		err := c.CreateTopic("t", simPartitions)
		if client.IsCode(err, wire.ErrTopicAlreadyExists) {
			return nil
		}
		return err
	})
	if err == nil {
		err = c.Retry(g.h.Clock.Now().Add(time.Minute), func() error { return c.Refresh("t") })
	}
	if err == nil {
		g.topic = c.Topic("t").ID
	}
	return err
}

// crashes ends a broker again and again, mostly just after an answer or in the middle of a write, and starts it again. One
// of several may be paused or cut off from the others instead, but not from the members.
func (g *groupWorld) crashes() {
	d := g.world.Draws("crashes")
	for {
		g.h.Clock.Sleep(time.Duration(d.Skewed(20, 8000)) * time.Millisecond)
		if g.world.Now() > simChaos {
			return
		}
		i := int(d.Below(int64(len(g.brokers))))
		broker := g.brokers[i]
		if len(g.brokers) > 1 && d.Chance(0.6) {
			g.trouble(d, broker)
			continue
		}
		how := sim.Pick(d, sim.Kill, sim.Power)
		broker.Arm(sim.CrashPoint{Point: sim.Pick(d, sim.PointSend, sim.PointSend, sim.PointWrite, sim.PointYield),
			Count: uint64(d.Skewed(1, 40)), How: how})
		for end := g.h.Clock.Now().Add(time.Second); broker.Running() && g.h.Clock.Now() < end; {
			g.h.Clock.Sleep(time.Millisecond)
		}
		broker.Disarm()
		broker.Crash(how)
		g.h.Clock.Sleep(time.Duration(d.Skewed(1, 1000)) * time.Millisecond)
		g.boot(i)
	}
}

func (g *groupWorld) trouble(d *sim.Draws, broker *sim.Node) {
	if d.Chance(0.5) {
		broker.Pause(time.Duration(d.Skewed(300, 4000)) * time.Millisecond)
		return
	}
	each := func(f func(from, to *sim.Node)) {
		for _, other := range g.brokers {
			if other != broker {
				f(broker, other)
				f(other, broker)
			}
		}
	}
	each(g.world.Cut)
	g.h.Clock.Sleep(time.Duration(d.Skewed(300, 4000)) * time.Millisecond)
	each(g.world.Heal)
}

// observe asks now one broker, now another one for the committed offsets, whether it says that it coordinates or not.
func (g *groupWorld) observe() {
	d := g.world.Draws("observer")
	c := client.New(g.h, client.Options{Name: "observer", Brokers: g.listens, Timeout: time.Second, Violated: g.world.Fail})
	defer c.Close()
	q := wire.NewOffsetFetchRequest()
	q.GroupId = "g"
	t := wire.OffsetFetchRequestTopic{Name: "t"}
	for p := range int32(simPartitions) {
		t.PartitionIndexes = append(t.PartitionIndexes, p)
	}
	q.Topics = []wire.OffsetFetchRequestTopic{t}
	q.Groups = []wire.OffsetFetchRequestGroup{{GroupId: "g", MemberEpoch: -1, Topics: []wire.OffsetFetchRequestTopics{
		{Name: "t", PartitionIndexes: t.PartitionIndexes}}}}
	for g.world.Now() < simEnd {
		g.h.Clock.Sleep(time.Duration(d.Skewed(5, 200)) * time.Millisecond)
		acked := g.acked
		listen := g.listens[d.Below(int64(len(g.listens)))]
		q.Groups[0].Topics[0].TopicId = g.topic
		answer, err := c.Do(listen, q)
		if err != nil {
			continue
		}
		a := answer.(*wire.OffsetFetchResponse).Groups[0]
		if a.ErrorCode != wire.ErrNone || len(a.Topics) != 1 {
			continue
		}
		for _, p := range a.Topics[0].Partitions {
			if p.ErrorCode == wire.ErrNone && max(p.CommittedOffset, 0) < acked[p.PartitionIndex] {
				g.world.Fail(fmt.Errorf("%s says that partition %d is at %d, after %d was acknowledged", listen, p.PartitionIndex,
					p.CommittedOffset, acked[p.PartitionIndex]))
			}
		}
	}
}

// simMember is a consumer that reads nothing and commits the next offset again and again.
type simMember struct {
	g          *groupWorld
	c          *client.Client
	draws      *sim.Draws
	id         string
	generation int32
	owned      []int32
}

func (m *simMember) run() {
	for m.g.world.Now() < simEnd {
		if err := m.session(); err != nil {
			m.pause(20, 300)
		}
	}
	m.c.Close()
	if m.g.running--; m.g.running == 0 {
		m.g.world.Stop()
	}
}

func (m *simMember) pause(low, high int64) {
	m.g.h.Clock.Sleep(time.Duration(m.draws.Between(low, high)) * time.Millisecond)
}

// session is a generation from its JoinGroup to its end.
func (m *simMember) session() error {
	addr, err := m.c.Coordinator("g")
	if err == nil {
		err = m.join(addr)
	}
	if err != nil {
		return err
	}
	var at [simPartitions]int64
	for _, p := range m.owned {
		acked := m.g.acked[p]
		offset, _, err := m.c.FetchOffset("g", "t", p)
		if err != nil {
			return err
		}
		if max(offset, 0) < acked {
			m.g.world.Fail(fmt.Errorf("partition %d: offset %d was acknowledged, and then %d fetched", p, acked, offset))
		}
		at[p] = max(offset, 0)
	}
	for range m.draws.Between(1, 30) {
		if err := m.heartbeat(addr); err != nil {
			return err
		}
		for _, p := range m.owned {
			if err := m.commit(addr, p, at[p]+1); err != nil {
				return err
			}
			at[p]++
		}
		m.pause(20, 1000)
	}
	return m.end(addr)
}

// end is what a member does that has had enough: it goes on, leaves, restarts, or is silent for longer than its session.
func (m *simMember) end(addr string) error {
	if m.g.world.Now() > simChaos {
		return nil
	}
	switch m.draws.Below(4) {
	case 0:
		q := wire.NewLeaveGroupRequest()
		q.GroupId, q.MemberId = "g", m.id
		q.Members = []wire.LeaveGroupRequestMemberIdentity{{MemberId: m.id}}
		m.id = ""
		_, err := m.c.Do(addr, q)
		return err
	case 1:
		m.id = ""
	case 2:
		m.pause(6000, 9000)
	}
	return nil
}

// join joins and syncs; the leader gives partition p to the member p modulo their number.
func (m *simMember) join(addr string) error {
	q := wire.NewJoinGroupRequest()
	q.GroupId, q.MemberId, q.ProtocolType = "g", m.id, "consumer"
	q.SessionTimeoutMs, q.RebalanceTimeoutMs = 6000, 5000
	q.Protocols = []wire.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte("any")}}
	answer, err := m.c.Do(addr, q)
	if err != nil {
		return err
	}
	joined := answer.(*wire.JoinGroupResponse)
	switch joined.ErrorCode {
	case wire.ErrNone:
	case wire.ErrMemberIdRequired:
		m.id = joined.MemberId
		return m.join(addr)
	default:
		return m.lost(joined.ErrorCode)
	}
	m.id, m.generation = joined.MemberId, joined.GenerationId
	s := wire.NewSyncGroupRequest()
	s.GroupId, s.MemberId, s.GenerationId = "g", m.id, m.generation
	s.ProtocolType, s.ProtocolName = joined.ProtocolType, joined.ProtocolName
	for i := range joined.Members {
		var list []string
		for p := i; p < simPartitions; p += len(joined.Members) {
			list = append(list, strconv.Itoa(p))
		}
		s.Assignments = append(s.Assignments, wire.SyncGroupRequestAssignment{
			MemberId: joined.Members[i].MemberId, Assignment: []byte(strings.Join(list, ","))})
	}
	if answer, err = m.c.Do(addr, s); err != nil {
		return err
	}
	synced := answer.(*wire.SyncGroupResponse)
	if synced.ErrorCode != wire.ErrNone {
		return m.lost(synced.ErrorCode)
	}
	return m.own(string(synced.Assignment))
}

// own takes the assignment, and sees that nobody else has it.
func (m *simMember) own(assignment string) error {
	m.owned = nil
	for text := range strings.SplitSeq(assignment, ",") {
		p, err := strconv.Atoi(text)
		if err != nil {
			continue // none
		}
		key := fmt.Sprint(m.generation, "/", p)
		if other, ok := m.g.owners[key]; ok && other != m.id {
			m.g.world.Fail(fmt.Errorf("generation %d: partition %d belongs to %s and to %s", m.generation, p, other, m.id))
		}
		m.g.owners[key] = m.id
		m.owned = append(m.owned, int32(p))
	}
	return nil
}

// lost is the error of an answer after which the member joins again, as another one if it is not known.
func (m *simMember) lost(code wire.ErrorCode) error {
	if code == wire.ErrUnknownMemberId || code == wire.ErrFencedInstanceId {
		m.id = ""
	}
	return code.Err()
}

func (m *simMember) heartbeat(addr string) error {
	q := wire.NewHeartbeatRequest()
	q.GroupId, q.MemberId, q.GenerationId = "g", m.id, m.generation
	answer, err := m.c.Do(addr, q)
	if err != nil {
		return err
	}
	return m.lost(answer.(*wire.HeartbeatResponse).ErrorCode)
}

func (m *simMember) commit(addr string, p int32, offset int64) error {
	newest := m.g.newest[p]
	q := wire.NewOffsetCommitRequest()
	q.GroupId, q.MemberId, q.GenerationIdOrMemberEpoch = "g", m.id, m.generation
	part := wire.NewOffsetCommitRequestPartition()
	part.PartitionIndex, part.CommittedOffset = p, offset
	q.Topics = []wire.OffsetCommitRequestTopic{{Name: "t", TopicId: m.c.Topic("t").ID,
		Partitions: []wire.OffsetCommitRequestPartition{part}}}
	answer, err := m.c.Do(addr, q)
	if err != nil {
		return err
	}
	if code := answer.(*wire.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode; code != wire.ErrNone {
		return m.lost(code)
	}
	g := m.g
	if m.generation < newest {
		g.world.Fail(fmt.Errorf("partition %d: a commit of generation %d was acknowledged after one of %d", p, m.generation, newest))
	}
	g.newest[p] = max(g.newest[p], m.generation)
	g.acked[p] = max(g.acked[p], offset)
	g.commits++
	if g.world.Now() > simChaos+20*time.Second {
		g.late[p]++
	}
	return nil
}
