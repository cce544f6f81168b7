package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"millrace/cmd/internal/broker"
	"millrace/cmd/internal/kafka"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	millrace, only string
	kafkaAt, ourAt string
	table          string
	trace, keep    bool
}

func run(ctx context.Context) (bool, error) {
	var o options
	flag.StringVar(&o.millrace, "broker", "build/millrace", "the binary of Millrace")
	flag.StringVar(&o.only, "only", "", "suites to run, comma separated (default: all)")
	flag.StringVar(&o.kafkaAt, "kafka-at", "", "HOST:PORT of a Kafka that runs already; its topics must be none")
	flag.StringVar(&o.ourAt, "millrace-at", "", "HOST:PORT of a Millrace that runs already")
	flag.StringVar(&o.table, "table", "", "file to write the table to, when all suites were run and nothing failed")
	flag.BoolVar(&o.trace, "trace", false, "print every answer")
	flag.BoolVar(&o.keep, "keep", false, "keep the directory with data and logs")
	flag.Parse()
	var only []string
	if o.only != "" {
		only = strings.Split(o.only, ",")
	}
	suites, err := loadScripts(only)
	if err != nil {
		return false, err
	}
	meant, err := parseAccepted(acceptedText)
	if err != nil {
		return false, fmt.Errorf("accepted.txt: %w", err)
	}
	began := time.Now()
	subjects, end, err := startBoth(ctx, &o)
	defer end()
	if err != nil {
		return false, err
	}
	if err := playBoth(subjects, suites); err != nil {
		return false, err
	}
	all, err := compare(subjects[0].exchanges, subjects[1].exchanges)
	if err != nil {
		return false, err
	}
	ok := report(len(subjects[0].exchanges), all, meant, len(only) > 0, time.Since(began))
	if ok && o.table != "" && len(only) == 0 {
		err = writeTable(o.table, table(subjects[0].exchanges, meant))
	}
	return ok, err
}

// report prints what is unexplained, and the sum. With part, only some suites ran, and an accepted difference may be missing.
func report(exchanges int, all []difference, meant []*accepted, part bool, took time.Duration) bool {
	unexplained := merge(split(all, meant))
	for _, d := range unexplained {
		fmt.Printf("%s | %s | %s | versions %v\n    Kafka    %s\n    Millrace %s\n", d.api, d.name, d.path, d.versions, d.kafka, d.millrace)
	}
	failures, seen := len(unexplained), 0
	for _, a := range meant {
		if a.seen > 0 {
			seen++
		} else if !part {
			failures++
			fmt.Printf("%s | %s | %s: this accepted difference does not occur any more\n", a.api, a.name, a.field)
		}
	}
	fmt.Printf("%d exchanges, %d accepted differences, %d failures, %.0f s\n", exchanges, seen, failures, took.Seconds())
	return failures == 0
}

// playBoth plays all suites on both brokers, side by side.
func playBoth(subjects []*subject, suites []suite) error {
	failed := make(chan error, len(subjects))
	for _, s := range subjects {
		go func() {
			for _, su := range suites {
				if err := s.run(su); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	var errs []error
	for range subjects {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}

// settings are the same for both brokers: what would make the exchanges slow, or depend on time.
var settings = []string{
	"group.initial.rebalance.delay.ms=0",
	"group.consumer.min.heartbeat.interval.ms=1000",
	"group.consumer.min.session.timeout.ms=2000",
	"group.min.session.timeout.ms=1000",
	"group.max.size=2",
	"group.consumer.max.size=2",
	"offset.metadata.max.bytes=64",
	"group.consumer.assignment.interval.ms=0",
	"offsets.topic.num.partitions=2",
	"offsets.topic.replication.factor=1",
}

// startBoth starts Kafka and Millrace, and returns what ends them.
func startBoth(ctx context.Context, o *options) (subjects []*subject, end func(), err error) {
	dir, err := os.MkdirTemp("", "millrace-oracle-")
	if err != nil {
		return nil, func() {}, err
	}
	var running []*broker.Broker
	end = func() {
		for _, b := range running {
			b.Kill() //nolint:errcheck // its data goes anyway
		}
		if o.keep {
			fmt.Println("data and logs are in", dir)
		} else {
			os.RemoveAll(dir)
		}
	}
	kafkaBroker, millrace, err := choose(ctx, o, dir)
	if err != nil {
		return nil, end, err
	}
	now := time.Now()
	for _, b := range []*broker.Broker{kafkaBroker, millrace} {
		s := &subject{name: b.Name, addr: b.Listen, now: now}
		if o.trace {
			s.trace = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
		}
		subjects = append(subjects, s)
		if b.Name == "kafka" && o.kafkaAt != "" || b.Name == "millrace" && o.ourAt != "" {
			continue
		}
		if err := b.Start(ctx); err != nil {
			return nil, end, err
		}
		running = append(running, b)
	}
	for _, b := range running {
		limit, cancel := context.WithTimeout(ctx, time.Minute)
		err := b.WaitReady(limit)
		cancel()
		if err != nil {
			return nil, end, err
		}
	}
	return subjects, end, nil
}

// kafkaOptions make the JVM start soon rather than run fast.
var kafkaOptions = []string{"-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}

func choose(ctx context.Context, o *options, dir string) (kafkaBroker, millrace *broker.Broker, err error) {
	at := [2]string{o.kafkaAt, o.ourAt}
	for i := range at {
		if at[i] == "" {
			if at[i], err = freeAddress(); err != nil {
				return nil, nil, err
			}
		}
	}
	jars := new(kafka.Jars)
	if o.kafkaAt == "" {
		if jars, err = kafka.Fetch(ctx); err != nil {
			return nil, nil, err
		}
	}
	n, err := kafka.Alone("", at[0])
	if err != nil {
		return nil, nil, err
	}
	// Eligible leader replicas are a feature of Kafka's that sets a config for all brokers where it is on.
	n.More, n.Format = settings, []string{"--feature", "eligible.leader.replicas.version=0"}
	kafkaBroker = broker.KafkaNode(jars, dir, n, kafkaOptions)
	properties := filepath.Join(dir, "millrace.properties")
	if err := os.WriteFile(properties, []byte(strings.Join(settings, "\n")+"\n"), 0o644); err != nil {
		return nil, nil, err
	}
	line := broker.MillraceLine(o.millrace) + " --config " + properties
	return kafkaBroker, broker.Command("millrace", line, dir, at[1]), nil
}

// freeAddress is an address of this machine that nobody listens on, and the one after it, which is for Kafka's controller.
func freeAddress() (string, error) {
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		addr := l.Addr().(*net.TCPAddr)
		next, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", addr.Port+1))
		l.Close()
		if err == nil {
			next.Close()
			return addr.String(), nil
		}
	}
	return "", errors.New("no two free ports in a row")
}
