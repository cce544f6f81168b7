package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestTopicExplain asks about records of a compacted topic, of one that is not, and about offsets where there is none.
func TestTopicExplain(t *testing.T) {
	broker := testBroker(t)
	at, topic := "--brokers="+broker, testTopic(t)
	plain := topic + "-plain"
	millrace("", "topic", "create", topic, "--config", "cleanup.policy=compact", at).want(t, 0, "created topic "+topic+" with 1 partition\n")
	millrace("", "topic", "create", plain, at).want(t, 0, "created topic "+plain+" with 1 partition\n")
	if r := millrace("a:one\nb:two\na:three\nb:\n", "produce", topic, "--key-delimiter", ":", "--empty-as-null", at); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if r := millrace("one\ntwo\n", "produce", plain, at); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	before := kadm.Offsets{}
	before.AddOffset(plain, 0, 1, -1)
	if _, err := kadm.NewClient(client).DeleteRecords(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		topic, offset string
		words         []string
	}{
		{topic, "0", []string{"offset 0 of " + topic + "-0", "(leader)", `there: key "a", value of 3 bytes`, "offset 2 has its key", "being written", "batch: offsets"}},
		{topic, "2", []string{"it is the last record of its key"}},
		{topic, "3", []string{`a tombstone that deletes key "b"`, "delete.retention.ms"}},
		{topic, "4", []string{"not there yet: the log ends at offset 4"}},
		{plain, "0", []string{"no longer there: the log starts at offset 1", "retention or a deletion of records"}},
		{plain, "1", []string{"there: key (none)", "not compacted", "until retention"}},
	} {
		r := millrace("", "topic", "explain", c.topic, "0", c.offset, at)
		for _, w := range c.words {
			if r.code != 0 || !strings.Contains(r.out, w) {
				t.Errorf("offset %s of %s: %+v does not say %q", c.offset, c.topic, r, w)
			}
		}
	}
	var shown struct {
		Replicas []struct {
			Leader       bool
			State        string
			SupersededAt int64
		}
	}
	r := millrace("", "topic", "explain", topic, "0", "0", "--json", at)
	if err := json.Unmarshal([]byte(r.out), &shown); err != nil || len(shown.Replicas) != 1 || !shown.Replicas[0].Leader ||
		shown.Replicas[0].State != "there" || shown.Replicas[0].SupersededAt != 2 {
		t.Errorf("%+v: %+v, %v", r, shown, err)
	}
	millrace("", "topic", "explain", topic, "1", "0", at).wantError(t, exitNotFound, topic)
	millrace("", "topic", "explain", topic+"-none", "0", "0", at).wantError(t, exitNotFound, topic+"-none")
	millrace("", "topic", "explain", topic, "0", "-1", at).wantError(t, exitUsage)
	millrace("", "topic", "explain", topic, "0", "last", at).wantError(t, exitUsage, "not an offset")
}
