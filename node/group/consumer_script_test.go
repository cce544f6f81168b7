package group

import (
	"fmt"
	"strings"
	"time"

	"millrace/net/wire"
)

// setTopics makes a cluster of "name=partitions" arguments; a topic with no partitions is deleted.
func (s *script) setTopics(words []string) {
	before, _ := s.w.cluster.(*testCluster)
	created := false
	after := before
	for _, w := range words {
		name, count, _ := strings.Cut(w, "=")
		if before == nil || before.topics[name].Name == "" {
			created = true
		}
		after = after.with(name, atoi(count))
	}
	s.w.cluster = after
	s.w.c.SetCluster(after, created)
}

func (s *script) consumerRequest(command string, a args) Request {
	switch command {
	case "beat":
		r := &ConsumerHeartbeatRequest{GroupID: a.m["group"], MemberID: a.str("member"), MemberEpoch: int32(a.number("epoch", 0)),
			RebalanceTimeoutMs: -1, ClientID: "c", ClientHost: "/192.0.2.1", RequireMemberID: a.number("v", 1) >= 1}
		_, joins := a.m["joins"]
		if joins || a.m["rebalance"] != "" {
			r.RebalanceTimeoutMs = int32(a.duration("rebalance", 20*time.Second).Milliseconds())
		}
		if topics, ok := a.m["topics"]; ok {
			r.TopicNames = append([]string{}, splitList(topics)...)
		}
		optional := func(name string) *string {
			if v, ok := a.m[name]; ok {
				return &v
			}
			return nil
		}
		r.TopicPattern, r.InstanceID, r.RackID, r.Assignor = optional("pattern"), optional("instance"), optional("rack"), optional("assignor")
		if owned, ok := a.m["owned"]; ok || joins {
			r.Owned = []TopicPartitions{}
			for _, p := range splitList(owned) {
				topic, partition, _ := strings.Cut(p, "/")
				r.Owned = append(r.Owned, TopicPartitions{s.topicID(topic), []int32{atoi(partition)}})
			}
		}
		return r
	case "story":
		return &StoryRequest{GroupID: a.m["group"]}
	case "observe":
		return &ObserveRequest{Most: int(a.number("most", 1000))}
	case "describe-consumer":
		return &ConsumerDescribeRequest{GroupID: a.m["group"]}
	}
	return nil
}

func (s *script) topicID(name string) [16]byte {
	if c, ok := s.w.cluster.(*testCluster); ok {
		return c.topics[name].ID
	}
	return [16]byte{}
}

func (s *script) printConsumer(answer Response) {
	switch a := answer.(type) {
	case *StoryResponse:
		s.printStory(a)
	case *ObserveResponse:
		s.printObserved(a)
	case *ConsumerHeartbeatResponse:
		fmt.Fprintf(&s.out, "beat %s", errorName(a.Error))
		if a.Error != wire.ErrNone {
			s.field("message", a.ErrorMessage)
			return
		}
		fmt.Fprintf(&s.out, " member=%s epoch=%d", a.MemberID, a.MemberEpoch)
		if a.Assigned {
			fmt.Fprintf(&s.out, " assigned=%s", printSet(fromTopics(a.Assignment)))
		}
	case *ConsumerDescribeResponse:
		fmt.Fprintf(&s.out, "describe-consumer %s", errorName(a.Error))
		s.field("message", a.ErrorMessage)
		if a.Error != wire.ErrNone {
			return
		}
		fmt.Fprintf(&s.out, " %s epoch=%d assignment=%d assignor=%s", a.State, a.Epoch, a.AssignmentEpoch, a.Assignor)
		for _, m := range a.Members {
			fmt.Fprintf(&s.out, "\n  %s", m.MemberID)
			s.field("instance", orNothing(m.InstanceID))
			fmt.Fprintf(&s.out, " epoch=%d topics=%v", m.MemberEpoch, m.TopicNames)
			s.field("pattern", orNothing(m.TopicPattern))
			if m.Classic {
				s.out.WriteString(" classic")
			}
			fmt.Fprintf(&s.out, " assigned=%s target=%s", printSet(fromTopics(m.Assignment)), printSet(fromTopics(m.Target)))
		}
	}
}

func printSet(set partitions) string {
	var out []string
	for _, p := range set {
		out = append(out, printPartition(p))
	}
	return "[" + strings.Join(out, " ") + "]"
}

// printConsumerRecord shows a record of a consumer group, by what it does to one.
func printConsumerRecord(key recordKey, value []byte) string {
	name := map[keyKind]string{keyConsumerGroup: "group", keyConsumerTopics: "topics", keyConsumerMember: "member", keyTarget: "target",
		keyTargetMember: "target of", keyCurrent: "current of", keyPattern: "pattern"}[key.kind]
	head := strings.TrimSpace(fmt.Sprintf("%s %s %s%s", key.group, name, key.member, key.pattern))
	if value == nil {
		return head + " gone"
	}
	groups := map[string]*consumerGroup{}
	if err := applyConsumer(groups, key, value); err != nil {
		return err.Error()
	}
	g := groups[key.group]
	m := g.memberOrNew(key.member)
	switch key.kind {
	case keyConsumerGroup:
		return fmt.Sprintf("%s epoch=%d", head, g.epoch)
	case keyTarget:
		return fmt.Sprintf("%s epoch=%d", head, g.assignmentEpoch)
	case keyTargetMember:
		return fmt.Sprintf("%s %s", head, printSet(g.targets[key.member]))
	case keyPattern:
		return fmt.Sprintf("%s %v", head, g.patterns[key.pattern].topics)
	case keyCurrent:
		return fmt.Sprintf("%s epoch=%d before=%d %s assigned=%s revoking=%s", head, m.epoch, m.previousEpoch,
			[]string{"stable", "unrevoked", "unreleased"}[m.state], printHoldings(m.assigned), printHoldings(m.revoking))
	}
	line := fmt.Sprintf("%s topics=%v rebalance=%d", head, m.names, m.rebalanceTimeout)
	for _, f := range []struct{ name, value string }{{"pattern", m.pattern}, {"instance", m.instance()}, {"rack", orNothing(m.rackID)},
		{"assignor", orNothing(m.assignor)}} {
		if f.value != "" {
			line += " " + f.name + "=" + f.value
		}
	}
	if m.classic != nil {
		line += fmt.Sprintf(" classic session=%d", m.classic.sessionTimeout)
	}
	return line
}
