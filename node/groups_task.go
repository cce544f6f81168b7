package node

import (
	"maps"
	"slices"
	"strings"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/group"
	"millrace/node/host"
	"millrace/node/shard"
)

// groupTask runs the coordinator of one partition of the offsets topic. Whenever its partition is led here, it reads the
// partition, answers requests, appends what the coordinator wants stored, and answers when that is applied. A node leads
// from the moment on when the first entry of its term is applied, so what it reads then is all that was ever answered.
type groupTask struct {
	broker *Broker
	topic  catalog.ID
	index  int32
	part   *groupPartition
	waiter host.Waiter

	// While it leads:
	coordinator *group.Coordinator
	at          shard.Partition
	term        uint64
	image       *catalog.Image // the last one whose deleted topics were looked for
	maxBytes    int            // max.message.bytes of the offsets topic
	calls       map[uint64]*groupCall
	tag         uint64
	open        []groupAppend // in order
}

// groupAppend is an append that has no fate yet. pending is nil when the batch could not even be made; then code says
// why.
type groupAppend struct {
	token   uint64
	pending *shard.Pending
	code    wire.ErrorCode
}

func newGroupTask(b *Broker, topic catalog.ID, index int32, part *groupPartition) *groupTask {
	t := &groupTask{broker: b, topic: topic, index: index, part: part, waiter: b.host.Tasks.NewWaiter()}
	part.waiter = t.waiter
	part.inbox = host.NewQueue[*groupCall](b.host.Tasks, 1024, t.waiter)
	return t
}

// unledPause is how long the task waits before it looks again whether its partition is led here, unless the groups task
// wakes it because it is; unreadPause how long before it tries again to read one that it could not read.
const (
	unledPause  = 2 * time.Second
	unreadPause = time.Second
)

func (t *groupTask) run() {
	defer t.part.ended.Set(struct{}{})
	b := t.broker
	b.set.WatchCatalog(t.waiter)
	defer b.set.UnwatchCatalog(t.waiter)
	for {
		pause, early := unledPause, true
		if at, code := b.cluster.Lookup(t.topic, t.index); code == wire.ErrNone {
			switch began, err := t.begin(at); {
			case err != nil:
				b.host.Log.Error("groups cannot be loaded", "topic", offsetsTopic, "partition", t.index, "error", err)
				pause, early = unreadPause, false
			case began && !t.lead():
				return
			case began:
				continue
			}
		}
		if !t.refuseUntil(b.host.Clock.Now().Add(pause), early) {
			return
		}
	}
}

// refuseUntil tells who comes that the coordinator is not here, until the deadline or, with early, until its partition is
// led here; false when the node stops. Who has waited for the log since it was here hears what became of that.
func (t *groupTask) refuseUntil(deadline host.Instant, early bool) bool {
	for {
		if _, code := t.broker.cluster.Lookup(t.topic, t.index); early && code == wire.ErrNone {
			return true
		}
		calls, more := t.part.inbox.Drain(nil)
		t.refuse(calls)
		t.settle()
		if len(calls) > 0 {
			continue // the wake may have been for the inbox's end, too
		}
		if !more || !t.waiter.WaitUntil(deadline) {
			return more
		}
	}
}

// begin reads the partition; false when it is led elsewhere by now.
func (t *groupTask) begin(at shard.Partition) (bool, error) {
	b := t.broker
	status := at.Shard.Status()
	t.abandon()
	t.image = b.set.Catalog()
	t.coordinator = group.New(b.groupConfig(t.image), b.host.Random)
	if topic, ok := t.image.TopicByID(t.topic); ok {
		t.maxBytes = b.topicConfig(t.image, topic).MaxMessageBytes
	}
	if err := replayGroups(t.coordinator, at.Log); err != nil {
		return false, err
	}
	t.at, t.term = at, status.Term
	if !t.leads() {
		return false, nil
	}
	t.coordinator.SetCluster(&groupCluster{t.image}, true)
	t.handle(t.coordinator.Elect(t.now()))
	t.forgetTopics(t.missingTopics())
	return true, nil
}

// abandon ends an earlier leadership for good: what became of the appends that are still open is not known.
func (t *groupTask) abandon() {
	t.settle()
	for _, tag := range slices.Sorted(maps.Keys(t.calls)) {
		call := t.calls[tag]
		call.answer.Set(group.ErrorResponse(call.request, wire.ErrCoordinatorNotAvailable))
	}
	t.calls, t.open = map[uint64]*groupCall{}, nil
}

// leads says whether the term stands in which the partition was read.
func (t *groupTask) leads() bool {
	status := t.at.Shard.Status()
	return status.Serving && status.Term == t.term
}

// lead answers requests until another term begins, or, returning false, until the node stops. What waits for the log then
// waits on, until its fate is known or its caller gives it up.
func (t *groupTask) lead() bool {
	t.at.Shard.Watch(t.waiter)
	defer t.at.Shard.Unwatch(t.waiter)
	for {
		calls, more := t.part.inbox.Drain(nil)
		if !more || !t.leads() {
			t.refuse(calls)
			t.handle(t.coordinator.Resign(t.now()))
			return more
		}
		// The catalog comes before the calls: a commit may be for a topic that was made again.
		t.followCatalog()
		for _, call := range calls {
			t.tag++
			t.calls[t.tag] = call
			t.handle(t.coordinator.Step(t.now(), group.Input{Tag: t.tag, Request: call.request}))
		}
		t.settle()
		if now := t.now(); t.coordinator.Deadline() <= now.Instant {
			t.handle(t.coordinator.Expire(now))
			continue
		}
		if len(calls) > 0 {
			continue // the wake may have been for the inbox's end, too
		}
		t.waiter.WaitUntil(t.coordinator.Deadline())
	}
}

func (t *groupTask) refuse(calls []*groupCall) {
	for _, call := range calls {
		call.answer.Set(group.ErrorResponse(call.request, wire.ErrNotCoordinator))
	}
}

// handle does what the coordinator wants done.
func (t *groupTask) handle(out group.Output) {
	for _, r := range out.Replies {
		if call := t.calls[r.Tag]; call != nil {
			delete(t.calls, r.Tag)
			call.answer.Set(r.Response)
		}
	}
	for _, e := range out.Begun {
		t.broker.groups.began(e)
	}
	for _, a := range out.Appends {
		open := groupAppend{token: a.Token}
		info, err := encodeGroupBatch(a.Records, t.broker.host.Clock.Wall().UnixMilli(), t.maxBytes)
		if err != nil {
			open.code = err.code
			t.broker.host.Log.Error("a batch of group records is refused", "partition", t.index, "records", len(a.Records),
				"error", err)
		} else {
			open.pending = t.at.Shard.Append(t.at.ID, info, nil, -1)
			open.pending.Watch(t.waiter)
		}
		t.open = append(t.open, open)
	}
}

// settle tells the coordinator the fate of its appends, in their order, as far as it is known.
func (t *groupTask) settle() {
	for len(t.open) > 0 {
		a := t.open[0]
		result := shard.Result{Error: a.code}
		if a.pending != nil {
			var ok bool
			if result, ok = a.pending.Try(); !ok {
				return
			}
		}
		t.open = t.open[1:]
		if result.Error == wire.ErrNone {
			t.handle(t.coordinator.Committed(t.now(), a.token, result.BaseOffset))
		} else {
			t.handle(t.coordinator.Failed(t.now(), a.token, result.Error))
		}
	}
}

func (t *groupTask) now() group.Now {
	clock := t.broker.host.Clock
	return group.Now{Instant: clock.Now(), WallMillis: clock.Wall().UnixMilli()}
}

// followCatalog removes the offsets of topics that were deleted since the last look.
func (t *groupTask) followCatalog() {
	image := t.broker.set.Catalog()
	if image == t.image {
		return
	}
	names := deletedTopics(t.image, image)
	t.coordinator.SetCluster(&groupCluster{image}, createdTopics(t.image, image))
	t.image = image
	t.forgetTopics(names)
}

// missingTopics are those that have offsets and no longer exist: they were deleted while nobody coordinated.
func (t *groupTask) missingTopics() []string {
	var names []string
	for _, name := range t.coordinator.Topics() {
		if _, ok := t.image.Topic(name); !ok {
			names = append(names, name)
		}
	}
	return names
}

func (t *groupTask) forgetTopics(names []string) {
	if len(names) == 0 {
		return
	}
	t.tag++
	t.handle(t.coordinator.Step(t.now(), group.Input{Tag: t.tag, Request: &group.TopicsDeletedRequest{Topics: names}}))
}

// groupConfig is what the broker's configs say about groups.
func (b *Broker) groupConfig(image *catalog.Image) group.Config {
	layers := b.layers(image)
	ms := func(name string) time.Duration { return time.Duration(layers.Int(name)) * time.Millisecond }
	c := group.DefaultConfig()
	c.MinSessionTimeout = ms("group.min.session.timeout.ms")
	c.MaxSessionTimeout = ms("group.max.session.timeout.ms")
	c.InitialRebalanceDelay = ms("group.initial.rebalance.delay.ms")
	c.MaxSize = int(layers.Int("group.max.size"))
	c.OffsetMetadataMaxBytes = int(layers.Int("offset.metadata.max.bytes"))
	c.OffsetsRetention = time.Duration(layers.Int("offsets.retention.minutes")) * time.Minute
	c.OffsetsRetentionInterval = ms("offsets.retention.check.interval.ms")
	bounds := func(of string) group.Bounds {
		return group.Bounds{Default: ms("group.consumer." + of), Min: ms("group.consumer.min." + of), Max: ms("group.consumer.max." + of)}
	}
	c.ConsumerSession = bounds("session.timeout.ms")
	c.ConsumerHeartbeat = bounds("heartbeat.interval.ms")
	c.ConsumerAssignment = bounds("assignment.interval.ms")
	c.ConsumerMaxSize = int(layers.Int("group.consumer.max.size"))
	c.ConsumerAssignors = strings.Split(layers.String("group.consumer.assignors"), ",")
	c.ConsumerPatternRefresh = ms("group.consumer.regex.refresh.interval.ms")
	policy := layers.String("group.consumer.migration.policy")
	c.ConsumerUpgrade = policy == "bidirectional" || policy == "upgrade"
	c.ConsumerDowngrade = policy == "bidirectional" || policy == "downgrade"
	return c
}
