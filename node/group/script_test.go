package group

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts print into testdata, to be reviewed as a diff")

// TestScripts runs testdata/*.txt. A script is a list of blocks: lines of commands, a line "----", what they print, an
// empty line. Lines that begin with # are comments. A command is a word and arguments name=value; a list has commas.
//
//	config size=3 delay=0s min=6s max=30m retention=168h interval=10m metadata=4096 consumers=3 assignment=0s
//	     migration=upgrade|downgrade|disabled      must come first
//	topics t=4 u=0                                sets topics and their numbers of partitions; 0: it is gone
//	beat group=g member=m epoch=0 [joins] [topics=t,u] [pattern=t.*] [owned=t/0,t/1] [instance=i] [rack=r] [assignor=range]
//	     [rebalance=20s] [v=1]           a heartbeat of the consumer protocol; with joins it says what a first one must say
//	describe-consumer group=g
//	join group=g client=c [member=m] [instance=i] [protocols=range:meta+sticky:meta] [type=consumer] [session=10s]
//	     [rebalance=60s] [v=9]           meta of the form topics(a,b) is a consumer's subscription
//	sync group=g gen=1 member=m [instance=i] [type=consumer] [protocol=range] [assign=m1:bytes,m2:bytes]
//	heartbeat group=g gen=1 member=m [instance=i]
//	leave group=g members=m1,m2 | instances=i1,i2
//	commit group=g [gen=1 member=m instance=i] at=topic/0:17,topic/1:18 [metadata=x] [epoch=3] [retention=1h] [v=9]
//	fetch group=g at=topic/0,topic/1 [stable] [member=m epoch=3]     without at: all
//	delete-offsets group=g at=topic/0,topic/1
//	delete-topics topics=a,b
//	describe groups=a,b [v=6]
//	list [states=…] [types=…]
//	story group=g | observe [most=1000]
//	delete groups=a,b
//	advance 3s                                    lets time pass, timers fire
//	hold | commit-one | fail-one error=7 | release           the fate of appends; without hold they are applied at once
//	elect | resign | restart | log
//
// Printed are, in order: requests by number when they are answered later than their command, answers, appended records.
// Made-up member ids are shown as c~1: the prefix, and a number in the order of appearance.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t testing.TB, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{ids: map[string]string{}, names: map[string]string{}, config: DefaultConfig()}
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimRight(string(text), "\n"), "\n\n") {
		commands, want, _ := strings.Cut(block, "----")
		got := s.block(strings.Split(strings.TrimSpace(commands), "\n"))
		if !*rewrite && strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s, block %d:\n%s\ngot:\n%s\nwant:\n%s", file, i+1, commands, got, want)
		}
		fmt.Fprintf(&out, "%s\n----\n%s\n", strings.TrimSpace(commands), got)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

type script struct {
	w       *world
	config  Config
	out     strings.Builder
	current uint64            // the request of the command under way
	ids     map[string]string // short name to member id
	names   map[string]string // and back
}

func (s *script) block(lines []string) string {
	s.out.Reset()
	for _, line := range lines {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if n := len(lines); n > 1 {
			fmt.Fprintf(&s.out, "> %s\n", line)
		}
		before := 0
		if s.w != nil {
			before = len(s.w.log)
		}
		s.command(line)
		if s.w != nil && len(s.w.log) > before && line != "restart" {
			s.printLog(before)
		}
		s.shorten(s.out.String()) // names what the next command may use
	}
	return s.shorten(s.out.String())
}

var madeUp = regexp.MustCompile(`([a-z0-9]+)-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

func (s *script) shorten(text string) string {
	return madeUp.ReplaceAllStringFunc(text, func(id string) string {
		if s.names[id] == "" {
			name := fmt.Sprintf("%s~%d", madeUp.FindStringSubmatch(id)[1], len(s.names)+1)
			s.names[id], s.ids[name] = name, id
		}
		return s.names[id]
	})
}

// args are a command's arguments.
type args struct {
	s *script
	m map[string]string
}

func (a args) str(name string) string { return a.s.long(a.m[name]) }

func (s *script) long(id string) string {
	if full, ok := s.ids[id]; ok {
		return full
	}
	return id
}

func (a args) list(name string) []string {
	if a.m[name] == "" {
		return nil
	}
	var out []string
	for _, v := range splitList(a.m[name]) {
		out = append(out, a.s.long(v))
	}
	return out
}

// splitList splits at commas outside of parentheses.
func splitList(v string) []string {
	depth := 0
	return strings.FieldsFunc(v, func(r rune) bool {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		return r == ',' && depth == 0
	})
}

func (a args) number(name string, otherwise int) int {
	if a.m[name] == "" {
		return otherwise
	}
	n, err := strconv.Atoi(a.m[name])
	if err != nil {
		panic(err)
	}
	return n
}

func (a args) duration(name string, otherwise time.Duration) time.Duration {
	if a.m[name] == "" {
		return otherwise
	}
	d, err := time.ParseDuration(a.m[name])
	if err != nil {
		panic(err)
	}
	return d
}

func (a args) word(name, otherwise string) string {
	if v, ok := a.m[name]; ok {
		return v
	}
	return otherwise
}

func (s *script) command(line string) {
	words := strings.Fields(line)
	a := args{s, map[string]string{}}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		a.m[name] = value
	}
	if words[0] == "config" {
		s.configure(a)
		return
	}
	if s.w == nil {
		s.w = newWorld(s.config)
		s.w.seen = s.print
		s.w.handle(s.w.c.Elect(s.w.time()))
	}
	if r := s.request(words[0], a); r != nil {
		s.current = s.w.tag + 1
		tag := s.w.ask(r)
		s.current = 0
		if _, waits := s.w.asked[tag]; waits {
			fmt.Fprintf(&s.out, "request %d waits\n", tag)
		}
		return
	}
	switch words[0] {
	case "advance":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			panic(err)
		}
		s.w.advance(d)
	case "topics":
		s.setTopics(words[1:])
	case "hold":
		s.w.hold = true
	case "release":
		s.w.hold = false
		s.w.commitAll()
	case "commit-one":
		s.w.commitOne()
	case "fail-one":
		s.w.failOne(wire.ErrorCode(a.number("error", 7)))
	case "resign":
		s.w.handle(s.w.c.Resign(s.w.time()))
	case "elect":
		s.w.handle(s.w.c.Elect(s.w.time()))
	case "restart":
		if err := s.w.restart(); err != nil {
			fmt.Fprintln(&s.out, err)
		}
	case "log":
		s.printLog(0)
	default:
		panic("unknown command " + line)
	}
}

func (s *script) configure(a args) {
	s.config.MaxSize = a.number("size", s.config.MaxSize)
	s.config.InitialRebalanceDelay = a.duration("delay", s.config.InitialRebalanceDelay)
	s.config.MinSessionTimeout = a.duration("min", s.config.MinSessionTimeout)
	s.config.MaxSessionTimeout = a.duration("max", s.config.MaxSessionTimeout)
	s.config.OffsetsRetention = a.duration("retention", s.config.OffsetsRetention)
	s.config.OffsetsRetentionInterval = a.duration("interval", s.config.OffsetsRetentionInterval)
	s.config.OffsetMetadataMaxBytes = a.number("metadata", s.config.OffsetMetadataMaxBytes)
	s.config.ConsumerMaxSize = a.number("consumers", s.config.ConsumerMaxSize)
	s.config.ConsumerAssignment.Default = a.duration("assignment", s.config.ConsumerAssignment.Default)
	if policy, ok := a.m["migration"]; ok {
		s.config.ConsumerUpgrade, s.config.ConsumerDowngrade = policy == "upgrade", policy == "downgrade"
	}
	if err := s.config.Validate(); err != nil {
		fmt.Fprintln(&s.out, err)
	}
}

func (s *script) request(command string, a args) Request {
	switch command {
	case "join":
		version := a.number("v", 9)
		return &JoinRequest{GroupID: a.m["group"], MemberID: a.str("member"), InstanceID: a.m["instance"],
			ClientID: a.m["client"], ClientHost: "/192.0.2.1", ProtocolType: a.word("type", "consumer"),
			Protocols: protocols(a.word("protocols", "range:topics(t)")), SessionTimeout: a.duration("session", 10*time.Second),
			RebalanceTimeout: a.duration("rebalance", time.Minute), RequireMemberID: version >= 4, CanSkipAssignment: version >= 9}
	case "sync":
		r := &SyncRequest{GroupID: a.m["group"], Generation: int32(a.number("gen", -1)), MemberID: a.str("member"),
			InstanceID: a.m["instance"], ProtocolType: a.m["type"], ProtocolName: a.m["protocol"]}
		for _, v := range a.list("assign") {
			id, bytes, _ := strings.Cut(v, ":")
			assignment := []byte(bytes)
			if topic, ok := strings.CutPrefix(bytes, "both("); ok { // its partitions 0 and 1
				id := s.topicID(strings.TrimSuffix(topic, ")"))
				assignment = s.w.c.classicAssignment(partitions{{id, 0}, {id, 1}}, subscribe())
			}
			r.Assignments = append(r.Assignments, Assignment{s.long(id), assignment})
		}
		return r
	case "heartbeat":
		return &HeartbeatRequest{GroupID: a.m["group"], Generation: int32(a.number("gen", -1)), MemberID: a.str("member"),
			InstanceID: a.m["instance"]}
	case "leave":
		r := &LeaveRequest{GroupID: a.m["group"]}
		for _, id := range a.list("members") {
			r.Members = append(r.Members, LeavingMember{MemberID: id})
		}
		for _, id := range a.list("instances") {
			r.Members = append(r.Members, LeavingMember{InstanceID: id})
		}
		return r
	case "describe":
		return &DescribeRequest{GroupIDs: a.list("groups"), GroupIDNotFound: a.number("v", 6) >= 6}
	case "list":
		return &ListRequest{States: a.list("states"), Types: a.list("types")}
	case "delete":
		return &DeleteRequest{GroupIDs: a.list("groups")}
	}
	return s.offsetRequest(command, a)
}

func (s *script) offsetRequest(command string, a args) Request {
	switch command {
	case "commit":
		r := &OffsetCommitRequest{GroupID: a.m["group"], Generation: int32(a.number("gen", -1)), MemberID: a.str("member"),
			InstanceID: a.m["instance"], Retention: a.duration("retention", -1), GroupIDNotFound: a.number("v", 9) >= 9}
		for _, v := range a.list("at") {
			place, offset, _ := strings.Cut(v, ":")
			topic, partition, _ := strings.Cut(place, "/")
			r.Topics = append(r.Topics, CommitTopic{Topic: topic, TopicID: s.topicID(topic), Partitions: []CommitPartition{{
				Partition: atoi(partition), Offset: int64(atoi(offset)), LeaderEpoch: int32(a.number("epoch", -1)),
				Metadata: a.m["metadata"],
			}}})
		}
		return r
	case "fetch":
		_, stable := a.m["stable"]
		r := &OffsetFetchRequest{GroupID: a.m["group"], All: a.m["at"] == "", Topics: places(a.list("at")), RequireStable: stable,
			MemberEpoch: int32(a.number("epoch", -1))}
		if _, ok := a.m["member"]; ok {
			r.MemberID = new(a.str("member"))
		}
		return r
	case "delete-offsets":
		return &OffsetDeleteRequest{GroupID: a.m["group"], Topics: places(a.list("at"))}
	case "delete-topics":
		return &TopicsDeletedRequest{Topics: a.list("topics")}
	}
	return s.consumerRequest(command, a)
}

func places(list []string) []FetchTopic {
	var out []FetchTopic
	for _, v := range list {
		topic, partition, _ := strings.Cut(v, "/")
		out = append(out, FetchTopic{Topic: topic, Partitions: []int32{atoi(partition)}})
	}
	return out
}

func atoi(s string) int32 {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return int32(n)
}

func protocols(text string) []Protocol {
	var out []Protocol
	for p := range strings.SplitSeq(text, "+") {
		name, meta, _ := strings.Cut(p, ":")
		bytes := []byte(meta)
		if topics, ok := strings.CutPrefix(meta, "topics("); ok {
			bytes = subscribe(strings.Split(strings.TrimSuffix(topics, ")"), ",")...)
		}
		if places, ok := strings.CutPrefix(meta, "owns("); ok { // a cooperative member's, of one topic
			bytes = owning(strings.Split(strings.TrimSuffix(places, ")"), ","))
		}
		if name != "" {
			out = append(out, Protocol{name, bytes})
		}
	}
	return out
}

// subscribe is the metadata of a consumer.
func subscribe(topics ...string) []byte {
	b, err := encode(1, 1, &wire.ConsumerProtocolSubscription{Topics: topics})
	if err != nil {
		panic(err)
	}
	return b
}

// owning is the metadata of a consumer that says what it has of its topic.
func owning(places []string) []byte {
	m := &wire.ConsumerProtocolSubscription{}
	for _, place := range places {
		topic, partition, _ := strings.Cut(place, "/")
		m.Topics = []string{topic}
		m.OwnedPartitions = append(m.OwnedPartitions,
			wire.ConsumerProtocolSubscriptionTopicPartition{Topic: topic, Partitions: []int32{atoi(partition)}})
	}
	b, err := encode(1, 1, m)
	if err != nil {
		panic(err)
	}
	return b
}

func printMetadata(b []byte) string {
	if topics, ok := subscription(b); ok {
		return "topics(" + strings.Join(topics, ",") + ")"
	}
	return strconv.Quote(string(b))
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
