package group

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// testCluster is a cluster with these topics. It is never changed; with returns another version.
type testCluster struct {
	version int64
	topics  map[string]Topic
	configs map[string]int64 // by "group name"
}

func (c *testCluster) Version() int64 { return c.version }

func (c *testCluster) Topic(name string) (Topic, bool) {
	t, ok := c.topics[name]
	return t, ok
}

func (c *testCluster) TopicByID(id [16]byte) (Topic, bool) {
	for _, t := range c.topics { // ids differ
		if t.ID == id {
			return t, true
		}
	}
	return Topic{}, false
}

func (c *testCluster) TopicNames(f func(string) bool) {
	for _, name := range sortedKeys(c.topics) {
		if !f(name) {
			return
		}
	}
}

func (c *testCluster) GroupConfig(groupID, name string) (int64, bool) {
	v, ok := c.configs[groupID+" "+name]
	return v, ok
}

// with returns a cluster in which the topic has so many partitions; with none it is gone.
func (c *testCluster) with(name string, count int32) *testCluster {
	out := &testCluster{version: 1, topics: map[string]Topic{}, configs: map[string]int64{}}
	if c != nil {
		out.version = c.version + 1
		for k, t := range c.topics {
			out.topics[k] = t
		}
		for k, v := range c.configs {
			out.configs[k] = v
		}
	}
	if count == 0 {
		delete(out.topics, name)
		return out
	}
	t, ok := out.topics[name]
	if !ok {
		t = Topic{Name: name, ID: topicID(name, out.version)}
	}
	t.Partitions = count
	out.topics[name] = t
	return out
}

// topicID begins with the name, so that ids sort as names do.
func topicID(name string, version int64) [16]byte {
	var id [16]byte
	copy(id[:8], name)
	h := fnv.New64a()
	fmt.Fprint(h, name, version)
	copy(id[8:], h.Sum(nil))
	return id
}

// printConsumer writes a group down, with what is derived.
func printConsumer(g *consumerGroup) string {
	var b strings.Builder
	fmt.Fprintf(&b, "consumer group %q epoch %d hash %x assignment %d at %d legacy %v %s\n", g.id, g.epoch, g.metadataHash,
		g.assignmentEpoch, g.assignmentMillis, g.legacy, g.stateName())
	for _, id := range sortedKeys(g.members) {
		m := *g.members[id]
		fmt.Fprintf(&b, "  member %s instance %q rack %q %s %s names %v pattern %q assignor %q rebalance %d\n", id, m.instance(),
			orNothing(m.rackID), m.clientID, m.clientHost, m.names, m.pattern, orNothing(m.assignor), m.rebalanceTimeout)
		if m.classic != nil {
			fmt.Fprintf(&b, "    classic %+v\n", *m.classic)
		}
		fmt.Fprintf(&b, "    epoch %d previous %d state %d assigned %s revoking %s\n", m.epoch, m.previousEpoch, m.state,
			printHoldings(m.assigned), printHoldings(m.revoking))
	}
	for _, id := range sortedKeys(g.targets) {
		fmt.Fprintf(&b, "  target %s %s\n", id, printHoldings(g.targets[id].since(0)))
	}
	for _, p := range sortedKeys(g.patterns) {
		fmt.Fprintf(&b, "  pattern %q %+v\n", p, g.patterns[p])
	}
	fmt.Fprintf(&b, "  instances %v names %v matched %v by pattern %v assignors %v classic %d %v\n", g.instances, g.names,
		g.matched, g.byPattern, g.assignors, g.classicMembers, g.classicProtocols)
	var owned []string
	for p, id := range g.owners {
		owned = append(owned, fmt.Sprintf("%s=%s", printPartition(p), id))
	}
	slices.Sort(owned)
	fmt.Fprintf(&b, "  owners %v\n", owned)
	return b.String()
}

func printPartition(p partitionID) string {
	return fmt.Sprintf("%s/%d", strings.TrimRight(string(p.topic[:8]), "\x00"), p.index)
}

func printHoldings(held holdings) string {
	var out []string
	for _, h := range held {
		out = append(out, fmt.Sprintf("%s@%d", printPartition(h.partitionID), h.epoch))
	}
	return "[" + strings.Join(out, " ") + "]"
}
