package group

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// What a coordinator remembers of rebalances, beside what the log stores: why the last ones of each group began. It lives
// with the leadership, like the members' timers: a successor knows what happened since it was elected.

// Bounds of what is remembered and told, since members name themselves.
const (
	keptRebalances = 10
	keptCauses     = 3   // that are told of one rebalance; the others are counted
	maxCause       = 300 // bytes
	maxNamed       = 80  // bytes of a name that is told
	toldWaiters    = 20
)

// Rebalance is one that began: of a classic group, to this generation, of a consumer group, to this group epoch.
type Rebalance struct {
	WallMillis int64
	Epoch      int32
	Reason     string
}

// Begun is a rebalance that a call began, for the broker to count and to log.
type Begun struct {
	GroupID string
	Type    string // "classic", "consumer"
	Rebalance
}

// memory is what is remembered of one group.
type memory struct {
	rebalances []*remembered // newest first
}

// remembered is a rebalance and the causes that came while it gathered members.
type remembered struct {
	at     int64
	epoch  int32
	causes []string
	more   int
}

func (r *remembered) reason() string {
	text := strings.Join(r.causes, "; ")
	if r.more > 0 {
		text += fmt.Sprintf("; and %d more like these", r.more)
	}
	return text
}

// because notes why a group begins a rebalance to this epoch. What comes while one to the same epoch gathers members is a
// further cause of that one.
func (c *Coordinator) because(groupID, typ string, epoch int32, cause string) {
	cause = shorten(cause, maxCause)
	m := c.memories[groupID]
	if m == nil {
		m = &memory{}
		c.memories[groupID] = m
	}
	if len(m.rebalances) > 0 && m.rebalances[0].epoch == epoch && typ == typeClassic {
		last := m.rebalances[0]
		if len(last.causes) < keptCauses {
			last.causes = append(last.causes, cause)
		} else {
			last.more++
		}
		return
	}
	m.rebalances = slices.Insert(m.rebalances, 0, &remembered{at: c.now.WallMillis, epoch: epoch, causes: []string{cause}})
	m.rebalances = m.rebalances[:min(len(m.rebalances), keptRebalances)]
	c.out.Begun = append(c.out.Begun, Begun{groupID, typ, Rebalance{c.now.WallMillis, epoch, cause}})
}

// forgetMemories drops what is remembered of groups that are no more.
func (c *Coordinator) forgetMemories() {
	for id := range c.memories { //door:ordered each by itself
		if c.groups[id] == nil && c.consumers[id] == nil {
			delete(c.memories, id)
		}
	}
}

// shorten cuts a text that somebody else made, so that little of it is kept, and takes out what a terminal would obey.
func shorten(text string, most int) string {
	short := text[:min(len(text), most)]
	short = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(short, ""))
	if len(text) > most {
		short += "…"
	}
	return short
}

// called is how a member is named in a cause.
func called(id, instance, client, host string) string {
	text := "member " + shorten(id, maxNamed)
	if instance != "" {
		text = "static member " + shorten(instance, maxNamed)
	}
	return fmt.Sprintf("%s (client %s at %s)", text, shorten(client, maxNamed), shorten(strings.TrimPrefix(host, "/"), maxNamed))
}

func (m *member) called() string { return called(m.id, m.instanceID, m.clientID, m.clientHost) }

func (m *consumerMember) called() string { return called(m.id, m.instance(), m.clientID, m.clientHost) }

// saying adds what a client said about why.
func saying(cause, said string) string {
	if said == "" {
		return cause
	}
	return cause + ", saying: " + shorten(said, maxNamed)
}

// StoryRequest asks why a group is as it is. The broker's own: Kafka's protocol has no place for it.
type StoryRequest struct {
	GroupID string
}

// StoryResponse tells it. A group that does not exist has no Type.
type StoryResponse struct {
	Error ErrorCode
	Type  string // "classic", "consumer"
	State string
	// StateMillis is since when it is in that state, 0 when that is not known, as of consumer groups, whose states follow from
	// their members'; CoordinatedMillis is since when this coordinator is its.
	StateMillis, CoordinatedMillis int64
	Epoch                          int32       // the generation of a classic group
	Rebalances                     []Rebalance // newest first
	// Waiting are members that the group waits for, at most 20; MoreWaiting are the others.
	Waiting     []Waiting
	MoreWaiting int
	Offsets     []StoredOffset
}

// Waiting is a member that a group waits for, and what it should do.
type Waiting struct {
	MemberID, ClientID, ClientHost string
	What                           string
}

func (*StoryRequest) request()   {}
func (*StoryResponse) response() {}

// story handles StoryRequest.
func (c *Coordinator) story(r *StoryRequest) *StoryResponse {
	out := &StoryResponse{CoordinatedMillis: c.electedMillis}
	if m := c.memories[r.GroupID]; m != nil {
		for _, b := range m.rebalances {
			out.Rebalances = append(out.Rebalances, Rebalance{b.at, b.epoch, b.reason()})
		}
	}
	var waiting []Waiting
	if g := c.groups[r.GroupID]; g != nil {
		out.Type, out.State, out.StateMillis, out.Epoch = typeClassic, g.state.String(), max(g.stateMillis, 0), g.generation
		waiting = g.waiting(c)
	} else if g := c.consumers[r.GroupID]; g != nil {
		out.Type, out.State, out.Epoch = typeConsumer, g.stateName(), g.epoch
		waiting = g.waiting(c)
	}
	out.Waiting = waiting[:min(len(waiting), toldWaiters)]
	out.MoreWaiting = len(waiting) - len(out.Waiting)
	out.Offsets = c.offsetsOf(nil, r.GroupID, maxStoryOffsets)
	return out
}

// waiting lists the members that a classic group waits for.
func (g *classic) waiting(c *Coordinator) []Waiting {
	var out []Waiting
	note := func(m *member, what string) {
		out = append(out, Waiting{shorten(m.id, maxNamed), shorten(m.clientID, maxNamed), shorten(strings.TrimPrefix(m.clientHost, "/"), maxNamed), what})
	}
	switch g.state {
	case preparingRebalance:
		for _, m := range g.members {
			if m.joinTag == 0 {
				note(m, "it must join again; "+g.left(c, timerJoin)+", then the group goes on without it")
			}
		}
		for _, id := range sortedKeys(g.pending) {
			out = append(out, Waiting{MemberID: shorten(id, maxNamed), What: "it was given this id and must join with it"})
		}
	case completingRebalance:
		for _, m := range g.members {
			switch {
			case !m.syncDue && m.syncTag != 0:
			case m.id == g.leader:
				note(m, "it leads and must say who reads what; "+g.left(c, timerSync))
			case m.syncDue:
				note(m, "it must ask what to read; "+g.left(c, timerSync))
			}
		}
	}
	return out
}

// left says how much time a phase has left.
func (g *classic) left(c *Coordinator, kind timerKind) string {
	t := c.timers.byKey[timerKey{kind: kind, group: g.id}]
	if t == nil {
		return "it has time until its session ends"
	}
	return fmt.Sprintf("it has %v left", max(t.deadline.Sub(c.now.Instant), 0).Truncate(100*time.Millisecond))
}

// waiting lists the members that a consumer group waits for.
func (g *consumerGroup) waiting(c *Coordinator) []Waiting {
	var out []Waiting
	for _, id := range sortedKeys(g.members) {
		m := g.members[id]
		what := ""
		switch {
		case m.epoch == awayEpoch:
			what = "it is static and away; its partitions wait for it until its session ends"
		case m.state == memberUnrevoked:
			what = fmt.Sprintf("it must give back %s", c.names(m.revoking.partitions()))
			if t := c.timers.byKey[timerKey{timerRebalance, g.id, id}]; t != nil {
				what += fmt.Sprintf("; it has %v left", max(t.deadline.Sub(c.now.Instant), 0).Truncate(100*time.Millisecond))
			}
		case m.state == memberUnreleased:
			what = "it lacks partitions that others have not given back"
		case m.epoch < g.assignmentEpoch:
			what = fmt.Sprintf("with its next heartbeat it will hear of epoch %d, it knows %d", g.assignmentEpoch, m.epoch)
		}
		if what != "" {
			out = append(out, Waiting{shorten(m.id, maxNamed), shorten(m.clientID, maxNamed), shorten(strings.TrimPrefix(m.clientHost, "/"), maxNamed), what})
		}
	}
	return out
}

// names words partitions, a few of them.
func (c *Coordinator) names(list partitions) string {
	const most = 5
	var words []string
	for _, p := range list[:min(len(list), most)] {
		name := "a deleted topic"
		if t, ok := c.cluster.TopicByID(p.topic); ok {
			name = t.Name
		}
		words = append(words, fmt.Sprintf("%s-%d", name, p.index))
	}
	if n := len(list) - most; n > 0 {
		words = append(words, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(words, ", ")
}
