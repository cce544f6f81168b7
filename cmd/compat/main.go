package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"millrace/cmd/internal/broker"
)

// allPlaces are the places to check clients at.
const allPlaces = "one,three"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}

// settings make groups and compaction quick; they are the same for Millrace and Kafka.
var settings = []string{
	"group.initial.rebalance.delay.ms=0",
	"group.consumer.heartbeat.interval.ms=1000",
	"group.consumer.min.heartbeat.interval.ms=1000",
	"log.cleaner.backoff.ms=200",
	"log.retention.ms=-1", // the records of the rule are years old
}

// kafkaSettings make Kafka's cleaner as quick as the checks of compaction want it.
var kafkaSettings = []string{"log.retention.check.interval.ms=500", "log.initial.task.delay.ms=500"}

func run(ctx context.Context) error {
	what := flag.String("broker", "build/millrace", "binary of the broker, or kafka, to check the checks")
	names := flag.String("clients", "", "clients to check, with commas between (default all)")
	jobs := flag.Int("jobs", 5, "how many clients to check at once")
	table := flag.String("table", "", "file to write the table to")
	installOnly := flag.Bool("install", false, "only install the clients")
	where := flag.String("places", allPlaces, "where to check them: one node, three nodes")
	flag.Parse()

	chosen, err := choose(*names)
	if err != nil {
		return err
	}
	reports, runners := installAll(ctx, chosen)
	if *installOnly {
		return verdict(reports, "")
	}
	dir, err := os.MkdirTemp("", "millrace-compat-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	places, stop, err := startPlaces(ctx, *what, dir, strings.Split(*where, ","))
	defer stop()
	if err != nil {
		return err
	}
	began := time.Now()
	runAll(ctx, *jobs, chosen, runners, places, reports)
	for i, c := range chosen {
		if r := reports[i]; runners[i] != nil && *where == allPlaces && len(r.results) < c.least {
			r.add(places[0], "harness", "whole", failed, fmt.Sprintf("%d checks have run, %d are known", len(r.results), c.least))
		}
	}
	fmt.Printf("all clients checked in %.0f s\n", time.Since(began).Seconds())
	return verdict(reports, *table)
}

func choose(names string) ([]*client, error) {
	if names == "" {
		return clients, nil
	}
	var chosen []*client
	for _, n := range strings.Split(names, ",") {
		i := slices.IndexFunc(clients, func(c *client) bool { return c.name == n })
		if i < 0 {
			return nil, fmt.Errorf("there is no client %q", n)
		}
		chosen = append(chosen, clients[i])
	}
	return chosen, nil
}

// installAll makes the clients ready, one after the other: they share caches.
func installAll(ctx context.Context, chosen []*client) ([]*report, []runner) {
	var reports []*report
	var runners []runner
	for _, c := range chosen {
		r := &report{client: c.name}
		run, err := c.install(ctx)
		if err != nil {
			r.add(&place{name: "not run"}, "harness", "install", failed, fmt.Sprintf("%v (it needs %s)", err, c.needs))
		}
		reports, runners = append(reports, r), append(runners, run)
	}
	return reports, runners
}

// Areas of checks.
var (
	everything = []string{"records", "idempotent", "groups", "kip-848", "offsets", "admin", "compacted", "transactions", "tools"}
	clustered  = []string{"records", "groups", "kip-848", "offsets"}
)

// startPlaces starts one broker and a cluster of three, and writes the reference topics.
func startPlaces(ctx context.Context, what, dir string, where []string) (all []*place, stop func(), err error) {
	var started []*broker.Cluster
	stop = func() {
		for _, c := range started {
			c.Kill()
		}
	}
	for _, w := range where {
		p := &place{name: "one node", factor: 1, areas: everything}
		nodes := 1
		if w == "three" {
			p.name, p.factor, p.areas, nodes = "three nodes", 3, clustered, 3
		}
		c, err := makeCluster(ctx, what, filepath.Join(dir, w), nodes)
		if err != nil {
			return nil, stop, err
		}
		started = append(started, c)
		sctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := c.Start(sctx); err != nil {
			return nil, stop, err
		}
		p.at = c.Brokers()
		for i, codec := range codecs {
			if err := writeRule(ctx, p.at, reference+"-"+codec, p.factor, i); err != nil {
				return nil, stop, err
			}
		}
		all = append(all, p)
	}
	return all, stop, nil
}

func makeCluster(ctx context.Context, what, dir string, nodes int) (*broker.Cluster, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(config, []byte(strings.Join(settings, "\n")+"\n"), 0o644); err != nil {
		return nil, err
	}
	if nodes > 1 {
		if what != "kafka" {
			what = broker.MillraceClusterLine(what) + " --config " + config
		}
		return broker.ChooseCluster(ctx, what, dir, nodes, nil)
	}
	free, err := broker.FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	if what != "kafka" {
		what = broker.MillraceLine(what) + " --config " + config
	}
	b, err := broker.Choose(ctx, what, dir, free[0], append(slices.Clone(settings), kafkaSettings...)...)
	if err != nil {
		return nil, err
	}
	return broker.Lone(b), nil
}

// runAll runs the clients that are ready, some at once. What a client does at one place it does in turn.
func runAll(ctx context.Context, jobs int, chosen []*client, runners []runner, places []*place, reports []*report) {
	queue := make(chan int)
	var wg sync.WaitGroup
	for range jobs {
		wg.Go(func() {
			for i := range queue {
				began := time.Now()
				for _, p := range places {
					if p.factor == 1 || !chosen[i].alone {
						runners[i](ctx, p, reports[i])
					}
				}
				reports[i].took = time.Since(began)
				fmt.Printf("%s %s: %d passed, %d failed, %d accepted, %.0f s\n", chosen[i].name, reports[i].version,
					reports[i].count(passed), reports[i].count(failed), reports[i].count(accepted), reports[i].took.Seconds())
			}
		})
	}
	for i := range chosen {
		if runners[i] != nil {
			queue <- i
		}
	}
	close(queue)
	wg.Wait()
}

// verdict prints the sums and writes the table; it is an error when something failed.
func verdict(reports []*report, table string) error {
	ok, bad := 0, 0
	for _, r := range reports {
		ok += r.count(passed) + r.count(accepted)
		bad += r.count(failed)
	}
	if table != "" {
		if err := os.WriteFile(table, tableOf(reports), 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("client checks: %d passed, %d failed\n", ok, bad)
	if bad > 0 {
		return errors.New("not every check passed")
	}
	return nil
}
