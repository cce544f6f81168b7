package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/cmd/internal/broker"
)

// groupsBench measures consumer groups: how long one of many members takes to come or go until all the others know what to
// read, and what the heartbeats of very many members cost.
type groupsBench struct {
	brokers    string
	members    int // of the group in which one comes and goes
	partitions int
	rounds     int
	heartbeat  time.Duration
	crowd      int // members that only send heartbeats, in groups of members each
	pulse      time.Duration
	watch      time.Duration
	protocols  []string
	pids       []int
}

// groupProperties let groups settle as soon as they can, and heartbeats be as short as the test asks for.
func groupProperties(heartbeat time.Duration) []string {
	ms := heartbeat.Milliseconds()
	return []string{
		"group.initial.rebalance.delay.ms=0",
		"offsets.topic.num.partitions=50",
		"group.consumer.min.heartbeat.interval.ms=1",
		fmt.Sprintf("group.consumer.heartbeat.interval.ms=%d", ms),
		"group.consumer.session.timeout.ms=45000",
	}
}

func runGroups(ctx context.Context, args []string) error {
	g := &groupsBench{}
	flags := flag.NewFlagSet("groups", flag.ExitOnError)
	what := flags.String("broker", "build/millrace", "kafka, or Millrace's binary")
	flags.IntVar(&g.members, "members", 200, "members of a group")
	flags.IntVar(&g.partitions, "partitions", 400, "partitions of its topic")
	flags.IntVar(&g.rounds, "rounds", 5, "how often a member joins and leaves")
	flags.DurationVar(&g.heartbeat, "heartbeat", 500*time.Millisecond, "heartbeat interval of that group")
	flags.IntVar(&g.crowd, "crowd", 5000, "members that only send heartbeats; 0 for none")
	flags.DurationVar(&g.pulse, "pulse", 5*time.Second, "heartbeat interval of those")
	flags.DurationVar(&g.watch, "watch", 30*time.Second, "how long their cost is watched")
	protocols := flags.String("protocols", "classic,consumer", "protocols to measure")
	dir := flags.String("dir", os.TempDir(), "where the broker keeps its data meanwhile")
	profile := flags.Bool("pprof", false, "start the broker with --http 127.0.0.1:9655 --pprof")
	flags.Parse(args) //nolint:errcheck // it exits
	g.protocols = strings.Split(*protocols, ",")
	if err := g.settleAll(ctx, *what, *dir, *profile); err != nil {
		return err
	}
	return g.crowds(ctx, *what, *dir, *profile)
}

// started runs a broker of its own for fn.
func (g *groupsBench) started(ctx context.Context, what, parent string, profile bool, heartbeat time.Duration, fn func(name string) error) error {
	dir, err := os.MkdirTemp(parent, "millrace-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	addresses, err := broker.FreeAddresses(1)
	if err != nil {
		return err
	}
	properties := groupProperties(heartbeat)
	line := what
	if what != "kafka" {
		file := filepath.Join(dir, "properties")
		if err := os.WriteFile(file, []byte(strings.Join(properties, "\n")+"\n"), 0o600); err != nil {
			return err
		}
		line = broker.MillraceLine(what) + " --config " + file
		if profile {
			line = strings.Replace(line, "--http=", "--http=127.0.0.1:9655 --pprof", 1)
		}
	}
	b, err := broker.Choose(ctx, line, dir, addresses[0], properties...)
	if err != nil {
		return err
	}
	if err := b.Start(ctx); err != nil {
		return err
	}
	defer b.Stop() //nolint:errcheck // the directory goes anyway
	if err := b.WaitReady(ctx); err != nil {
		return err
	}
	g.brokers, g.pids = addresses[0], []int{b.Pid()}
	return fn(b.Name)
}

// topic makes a topic with the offsets topic beside it.
func (g *groupsBench) topic(ctx context.Context, name string, partitions int) (kadm.TopicID, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(g.brokers))
	if err != nil {
		return kadm.TopicID{}, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	made, err := admin.CreateTopic(ctx, int32(partitions), 1, nil, name)
	if err != nil {
		return kadm.TopicID{}, err
	}
	if r := admin.FindGroupCoordinators(ctx, name)[name]; r.Err != nil {
		return kadm.TopicID{}, r.Err
	}
	return made.ID, nil
}

// settleAll lets one member join and leave a group of the others, again and again.
func (g *groupsBench) settleAll(ctx context.Context, what, dir string, profile bool) error {
	return g.started(ctx, what, dir, profile, g.heartbeat, func(name string) error {
		for _, protocol := range g.protocols {
			times, err := g.settle(ctx, protocol)
			if err != nil {
				return fmt.Errorf("%s groups: %w", protocol, err)
			}
			fmt.Printf("%s: %s group of %d members, heartbeats every %v: one join settles in %s, one leave in %s\n",
				name, protocol, g.members, g.heartbeat, spread(times.joins), spread(times.leaves))
		}
		return nil
	})
}

// settleTimes are how long the joins and leaves took.
type settleTimes struct{ joins, leaves []time.Duration }

// spread words the median and the longest.
func spread(all []time.Duration) string {
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	if len(all) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f s (longest %.2f s)", all[len(all)/2].Seconds(), all[len(all)-1].Seconds())
}

// settleTimeout bounds how long a group may take.
const settleTimeout = time.Minute

func (g *groupsBench) settle(ctx context.Context, protocol string) (times settleTimes, err error) {
	topic := "settle-" + protocol
	id, err := g.topic(ctx, topic, g.partitions)
	if err != nil {
		return times, err
	}
	group := newBenchGroup(g.brokers, topic, id, topic, protocol, g.partitions, g.heartbeat)
	defer group.stop()
	for range g.members - 1 {
		group.start()
	}
	if _, err = group.await(ctx, g.members-1, g.partitions, settleTimeout); err != nil {
		return times, err
	}
	for range g.rounds {
		last := group.start()
		took, err := group.await(ctx, g.members, g.partitions, settleTimeout)
		if err != nil {
			return times, fmt.Errorf("a join: %w", err)
		}
		times.joins = append(times.joins, took)
		if err := sleep(ctx, time.Second); err != nil {
			return times, err
		}
		group.leave(last)
		if took, err = group.await(ctx, g.members-1, g.partitions, settleTimeout); err != nil {
			return times, fmt.Errorf("a leave: %w", err)
		}
		times.leaves = append(times.leaves, took)
		if err := sleep(ctx, time.Second); err != nil {
			return times, err
		}
	}
	return times, nil
}

// crowds watches what the heartbeats of very many members cost.
func (g *groupsBench) crowds(ctx context.Context, what, dir string, profile bool) error {
	if g.crowd == 0 {
		return nil
	}
	for _, protocol := range g.protocols {
		err := g.started(ctx, what, dir, profile, g.pulse, func(name string) error {
			cost, err := g.crowdCost(ctx, protocol)
			if err != nil {
				return fmt.Errorf("%s groups: %w", protocol, err)
			}
			fmt.Printf("%s: %d members of %s groups of %d, a heartbeat every %v each: %.1f %% of a core, %.0f MB resident\n",
				name, g.crowd, protocol, g.members, g.pulse, 100*cost.cpuSeconds/g.watch.Seconds(), cost.rssMB)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *groupsBench) crowdCost(ctx context.Context, protocol string) (usage, error) {
	topic := "crowd-" + protocol
	id, err := g.topic(ctx, topic, g.members)
	if err != nil {
		return usage{}, err
	}
	for n := 0; n < g.crowd; n += g.members {
		group := newBenchGroup(g.brokers, fmt.Sprintf("%s-%d", topic, n/g.members), id, topic, protocol, g.members, g.pulse)
		defer group.stop()
		size := min(g.members, g.crowd-n)
		for range size {
			group.start()
		}
		if _, err := group.await(ctx, size, g.members, 5*settleTimeout); err != nil {
			return usage{}, err
		}
	}
	if err := sleep(ctx, 2*g.pulse); err != nil {
		return usage{}, err
	}
	before, err := usageOf(g.pids)
	if err != nil {
		return usage{}, err
	}
	if err := sleep(ctx, g.watch); err != nil {
		return usage{}, err
	}
	after, err := usageOf(g.pids)
	return usage{cpuSeconds: after.cpuSeconds - before.cpuSeconds, rssMB: after.rssMB}, err
}
