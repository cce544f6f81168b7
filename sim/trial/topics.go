package trial

import (
	"slices"
)

// createTopics makes the topics of the plan, whatever breaks meanwhile.
func (t *trial) createTopics() bool {
	c := t.newClient("creator", ActorPlan{})
	defer c.Close()
	for _, p := range t.plan.Topics {
		state, err := t.createTopic(c, p)
		if err != nil {
			t.failf("create topic %s: %w", p.Name, err)
			return false
		}
		t.topics = append(t.topics, state)
	}
	return t.createCompacted(c)
}

// partitions lists the partitions of the topics of the load.
func (t *trial) partitions() []*partitionLog {
	var all []*partitionLog
	for _, s := range t.topics {
		all = append(all, s.logs[:s.partitions]...)
	}
	return slices.Clip(all)
}
