package node

import (
	"strconv"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/group"
	"millrace/node/host"
)

// groups finds the coordinators: a task for each partition of the offsets topic, from when the topic exists.
type groups struct {
	broker *Broker
	// partitions by number; empty until the topic exists. Their number never changes afterwards.
	partitions *host.Snapshot[[]*groupPartition]
	started    *host.Future[struct{}]
	stopping   *host.Future[struct{}]
	ended      *host.Future[struct{}]
}

// groupPartition is where the requests of one partition's groups are put.
type groupPartition struct {
	inbox *host.Queue[*groupCall]
	ended *host.Future[struct{}]
}

// groupCall is a request to a coordinator and its answer.
type groupCall struct {
	request group.Request
	answer  *host.Future[group.Response]
}

func startGroups(b *Broker) *groups {
	tasks := b.host.Tasks
	g := &groups{
		broker:     b,
		partitions: host.NewSnapshot(tasks, &[]*groupPartition{}),
		started:    host.NewFuture[struct{}](tasks),
		stopping:   host.NewFuture[struct{}](tasks),
		ended:      host.NewFuture[struct{}](tasks),
	}
	tasks.Go("node.groups", g.run)
	return g
}

// run waits for the topic and starts its coordinators.
func (g *groups) run() {
	defer g.ended.Set(struct{}{})
	w := g.broker.host.Tasks.NewWaiter()
	g.stopping.Watch(w)
	g.broker.set.WatchCatalog(w)
	defer g.broker.set.UnwatchCatalog(w)
	for {
		if _, stop := g.stopping.Try(); stop {
			return
		}
		if topic, ok := g.broker.set.Catalog().Topic(offsetsTopic); ok {
			g.start(topic)
			return
		}
		w.Wait()
	}
}

func (g *groups) start(topic *catalog.Topic) {
	tasks := g.broker.host.Tasks
	all := make([]*groupPartition, len(topic.Partitions))
	for i := range all {
		p := &groupPartition{ended: host.NewFuture[struct{}](tasks)}
		t := newGroupTask(g.broker, topic.ID, int32(i), p)
		all[i] = p
		tasks.Go("node.group."+strconv.Itoa(i), t.run)
	}
	g.partitions.Store(&all)
	g.started.Set(struct{}{})
}

// awaitStart waits until requests find their coordinators, which is soon after the topic exists.
func (g *groups) awaitStart(c *call, deadline host.Instant) bool {
	_, ok := await(c, g.started, deadline)
	return ok
}

// stop ends the coordinators. Requests that wait for members or for the log have no answer then.
func (g *groups) stop() {
	g.stopping.Set(struct{}{})
	g.ended.Get()
	all := *g.partitions.Load()
	for _, p := range all {
		p.inbox.Close()
	}
	for _, p := range all {
		p.ended.Get()
	}
}

// ask puts the request to the group's coordinator.
func (g *groups) ask(groupID string, r group.Request) *host.Future[group.Response] {
	all := *g.partitions.Load()
	if len(all) == 0 {
		return host.Done(g.broker.host.Tasks, group.ErrorResponse(r, wire.ErrNotCoordinator))
	}
	return g.put(all[group.PartitionOf(groupID, int32(len(all)))], r)
}

// askAll puts a request to every coordinator; of makes one for each.
func (g *groups) askAll(of func() group.Request) []*host.Future[group.Response] {
	var answers []*host.Future[group.Response]
	for _, p := range *g.partitions.Load() {
		answers = append(answers, g.put(p, of()))
	}
	return answers
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
