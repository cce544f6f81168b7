package group

import (
	"maps"
	"slices"
)

// consumerGroup is a group of the consumer protocol (KIP-848). All of it but the last fields is a function of the log's
// records; the image has one for each group, and so has the leader, which is ahead by what it has handed out to append.
type consumerGroup struct {
	id string
	// epoch grows with each change of members, subscriptions or topics; the target assignment was made for
	// assignmentEpoch, at assignmentMillis (0: never).
	epoch            int32
	metadataHash     int64
	assignmentEpoch  int32
	assignmentMillis int64
	members          map[string]*consumerMember // values are immutable
	targets          map[string]partitions      // by member id
	patterns         map[string]resolvedPattern // by regular expression
	// legacy says that the log holds a record of the topics' metadata, as Kafka wrote it before 4.1.
	legacy bool

	// What follows from that.
	instances        map[string]string      // instance id to member id
	owners           map[partitionID]string // who has a partition, or has not said that it is given back
	names            map[string]int         // topics, by how many members subscribe to them by name
	matched          map[string]int         // topics, by how many regular expressions matched them
	byPattern        map[string]int         // regular expressions, by how many members subscribe with them
	assignors        map[string]int         // assignors, by how many members ask for them
	classicMembers   int
	classicProtocols map[string]int // protocols, by how many members of the classic protocol offer them

	// checked is the cluster with which metadataHash was last compared. The leader's alone.
	checked Cluster
}

// Epochs of a group that has no records yet. Kafka begins with 1, so that the first member has epoch 2.
const (
	firstGroupEpoch      = 1
	firstAssignmentEpoch = 1
	noAssignmentEpoch    = -1
)

func newConsumerGroup(id string) *consumerGroup {
	return &consumerGroup{
		id:               id,
		epoch:            firstGroupEpoch,
		assignmentEpoch:  firstAssignmentEpoch,
		members:          map[string]*consumerMember{},
		targets:          map[string]partitions{},
		patterns:         map[string]resolvedPattern{},
		instances:        map[string]string{},
		owners:           map[partitionID]string{},
		names:            map[string]int{},
		matched:          map[string]int{},
		byPattern:        map[string]int{},
		assignors:        map[string]int{},
		classicProtocols: map[string]int{},
	}
}

// clone copies what can change.
func (g *consumerGroup) clone() *consumerGroup {
	c := *g
	c.members, c.targets, c.patterns = maps.Clone(g.members), maps.Clone(g.targets), maps.Clone(g.patterns)
	c.instances, c.owners = maps.Clone(g.instances), maps.Clone(g.owners)
	c.names, c.matched, c.byPattern = maps.Clone(g.names), maps.Clone(g.matched), maps.Clone(g.byPattern)
	c.assignors, c.classicProtocols = maps.Clone(g.assignors), maps.Clone(g.classicProtocols)
	return &c
}

// resolvedPattern holds the topics that a regular expression matched.
type resolvedPattern struct {
	topics  []string // sorted
	version int64    // of the cluster's metadata
	millis  int64
}

// The states of a member, with the numbers that records have.
type memberState int8

const (
	memberStable     memberState = 0   // has its target, as far as it depends on itself
	memberUnrevoked  memberState = 1   // must give partitions back before it gets its epoch
	memberUnreleased memberState = 2   // waits for partitions that others have
	memberUnknown    memberState = 127 // of a release that knows more
)

// consumerMember is a member of a consumer group. It is immutable.
type consumerMember struct {
	id         string
	instanceID *string
	rackID     *string
	clientID   string
	clientHost string
	// names are the topics it subscribes to, sorted, each once; pattern is a regular expression, or empty.
	names            []string
	pattern          string
	patternNull      bool // the pattern was stored as null, which means the same
	assignor         *string
	rebalanceTimeout int32          // milliseconds; -1: not said
	classic          *classicMember // nil: it speaks the consumer protocol

	epoch         int32 // -2: a static member that is away
	previousEpoch int32
	state         memberState
	assigned      holdings
	revoking      holdings // to be given back by the member
}

// classicMember is what is known besides of a member that speaks the classic protocol.
type classicMember struct {
	sessionTimeout int32 // milliseconds
	protocols      []Protocol
}

// leavingEpoch and awayEpoch are epochs by which a member says that it leaves, for good or, if it is static, to come
// back; joiningEpoch that it comes.
const (
	leavingEpoch = -1
	awayEpoch    = -2
	joiningEpoch = 0
)

func newConsumerMember(id string) *consumerMember {
	return &consumerMember{id: id, previousEpoch: -1, rebalanceTimeout: -1}
}

// with returns a changed copy.
func (m *consumerMember) with(change func(*consumerMember)) *consumerMember {
	c := *m
	change(&c)
	return &c
}

func (m *consumerMember) instance() string { return orNothing(m.instanceID) }

func orNothing(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// reconciled says whether the member has all of the target of that epoch.
func (m *consumerMember) reconciled(epoch int32) bool {
	return m.state == memberStable && m.epoch == epoch
}

// set puts the member in, in the place of the one with its id.
func (g *consumerGroup) set(m *consumerMember) {
	if old := g.members[m.id]; old != nil {
		g.count(old, -1)
	}
	g.members[m.id] = m
	g.count(m, 1)
	if m.instanceID != nil {
		g.instances[*m.instanceID] = m.id
	}
}

func (g *consumerGroup) remove(id string) {
	old := g.members[id]
	if old == nil {
		return
	}
	g.count(old, -1)
	delete(g.members, id)
	if old.instanceID != nil && g.instances[*old.instanceID] == id {
		delete(g.instances, *old.instanceID)
	}
}

// count adds the member to what is derived, or takes it off.
func (g *consumerGroup) count(m *consumerMember, by int) {
	for _, held := range []holdings{m.assigned, m.revoking} {
		for _, h := range held {
			switch {
			case by > 0:
				g.owners[h.partitionID] = m.id
			case g.owners[h.partitionID] == m.id:
				delete(g.owners, h.partitionID)
			}
		}
	}
	for _, name := range m.names {
		countIn(g.names, name, by)
	}
	if m.pattern != "" {
		countIn(g.byPattern, m.pattern, by)
	}
	if m.assignor != nil {
		countIn(g.assignors, *m.assignor, by)
	}
	if m.classic != nil {
		g.classicMembers += by
		for _, p := range m.classic.protocols {
			countIn(g.classicProtocols, p.Name, by)
		}
	}
}

func countIn(counts map[string]int, name string, by int) {
	if counts[name] += by; counts[name] == 0 {
		delete(counts, name)
	}
}

func (g *consumerGroup) setPattern(pattern string, r resolvedPattern) {
	g.removePattern(pattern)
	g.patterns[pattern] = r
	for _, topic := range r.topics {
		countIn(g.matched, topic, 1)
	}
}

func (g *consumerGroup) removePattern(pattern string) {
	for _, topic := range g.patterns[pattern].topics {
		countIn(g.matched, topic, -1)
	}
	delete(g.patterns, pattern)
}

// static returns the member with that instance id, nil if there is none.
func (g *consumerGroup) static(instanceID string) *consumerMember {
	return g.members[g.instances[instanceID]]
}

func (g *consumerGroup) empty() bool { return len(g.members) == 0 }

// subscribed says whether a member subscribes to the topic.
func (g *consumerGroup) subscribed(topic string) bool {
	return g.names[topic] > 0 || g.matched[topic] > 0
}

// topicsOf returns the topics that a member subscribes to, sorted, each once.
func (g *consumerGroup) topicsOf(m *consumerMember) []string {
	if m.pattern == "" {
		return m.names
	}
	topics := slices.Concat(m.names, g.patterns[m.pattern].topics)
	slices.Sort(topics)
	return slices.Compact(topics)
}

// stateName is the group's state in Kafka's words.
func (g *consumerGroup) stateName() string {
	switch {
	case g.empty():
		return "Empty"
	case g.epoch > g.assignmentEpoch:
		return "Assigning"
	}
	for _, m := range g.members { //door:ordered the answer is the same whichever is not
		if !m.reconciled(g.assignmentEpoch) {
			return "Reconciling"
		}
	}
	return "Stable"
}
