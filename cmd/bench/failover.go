package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/cmd/internal/broker"
)

// A failover is measured on a topic of one partition with a replica on every node, whose leader is struck.
const failoverTopic = "failover"

// blows are the ways to strike a leader, each with how to make it whole again.
var blows = map[string]struct {
	strike, mend func(context.Context, *broker.Broker) error
}{
	"kill": {func(_ context.Context, b *broker.Broker) error { return b.Kill() }, startAgain},
	"stop": {
		func(_ context.Context, b *broker.Broker) error { return b.Signal(syscall.SIGSTOP) },
		func(_ context.Context, b *broker.Broker) error { return b.Signal(syscall.SIGCONT) },
	},
	// In order: what it leads moves first, then it ends and comes back at once.
	"restart": {
		func(ctx context.Context, b *broker.Broker) error {
			if err := b.Stop(); err != nil {
				return err
			}
			return startAgain(ctx, b)
		},
		func(context.Context, *broker.Broker) error { return nil },
	},
}

func startAgain(ctx context.Context, b *broker.Broker) error {
	if err := b.Start(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return b.WaitReady(ctx)
}

// failover is one run of the command.
type failover struct {
	cluster  *broker.Cluster
	admin    *kadm.Client
	rate     float64
	size     int
	patience time.Duration // of a client with an answer
	inflight int           // requests of a client that wait for answers
	times    int
	hows     []string
}

func runFailover(ctx context.Context, args []string) error {
	f := &failover{}
	flags := flag.NewFlagSet("failover", flag.ExitOnError)
	what := flags.String("broker", broker.MillraceClusterLine("build/millrace"), "kafka, or the command line of a node")
	nodes := flags.Int("nodes", 3, "nodes of the cluster")
	hows := flags.String("how", "kill,stop,restart", "what befalls the leader: kill (-9), stop (-STOP), restart (in order)")
	flags.IntVar(&f.times, "times", 10, "how often each")
	flags.Float64Var(&f.rate, "rate", 1000, "records a second")
	flags.IntVar(&f.size, "size", 1024, "bytes of a record")
	flags.DurationVar(&f.patience, "patience", 500*time.Millisecond, "how long the client waits for an answer before it asks elsewhere")
	flags.IntVar(&f.inflight, "inflight", 1, "requests of the client that wait for answers at most; franz-go tries each again at a broker that does not answer")
	parent := flags.String("dir", "", "where the brokers keep their data meanwhile (default the temporary directory)")
	keep := flags.Bool("keep", false, "leave data and logs there")
	flags.Parse(args) //nolint:errcheck // it exits
	f.hows = strings.Split(*hows, ",")
	for _, h := range f.hows {
		if _, ok := blows[h]; !ok {
			return fmt.Errorf("--how %s: kill, stop, restart", h)
		}
	}
	dir, err := os.MkdirTemp(*parent, "millrace-bench-")
	if err != nil {
		return err
	}
	if *keep {
		progress("everything in %s", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	if f.cluster, err = broker.ChooseCluster(ctx, *what, dir, *nodes, nil); err != nil {
		return err
	}
	defer f.cluster.Kill()
	if err := f.run(ctx, *nodes); err != nil {
		for _, b := range f.cluster.Nodes {
			fmt.Fprintf(os.Stderr, "the end of what %s printed:\n%s\n", b.Name, b.LogTail())
		}
		return err
	}
	return nil
}

func (f *failover) run(ctx context.Context, nodes int) error {
	sctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := startCluster(sctx, f.cluster); err != nil {
		return err
	}
	c, err := kgo.NewClient(f.clientOptions()...)
	if err != nil {
		return err
	}
	defer c.Close()
	f.admin = kadm.NewClient(c)
	if _, err := f.admin.CreateTopic(ctx, 1, int16(nodes), nil, failoverTopic); err != nil {
		return fmt.Errorf("creating the topic: %w", err)
	}
	for _, how := range f.hows {
		if err := f.series(ctx, how); err != nil {
			return fmt.Errorf("%s: %w", how, err)
		}
	}
	return nil
}

// clientOptions are those of a client that wants to find the new leader soon.
func (f *failover) clientOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(f.cluster.Brokers()...), kgo.MetadataMinAge(20 * time.Millisecond), kgo.MetadataMaxAge(250 * time.Millisecond), kgo.DialTimeout(time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.RetryTimeout(2 * time.Minute),
	}
}

// series strikes the leader several times and prints the gaps.
func (f *failover) series(ctx context.Context, how string) error {
	var gaps, named []float64
	lost, doubled := 0, 0
	for i := range f.times {
		if _, err := f.awaitWhole(ctx); err != nil {
			return err
		}
		t := &strike{failover: f, how: how, number: i}
		if err := t.run(ctx); err != nil {
			return err
		}
		progress("%s, %s %d of %d: longest gap %d ms, from %d ms after it on (%d ms before), another leader named after %d ms, %d acknowledged, %d lost, %d doubled", t.victim.Name,
			how, i+1, f.times, t.after.Milliseconds(), t.gapFrom.Sub(t.struck).Milliseconds(), t.before.Milliseconds(), t.named.Milliseconds(), len(t.acked), t.lost, t.doubled)
		gaps, named = append(gaps, float64(t.after.Milliseconds())), append(named, float64(t.named.Milliseconds()))
		lost, doubled = lost+t.lost, doubled+t.doubled
	}
	fmt.Printf("%s: %s of the leader at %.0f records a second: longest gap between acknowledgements, median of %d: %.0f ms (%.0f to %.0f); another leader named after %.0f ms (%.0f to %.0f); %d lost, %d doubled\n",
		f.cluster.Name, how, f.rate, f.times, median(gaps), slices.Min(gaps), slices.Max(gaps), median(named), slices.Min(named), slices.Max(named), lost, doubled)
	if lost+doubled > 0 {
		return fmt.Errorf("%d records lost, %d doubled", lost, doubled)
	}
	return nil
}

// awaitWhole waits until all replicas are in sync and returns the leader.
func (f *failover) awaitWhole(ctx context.Context) (leader int32, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		m, err := f.admin.Metadata(kadm.WithAuthorizedOps(ctx), failoverTopic) // asked anew
		if p, ok := m.Topics[failoverTopic].Partitions[0]; err == nil && ok && p.Err == nil && p.Leader > 0 && len(p.ISR) == len(p.Replicas) {
			return p.Leader, nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, fmt.Errorf("waiting for all replicas to be in sync (%+v): %w", m.Topics[failoverTopic].Partitions, err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
