package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestConfigCommands(t *testing.T) {
	at := "--brokers=" + testBroker(t)
	topic := testTopic(t)
	if r := millrace("", "topic", "create", topic, "--config", "retention.ms=5000", at); r.code != exitDone {
		t.Fatal(r.err)
	}
	millrace("", "topic", "create", topic+"x", "--config", "retention.mss=5000", at).wantError(t, exitRefused,
		"Unknown topic config name: retention.mss", "did you mean retention.ms?")
	millrace("", "config", "alter", "topic", topic, "--append", "cleanup.policy=compact", "--delete", "retention.ms", at).want(t, exitDone,
		"changed 2 configs of topic "+topic+"\n")
	millrace("", "config", "alter", "topic", topic, "--set", "segment.ms=1", "--dry-run", at).want(t, exitDone,
		"could change 1 config of topic "+topic+"\n")
	millrace("", "config", "describe", "topic", topic, at).want(t, exitDone,
		"CONFIG          VALUE           TYPE  SOURCE\ncleanup.policy  delete,compact  list  set for the topic\n")
	var described describedResource
	r := millrace("", "config", "describe", "topic", topic, "--all", "--json", at)
	if err := json.Unmarshal([]byte(r.out), &described); err != nil || len(described.Configs) < 33 {
		t.Errorf("%d configs, %v", len(described.Configs), err)
	}
	var listed struct{ Resources []describedResource }
	r = millrace("", "config", "list", "topic", "--json", at)
	if err := json.Unmarshal([]byte(r.out), &listed); err != nil || !slices.ContainsFunc(listed.Resources, func(d describedResource) bool { return d.Name == topic }) {
		t.Errorf("%s, %v", r.out, err)
	}
	for _, c := range []struct {
		args  string
		code  int
		words string
	}{
		{"alter topic " + topic + " --set retention.ms=abc", exitRefused, "Not a number of type LONG"},
		{"alter topic " + topic + " --set clenup.policy=compact", exitRefused, "did you mean cleanup.policy?"},
		{"alter topic " + topic, exitUsage, "nothing to change"},
		{"alter topic " + topic + " --set retention.ms", exitUsage, "not NAME=VALUE"},
		{"describe topic not-there", exitNotFound, "does not exist"},
		{"describe topic", exitUsage, "name is missing"},
		{"describe brokers 1", exitUsage, "broker 1"},
		{"describe table x", exitUsage, "one of topic, broker"},
	} {
		millrace("", append(append([]string{"config"}, strings.Fields(c.args)...), at)...).wantError(t, c.code, c.words)
	}
	if r := millrace("", "config", "names", "topic"); !strings.Contains(r.out, "\nretention.ms\n  long, default 604800000\n") {
		t.Errorf("names: %s%s", r.out, r.err)
	}
}

// TestEnvironment reads variables: flags that were not given, configs, what others put there, and what is mistyped.
func TestEnvironment(t *testing.T) {
	flags := func(args ...string) (*pflag.FlagSet, *string, *string) {
		f := pflag.NewFlagSet("start", pflag.ContinueOnError)
		listen, rack := f.String("listen", "a:1", ""), f.String("rack", "", "")
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		return f, listen, rack
	}
	f, listen, rack := flags("--rack", "given")
	configs, err := environment(f, []string{
		"PATH=/bin", "MILLRACE_LISTEN=b:2", "MILLRACE_RACK=other", "MILLRACE_LOG_RETENTION_MS=5", "MILLRACE_NUM_NETWORK_THREADS=3",
		"MILLRACE_SERVICE_HOST=10.0.0.1", "MILLRACE_PORT_9092_TCP=tcp://10.0.0.1:9092",
	})
	if err != nil || *listen != "b:2" || *rack != "given" || len(configs) != 2 || configs["log.retention.ms"] != "5" || !f.Changed("listen") {
		t.Errorf("listen %s, rack %s, %v, %v", *listen, *rack, configs, err)
	}
	if _, err := environment(f, []string{"MILLRACE_LOG_RETENTION_MSS=5"}); err == nil || !strings.Contains(err.Error(), "did you mean log.retention.ms?") {
		t.Errorf("a typing error: %v", err)
	}
	millrace("", "start", "--lisen", "x").wantError(t, exitUsage, "did you mean --listen?")
	millrace("", "start", "--override", "log.retenton.ms=5").wantError(t, exitUsage, "did you mean log.retention.ms?")
	file := filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(file, []byte("log.retenton.ms=5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	millrace("", "start", "--config", file).wantError(t, exitUsage, "did you mean log.retention.ms?") // a unit does not start it again
}

// TestPropertiesAreLayered: the command line wins over the environment, and that over the file.
func TestPropertiesAreLayered(t *testing.T) {
	o := startOptions{data: "d", listen: "127.0.0.1:9092", nodeID: -1, nodes: 1,
		variables: map[string]string{"num.partitions": "2", "log.dirs": "/data", "listeners": "PLAINTEXT://:1"},
		overrides: []string{"num.partitions=3"}}
	places, err := o.places()
	if err != nil || places[0].config.Properties["num.partitions"] != "3" || places[0].data != "/data" || places[0].config.Listen != "" {
		t.Errorf("%+v, %v", places, err)
	}
	o.dataGiven, o.listenGiven = true, true
	if places, err = o.places(); err != nil || places[0].data != "d" || places[0].config.Listen != "127.0.0.1:9092" {
		t.Errorf("with flags: %+v, %v", places, err)
	}
}
