package node

import (
	"strconv"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/group"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/node/shard"
)

// groups finds the coordinators: a task for each partition of the offsets topic, as long as the topic exists. Every node has
// them all; they answer where their partition is led, and say NOT_COORDINATOR elsewhere.
type groups struct {
	broker *Broker
	// current are those of the topic that exists. Only the groups task stores it, and wakes the watchers then.
	current  *host.Snapshot[coordinators]
	watchers *host.Watchers
	stopping *host.Future[struct{}]
	ended    *host.Future[struct{}]
	// report is what was last measured of all groups that are coordinated here.
	report *host.Snapshot[groupReport]
	// metered is set when the task that measures has ended.
	metered *host.Future[struct{}]
	// rebalances counts those of classic groups and of consumer groups that began, commits the offsets that were committed.
	rebalances [2]*host.Counter
	commits    *host.Counter
}

// coordinators are the partitions of one offsets topic, by number; none as long as there is no topic. Their number does
// not follow the topic's, since the groups would then be looked for in partitions that they were not stored in.
type coordinators struct {
	topic      catalog.ID
	partitions []*groupPartition
}

// groupPartition is where the requests of one partition's groups are put.
type groupPartition struct {
	inbox *host.Queue[*groupCall]
	ended *host.Future[struct{}]
	// waiter is the waiter of the partition's task, led what the groups task has last seen of its leadership.
	waiter host.Waiter
	led    bool
}

// groupCall is a request to a coordinator and its answer.
type groupCall struct {
	request group.Request
	answer  *host.Future[group.Response]
}

func startGroups(b *Broker) *groups {
	tasks := b.host.Tasks
	g := &groups{
		broker:   b,
		current:  host.NewSnapshot(tasks, &coordinators{}),
		watchers: host.NewWatchers(tasks),
		stopping: host.NewFuture[struct{}](tasks),
		ended:    host.NewFuture[struct{}](tasks),
		report:   host.NewSnapshot(tasks, &groupReport{}),
		metered:  host.NewFuture[struct{}](tasks),
		commits:  host.NewCounter(tasks),
	}
	for i := range g.rebalances {
		g.rebalances[i] = host.NewCounter(tasks)
	}
	tasks.Go("node.groups", g.run)
	tasks.Go("node.group-lag", func() {
		defer g.metered.Set(struct{}{})
		(&lagMeter{broker: b}).run(g)
	})
	return g
}

// run follows the topic: starts its coordinators when it is created, ends them when it is deleted.
func (g *groups) run() {
	defer g.ended.Set(struct{}{})
	w := g.broker.host.Tasks.NewWaiter()
	g.stopping.Watch(w)
	g.broker.set.WatchCatalog(w)
	defer g.broker.set.UnwatchCatalog(w)
	g.broker.cluster.Watch(w)
	defer g.broker.cluster.Unwatch(w)
	for {
		_, stop := g.stopping.Try()
		topic, ok := g.broker.set.Catalog().Topic(offsetsTopic)
		if now := g.current.Load(); len(now.partitions) > 0 && (stop || !ok || topic.ID != now.topic) {
			g.current.Store(&coordinators{})
			now.end()
		}
		if stop {
			return
		}
		if ok && topic.ID != g.current.Load().topic {
			g.start(topic)
		}
		g.wakeLeaders()
		w.Wait()
	}
}

// wakeLeaders wakes the tasks whose partitions have come to be led here. There is one task that looks, for all of them,
// since there are many of them and much else changes on a node.
func (g *groups) wakeLeaders() {
	now := g.current.Load()
	for i, p := range now.partitions {
		_, code := g.broker.cluster.Lookup(now.topic, int32(i))
		if was := p.led; code == wire.ErrNone && !was {
			p.waiter.Wake()
		}
		p.led = code == wire.ErrNone
	}
}

func (g *groups) start(topic *catalog.Topic) {
	tasks := g.broker.host.Tasks
	c := &coordinators{topic: topic.ID, partitions: make([]*groupPartition, len(topic.Partitions))}
	for i := range c.partitions {
		p := &groupPartition{ended: host.NewFuture[struct{}](tasks)}
		t := newGroupTask(g.broker, topic.ID, int32(i), p)
		c.partitions[i] = p
		tasks.Go("node.group."+strconv.Itoa(i), t.run)
	}
	g.current.Store(c)
	g.watchers.Wake()
}

// end ends the coordinators. Requests that wait for the log have no answer then.
func (c *coordinators) end() {
	for _, p := range c.partitions {
		p.inbox.Close()
	}
	for _, p := range c.partitions {
		p.ended.Get()
	}
}

// awaitStart waits until requests find the coordinators of that topic, which is soon after it exists.
func (g *groups) awaitStart(c *call, topic catalog.ID, deadline host.Instant) bool {
	g.watchers.Add(c.waiter)
	defer g.watchers.Remove(c.waiter)
	for g.current.Load().topic != topic {
		if c.ending() || !c.waiter.WaitUntil(deadline) {
			return false
		}
	}
	return true
}

// stop ends the coordinators for good.
func (g *groups) stop() {
	g.stopping.Set(struct{}{})
	g.ended.Get()
	g.metered.Get()
}

// began counts a rebalance and says why it began.
func (g *groups) began(e group.Begun) {
	of := g.rebalances[0]
	if e.Type == "consumer" {
		of = g.rebalances[1]
	}
	of.Add(1)
	g.broker.host.Log.Info("a group rebalances", "group", e.GroupID, "type", e.Type, "epoch", e.Epoch, "reason", e.Reason)
}

// partitions is how many partitions the groups are spread over; 0 as long as there is no topic for them.
func (g *groups) partitions() int { return len(g.current.Load().partitions) }

// ask puts the request to the group's coordinator.
func (g *groups) ask(groupID string, r group.Request) *host.Future[group.Response] {
	all := g.current.Load().partitions
	if len(all) == 0 {
		return host.Done(g.broker.host.Tasks, group.ErrorResponse(r, wire.ErrNotCoordinator))
	}
	return g.put(all[group.PartitionOf(groupID, int32(len(all)))], r)
}

func (g *groups) put(p *groupPartition, r group.Request) *host.Future[group.Response] {
	tasks := g.broker.host.Tasks
	call := &groupCall{request: r, answer: host.NewFuture[group.Response](tasks)}
	if !p.inbox.Put(call) {
		return host.Done(tasks, group.ErrorResponse(r, wire.ErrCoordinatorNotAvailable))
	}
	return call.answer
}

// groupAnswer asks the group's coordinator and waits for the answer as long as the connection lives. R is the response
// type that goes with the request.
func groupAnswer[R group.Response](c *call, groupID string, r group.Request) R {
	return awaitGroup[R](c, c.broker.groups.ask(groupID, r), r, host.Never)
}

// groupWrite is groupAnswer for requests that write at once: the answer comes soon, and the client needs it.
func groupWrite[R group.Response](c *call, groupID string, r group.Request) R {
	answer, ok := outlast(c, c.broker.groups.ask(groupID, r), c.groupDeadline())
	if !ok {
		answer = group.ErrorResponse(r, wire.ErrCoordinatorNotAvailable)
	}
	return answer.(R)
}

// groupRead asks for something that must not be older than what was answered before: first it is made sure that this node
// still leads the group's partition, then the coordinator answers. One that was deposed knows it by then.
func groupRead[R group.Response](c *call, groupID string, r group.Request, deadline host.Instant) R {
	return c.readGroups([]string{groupID}, []group.Request{r}, deadline)[0].(R)
}

// readGroups is groupRead for several groups, each with a request of its own.
func (c *call) readGroups(groupIDs []string, requests []group.Request, deadline host.Instant) []group.Response {
	g := c.broker.groups
	var asked confirmations
	shards := make([]*shard.Shard, len(groupIDs))
	for i, id := range groupIDs {
		if shards[i] = g.shard(id); shards[i] != nil && !mutant.On("group-read-unconfirmed") {
			asked.ask(shards[i])
		}
	}
	c.confirm(asked, deadline)
	answers := make([]*host.Future[group.Response], len(groupIDs))
	for i, id := range groupIDs {
		if shards[i] != nil && asked.done(shards[i]) || mutant.On("group-read-unconfirmed") {
			answers[i] = g.ask(id, requests[i])
		} else {
			answers[i] = host.Done(g.broker.host.Tasks, group.ErrorResponse(requests[i], wire.ErrNotCoordinator))
		}
	}
	responses := make([]group.Response, len(groupIDs))
	for i, f := range answers {
		responses[i] = awaitGroup[group.Response](c, f, requests[i], deadline)
	}
	return responses
}

// shard is the shard that holds the groups' partition and is led here, nil when it is not.
func (g *groups) shard(groupID string) *shard.Shard {
	now := g.current.Load()
	if len(now.partitions) == 0 {
		return nil
	}
	at, code := g.broker.cluster.Lookup(now.topic, group.PartitionOf(groupID, int32(len(now.partitions))))
	if code != wire.ErrNone {
		return nil
	}
	return at.Shard
}

func awaitGroup[R group.Response](c *call, f *host.Future[group.Response], r group.Request, deadline host.Instant) R {
	answer, ok := await(c, f, deadline)
	if !ok {
		answer = group.ErrorResponse(r, wire.ErrCoordinatorNotAvailable)
	}
	return answer.(R)
}

// groupDeadline is how long a write of a coordinator is waited for: offsets.commit.timeout.ms.
func (c *call) groupDeadline() host.Instant {
	b := c.broker
	ms := b.layers(b.set.Catalog()).Int("offsets.commit.timeout.ms")
	return c.now().Add(time.Duration(ms) * time.Millisecond)
}
