package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// The tests of the client commands run against a broker: the one at MILLRACE_TEST_BROKERS, such as a real Kafka, or
// else this binary itself, started again as `millrace start`.
func TestMain(m *testing.M) {
	if os.Getenv("MILLRACE_TEST_MAIN") != "" {
		main()
		return
	}
	code := m.Run()
	if own.stop != nil {
		own.stop()
	}
	os.Exit(code)
}

// own is the broker that the tests started themselves, once for all of them.
var own struct {
	once sync.Once
	addr string
	err  error
	pid  int
	stop func()
}

func testBroker(t *testing.T) string {
	t.Helper()
	if addr := os.Getenv("MILLRACE_TEST_BROKERS"); addr != "" {
		return addr
	}
	if c, _, err := (&session{}).rootCommand().Find([]string{"start"}); err != nil || c.Name() != "start" {
		t.Skip("this build has no broker: set MILLRACE_TEST_BROKERS")
	}
	own.once.Do(startOwn)
	if own.err != nil {
		t.Fatal(own.err)
	}
	return own.addr
}

func startOwn() {
	dir, err := os.MkdirTemp("", "millrace-test")
	if err != nil {
		own.err = err
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		own.err = err
		return
	}
	own.addr = l.Addr().String()
	l.Close()
	cmd := exec.Command(os.Args[0], "start", "--data", filepath.Join(dir, "data"), "--listen", own.addr, "--http=")
	cmd.Env = append(os.Environ(), "MILLRACE_TEST_MAIN=1")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if own.err = cmd.Start(); own.err != nil {
		return
	}
	own.pid = cmd.Process.Pid
	own.stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
		os.RemoveAll(dir)
	}
	for range 500 {
		if conn, err := net.Dial("tcp", own.addr); err == nil {
			conn.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	own.stop()
	own.err = fmt.Errorf("no broker at %s; it printed:\n%s", own.addr, log.String())
}

// result is what one invocation left.
type result struct {
	code     int
	out, err string
}

// millrace runs one command line, with input as standard input.
func millrace(input string, args ...string) result {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out, err bytes.Buffer
	code := run(ctx, args, streams{strings.NewReader(input), &out, &err})
	return result{code, out.String(), err.String()}
}

func (r result) want(t *testing.T, code int, out string) {
	t.Helper()
	if r.code != code || r.out != out {
		t.Fatalf("exit %d, output %q, errors %q; want exit %d, output %q", r.code, r.out, r.err, code, out)
	}
}

func (r result) wantError(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit %d, want %d; output %q, errors %q", r.code, code, r.out, r.err)
	}
	for _, w := range words {
		if !strings.Contains(r.err, w) {
			t.Fatalf("errors %q do not say %q", r.err, w)
		}
	}
}

func testTopic(t *testing.T) string {
	return fmt.Sprintf("%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), time.Now().UnixNano())
}

func TestWrongUsage(t *testing.T) {
	for _, c := range []struct {
		args  []string
		words string
	}{
		{[]string{"topics"}, "no command"},
		{[]string{"topic", "make"}, "no command"},
		{[]string{"topic", "create"}, "millrace topic create --help"},
		{[]string{"topic", "create", "x", "--config", "nothing"}, "name=value"},
		{[]string{"topic", "list", "--nothing"}, "unknown flag"},
		{[]string{"produce"}, "millrace produce --help"},
		{[]string{"produce", "x", "--acks", "2"}, "all, 1 or 0"},
		{[]string{"produce", "x", "--compression", "rar"}, "zstd"},
		{[]string{"produce", "x", "--idempotent", "--acks", "1"}, "--acks all"},
		{[]string{"produce", "x", "y", "--file", "z"}, "not both"},
		{[]string{"consume", "x", "--offset", "soon"}, "earliest"},
		{[]string{"consume", "x", "--offset", "1", "--from-beginning"}, "exclude"},
		{[]string{"consume", "x", "--group", "g", "--partition", "1"}, "--group"},
		{[]string{"consume", "x", "--format", "%q"}, "%q"},
		{[]string{"version", "now"}, "millrace version --help"},
	} {
		millrace("", c.args...).wantError(t, exitUsage, c.words)
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	for _, args := range [][]string{{"topic", "list"}, {"produce", "x", "y"}, {"consume", "x"}} {
		millrace("", append(args, "--brokers", addr)...).wantError(t, exitNoBroker, addr, "millrace start")
	}
	r := millrace("", "topic", "list", "--json", "--brokers", addr)
	var shown struct {
		Error, Hint string
		Exit        int
	}
	if err := json.Unmarshal([]byte(r.err), &shown); err != nil || shown.Exit != exitNoBroker || shown.Hint == "" {
		t.Fatalf("errors %q: %v", r.err, err)
	}
}

func TestVersion(t *testing.T) {
	r := millrace("", "version", "--json")
	var v versionInfo
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || r.code != 0 || v.Go == "" || v.Version == "" || v.Commit == "" {
		t.Fatalf("%+v: %+v, %v", r, v, err)
	}
	if r := millrace("", "version"); !strings.HasPrefix(r.out, "millrace "+v.Version) {
		t.Fatalf("%+v", r)
	}
}

func TestTopics(t *testing.T) {
	at, topic := "--brokers="+testBroker(t), testTopic(t)
	millrace("", "topic", "create", topic, "--partitions", "3", "--config", "retention.ms=3600000", at).
		want(t, 0, "created topic "+topic+" with 3 partitions\n")
	millrace("", "topic", "create", topic, at).wantError(t, exitExists, topic, "--if-not-exists")
	millrace("", "topic", "create", topic, "--if-not-exists", at).want(t, 0, "topic "+topic+" exists already\n")
	millrace("", "topic", "create", "no/slash", at).wantError(t, exitRefused, "not a valid name")
	millrace("", "topic", "create", topic+"-2", "--config", "no.such.config=1", at).wantError(t, exitRefused, "Unknown topic config name")
	millrace("", "topic", "create", topic+"-3", "--replication-factor", "7", at).wantError(t, exitRefused, "INVALID_REPLICATION_FACTOR")

	if r := millrace("", "topic", "list", at); !regexp.MustCompile("(?m)^"+topic+" +3 +1 *$").MatchString(r.out) || r.code != 0 {
		t.Fatalf("%+v", r)
	}
	var described struct{ Topics []describedTopic }
	r := millrace("", "topic", "describe", topic, "--json", at)
	if err := json.Unmarshal([]byte(r.out), &described); err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	d := described.Topics[0]
	if d.Name != topic || len(d.Partitions) != 3 || d.Configs["retention.ms"] != "3600000" || d.ID == "" || d.Partitions[2].LogEnd != 0 {
		t.Fatalf("%+v", d)
	}
	millrace("", "topic", "describe", topic+"-none", at).wantError(t, exitNotFound, topic+"-none", "topic create")
	millrace("", "topic", "delete", topic, at).want(t, 0, "deleted topic "+topic+"\n")
	millrace("", "topic", "delete", topic+"-none", at).wantError(t, exitNotFound)
	millrace("", "topic", "delete", topic+"-none", "--if-exists", at).want(t, 0, "")
}

func TestProduceAndConsume(t *testing.T) {
	at, topic := "--brokers="+testBroker(t), testTopic(t)
	millrace("", "topic", "create", topic, "--partitions", "2", at).want(t, 0, "created topic "+topic+" with 2 partitions\n")

	millrace("", "produce", topic, "one", "two", "--partition", "0", at).
		want(t, 0, "wrote 2 records to topic "+topic+": partition 0 at offsets 0 to 1\n")
	millrace("a:x\r\nb:\n:z\n", "produce", topic, "--key-delimiter", ":", "--partition", "1", "--compression", "zstd", "--header", "from=test", at).
		want(t, 0, "wrote 3 records to topic "+topic+": partition 1 at offsets 0 to 2\n")
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, []byte("three\n\nfive"), 0o644); err != nil {
		t.Fatal(err)
	}
	millrace("", "produce", topic, "--file", file, "--partition", "0", "--acks", "1", at).
		want(t, 0, "wrote 3 records to topic "+topic+": partition 0 at offsets 2 to 4\n")
	millrace("", "produce", topic, "six", "--partition", "0", "--acks", "0", at).
		want(t, 0, "wrote 1 record to topic "+topic+": partition 0\n")

	all := "one\ntwo\nthree\n\nfive\nsix\n"
	millrace("", "consume", topic, "--partition", "0", "--from-beginning", "--count", "6", "--timeout", "20s", at).want(t, 0, all)
	millrace("", "consume", topic, "--partition", "0", "--from-beginning", "--until-end", at).want(t, 0, all)
	millrace("", "consume", topic, "--partition", "0", "--offset", "-2", "--timeout", "1s", at).want(t, 0, "five\nsix\n")
	millrace("", "consume", topic, "--partition", "0", "--offset", "4", "--count", "1", "--timeout", "20s", at).want(t, 0, "five\n")
	millrace("", "consume", topic, "--partition", "1", "--offset", "earliest", "--until-end", "--format", `%p %o [%k] [%v] %h`, at).
		want(t, 0, "1 0 [a] [x\r] from=test\n1 1 [b] [] from=test\n1 2 [] [z] from=test\n")
	millrace("", "consume", topic, "--partition", "0", "--from-beginning", "--count", "9", "--timeout", "1s", at).
		wantError(t, exitTimeout, "6 records of 9")
	millrace("", "consume", topic, "--partition", "7", at).wantError(t, exitNotFound, "no partition 7")
	millrace("", "consume", topic+"-none", at).wantError(t, exitNotFound, "topic create")
	millrace("no delimiter\n", "produce", topic, "--key-delimiter", ":", at).wantError(t, exitFailed, "no key delimiter")

	r := millrace("", "consume", topic, "--partition", "1", "--offset", "0", "--count", "1", "--timeout", "20s", "--json", at)
	var shown shownRecord
	if err := json.Unmarshal([]byte(r.out), &shown); err != nil || *shown.Key != "a" || *shown.Value != "x\r" || shown.Headers[0].Name != "from" {
		t.Fatalf("%+v: %v", r, err)
	}
}

func TestProduceTooLarge(t *testing.T) {
	at, topic := "--brokers="+testBroker(t), testTopic(t)
	millrace("", "topic", "create", topic, "--partitions", "1", "--config", "max.message.bytes=1000", at)
	millrace("", "produce", topic, strings.Repeat("x", 2000), at).wantError(t, exitRefused, "larger than", "max.message.bytes")
}

func TestConsumeInGroup(t *testing.T) {
	at, topic := "--brokers="+testBroker(t), testTopic(t)
	millrace("", "topic", "create", topic, "--partitions", "1", at)
	millrace("1\n2\n3\n4\n5\n", "produce", topic, at).want(t, 0, "wrote 5 records to topic "+topic+": partition 0 at offsets 0 to 4\n")
	group := []string{"consume", topic, "--group", topic, "--from-beginning", "--timeout", "20s", at}
	millrace("", append(group, "--count", "2")...).want(t, 0, "1\n2\n")
	millrace("", append(group, "--count", "3")...).want(t, 0, "3\n4\n5\n")
	millrace("", "produce", topic, "6", at)
	millrace("", append(group, "--count", "1")...).want(t, 0, "6\n")
}
