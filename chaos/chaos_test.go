package chaos

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// echo is a server that sends back what it reads.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c) //nolint:errcheck // it ends with the connection
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// say sends a word and returns what comes back within the time.
func say(c net.Conn, word string, limit time.Duration) (string, error) {
	c.SetDeadline(time.Now().Add(limit))
	if _, err := io.WriteString(c, word); err != nil {
		return "", err
	}
	return hear(c, len(word), limit)
}

func hear(c net.Conn, n int, limit time.Duration) (string, error) {
	c.SetDeadline(time.Now().Add(limit))
	buf := make([]byte, n)
	got, err := io.ReadFull(c, buf)
	return string(buf[:got]), err
}

func TestProxy(t *testing.T) {
	n := &Network{}
	defer n.Close()
	addr, err := n.Detour(1, 2, echo(t))
	if err != nil {
		t.Fatal(err)
	}
	on := func(change func(c *condition)) { n.each(func(_, _ int, c *condition) { change(c) }) }
	c := dial(t, addr)
	if got, err := say(c, "plain", time.Second); got != "plain" {
		t.Fatalf("%q, %v", got, err)
	}
	for _, side := range []func(*condition){func(c *condition) { c.stopThere = true }, func(c *condition) { c.stopBack = true }} {
		on(side)
		if got, err := say(c, "held", 50*time.Millisecond); err == nil {
			t.Fatalf("%q came through a link that is stopped", got)
		}
		n.heal()
		if got, err := hear(c, 4, time.Second); got != "held" {
			t.Fatalf("%q, %v: what was held is lost", got, err)
		}
	}
	on(func(c *condition) { c.delay = 60 * time.Millisecond })
	began := time.Now()
	if got, err := say(c, "late", time.Second); got != "late" || time.Since(began) < 120*time.Millisecond {
		t.Fatalf("%q, %v after %v", got, err, time.Since(began))
	}
	on(func(c *condition) { c.cut = true })
	if _, err := say(c, "cut", time.Second); err == nil {
		t.Fatal("a link that is cut carries")
	}
	// It may be reset before or after the connection stands.
	if again, err := net.Dial("tcp", addr); err == nil {
		if _, err := say(again, "cut", time.Second); err == nil {
			t.Fatal("a link that is cut takes connections")
		}
		again.Close()
	}
	n.heal()
	if got, err := say(dial(t, addr), "again", time.Second); got != "again" {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestEnd passes on that one side has no more to say, and still carries what the other says.
func TestEnd(t *testing.T) {
	n := &Network{}
	defer n.Close()
	addr, err := n.Detour(Clients, 1, echo(t))
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, addr)
	io.WriteString(c, "last words")            //nolint:errcheck // the read tells
	c.(*net.TCPConn).CloseWrite()              //nolint:errcheck // the read tells
	c.SetDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the read tells
	if got, err := io.ReadAll(c); string(got) != "last words" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestPlan(t *testing.T) {
	if n := len(tracks(7, 3)); n != 2 {
		t.Errorf("three nodes have %d tracks, want one that takes a node away and one aside", n)
	}
	if n := len(tracks(7, 5)); n != 3 {
		t.Errorf("five nodes have %d tracks, want 3", n)
	}
	kinds := map[string]bool{}
	for _, tr := range tracks(7, 3) {
		for i := range uint64(200) {
			f := tr.fault(i)
			if !reflect.DeepEqual(f, tr.fault(i)) {
				t.Fatalf("fault %d is drawn anew each time", i)
			}
			if f.Node < 0 || f.Node > 3 || f.Other < 1 || f.Other > 2 || f.For <= 0 || f.Partition >= logPartitions {
				t.Fatalf("%+v", f)
			}
			kinds[f.Kind] = true
		}
	}
	for _, k := range append(append([]string{}, away...), aside...) {
		if !kinds[k] {
			t.Errorf("no %s in 400 faults", k)
		}
	}
}

// TestOneWay: a deaf node hears nobody on any connection, and everybody hears it.
func TestOneWay(t *testing.T) {
	for _, c := range []struct {
		kind        string
		from, to    int
		there, back bool
	}{
		{deaf, 1, 2, true, false}, {deaf, 2, 1, false, true}, {deaf, 1, 3, false, false},
		{mute, 1, 2, false, true}, {mute, 2, 1, true, false}, {mute, Clients, 2, false, false},
		{severed, 2, 3, true, true}, {severed, 3, 2, true, true}, {severed, 2, 1, false, false},
		{isolate, 3, 2, true, true}, {isolate, 1, 3, false, false}, {isolate, Clients, 2, true, true},
		{blackHole, Clients, 2, true, true}, {blackHole, 1, 2, false, false},
	} {
		var got condition
		f := fault{Kind: c.kind, Other: 1, Whole: true}
		f.change(2, 3, true)(c.from, c.to, &got)
		if got.stopThere != c.there || got.stopBack != c.back {
			t.Errorf("%s of node 2, link from %d to %d: %+v", c.kind, c.from, c.to, got)
		}
		f.change(2, 3, false)(c.from, c.to, &got)
		if got != (condition{}) {
			t.Errorf("%s of node 2, link from %d to %d, over: %+v", c.kind, c.from, c.to, got)
		}
	}
}

// TestSpoil changes bytes of segments, and nothing when there is none.
func TestSpoil(t *testing.T) {
	dir := t.TempDir()
	if what, err := spoil(dir, 1); err != nil || !strings.Contains(what, "nothing") {
		t.Fatalf("%q, %v", what, err)
	}
	name := filepath.Join(dir, "partitions", "p-0", "0.log")
	before := make([]byte, 1000)
	for i := range 20 {
		for _, n := range []string{name, strings.TrimSuffix(name, "log") + "index"} {
			if err := os.MkdirAll(filepath.Dir(n), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(n, before, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		what, err := spoil(dir, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(what, ".log") == bytes.Equal(before, after) || len(after) != len(before) {
			t.Fatalf("%s: but it has not", what)
		}
	}
}

func TestCommits(t *testing.T) {
	commit := func(call, ret, offset int64) committed {
		return committed{Log: "t-0", Call: call, Return: ret, Offset: offset}
	}
	look := func(call, ret, offset int64) committed {
		return committed{Log: "t-0", Call: call, Return: ret, Offset: offset, Look: true}
	}
	lost := commit(11, 20, 5)
	lost.Unknown = true
	for name, c := range map[string]struct {
		list []committed
		want string
	}{
		"forward":                 {[]committed{commit(0, 10, 5), look(11, 20, 5), commit(15, 30, 9), look(31, 40, 9)}, ""},
		"at the same time":        {[]committed{commit(0, 10, 5), look(5, 8, -1)}, ""},
		"a commit is gone":        {[]committed{commit(0, 10, 5), commit(11, 20, 9), look(21, 30, 5)}, "committed offset 5 seen from 21 to 30, after the commit of 9 from 11 to 20"},
		"what was seen is gone":   {[]committed{look(0, 10, 5), look(11, 20, 3)}, "after a look at 5"},
		"a lost one comes late":   {[]committed{lost, commit(21, 30, 9), look(31, 40, 5)}, ""},
		"another log's is not it": {[]committed{{Log: "t-1", Offset: 9, Return: 1}, look(11, 20, 5)}, ""},
	} {
		got := strings.Join(checkCommits(c.list), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
