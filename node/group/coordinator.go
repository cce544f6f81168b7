package group

import (
	"fmt"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
)

// Coordinator coordinates the groups of one partition of __consumer_offsets. It belongs to one task.
type Coordinator struct {
	config Config
	random host.Random
	image  image

	// The rest is the leader's.
	elected   bool
	groups    map[string]*classic
	consumers map[string]*consumerGroup // no id is in both
	lanes     map[string]*lane
	cluster   Cluster
	// topicsVersion is the version of the cluster's metadata in which topics were last created.
	topicsVersion int64
	timers        timers
	inFlight      inFlight
	memories      map[string]*memory // see story.go
	electedMillis int64

	// Of the call under way.
	now Now
	out Output
}

// New returns the coordinator of an empty log. random makes member ids. The configuration must be valid.
func New(config Config, random host.Random) *Coordinator {
	return &Coordinator{
		config:    config,
		random:    random,
		image:     newImage(),
		groups:    map[string]*classic{},
		consumers: map[string]*consumerGroup{},
		lanes:     map[string]*lane{},
		cluster:   noCluster{},
		timers:    newTimers(),
		inFlight:  newInFlight(),
		memories:  map[string]*memory{},
	}
}

// Producer says who wrote a record of the log. Outside of transactions it is NoProducer.
type Producer struct {
	ID            int64
	Transactional bool
}

// NoProducer is the producer of records that belong to no transaction.
var NoProducer = Producer{ID: -1}

// Apply applies one record of the log, at this offset, to the image. Keys of types that this package does not know are
// skipped. An error means that the record is damaged; the image is then unchanged. Offsets of a transactional producer
// count from ApplyMarker on.
func (c *Coordinator) Apply(offset int64, producer Producer, record Record) error {
	return c.image.apply(offset, producer, record)
}

// ApplyMarker applies the end of a producer's transaction.
func (c *Coordinator) ApplyMarker(producerID int64, commit bool) {
	c.image.endTransaction(producerID, commit)
}

// Elect makes this replica the one that answers. The whole log up to here must be applied, so that an append of an
// earlier leadership that is still open has failed. Members of stored groups get a full session timeout from now.
func (c *Coordinator) Elect(now Now) Output {
	c.begin(now)
	for _, a := range c.inFlight.takeFlights() {
		if a.failed != nil {
			a.failed(wire.ErrNotCoordinator)
		}
	}
	c.elected, c.electedMillis = true, now.WallMillis
	c.load()
	c.timers.schedule(timerKey{kind: timerCleanup}, now.Instant.Add(c.config.OffsetsRetentionInterval))
	return c.end()
}

// Resign ends that. Members that wait for others are told to find the new coordinator; requests whose append has no
// fate yet wait on for Committed or Failed.
func (c *Coordinator) Resign(now Now) Output {
	c.begin(now)
	c.elected = false
	for _, g := range c.sortedGroups() {
		for _, m := range g.members {
			c.answerJoin(g, m, &JoinResponse{Error: wire.ErrNotCoordinator, MemberID: m.id, Generation: -1})
			c.answerSync(m, &SyncResponse{Error: wire.ErrNotCoordinator})
		}
	}
	for _, id := range sortedKeys(c.lanes) {
		for _, op := range c.lanes[id].waiting {
			c.giveUp(op, wire.ErrNotCoordinator)
		}
	}
	c.groups, c.consumers, c.lanes = map[string]*classic{}, map[string]*consumerGroup{}, map[string]*lane{}
	c.timers, c.memories = newTimers(), map[string]*memory{}
	for _, w := range c.inFlight.takeWaiting() {
		c.reply(w.tag, ErrorResponse(w.request, wire.ErrNotCoordinator))
	}
	return c.end()
}

// Elected says whether the coordinator answers requests itself, or NOT_COORDINATOR to all of them.
func (c *Coordinator) Elected() bool { return c.elected }

// Step handles one request.
func (c *Coordinator) Step(now Now, in Input) Output {
	if in.Tag == 0 {
		panic("group: a request without a tag")
	}
	c.begin(now)
	if !c.elected {
		c.reply(in.Tag, ErrorResponse(in.Request, wire.ErrNotCoordinator))
		return c.end()
	}
	switch r := in.Request.(type) {
	case *JoinRequest:
		c.member(r.GroupID, in)
	case *SyncRequest:
		c.member(r.GroupID, in)
	case *HeartbeatRequest:
		c.member(r.GroupID, in)
	case *LeaveRequest:
		c.member(r.GroupID, in)
	case *ConsumerHeartbeatRequest:
		if refused := r.check(c.config.ConsumerAssignors); refused != nil {
			c.reply(in.Tag, refused.to(r))
		} else {
			c.enter(r.GroupID, operation{in.Tag, r})
		}
	case *ConsumerDescribeRequest:
		c.reply(in.Tag, c.describeConsumer(r))
	case *OffsetCommitRequest:
		c.commitOffsets(in.Tag, r)
	case *OffsetFetchRequest:
		c.fetchOffsets(in.Tag, r)
	case *OffsetDeleteRequest:
		c.deleteOffsets(in.Tag, r)
	case *TopicsDeletedRequest:
		c.deleteTopics(in.Tag, r)
	case *DescribeRequest:
		c.reply(in.Tag, c.describe(r))
	case *ListRequest:
		c.reply(in.Tag, c.list(r))
	case *StoryRequest:
		c.reply(in.Tag, c.story(r))
	case *ObserveRequest:
		c.reply(in.Tag, c.observe(r))
	case *DeleteRequest:
		c.deleteGroups(in.Tag, r)
	default:
		panic(fmt.Sprintf("group: a request of unknown type %T", in.Request))
	}
	return c.end()
}

// member handles a request of the classic protocol about members of one group.
func (c *Coordinator) member(groupID string, in Input) {
	if c.consumers[groupID] != nil || c.busy(groupID) {
		c.enter(groupID, operation{in.Tag, in.Request})
	} else {
		c.classicRequest(in.Tag, in.Request)
	}
}

func (c *Coordinator) classicRequest(tag uint64, r Request) {
	switch r := r.(type) {
	case *JoinRequest:
		c.join(tag, r)
	case *SyncRequest:
		c.sync(tag, r)
	case *HeartbeatRequest:
		c.reply(tag, &HeartbeatResponse{Error: c.heartbeat(r)})
	case *LeaveRequest:
		c.leave(tag, r)
	default:
		panic(fmt.Sprintf("group: a request of unknown type %T", r))
	}
}

// Deadline is when Expire should be called next; Never when no timer runs.
func (c *Coordinator) Deadline() host.Instant { return c.timers.next() }

// Expire fires the timers that are due.
func (c *Coordinator) Expire(now Now) Output {
	c.begin(now)
	for {
		key, ok := c.timers.pop(now.Instant)
		if !ok {
			return c.end()
		}
		c.fire(key)
	}
}

// busyPause is how long a classic group's timer waits when the group is about to be one of another kind, or not to be.
const busyPause = 100 * time.Millisecond

func (c *Coordinator) fire(key timerKey) {
	if key.kind == timerCleanup {
		c.cleanup()
		c.timers.schedule(key, c.now.Instant.Add(c.config.OffsetsRetentionInterval))
		return
	}
	if key.kind >= timerConsumer {
		c.expireConsumer(key)
		return
	}
	g := c.groups[key.group]
	if g == nil {
		return
	}
	if c.busy(key.group) {
		c.timers.schedule(key, c.now.Instant.Add(busyPause))
		return
	}
	switch key.kind {
	case timerMember:
		c.expireMember(g, key.member)
	case timerInitialJoin:
		c.expireInitialJoin(g)
	case timerJoin:
		c.completeJoin(g)
	case timerSync:
		c.expireSync(g)
	}
}

// Committed says that the append is applied; its first record has this offset. It applies the records to the image.
func (c *Coordinator) Committed(now Now, token uint64, baseOffset int64) Output {
	c.begin(now)
	a, ok := c.inFlight.commit(token)
	if !ok {
		return c.end()
	}
	for i, r := range a.records {
		if err := c.image.apply(baseOffset+int64(i), NoProducer, r); err != nil {
			panic(fmt.Sprintf("group: a record of our own cannot be applied: %v", err))
		}
	}
	if c.elected {
		c.follow(a.groups)
	}
	if a.committed != nil {
		a.committed()
	}
	c.settle(a.groups)
	return c.end()
}

// Failed says that the append is definitely not in the log and will never be; code is what the partition said.
func (c *Coordinator) Failed(now Now, token uint64, code ErrorCode) Output {
	c.begin(now)
	a, ok := c.inFlight.fail(token)
	if !ok {
		return c.end()
	}
	if a.failed != nil {
		a.failed(fromAppend(code))
	}
	c.settle(a.groups)
	return c.end()
}

func (c *Coordinator) begin(now Now) { c.now, c.out = now, Output{} }

func (c *Coordinator) end() Output {
	out := c.out
	c.out = Output{}
	return out
}

func (c *Coordinator) reply(tag uint64, r Response) {
	c.out.Replies = append(c.out.Replies, Reply{Tag: tag, Response: r})
}

// append hands out a batch that concerns these groups. One of the functions, which may be nil, runs when its fate is
// known, at which time anything may have changed, leadership too.
func (c *Coordinator) append(groups []string, records []Record, committed func(), failed func(ErrorCode)) {
	token := c.inFlight.add(flight{groups: groups, records: records, committed: committed, failed: failed})
	c.out.Appends = append(c.out.Appends, Append{Token: token, Records: records})
}

// Topics returns the topics that have committed offsets, sorted.
func (c *Coordinator) Topics() []string {
	topics := map[string]struct{}{}
	for _, byTopic := range c.image.offsets { //door:ordered the topics are sorted below
		for topic := range byTopic {
			topics[topic] = struct{}{}
		}
	}
	return sortedKeys(topics)
}
