package group

import (
	"bytes"
	"slices"
	"time"

	"millrace/net/wire"
)

// state is the state of a classic group, in Kafka's names.
type state uint8

const (
	empty state = iota
	preparingRebalance
	completingRebalance
	stable
)

func (s state) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

// stateDead is what a group that does not exist is described as.
const stateDead = "Dead"

const (
	typeClassic  = "classic"
	typeConsumer = "consumer" // the protocol type of consumers, whose subscriptions the coordinator can read
)

// member is a member of a classic group.
type member struct {
	id               string
	instanceID       string // empty: dynamic
	clientID         string
	clientHost       string
	rebalanceTimeout time.Duration
	sessionTimeout   time.Duration
	protocols        []Protocol // distinct names
	assignment       []byte
	joinTag          uint64 // the JoinGroup that waits; 0: none
	syncTag          uint64 // the SyncGroup that waits; 0: none
	// fresh members have never been in a generation; they send no heartbeats while they wait for their first.
	fresh bool
	// syncDue: in the current generation and without a SyncGroup so far.
	syncDue bool
}

func (m *member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

func (m *member) offers(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// classic is a group of the classic protocol, as its leader knows it.
type classic struct {
	id           string
	state        state
	previous     state // the state before
	generation   int32
	protocolType string // empty: a group that only commits offsets
	protocolName string // empty: none chosen
	leader       string // member id; empty exactly when there are no members
	members      []*member
	byID         map[string]*member
	instances    map[string]string   // instance id to member id
	pending      map[string]struct{} // member ids that were given out and have not joined
	awaiting     int                 // members whose JoinGroup waits
	offered      map[string]int      // how many members offer a protocol
	// initialRemaining is how much longer the delay of the initial rebalance may be extended, and newMember whether
	// somebody came during the current delay.
	initialRemaining time.Duration
	newMember        bool
	// topics are those that the members subscribe to; nil when the coordinator cannot tell.
	topics      map[string]struct{}
	stateMillis int64 // wall time of the last change of state; -1: unknown
}

func newClassic(id string, wallMillis int64) *classic {
	return &classic{
		id:          id,
		byID:        map[string]*member{},
		instances:   map[string]string{},
		pending:     map[string]struct{}{},
		offered:     map[string]int{},
		stateMillis: wallMillis,
	}
}

func (g *classic) transition(to state, wallMillis int64) {
	g.previous, g.state, g.stateMillis = g.state, to, wallMillis
}

// add puts a new member in; the first one sets the group's type and leads.
func (g *classic) add(m *member, protocolType string) {
	if len(g.members) == 0 {
		g.protocolType = protocolType
	}
	if g.leader == "" {
		g.leader = m.id
	}
	g.members = append(g.members, m)
	g.byID[m.id] = m
	if m.instanceID != "" {
		g.instances[m.instanceID] = m.id
	}
	g.offer(m, 1)
	delete(g.pending, m.id)
}

// remove takes a member out, whose requests must be answered already. The oldest of the others succeeds a leader.
func (g *classic) remove(m *member) {
	if m.joinTag != 0 || m.syncTag != 0 {
		panic("group: a member is removed while its request waits")
	}
	g.members = slices.DeleteFunc(g.members, func(o *member) bool { return o == m })
	delete(g.byID, m.id)
	if m.instanceID != "" && g.instances[m.instanceID] == m.id {
		delete(g.instances, m.instanceID)
	}
	g.offer(m, -1)
	if g.leader == m.id {
		g.leader = ""
		if len(g.members) > 0 {
			g.leader = g.members[0].id
		}
	}
}

// rename gives a static member another member id; its place, role and assignment stay.
func (g *classic) rename(m *member, id string) {
	delete(g.byID, m.id)
	if g.leader == m.id {
		g.leader = id
	}
	m.id = id
	g.byID[id] = m
	g.instances[m.instanceID] = id
}

func (g *classic) setProtocols(m *member, protocols []Protocol) {
	g.offer(m, -1)
	m.protocols = protocols
	g.offer(m, 1)
}

func (g *classic) offer(m *member, n int) {
	for _, p := range m.protocols {
		if g.offered[p.Name] += n; g.offered[p.Name] == 0 {
			delete(g.offered, p.Name)
		}
	}
}

// accepts says whether a member with this type and these protocols fits with the others.
func (g *classic) accepts(protocolType string, protocols []Protocol) bool {
	if g.state == empty {
		return protocolType != "" && len(protocols) > 0
	}
	return protocolType == g.protocolType && slices.ContainsFunc(protocols, func(p Protocol) bool {
		return g.offered[p.Name] == len(g.members)
	})
}

// choose lets each member vote for the first protocol in its list that all offer. Most votes win, then the lesser name.
func (g *classic) choose() string {
	votes := map[string]int{}
	for _, m := range g.members {
		for _, p := range m.protocols {
			if g.offered[p.Name] == len(g.members) {
				votes[p.Name]++
				break
			}
		}
	}
	best := ""
	for _, name := range sortedKeys(votes) {
		if best == "" || votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// allJoined says whether everybody that belongs to the group waits for the next generation.
func (g *classic) allJoined() bool { return g.awaiting == len(g.members) && len(g.pending) == 0 }

// rebalanceTimeout is the longest that a member asks for.
func (g *classic) rebalanceTimeout() time.Duration {
	var longest time.Duration
	for _, m := range g.members {
		longest = max(longest, m.rebalanceTimeout)
	}
	return longest
}

// electJoined makes sure that the leader is among those that joined; false when nobody did.
func (g *classic) electJoined() bool {
	if leader := g.byID[g.leader]; leader != nil && leader.joinTag != 0 {
		return true
	}
	for _, m := range g.members {
		if m.joinTag != 0 {
			g.leader = m.id
			return true
		}
	}
	return false
}

// verify checks that the member is one of the group, and the one that its instance id stands for.
func (g *classic) verify(memberID, instanceID string) ErrorCode {
	if instanceID != "" {
		switch current, ok := g.instances[instanceID]; {
		case !ok:
			return wire.ErrUnknownMemberId
		case current != memberID:
			return wire.ErrFencedInstanceId
		}
	}
	if g.byID[memberID] == nil {
		return wire.ErrUnknownMemberId
	}
	return wire.ErrNone
}

// subscribed says whether the topic's offsets are in use. When the coordinator cannot tell, a consumer group's are.
func (g *classic) subscribed(topic string) bool {
	if g.topics == nil {
		return g.protocolType == typeConsumer
	}
	_, ok := g.topics[topic]
	return ok
}

// readTopics finds out what the members of a consumer group subscribe to.
func (g *classic) readTopics() {
	g.topics = nil
	if g.protocolType != typeConsumer || len(g.members) > 0 && g.protocolName == "" {
		return
	}
	topics := map[string]struct{}{}
	for _, m := range g.members {
		names, ok := subscription(m.metadata(g.protocolName))
		if !ok {
			return
		}
		for _, name := range names {
			topics[name] = struct{}{}
		}
	}
	g.topics = topics
}

// subscription reads the topics of a consumer's metadata: every version begins like version 0.
func subscription(metadata []byte) ([]string, bool) {
	r := wire.NewReader(metadata)
	if version := r.Int16(); r.Err() != nil || version < 0 {
		return nil, false
	}
	var m wire.ConsumerProtocolSubscription
	m.Decode(r, 0)
	return m.Topics, r.Err() == nil
}

// value is what the log stores of the group, with these assignments.
func (g *classic) value(assignment func(*member) []byte) *wire.GroupMetadataValue {
	v := &wire.GroupMetadataValue{
		ProtocolType:          g.protocolType,
		Generation:            g.generation,
		CurrentStateTimestamp: g.stateMillis,
	}
	if g.protocolName != "" {
		v.Protocol = &g.protocolName
	}
	if g.leader != "" {
		v.Leader = &g.leader
	}
	for _, m := range g.members {
		mv := wire.NewGroupMetadataValueMemberMetadata()
		mv.MemberId, mv.ClientId, mv.ClientHost = m.id, m.clientID, m.clientHost
		mv.RebalanceTimeout = int32(m.rebalanceTimeout.Milliseconds())
		mv.SessionTimeout = int32(m.sessionTimeout.Milliseconds())
		if m.instanceID != "" {
			mv.GroupInstanceId = &m.instanceID
		}
		mv.Subscription, mv.Assignment = m.metadata(g.protocolName), assignment(m)
		v.Members = append(v.Members, mv)
	}
	return v
}

func (g *classic) record(assignment func(*member) []byte) (Record, error) {
	return groupRecord(g.id, g.value(assignment))
}
