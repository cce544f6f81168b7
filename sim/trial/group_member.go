package trial

import (
	"fmt"
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/sim"
	"millrace/sim/client"
)

// The kinds of actors of groups.
const (
	kindMember  = "member"
	kindZombie  = "zombie"
	kindWatcher = "watcher"
)

// beMember is the task of a member of a group.
func (t *trial) beMember(i int, name string, d *sim.Draws, a ActorPlan) {
	g := t.group(a.Member.Group)
	x := &memberState{group: g, actor: i, plan: a.Member}
	g.members = append(g.members, x)
	t.members++
	defer func() { t.members-- }()
	for !x.retired && !g.settled {
		x.live(fmt.Sprint(name, "-", x.life), d, a)
		x.life++
		if t.stop {
			continue
		}
		t.host.Clock.Sleep(time.Duration(d.Skewed(1, 1500)) * time.Millisecond)
	}
	t.changed.Wake()
}

// begin is the begin of a life.
func (x *memberState) begin(name string, d *sim.Draws, a ActorPlan) *client.Client {
	t, p := x.group.t, x.plan
	x.speaks, x.insisted = p.Protocol, false
	if p.Migrates && d.Chance(0.5) {
		x.speaks = client.Consumer
	}
	assignor := p.Assignor
	if p.Migrates && x.speaks != client.Consumer {
		assignor = ""
	}
	o := client.MemberOptions{Group: p.Group, Protocol: x.speaks, Instance: p.Instance, Topics: p.Topics, Assignor: assignor,
		Session: p.Session, Rebalance: p.Rebalance, Taken: x.taken, Renewed: x.renewed, Sent: x.sent}
	if x.speaks == client.Consumer && p.Pattern != "" {
		o.Pattern, o.Topics, o.Matching = p.Pattern, nil, p.Topics
	}
	if p.Slow > 0 {
		o.Slow = func() time.Duration { return time.Duration(d.Skewed(1, int64(p.Slow))) }
	}
	c := t.newClient(name, a)
	x.m = client.NewMember(c, o)
	f := client.NewFetcher(c, client.FetchOptions{Sessions: a.Sessions, MaxWait: time.Duration(d.Skewed(1, 200)) * time.Millisecond,
		MinBytes: 1, MaxBytes: 1 << 20, PartitionMaxBytes: int32(d.Skewed(1000, 1<<20))})
	x.r = &reader{who: 100*(x.actor+1) + x.life, client: c, fetcher: f}
	return c
}

// live is a life of a member: it ends when the member leaves, crashes or is fenced, or when the group has settled.
func (x *memberState) live(name string, d *sim.Draws, a ActorPlan) {
	g, t := x.group, x.group.t
	c := x.begin(name, d, a)
	defer c.Close()
	beat, look := t.host.Clock.Now(), t.host.Clock.Now()
	for {
		if now := t.host.Clock.Now(); now >= look {
			look = now.Add(2 * time.Second)
			_ = x.m.Look() // an error is one of the next requests, too
		}
		if now := t.host.Clock.Now(); now >= beat || !x.m.Joined {
			beat = now.Add(x.plan.Session / 10)
			if err := x.m.Step(); err != nil {
				t.world.Note("oracle: group %s: %v: %v", g.name, x, err)
				t.checkMember(x, "heartbeat", err)
				g.met("heartbeat", err)
				if t.stop && client.IsCode(err, wire.ErrUnreleasedInstanceId) && x.replaced() {
					x.retired = true
					return
				}
				t.host.Clock.Sleep(time.Duration(d.Skewed(5, 300)) * time.Millisecond)
			}
		}
		if x.m.Fenced != nil {
			x.retired = t.stop || d.Chance(0.3)
			return
		}
		x.consume()
		x.insist()
		switch {
		case g.settles(x):
			x.end(d)
			return
		case !t.stop && d.Chance(x.plan.Restless) && x.rove(d):
			return
		}
		t.rest(d, a)
	}
}

// insist lets a static member that came back say again, once and when nothing disturbs the group any more, what it subscribes
// to: the coordinator gives it the place that it had, and need not tell the leader that it wants more now.
func (x *memberState) insist() {
	if x.group.t.stop && x.m.Joined && !x.insisted && x.life > 0 && x.plan.Instance != "" && x.speaks != client.Consumer {
		x.insisted = true
		x.m.JoinAgain()
	}
}

// consume reads what the member has, and commits how far it came.
func (x *memberState) consume() {
	r := x.r
	x.assume()
	if len(r.list) == 0 {
		return
	}
	g, t := x.group, x.group.t
	if _, err := t.poll(r); err != nil {
		t.world.Note("oracle: group %s: %v polls: %v", g.name, x, err)
		return
	}
	var list []*client.Commit
	for i := range r.list {
		p := r.list[i].position
		tp := client.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		g.read[tp] = max(g.read[tp], p.Offset)
		if x.m.Holds(tp) && r.list[i].committed != p.Offset {
			list = append(list, &client.Commit{TopicPartition: tp, Offset: p.Offset, LeaderEpoch: -1})
		}
	}
	if len(list) == 0 {
		return
	}
	x.commit(list)
	for _, c := range list {
		if c.Err == nil {
			if i := r.find(c.TopicPartition); i >= 0 {
				r.list[i].committed = c.Offset
			}
		}
	}
}

func (r *reader) find(p client.TopicPartition) int {
	return slices.IndexFunc(r.list, func(x reading) bool { return x.position.Topic == p.Topic && x.position.Partition == p.Partition })
}

// assume reads no more what the member does not have, and goes on with what it has come to have where its group was.
func (x *memberState) assume() {
	g, t, r := x.group, x.group.t, x.r
	r.list = slices.DeleteFunc(r.list, func(y reading) bool {
		gone := !x.m.Holds(client.TopicPartition{Topic: y.position.Topic, Partition: y.position.Partition})
		if gone {
			r.fetcher.Drop(y.position)
		}
		return gone
	})
	var missing []client.TopicPartition
	for _, h := range x.m.Owned {
		if r.find(h.TopicPartition) < 0 {
			missing = append(missing, h.TopicPartition)
		}
	}
	if len(missing) == 0 {
		return
	}
	called := t.host.Clock.Now()
	got, err := x.m.Committed(missing)
	if err != nil {
		t.checkMember(x, "offset fetch", err)
		return
	}
	g.fetched(x.String(), x.actor, got, called)
	for _, y := range got {
		l := t.log(y.TopicPartition)
		if y.Err != nil || l == nil || !x.m.Holds(y.TopicPartition) {
			continue
		}
		p := &client.Position{Topic: y.Topic, Partition: y.Partition, Offset: max(y.Offset, l.start)}
		if y.Offset >= 0 {
			p.Offset = y.Offset
		}
		r.list = append(r.list, reading{position: p, log: l, sought: true, committed: y.Offset})
		r.fetcher.Add(p)
	}
}

// log is what is known of a partition of the load.
func (t *trial) log(p client.TopicPartition) *partitionLog {
	for _, s := range t.topics {
		if s.plan.Name == p.Topic && int(p.Partition) < len(s.logs) {
			return s.logs[p.Partition]
		}
	}
	return nil
}

// rove is what a member does that has had enough. It says whether its life is over.
func (x *memberState) rove(d *sim.Draws) bool {
	t := x.group.t
	what := d.Below(6)
	x.group.reached[[]string{"member leaves", "member leaves", "member dies", "member dies", "member is silent", "subscription changed"}[what]]++
	switch what {
	case 0, 1:
		err := x.m.Leave(d.Chance(0.5))
		t.checkMember(x, "leave", err)
		return true
	case 2, 3:
		x.m.Forget() // its process ends
		return true
	case 4:
		t.host.Clock.Sleep(x.plan.Session * time.Duration(d.Between(5, 15)) / 10)
	default:
		if x.plan.Pattern == "" && len(x.plan.Topics) > 1 {
			n := d.Between(1, int64(len(x.plan.Topics)))
			x.m.Subscribe(x.plan.Topics[:n])
		}
	}
	return false
}

// replaced says that another member is the same static member, and in.
func (x *memberState) replaced() bool {
	return slices.ContainsFunc(x.group.members, func(o *memberState) bool {
		return o != x && o.plan.Instance == x.plan.Instance && o.m != nil && o.m.Joined
	})
}

// end is the end of the last life.
func (x *memberState) end(d *sim.Draws) {
	if d.Chance(0.5) {
		if err := x.m.Leave(false); err != nil {
			x.group.t.checkMember(x, "leave", err)
		}
	}
	x.m.Forget()
	x.retired = true
}

// sent notes a request, for the zombie.
func (x *memberState) sent(q wire.Message) { x.group.remember(x, q) }
