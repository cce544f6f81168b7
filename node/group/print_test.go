package group

import (
	"fmt"
	"strings"

	"millrace/net/wire"
)

// print shows an answer on one line, or a line per thing in it.
func (s *script) print(tag uint64, r Request, answer Response) {
	if tag != s.current {
		fmt.Fprintf(&s.out, "request %d: ", tag)
	}
	switch a := answer.(type) {
	case *JoinResponse:
		fmt.Fprintf(&s.out, "join %s", errorName(a.Error))
		s.field("member", a.MemberID)
		fmt.Fprintf(&s.out, " gen=%d", a.Generation)
		s.field("type", a.ProtocolType)
		s.field("protocol", a.ProtocolName)
		s.field("leader", a.Leader)
		if a.SkipAssignment {
			s.out.WriteString(" skip-assignment")
		}
		for _, m := range a.Members {
			fmt.Fprintf(&s.out, "\n  %s", m.MemberID)
			s.field("instance", m.InstanceID)
			fmt.Fprintf(&s.out, " %s", printMetadata(m.Metadata))
		}
	case *SyncResponse:
		fmt.Fprintf(&s.out, "sync %s", errorName(a.Error))
		s.field("type", a.ProtocolType)
		s.field("protocol", a.ProtocolName)
		fmt.Fprintf(&s.out, " assignment=%q", a.Assignment)
	case *HeartbeatResponse:
		fmt.Fprintf(&s.out, "heartbeat %s", errorName(a.Error))
	case *LeaveResponse:
		fmt.Fprintf(&s.out, "leave %s", errorName(a.Error))
		for _, m := range a.Members {
			fmt.Fprintf(&s.out, " %s:%s", m.MemberID+m.InstanceID, errorName(m.Error))
		}
	default:
		s.printAdmin(answer)
	}
	s.out.WriteByte('\n')
}

func (s *script) printAdmin(answer Response) {
	switch a := answer.(type) {
	case *OffsetCommitResponse:
		s.topics("commit", wire.ErrNone, a.Topics)
	case *OffsetDeleteResponse:
		s.topics("delete-offsets", a.Error, a.Topics)
	case *TopicsDeletedResponse:
		s.topics("delete-topics", a.Error, nil)
	case *OffsetFetchResponse:
		fmt.Fprintf(&s.out, "fetch %s", errorName(a.Error))
		for _, t := range a.Topics {
			for _, p := range t.Partitions {
				fmt.Fprintf(&s.out, " %s/%d:%d", t.Topic, p.Partition, p.Offset)
				if p.LeaderEpoch >= 0 {
					fmt.Fprintf(&s.out, " epoch=%d", p.LeaderEpoch)
				}
				s.field("metadata", p.Metadata)
				if p.Error != wire.ErrNone {
					fmt.Fprintf(&s.out, ":%s", errorName(p.Error))
				}
			}
		}
	case *DescribeResponse:
		for i, g := range a.Groups {
			if i > 0 {
				s.out.WriteByte('\n')
			}
			fmt.Fprintf(&s.out, "describe %s %s %s", g.GroupID, errorName(g.Error), g.State)
			s.field("type", g.ProtocolType)
			s.field("protocol", g.ProtocolName)
			for _, m := range g.Members {
				fmt.Fprintf(&s.out, "\n  %s", m.MemberID)
				s.field("instance", m.InstanceID)
				fmt.Fprintf(&s.out, " %s %s %s assignment=%q", m.ClientID, m.ClientHost, printMetadata(m.Metadata), m.Assignment)
			}
		}
	case *ListResponse:
		fmt.Fprintf(&s.out, "list %s", errorName(a.Error))
		for _, g := range a.Groups {
			fmt.Fprintf(&s.out, "\n  %s %s %s", g.GroupID, g.State, g.Type)
			s.field("type", g.ProtocolType)
		}
	case *DeleteResponse:
		s.out.WriteString("delete")
		for _, g := range a.Groups {
			fmt.Fprintf(&s.out, " %s:%s", g.GroupID, errorName(g.Error))
		}
	default:
		s.printConsumer(answer)
	}
}

func (s *script) topics(what string, code wire.ErrorCode, topics []TopicErrors) {
	fmt.Fprintf(&s.out, "%s %s", what, errorName(code))
	for _, t := range topics {
		for _, p := range t.Partitions {
			fmt.Fprintf(&s.out, " %s/%d:%s", t.Topic, p.Partition, errorName(p.Error))
		}
	}
}

func (s *script) field(name, value string) {
	if value != "" {
		fmt.Fprintf(&s.out, " %s=%s", name, value)
	}
}

func errorName(code wire.ErrorCode) string {
	if code == wire.ErrNone {
		return "ok"
	}
	return code.String()
}

// printLog shows the records from this offset on.
func (s *script) printLog(from int) {
	for i, r := range s.w.log[from:] {
		key, err := decodeKey(r.Key)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(&s.out, "log %d: ", from+i)
		switch {
		case key.kind >= keyConsumerGroup:
			fmt.Fprintln(&s.out, printConsumerRecord(key, r.Value))
		case key.kind == keyOffset && r.Value == nil:
			fmt.Fprintf(&s.out, "%s %s/%d gone\n", key.offset.group, key.offset.topic, key.offset.partition)
		case key.kind == keyOffset:
			v, err := decodeCommitted(r.Value)
			if err != nil {
				panic(err)
			}
			fmt.Fprintf(&s.out, "%s %s/%d at %d\n", key.offset.group, key.offset.topic, key.offset.partition, v.offset)
		case r.Value == nil:
			fmt.Fprintf(&s.out, "%s gone\n", key.group)
		default:
			v, err := decodeGroup(r.Value)
			if err != nil {
				panic(err)
			}
			var members []string
			for _, m := range v.Members {
				members = append(members, fmt.Sprintf("%s=%q", m.MemberId, m.Assignment))
			}
			fmt.Fprintf(&s.out, "%s gen=%d type=%s members=[%s]\n", key.group, v.Generation, v.ProtocolType,
				strings.Join(sorted(members), " "))
		}
	}
}
