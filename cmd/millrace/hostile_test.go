package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// startLimited runs a broker of its own in a process that may have so many files open.
func startLimited(t *testing.T, files int) (addr, web string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the shell's ulimit is as Linux has it")
	}
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	addr, web = free(), free()
	shell := fmt.Sprintf("ulimit -n %d && exec %q start --data %q --listen %s --http %s", files, os.Args[0], filepath.Join(t.TempDir(), "data"), addr, web)
	c := exec.Command("sh", "-c", shell)
	c.Env = append(os.Environ(), "MILLRACE_TEST_MAIN=1")
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		if t.Failed() {
			t.Logf("the broker printed:\n%s", log.String())
		}
	})
	for range 1000 {
		if r, err := http.Get("http://" + web + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return addr, web
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the broker does not become ready")
	return "", ""
}

// TestConnectionsCannotTakeAllFiles floods a broker that may have 300 files open with 400 connections, at both its ports.
// What is open goes on, nothing fails, and when the flood is over everybody is served again.
func TestConnectionsCannotTakeAllFiles(t *testing.T) {
	addr, web := startLimited(t, 300)
	millrace("", "topic", "create", "t", "--partitions", "40", "--brokers", addr).want(t, 0, "created topic t with 40 partitions\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var flood []net.Conn
	d := net.Dialer{Timeout: time.Second}
	for i := range 400 {
		to := addr
		if i%4 == 0 {
			to = web
		}
		if c, err := d.DialContext(ctx, "tcp", to); err == nil {
			flood = append(flood, c)
		}
	}
	if len(flood) < 300 {
		t.Fatalf("%d connections were made", len(flood))
	}
	for _, c := range flood {
		c.Close()
	}
	var lines strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&lines, "value %d\n", i)
	}
	var r result
	for range 100 { // it hears of the flood's end a moment later
		if r = millrace(lines.String(), "produce", "t", "--brokers", addr); r.code == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if r.code != 0 || !strings.HasPrefix(r.out, "wrote 2000 records") {
		t.Fatalf("after the flood: %+v", r)
	}
	answer, err := http.Get("http://" + web + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	text.ReadFrom(answer.Body)
	if strings.Contains(text.String(), `millrace_connections_refused_total{reason="max.connections"} 0`) ||
		!strings.Contains(text.String(), "millrace_accept_failures_total 0") {
		t.Error("connections were refused for lack of files instead of by their bound")
	}
}

// TestReliabilityNamesTests looks for every test that docs/reliability.md names.
func TestReliabilityNamesTests(t *testing.T) {
	have := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			have[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(read(t, "reliability.md"), -1)
	if len(named) < 50 {
		t.Errorf("%d tests are named", len(named))
	}
	for _, m := range named {
		if !have[m[1]] {
			t.Errorf("docs/reliability.md names %s, which there is not", m[1])
		}
	}
}
