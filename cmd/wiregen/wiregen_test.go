package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestReproducible generates again and compares with what is committed. It
// needs Kafka's jars.
func TestReproducible(t *testing.T) {
	jars := os.Getenv("MILLRACE_KAFKA_JARS")
	if jars == "" {
		t.Skip("MILLRACE_KAFKA_JARS is not set")
	}
	dir := t.TempDir()
	if err := run(jars, dir); err != nil {
		t.Fatal(err)
	}
	const committed = "../../net/wire"
	names := make(map[string]bool)
	for _, d := range []string{dir, committed} {
		files, err := filepath.Glob(filepath.Join(d, "*.gen.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			names[filepath.Base(file)] = true
		}
	}
	if len(names) < 70 {
		t.Fatalf("only %d files", len(names))
	}
	for name := range names {
		generated, errGenerated := os.ReadFile(filepath.Join(dir, name))
		kept, errKept := os.ReadFile(filepath.Join(committed, name))
		if errGenerated != nil || errKept != nil || !bytes.Equal(generated, kept) {
			t.Errorf("%s differs: run go generate ./net/wire", name)
		}
	}
}

func TestConditions(t *testing.T) {
	within := versions{4, 18}
	for _, c := range []struct{ versions, want string }{
		{"0+", "true"}, {"4-18", "true"}, {"0-3", "false"}, {"none", "false"}, {"19+", "false"},
		{"12+", "version >= 12"}, {"0-11", "version <= 11"}, {"7-11", "version >= 7 && version <= 11"},
		{"18+", "version == 18"}, {"0-4", "version == 4"}, {"9", "version == 9"},
	} {
		v, err := parseVersions(c.versions)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.condition(within); got != c.want {
			t.Errorf("%s: %q, want %q", c.versions, got, c.want)
		}
	}
	for _, wrong := range []string{"x", "1-", "-1", "1-2-3", "99999"} {
		if v, err := parseVersions(wrong); err == nil {
			t.Errorf("%q is taken for %v", wrong, v)
		}
	}
}

func TestNestedNames(t *testing.T) {
	for _, c := range []struct{ message, name, want string }{
		{"FetchRequest", "FetchTopic", "FetchRequestTopic"},
		{"FetchRequest", "ReplicaState", "FetchRequestReplicaState"},
		{"FetchResponse", "FetchableTopicResponse", "FetchResponseFetchableTopicResponse"},
		{"MetadataRequest", "MetadataRequestTopic", "MetadataRequestTopic"},
		{"HeartbeatRequest", "Heartbeat", "HeartbeatRequestHeartbeat"},
	} {
		if got := nestedName(c.message, c.name); got != c.want {
			t.Errorf("%s of %s: %s, want %s", c.name, c.message, got, c.want)
		}
	}
}

func TestStripComments(t *testing.T) {
	in := "{ // one \"two\"\n \"a\": \"http://x \\\" // y\" } // end"
	want := "{ \n \"a\": \"http://x \\\" // y\" } \n"
	if got := string(stripComments([]byte(in))); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
