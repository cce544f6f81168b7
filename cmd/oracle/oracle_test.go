package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
)

// TestScripts reads all scripts, and looks for the case of each accepted difference.
func TestScripts(t *testing.T) {
	suites, err := loadScripts(nil)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[[2]string]bool{}
	exchanges := 0
	for _, s := range suites {
		for i := range s.steps {
			st := &s.steps[i]
			cases[[2]string{wire.Name(st.key), st.name}] = true
			exchanges += len(st.versions)
			api, _ := wire.Lookup(st.key)
			if st.verb == "ask" && (slices.Min(st.versions) < api.Min || slices.Max(st.versions) > api.Max) {
				t.Errorf("%s: %q: Kafka has versions %d to %d", s.name, st.line, api.Min, api.Max)
			}
		}
	}
	if exchanges < 900 {
		t.Errorf("only %d exchanges", exchanges)
	}
	meant, err := parseAccepted(acceptedText)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range meant {
		if !cases[[2]string{a.api, a.name}] {
			t.Errorf("there is no case %s | %s", a.api, a.name)
		}
	}
}

func answerOf(t *testing.T, change func(*wire.MetadataResponse)) exchange {
	t.Helper()
	m := wire.NewMetadataResponse()
	name, id := "t", "some cluster"
	m.ClusterId, m.ControllerId = &id, 1
	m.Brokers = []wire.MetadataResponseBroker{{NodeId: 1, Host: "127.0.0.1", Port: 9092}}
	m.Topics = []wire.MetadataResponseTopic{{Name: &name, TopicId: wire.UUID{1}, Partitions: []wire.MetadataResponsePartition{{LeaderEpoch: 7, ReplicaNodes: []int32{1}}}}}
	if change != nil {
		change(m)
	}
	f := flattener{names: newNames("127.0.0.1:9092", time.Unix(1000, 0))}
	return exchange{suite: "s", api: "Metadata", name: "c", version: 12, fields: append([]field{{"answer", "given"}}, f.answer(m)...)}
}

// TestCompare finds what differs and nothing else.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*wire.MetadataResponse)
		want   string
	}{
		{"nothing", nil, ""},
		{"ids and epochs", func(m *wire.MetadataResponse) {
			other := "another"
			m.ClusterId, m.Topics[0].TopicId, m.Topics[0].Partitions[0].LeaderEpoch = &other, wire.UUID{9}, 0
		}, ""},
		{"no epoch", func(m *wire.MetadataResponse) { m.Topics[0].Partitions[0].LeaderEpoch = -1 }, "Topics.Partitions.LeaderEpoch"},
		{"null for empty", func(m *wire.MetadataResponse) { m.Topics[0].Partitions[0].ReplicaNodes = nil }, "Topics.Partitions.ReplicaNodes"},
		{"another error", func(m *wire.MetadataResponse) { m.Topics[0].ErrorCode = 3 }, "Topics.ErrorCode"},
		{"one more", func(m *wire.MetadataResponse) { m.Brokers = append(m.Brokers, m.Brokers[0]) }, "Brokers"},
	} {
		all, err := compare([]exchange{answerOf(t, nil)}, []exchange{answerOf(t, c.change)})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(all) > 0 {
			got = all[0].key().field
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		meant := []*accepted{{acceptedKey: acceptedKey{"Metadata", "c", c.want}}}
		if left := split(all, meant); len(left) > 0 || (meant[0].seen == 0) != (c.want == "") {
			t.Errorf("%s: accepted %d times, left %+v", c.name, meant[0].seen, left)
		}
	}
	closed := exchange{suite: "s", name: "c", version: 12, fields: []field{{"answer", "the connection was closed"}}}
	if all, _ := compare([]exchange{answerOf(t, nil)}, []exchange{closed}); len(all) != 1 {
		t.Errorf("an answer and a closed connection differ by %+v", all)
	}
}

func TestAcceptedAreFew(t *testing.T) {
	text := ""
	for i := range mostAccepted + 1 {
		text += "API | case | field" + string(rune('a'+i)) + " | reason\n"
	}
	if _, err := parseAccepted(text); err == nil {
		t.Error("any number of differences is accepted")
	}
	for _, bad := range []string{"API | case | field", "API | case | field |", "a | b | c | d\na | b | c | d"} {
		if _, err := parseAccepted(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestTable(t *testing.T) {
	var all []exchange
	for _, v := range []int16{4, 0, 1, 2} {
		all = append(all, exchange{suite: "s", api: "Fetch", name: "plain", version: v})
	}
	all = append(all, exchange{suite: "s", api: "Fetch", name: "other", version: 4}, exchange{suite: "s", api: "Metadata", name: "plain", version: 9})
	meant := []*accepted{{acceptedKey{"Fetch", "plain", "Records"}, "a reason", 2}}
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte("before\n"+tableBegins+"old\n"+tableEnds+"after\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeTable(file, table(all, meant)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	for _, want := range []string{"before\n", "| Fetch | 0–2, 4 | 2 | 5 | 1 |\n", "| Metadata | 9 | 1 | 1 | 0 |\n", "| all | | 3 | 6 | 1 |\n",
		"| Fetch | plain | `Records` | a reason |\n", tableEnds + "after\n"} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s (%v)", want, text, err)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Error("the old table is still there")
	}
	if err := os.WriteFile(file, []byte("no place\n"), 0o644); err != nil || writeTable(file, "x") == nil {
		t.Errorf("a page without a place for the table was written (%v)", err)
	}
}
