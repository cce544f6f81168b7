package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"millrace/cmd/internal/broker"
)

func main() {
	what := flag.String("broker", "build/millrace", "binary of Millrace, a command line with {data} and {listen}, or kafka")
	records := flag.Int("records", 300, "how many records to send")
	expect := flag.Bool("expect-violation", false, "succeed when an answer left too early, fail when none did")
	kafkaConfig := flag.String("kafka-config", "", "a line of Kafka's configuration")
	keep := flag.Bool("keep", false, "leave the trace in the temporary directory")
	flag.Parse()

	dir, err := os.MkdirTemp("", "millrace-durability-")
	if err != nil {
		fail(err)
	}
	k, err := run(context.Background(), dir, *what, *kafkaConfig, *records)
	if *keep {
		fmt.Println("the trace is", filepath.Join(dir, "trace"))
	} else {
		os.RemoveAll(dir)
	}
	if err != nil {
		fail(err)
	}
	os.Exit(k.report(*expect))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "durability:", err)
	os.Exit(2)
}

// run starts the broker under strace, loads it, stops it and reads the trace.
func run(ctx context.Context, dir, what, kafkaConfig string, records int) (*check, error) {
	if _, err := exec.LookPath("strace"); err != nil {
		return nil, fmt.Errorf("strace is not installed (apt-get install strace)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	listen := l.Addr().String()
	l.Close()
	if what != "kafka" && !strings.Contains(what, "{listen}") {
		what = broker.MillraceLine(what)
	}
	var more []string
	if kafkaConfig != "" {
		more = append(more, kafkaConfig)
	}
	b, err := broker.Choose(ctx, what, dir, listen, more...)
	if err != nil {
		return nil, err
	}
	if err := b.Prepare(ctx); err != nil {
		return nil, err
	}
	trace := filepath.Join(dir, "trace")
	if err := b.StartArgs(straceArgs(trace, b.Args())); err != nil {
		return nil, err
	}
	// strace that is killed lets its children run on.
	defer func() {
		killChildren(b.Pid()) //nolint:errcheck // they may be gone
		b.Kill()              //nolint:errcheck // it may be gone
	}()
	rctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := b.WaitReady(rctx); err != nil {
		return nil, err
	}
	if err := load(ctx, listen, records); err != nil {
		return nil, fmt.Errorf("loading the broker: %w\n%s", err, b.LogTail())
	}
	// The broker is killed, not strace: so strace writes the trace to its end.
	if err := killChildren(b.Pid()); err != nil {
		return nil, err
	}
	if err := b.Wait(30 * time.Second); err != nil {
		return nil, err
	}
	f, err := os.Open(trace)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	k := newCheck(records)
	return k, readTrace(f, k)
}

// killChildren kills the processes that strace runs, by their ids, and waits for strace to end.
func killChildren(strace int) error {
	if strace == 0 {
		return nil
	}
	id := strconv.Itoa(strace)
	data, err := os.ReadFile(filepath.Join("/proc", id, "task", id, "children"))
	if err != nil {
		return fmt.Errorf("looking for the broker below strace: %w", err)
	}
	for _, child := range bytes.Fields(data) {
		pid, err := strconv.Atoi(string(child))
		if err != nil {
			return err
		}
		p, err := os.FindProcess(pid)
		if err != nil {
			return err
		}
		if err := p.Kill(); err != nil {
			return fmt.Errorf("killing the broker below strace: %w", err)
		}
	}
	return nil
}

// report prints what was found and returns the exit status.
func (k *check) report(expectViolation bool) int {
	fmt.Printf("%d records sent, %d answers seen; marks on disk by a synchronous write %d, by a sync after the write %d\n",
		k.records, len(k.answered), k.files.bySynchronousWrite, k.files.bySync)
	if len(k.answered) != k.records {
		fmt.Printf("%d answers are not in the trace: the check says nothing\n", k.records-len(k.answered))
		return 2
	}
	for i, v := range k.violations {
		if i == 5 {
			fmt.Printf("… and %d more\n", len(k.violations)-i)
			break
		}
		fmt.Println("violation:", v)
	}
	switch {
	case expectViolation && len(k.violations) > 0:
		fmt.Printf("passed: %d answers left too early, as expected of this build\n", len(k.violations))
		return 0
	case expectViolation:
		fmt.Println("FAILED: this build does not sync, and the check did not notice")
		return 1
	case len(k.violations) > 0:
		fmt.Printf("FAILED: %d answers left before what they acknowledge was on disk\n", len(k.violations))
		return 1
	}
	fmt.Println("passed: each answer left after what it acknowledges was on disk")
	return 0
}
