package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// committedGroup makes a topic with five records in each of two partitions, of which the group has read two of the first.
func committedGroup(t *testing.T, at string) (topic, group string) {
	t.Helper()
	topic = testTopic(t)
	group = "group-" + topic
	millrace("", "topic", "create", topic, "--partitions", "2", at).want(t, 0, "created topic "+topic+" with 2 partitions\n")
	for _, p := range []string{"0", "1"} {
		if r := millrace("1\n2\n3\n4\n5\n", "produce", topic, "--partition", p, at); r.code != 0 {
			t.Fatal(r)
		}
	}
	file := filepath.Join(t.TempDir(), "plan")
	if err := os.WriteFile(file, []byte(topic+",0,2\nother-group,"+topic+",0,4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := millrace("", "group", "reset-offsets", group, "--from-file", file, "--execute", at); r.code != 0 {
		t.Fatal(r)
	}
	return topic, group
}

// describedBy reads what group describe says of one group.
func describedBy(t *testing.T, at, group string) describedGroup {
	t.Helper()
	r := millrace("", "group", "describe", group, "--json", at)
	var d struct{ Groups []describedGroup }
	if err := json.Unmarshal([]byte(r.out), &d); r.code != 0 || err != nil || len(d.Groups) != 1 {
		t.Fatalf("%+v: %v", r, err)
	}
	return d.Groups[0]
}

func (d *describedGroup) committed() string {
	text := ""
	for _, p := range d.Partitions {
		text += fmt.Sprintf("%d:%d/%d ", p.Partition, p.Committed, p.End)
	}
	return strings.TrimSpace(text)
}

func TestGroupReset(t *testing.T) {
	at := "--brokers=" + testBroker(t)
	topic, group := committedGroup(t, at)
	reset := func(args ...string) result {
		return millrace("", append([]string{"group", "reset-offsets", group, at}, args...)...)
	}
	is := func(want string) {
		t.Helper()
		if d := describedBy(t, at, group); d.committed() != want {
			t.Fatalf("committed is %s, want %s", d.committed(), want)
		}
	}
	is("0:2/5")
	r := reset("--all-topics", "--to-earliest")
	if r.code != 0 || !strings.Contains(r.out, "NEW") || !strings.Contains(r.err, "--execute does it") {
		t.Fatal(r)
	}
	is("0:2/5")
	reset("--all-topics", "--shift-by", "2", "--execute", "--export").want(t, 0, topic+",0,4\n")
	is("0:4/5")
	reset("--topic", topic+":1", "--shift-by", "-1").wantError(t, exitRefused, "no committed offset", "--to-offset")
	reset("--topic", topic, "--to-offset", "99", "--execute", "--export").want(t, 0, topic+",0,5\n"+topic+",1,5\n")
	is("0:5/5 1:5/5")
	reset("--topic", topic+":1", "--by-duration", "PT1H", "--execute", "--export").want(t, 0, topic+",1,0\n")
	reset("--topic", topic+":1,0", "--to-datetime", "2999-01-01T00:00:00.000", "--execute", "--export").want(t, 0, topic+",0,5\n"+topic+",1,5\n")
	reset("--topic", topic+":0", "--to-current", "--execute", "--export").want(t, 0, topic+",0,5\n")
	reset("--topic", topic, "--to-earliest", "--execute", "--export").want(t, 0, topic+",0,0\n"+topic+",1,0\n")
	reset("--topic", topic, "--to-latest", "--export").want(t, 0, topic+",0,5\n"+topic+",1,5\n")
	is("0:0/5 1:0/5")
	reset("--topic", topic+":7", "--to-earliest").wantError(t, exitNotFound, "no partition 7", "it has 2 partitions")
	reset("--topic", "no-"+topic, "--to-earliest").wantError(t, exitNotFound, "does not exist", "topic create")
	reset("--to-earliest").wantError(t, exitUsage, "--all-topics")
	reset("--topic", topic).wantError(t, exitUsage, "--to-earliest")
	reset("--topic", topic, "--to-earliest", "--to-latest").wantError(t, exitUsage, "exclude")
	reset("--topic", topic, "--to-datetime", "yesterday").wantError(t, exitUsage, "2006-01-02T15:04:05")
	reset("--from-file", filepath.Join(t.TempDir(), "none")).wantError(t, exitFailed, "none")

	millrace("", "group", "delete-offsets", group, "--topic", topic+":1", at).want(t, 0, "deleted the offset of group "+group+" in "+topic+"-1\n")
	is("0:0/5")
	if r := millrace("", "group", "list", at); !strings.Contains(r.out, group) || !strings.Contains(r.out, "Empty") {
		t.Fatal(r)
	}
	millrace("", "group", "delete", group, at).want(t, 0, "deleted group "+group+"\n")
	millrace("", "group", "delete", group, at).wantError(t, exitNotFound, "does not exist", "group list")
	millrace("", "group", "delete", group, "--if-exists", at).want(t, 0, "")
	millrace("", "group", "describe", group, at).wantError(t, exitNotFound, "does not exist")
	millrace("", "group", "explain", group, at).wantError(t, exitNotFound, "does not exist")
	millrace("", "group", "delete-offsets", group, "--topic", topic, at).wantError(t, exitNotFound, "does not exist")
}

// TestGroupWithMembers looks at groups of both protocols while they have a member.
func TestGroupWithMembers(t *testing.T) {
	at := "--brokers=" + testBroker(t)
	for _, protocol := range []string{"classic", "consumer"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			topic, group := committedGroup(t, at)
			opts := []kgo.Opt{kgo.SeedBrokers(strings.TrimPrefix(at, "--brokers=")), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
				kgo.DisableAutoCommit(), kgo.ClientID("reader"), kgo.Balancers(kgo.RangeBalancer())}
			if protocol == "consumer" {
				opts = append(opts, kgo.ServerSideBalancer())
			}
			client, err := kgo.NewClient(opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			var d describedGroup
			for n := 0; d.State != "Stable" || len(d.Members) != 1 || len(d.Members[0].Assigned[topic]) != 2; {
				if fetches := client.PollFetches(ctx); ctx.Err() != nil || n == 1 && fetches.NumRecords() == 0 {
					t.Fatalf("the group is %+v: %v", d, ctx.Err())
				}
				d = describedBy(t, at, group)
			}
			if d.Type != protocol || d.Lag != 3 || d.committed() != "0:2/5 1:-1/5" || d.Partitions[1].Client != "reader" {
				t.Fatalf("%+v", d)
			}
			foreign := os.Getenv("MILLRACE_TEST_BROKERS") != "" // a broker that does not tell more than Kafka does
			if foreign {
				millrace("", "group", "explain", group, at).wantError(t, exitRefused, "does not tell why", "group describe")
				return
			}
			if d.Partitions[0].Behind == nil || *d.Partitions[0].Behind < 0 || *d.Partitions[0].Behind > 60 {
				t.Fatalf("%+v", d.Partitions[0])
			}
			if len(d.Rebalances) == 0 || !strings.Contains(d.Rebalances[0].Reason, "client reader") {
				t.Fatalf("%+v", d.Rebalances)
			}
			for _, args := range [][]string{{"describe", group}, {"describe", group, "--members"}, {"explain", group}} {
				r := millrace("", append(append([]string{"group"}, args...), at)...)
				if r.code != 0 || !strings.Contains(r.out, "reader") || !strings.Contains(r.out, "joined") {
					t.Errorf("%v: %+v", args, r)
				}
			}
			millrace("", "group", "delete", group, at).wantError(t, exitRefused, "has members", "stop its consumers")
			millrace("", "group", "reset-offsets", group, "--all-topics", "--to-earliest", "--execute", at).
				wantError(t, exitRefused, "has members", "stop its consumers")
			millrace("", "group", "reset-offsets", group, "--all-topics", "--to-earliest", at).want(t, 0,
				"TOPIC"+strings.Repeat(" ", len(topic)-3)+"PARTITION  START  END  CURRENT  NEW  \n"+topic+"  0          0      5    2        0    \n")
			millrace("", "group", "delete-offsets", group, "--topic", topic, at).wantError(t, exitRefused, "subscribe")
		})
	}
}

func TestGroupUsage(t *testing.T) {
	for text, want := range map[string]string{"P1DT2H30M": "26h30m0s", "PT1.5S": "1.5s", "90m": "1h30m0s", "P2D": "48h0m0s"} {
		if d, err := parseDuration(text); err != nil || d.String() != want {
			t.Errorf("%s is %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"P", "PT", "P1M", "-1h", "", "P999999999999D", "1"} {
		if d, err := parseDuration(text); err == nil {
			t.Errorf("%q is taken for %v", text, d)
		}
	}
	for _, text := range []string{"2026-11-22T08:00:00.000", "2026-11-22T08:00:00Z", "2026-11-22T09:00:00.000+01:00", "2026-11-22T08:00"} {
		if at, err := parseTime(text); err != nil || !at.Equal(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)) {
			t.Errorf("%s is %v, %v", text, at, err)
		}
	}
	if all, err := parseTopics([]string{"a:2,1", "b", "a:2"}); err != nil || fmt.Sprint(all) != "map[a:[1 2] b:[]]" {
		t.Error(all, err)
	}
	for _, text := range []string{"", ":1", "a:", "a:x", "a:-1"} {
		if _, err := parseTopics([]string{text}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for _, text := range []string{"", "t,0", "t,0,x", "t,0,1\nt,0,2", "g2,t,0,1", "t,0,-1"} {
		if wanted, err := parsePlan(text, "g"); err == nil {
			t.Errorf("%q is taken for %v", text, wanted)
		}
	}
	millrace("", "group", "describe").wantError(t, exitUsage, "--all")
	millrace("", "group", "reset-offsets").wantError(t, exitUsage)
}
