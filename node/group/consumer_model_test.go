package group

import (
	"fmt"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"pgregory.net/rapid"
)

// TestConsumerModel lets consumers of the consumer protocol come, report, lose answers, fall silent, leave for good or for a
// while, and commit; topics come, grow and go; appends are applied late or fail; the coordinator crashes and resigns. It
// holds against that:
//
//	a partition has at most one owner among the consumers that may think they have it
//	the epoch that a member is told never goes back, nor does the group's in the log
//	a commit is refused when somebody else has the partition
//	the image is the log's, and the leader's groups are the image's when nothing is open
//	in the end, with consumers that do as they are told, each partition that is subscribed to has an owner that subscribes
//	  to it, and the group is stable
func TestConsumerModel(t *testing.T) { rapid.Check(t, runConsumerModel) }

func runConsumerModel(t *rapid.T) {
	m := newConsumerModel(t)
	t.Repeat(map[string]func(*rapid.T){
		"join":      m.join,
		"heartbeat": m.heartbeat,
		"report":    m.report,
		"beat all":  m.beatAll,
		"leave":     m.leave,
		"commit":    m.commit,
		"late":      m.late,
		"subscribe": m.subscribe,
		"topic":     m.topic,
		"pass":      func(t *rapid.T) { m.w.advance(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond) },
		"apply":     m.apply,
		"fail":      m.fail,
		"crash":     m.crash,
		"resign":    m.resign,
		"delete":    func(t *rapid.T) { m.w.ask(&DeleteRequest{GroupIDs: []string{"g"}}) },
		"":          m.check,
	})
	m.quiet()
}

// consumer is a client as it sees itself.
type consumer struct {
	n        int
	id       string
	instance *string
	epoch    int32
	joined   bool
	owned    map[partitionID]bool
	topics   []string
	pattern  string
	// until is how long it may think that what it has is its own: as long as the coordinator cannot have given it up.
	until  host.Instant
	answer uint64       // the last request; answers to others are lost
	sent   host.Instant // when that was
	epochs int          // how many epochs it was told of
	older  []delayed
	gone   map[partitionID]int // what it has given back, and how many epochs it knew then
}

// delayed is what a consumer once sent, and the network may bring again, or late.
type delayed struct {
	request Request
	id      string
	epochs  int
}

type consumerModel struct {
	t         *rapid.T
	w         *world
	cluster   *testCluster
	consumers []*consumer
	asked     map[uint64]*consumer
	commits   map[uint64]string // commits that must be refused, and why
	fenced    map[uint64]bool   // heartbeats that must be refused
	lives     int
	epochs    map[string]int32 // by member id
}

const (
	modelSession   = 10 * time.Second
	modelRebalance = 4 * time.Second
)

func newConsumerModel(t *rapid.T) *consumerModel {
	config := DefaultConfig()
	config.ConsumerSession = Bounds{modelSession, time.Second, time.Minute}
	config.ConsumerAssignment = Bounds{rapid.SampledFrom([]time.Duration{0, 500 * time.Millisecond}).Draw(t, "interval"), 0, time.Minute}
	config.ConsumerMaxSize = rapid.SampledFrom([]int{2, 100}).Draw(t, "size")
	config.ConsumerAssignors = rapid.SampledFrom([][]string{{"uniform"}, {"range"}, {"uniform", "range"}}).Draw(t, "assignors")
	config.OffsetsRetentionInterval = 24 * time.Hour
	m := &consumerModel{t: t, w: newWorld(config), asked: map[uint64]*consumer{}, commits: map[uint64]string{}, fenced: map[uint64]bool{},
		epochs: map[string]int32{}}
	m.cluster = (*testCluster)(nil).with("t", 4).with("u", 3)
	m.w.cluster = m.cluster
	for i := range 5 {
		c := &consumer{n: i, topics: []string{"t"}}
		if i >= 3 {
			c.instance = new("i") // two of them are the same static member
		}
		m.consumers = append(m.consumers, c)
	}
	m.w.hold = rapid.Bool().Draw(t, "hold")
	m.w.seen = m.seen
	m.w.c.SetCluster(m.cluster, true)
	m.w.handle(m.w.c.Elect(m.w.time()))
	return m
}

func (m *consumerModel) any(t *rapid.T) *consumer {
	return rapid.SampledFrom(m.consumers).Draw(t, "consumer")
}

func (m *consumerModel) join(t *rapid.T) { m.begin(m.any(t)) }

// begin is a new process: it has nothing.
func (m *consumerModel) begin(c *consumer) {
	m.lives++
	c.id, c.epoch, c.joined, c.owned = fmt.Sprintf("c%d-%d", c.n, m.lives), 0, false, map[partitionID]bool{}
	c.epochs, c.older, c.gone = 0, nil, map[partitionID]int{}
	m.send(c, true)
}

func (m *consumerModel) heartbeat(t *rapid.T) {
	if c := m.any(t); c.joined {
		m.send(c, false)
	}
}

func (m *consumerModel) report(t *rapid.T) {
	if c := m.any(t); c.id != "" {
		m.send(c, true)
	}
}

func (m *consumerModel) beatAll(*rapid.T) {
	for _, c := range m.consumers {
		if c.joined {
			m.send(c, true)
		}
	}
}

func (m *consumerModel) send(c *consumer, full bool) {
	r := &ConsumerHeartbeatRequest{GroupID: "g", MemberID: c.id, MemberEpoch: c.epoch, InstanceID: c.instance, RebalanceTimeoutMs: -1,
		ClientID: "client", ClientHost: "/192.0.2.1", RequireMemberID: true}
	if full || !c.joined {
		r.RebalanceTimeoutMs = int32(modelRebalance.Milliseconds())
		r.TopicNames, r.TopicPattern = c.topics, &c.pattern
		r.Owned = []TopicPartitions{}
		for p := range c.owned {
			r.Owned = append(r.Owned, TopicPartitions{p.topic, []int32{p.index}})
		}
	}
	if c.joined {
		c.older = append(c.older, delayed{r, c.id, c.epochs})
	}
	c.answer, c.sent = m.w.tag+1, m.w.now
	m.asked[c.answer] = c
	m.w.ask(r)
}

func (m *consumerModel) leave(t *rapid.T) {
	c := m.any(t)
	if !c.joined {
		return
	}
	r := &ConsumerHeartbeatRequest{GroupID: "g", MemberID: c.id, MemberEpoch: leavingEpoch, InstanceID: c.instance, RebalanceTimeoutMs: -1}
	if c.instance != nil && rapid.Bool().Draw(t, "away") {
		r.MemberEpoch = awayEpoch
	}
	c.id, c.joined, c.owned, c.answer = "", false, nil, 0
	m.w.ask(r)
}

func (m *consumerModel) subscribe(t *rapid.T) {
	c := m.any(t)
	c.topics = rapid.SampledFrom([][]string{{"t"}, {"t", "u"}, {"u"}, {"nothing"}, {}}).Draw(t, "topics")
	c.pattern = rapid.SampledFrom([]string{"", "", "t|u", "[a-t].*"}).Draw(t, "pattern")
	if c.joined {
		m.send(c, true)
	}
}

func (m *consumerModel) topic(t *rapid.T) {
	name := rapid.SampledFrom([]string{"t", "u", "s"}).Draw(t, "topic")
	before, had := m.cluster.Topic(name)
	count := before.Partitions + 1
	if had && rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		count = 0
	}
	if count > 8 {
		return
	}
	m.cluster = m.cluster.with(name, count)
	m.w.cluster = m.cluster
	m.w.c.SetCluster(m.cluster, !had)
}

func (m *consumerModel) commit(t *rapid.T) {
	c := m.any(t)
	if !c.joined || len(c.owned) == 0 {
		return
	}
	var p partitionID
	for _, h := range partitions(sortedPartitions(c.owned)) {
		p = h
	}
	topic, ok := m.cluster.TopicByID(p.topic)
	if !ok {
		return
	}
	r := &OffsetCommitRequest{GroupID: "g", MemberID: c.id, InstanceID: orNothing(c.instance), Generation: c.epoch, Retention: -1,
		GroupIDNotFound: true, Topics: []CommitTopic{{topic.Name, topic.ID, []CommitPartition{{p.index, int64(m.w.tag), -1, ""}}}}}
	c.older = append(c.older, delayed{r, c.id, c.epochs})
	if rapid.Bool().Draw(t, "at once") {
		m.sendCommit(c, r)
	}
}

func (m *consumerModel) sendCommit(c *consumer, r *OffsetCommitRequest) {
	p := partitionID{r.Topics[0].TopicID, r.Topics[0].Partitions[0].Partition}
	for _, o := range m.consumers {
		if o != c && o.owns(p, m.w.now) {
			m.commits[m.w.tag+1] = fmt.Sprintf("consumer %d has %s", o.n, printPartition(p))
		}
	}
	if epochs, ok := c.gone[p]; ok && !c.owned[p] && c.epochs > epochs && r.Generation < c.epoch {
		m.commits[m.w.tag+1] = "it has given that back"
	}
	m.w.ask(r)
}

// late brings something that a consumer sent before it was told of its present epoch. Heartbeats must be older than that:
// those with the epoch before are taken for repeated ones.
func (m *consumerModel) late(t *rapid.T) {
	c := m.any(t)
	if len(c.older) == 0 || !c.joined {
		return
	}
	d := rapid.SampledFrom(c.older).Draw(t, "request")
	switch r := d.request.(type) {
	case *OffsetCommitRequest:
		if d.epochs < c.epochs {
			m.sendCommit(c, r)
		}
	default:
		if d.epochs+1 < c.epochs {
			m.fenced[m.w.tag+1] = true
			m.w.ask(r)
		}
	}
}

func sortedPartitions(set map[partitionID]bool) partitions {
	var out []TopicPartitions
	for p := range set {
		out = append(out, TopicPartitions{p.topic, []int32{p.index}})
	}
	return fromTopics(out)
}

// owns says whether the consumer may think that it has the partition.
func (c *consumer) owns(p partitionID, now host.Instant) bool { return c.owned[p] && now < c.until }

func (m *consumerModel) apply(*rapid.T) {
	if len(m.w.open) > 0 {
		m.w.commitOne()
	}
}

func (m *consumerModel) fail(*rapid.T) {
	if len(m.w.open) > 0 {
		m.w.failOne(wire.ErrNotEnoughReplicas)
	}
}

func (m *consumerModel) crash(t *rapid.T) {
	m.asked = map[uint64]*consumer{}
	if err := m.w.restart(); err != nil {
		t.Fatal(err)
	}
}

func (m *consumerModel) resign(t *rapid.T) {
	m.w.handle(m.w.c.Resign(m.w.time()))
	for len(m.w.open) > 0 {
		m.w.commitOne()
	}
	m.w.handle(m.w.c.Elect(m.w.time()))
	if len(m.w.asked) > 0 {
		t.Fatalf("after resigning and with nothing open, %d requests have no answer", len(m.w.asked))
	}
}

// seen lets the consumer learn from an answer, unless it waits for another one.
func (m *consumerModel) seen(tag uint64, r Request, answer Response) {
	switch a := answer.(type) {
	case *OffsetCommitResponse:
		if why, ok := m.commits[tag]; ok && a.Topics[0].Partitions[0].Error == wire.ErrNone {
			m.t.Fatalf("commit %d of member %s was accepted though %s", tag, r.(*OffsetCommitRequest).MemberID, why)
		}
	case *ConsumerHeartbeatResponse:
		q := r.(*ConsumerHeartbeatRequest)
		if m.fenced[tag] && a.Error == wire.ErrNone {
			m.t.Fatalf("member %s has epoch %d, and its heartbeat with epoch %d was accepted", q.MemberID, m.epochs[q.MemberID], q.MemberEpoch)
		}
		if a.Error == wire.ErrNone && q.MemberEpoch >= 0 {
			if a.MemberEpoch < m.epochs[a.MemberID] {
				m.t.Fatalf("member %s was told epoch %d after %d", a.MemberID, a.MemberEpoch, m.epochs[a.MemberID])
			}
			m.epochs[a.MemberID] = a.MemberEpoch
		}
		if c := m.asked[tag]; c != nil && c.answer == tag && c.id == q.MemberID {
			m.heard(c, a)
		}
	}
}

func (m *consumerModel) heard(c *consumer, a *ConsumerHeartbeatResponse) {
	switch a.Error {
	case wire.ErrNone:
	case wire.ErrFencedMemberEpoch, wire.ErrUnknownMemberId, wire.ErrFencedInstanceId, wire.ErrUnreleasedInstanceId,
		wire.ErrGroupMaxSizeReached, wire.ErrGroupIdNotFound:
		c.id, c.epoch, c.joined, c.owned = "", 0, false, nil
		return
	case wire.ErrCoordinatorNotAvailable, wire.ErrNotCoordinator:
		return
	default:
		m.t.Fatalf("consumer %d: error %d %s", c.n, a.Error, a.ErrorMessage)
	}
	if c.epoch != a.MemberEpoch {
		c.epochs++
	}
	c.epoch, c.joined = a.MemberEpoch, true
	c.until = c.sent.Add(min(modelSession, modelRebalance))
	if !a.Assigned {
		return
	}
	for p := range c.owned {
		c.gone[p] = c.epochs
	}
	c.owned = map[partitionID]bool{}
	for _, p := range fromTopics(a.Assignment) {
		c.owned[p] = true
	}
}
