package shard

import (
	"fmt"
	"slices"
	"time"

	"millrace/net/peer"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/node/ordered"
)

// announceEvery is how often a node repeats what it leads.
const announceEvery = time.Second

// cluster is what a node knows of the others: who can be heard, and who leads what. One task owns it (tend); everybody
// reads its view.
type cluster struct {
	set *Set
	// inbox brings what the links and the set have to say to the task.
	inbox *host.Queue[clusterEvent]
	// self is the node's identity as handlers of the links see it.
	self *host.Snapshot[Identity]
	view *host.Snapshot[view]
	// refused is set when the other nodes do not let this one in, with their reason.
	refused *host.Future[string]

	// The rest belongs to the task.
	now      view
	refusals map[int32]string // by node; never ranged over for effect
	met      map[uint64]bool  // shards that were told who is silent
	sequence uint64
	leaving  bool
	full     bool
}

// view is what the task publishes. It never changes.
type view struct {
	// alive are the nodes that can be heard, leaving those among them that are about to stop.
	alive   ordered.Map[ordered.Int, presence]
	leaders ordered.Map[ordered.Int, *announced]
}

// presence is a node that can be heard.
type presence struct {
	// since is when it was heard first.
	since   host.Instant
	leaving bool
	full    bool
}

// announced is the newest announcement of a shard's leader. Node is -1 when it was this node, which leads no more.
type announced struct {
	Leader
	// sequence orders the announcements of one leader in one term.
	sequence uint64
}

// clusterEvent is something that the task hears; hear runs in it.
type clusterEvent interface{ hear(c *cluster) }

// newCluster prepares the task whose waiter is w.
func newCluster(s *Set, w host.Waiter, self *Identity) *cluster {
	return &cluster{
		set: s, inbox: host.NewQueue[clusterEvent](s.host.Tasks, 1, w),
		self: host.NewSnapshot(s.host.Tasks, self), view: host.NewSnapshot(s.host.Tasks, &view{}),
		refused:  host.NewFuture[string](s.host.Tasks),
		refusals: map[int32]string{}, met: map[uint64]bool{},
	}
}

// startCluster starts the links to the other nodes, and the task.
func (s *Set) startCluster() error {
	identity := s.identity
	w, beats := s.host.Tasks.NewWaiter(), s.host.Tasks.NewWaiter()
	s.cluster = newCluster(s, w, &identity)
	s.beats = host.NewQueue[beat](s.host.Tasks, 1, beats)
	listen := s.o.PeerListen
	for _, p := range s.o.Peers {
		if p.Node == s.o.Node && listen == "" {
			listen = p.Addr
		}
	}
	var err error
	s.links, err = peer.Start(s.host, peer.Options{
		Self: identity.hello(), Listen: listen, Peers: s.o.Peers, Secret: s.o.Secret,
		Transport: s.o.PeerTransport, Certified: s.o.PeerTransport != nil,
	}, handler{s})
	if err != nil {
		return err
	}
	s.taskOf("cluster", w, s.cluster.tend)
	s.taskOf("sessions", beats, func(w host.Waiter) { newSessions(s).run(w) })
	return nil
}

// hello is how the node introduces itself on a connection.
func (i *Identity) hello() peer.Hello {
	return peer.Hello{Cluster: i.ClusterID, Node: i.Node, Directory: i.Directory, Incarnation: i.Incarnation, Boots: i.Boots}
}

// formed says that the node has become a member of a cluster.
func (c *cluster) formed(identity Identity) {
	c.self.Store(&identity)
	c.set.links.SetSelf(identity.hello())
}

// tend is the task.
func (c *cluster) tend(w host.Waiter) {
	c.set.changes.Add(w)
	var events []clusterEvent
	next := c.set.host.Clock.Now()
	for !c.set.stopped() {
		w.WaitUntil(next)
		events, _ = c.inbox.Drain(events[:0])
		for i, e := range events {
			e.hear(c)
			events[i] = nil
		}
		changed := c.look()
		now := c.set.host.Clock.Now()
		if now >= next {
			changed = c.own()
			next = now.Add(announceEvery)
		}
		if len(changed) > 0 {
			c.tell(changed)
		}
		c.publish()
	}
}

// publish shows what has changed.
func (c *cluster) publish() {
	if now := c.now; now != *c.view.Load() {
		c.view.Store(&now)
		c.set.changes.Wake()
	}
}

// look compares what the shards here say with the table, and returns what is new of the shards that are led from here.
func (c *cluster) look() []*announced {
	var changed []*announced
	self := c.set.o.Node
	for id, s := range c.set.shards.Load().All {
		if !c.met[uint64(id)] {
			c.met[uint64(id)] = true
			for _, node := range c.set.o.peerNodes() {
				p, alive := c.now.alive.Get(ordered.Int(node))
				if !alive && node != self {
					s.Suspect(node)
				}
				if p.full {
					s.inbox.Post(roomOf{node, true})
				}
			}
		}
		status := s.Status()
		was, known := c.now.leaders.Get(id)
		switch {
		case !status.Serving && known && was.Node == self:
			c.set.host.Log.Info("this node no longer leads a shard", "shard", uint64(id), "term", was.Term)
			c.now.leaders = c.now.leaders.Set(id, &announced{Leader: Leader{Node: -1, Term: was.Term}, sequence: was.sequence})
		case !status.Serving || known && was.Term > status.Term:
		case known && was.Node == self && was.Term == status.Term && slices.Equal(was.InSync, status.InSync):
		default:
			if !known || was.Node != self || was.Term != status.Term {
				c.set.host.Log.Info("this node leads a shard", "shard", uint64(id), "term", status.Term, "in sync", listNodes(status.InSync))
			}
			c.sequence++
			is := &announced{Leader: Leader{Shard: uint64(id), Node: self, Term: status.Term, InSync: status.InSync}, sequence: c.sequence}
			c.now.leaders = c.now.leaders.Set(id, is)
			changed = append(changed, is)
		}
	}
	return changed
}

// own are the announcements of all shards that are led from here.
func (c *cluster) own() []*announced {
	var all []*announced
	for _, a := range c.now.leaders.All {
		if a.Node == c.set.o.Node {
			all = append(all, a)
		}
	}
	return all
}

// tell tells all nodes.
func (c *cluster) tell(what []*announced) {
	note := encodeLeaders(c.leaving, c.full, what)
	for node := range c.now.alive.All {
		c.set.links.Tell(int32(node), noteLeaders, note)
	}
}

// told is a note of another node about the shards that it leads.
type told struct {
	from    int32
	leaving bool
	full    bool
	leaders []*announced
}

func (t told) hear(c *cluster) {
	if p, alive := c.now.alive.Get(ordered.Int(t.from)); alive && (p.leaving != t.leaving || p.full != t.full) {
		if p.full != t.full {
			c.tellShards(t.from, t.full)
		}
		p.leaving, p.full = t.leaving, t.full
		c.now.alive = c.now.alive.Set(ordered.Int(t.from), p)
	}
	for _, is := range t.leaders {
		is.Node = t.from
		if was, known := c.now.leaders.Get(ordered.Int(is.Shard)); known && !is.newer(was) {
			continue
		}
		c.now.leaders = c.now.leaders.Set(ordered.Int(is.Shard), is)
	}
}

// newer says whether an announcement replaces another: the highest term wins, and within one the last word of its leader.
func (a *announced) newer(was *announced) bool {
	if mutant.On("older-announcement-wins") {
		return a.Node != was.Node || a.Term != was.Term || !slices.Equal(a.InSync, was.InSync)
	}
	if a.Term != was.Term {
		return a.Term > was.Term
	}
	return a.Node == was.Node && a.sequence > was.sequence
}

// up says that a node can be heard.
type up struct{ node int32 }

func (u up) hear(c *cluster) {
	c.now.alive = c.now.alive.Set(ordered.Int(u.node), presence{since: c.set.host.Clock.Now()})
	delete(c.refusals, u.node)
	for _, s := range c.set.shards.Load().All {
		s.Heard(u.node)
	}
	c.tellShards(u.node, false) // until it says otherwise
	c.set.links.Tell(u.node, noteLeaders, encodeLeaders(c.leaving, c.full, c.own()))
	c.set.host.Log.Info("a peer is there", "peer", u.node)
}

// down says that a node cannot be heard any more.
type down struct{ node int32 }

func (d down) hear(c *cluster) {
	c.now.alive = c.now.alive.Delete(ordered.Int(d.node))
	for _, s := range c.set.shards.Load().All {
		s.Suspect(d.node)
		s.Unreachable(d.node)
	}
	c.set.host.Log.Warn("a peer is silent", "peer", d.node)
}

// shutOut says that a node did not let this one in.
type shutOut struct {
	node    int32
	reason  string
	oldCopy bool
}

func (r shutOut) hear(c *cluster) {
	if c.refusals[r.node] != r.reason {
		c.set.host.Log.Warn("a peer does not let this node in", "peer", r.node, "reason", r.reason)
	}
	c.refusals[r.node] = r.reason
	self := c.self.Load()
	// One that is wrong itself cannot keep out a member of a cluster; the majority knows. But who has seen a later start of
	// this directory is right, and may be the only one: the others would take this node's votes for records that it lacks.
	if !self.formed() || r.oldCopy || len(c.refusals) > len(self.Controllers)/2 {
		c.refused.Set(r.reason)
		if self.formed() {
			c.set.fail(fmt.Errorf("the other nodes do not let this one in: %s", r.reason))
		}
	}
}

// leave says that the node is about to stop, so that nobody hands leadership to it.
type leave struct{}

func (leave) hear(c *cluster) {
	c.leaving = true
	c.tell(c.own())
}
