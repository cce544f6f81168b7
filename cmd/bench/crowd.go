package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/cmd/internal/broker"
)

// crowd is a cluster with very many partitions.
type crowd struct {
	cluster            *broker.Cluster
	topics, partitions int
	replicas           int
	batch              int // topics in a request
	idle               time.Duration
	admin              *kadm.Client
}

// settleTime is between the creation of everything and the moment from which it counts as idle: what was written is
// checkpointed meanwhile.
const settleTime = 30 * time.Second

func runCrowd(ctx context.Context, args []string) error {
	c := &crowd{}
	flags := flag.NewFlagSet("crowd", flag.ExitOnError)
	what := flags.String("broker", broker.MillraceClusterLine("build/millrace"), "kafka, or the command line of a node")
	nodes := flags.Int("nodes", 3, "nodes of the cluster")
	flags.IntVar(&c.topics, "topics", 2000, "topics")
	flags.IntVar(&c.partitions, "partitions", 10, "partitions of each")
	flags.IntVar(&c.replicas, "replication", 3, "replicas of each partition")
	flags.IntVar(&c.batch, "batch", 100, "topics in one CreateTopics request")
	flags.DurationVar(&c.idle, "idle", 30*time.Second, "how long the idle cluster is watched")
	parent := flags.String("dir", "", "where the brokers keep their data meanwhile (default the temporary directory)")
	flags.Parse(args) //nolint:errcheck // it exits
	dir, err := os.MkdirTemp(*parent, "millrace-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if c.cluster, err = broker.ChooseCluster(ctx, *what, dir, *nodes, nil); err != nil {
		return err
	}
	defer c.cluster.Kill()
	sctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := startCluster(sctx, c.cluster); err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.cluster.Brokers()...), kgo.MetadataMinAge(20*time.Millisecond), kgo.RetryTimeout(5*time.Minute),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }))
	if err != nil {
		return err
	}
	defer client.Close()
	c.admin = kadm.NewClient(client)
	c.admin.SetTimeoutMillis(120_000)
	if err := c.run(ctx); err != nil {
		for _, b := range c.cluster.Nodes {
			fmt.Fprintf(os.Stderr, "the end of what %s printed:\n%s\n", b.Name, b.LogTail())
		}
		return err
	}
	return nil
}

func (c *crowd) run(ctx context.Context) error {
	say := func(format string, args ...any) { fmt.Printf(c.cluster.Name+": "+format+"\n", args...) }
	began := time.Now()
	if err := c.create(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	if err := c.awaitLed(ctx, 0); err != nil {
		return err
	}
	say("%d topics of %d partitions with %d replicas: created in %.1f s, all led after %.1f s", c.topics, c.partitions, c.replicas, took.Seconds(),
		time.Since(began).Seconds())
	if err := sleep(ctx, settleTime); err != nil {
		return err
	}
	before, err := usageOf(c.cluster.Pids())
	if err != nil {
		return err
	}
	if err := sleep(ctx, c.idle); err != nil {
		return err
	}
	after, err := usageOf(c.cluster.Pids())
	if err != nil {
		return err
	}
	say("idle: %.2f %% of a core, %.0f MB resident, all nodes together", 100*(after.cpuSeconds-before.cpuSeconds)/c.idle.Seconds(), after.rssMB)

	victim := c.cluster.Nodes[0]
	struck := time.Now()
	if err := victim.Kill(); err != nil {
		return err
	}
	if err := c.awaitLed(ctx, victim.Place.ID); err != nil {
		return err
	}
	led := time.Since(struck)
	say("after kill -9 of node %d: live leaders for all partitions in Metadata after %.2f s", victim.Place.ID, led.Seconds())
	slowest, err := c.produce(ctx, 200)
	if err != nil {
		return err
	}
	say("acks=all produces to 200 random partitions: all acknowledged, %.2f s after the kill, the slowest in %.0f ms", time.Since(struck).Seconds(),
		slowest.Seconds()*1000)
	return nil
}

func (c *crowd) name(i int) string { return fmt.Sprintf("crowd-%04d", i) }

// create makes the topics by requests of a batch each, one after the other, as an administrator's script would.
func (c *crowd) create(ctx context.Context) error {
	for i := 0; i < c.topics; i += c.batch {
		var names []string
		for j := i; j < min(i+c.batch, c.topics); j++ {
			names = append(names, c.name(j))
		}
		made, err := c.admin.CreateTopics(ctx, int32(c.partitions), int16(c.replicas), nil, names...)
		if err == nil {
			err = made.Error()
		}
		if err != nil {
			return fmt.Errorf("creating the topics from %d on: %w", i, err)
		}
	}
	return nil
}

// awaitLed asks a live node for all metadata until every partition has a leader that is not the dead node (0: none is).
func (c *crowd) awaitLed(ctx context.Context, dead int) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	var live []string
	for _, b := range c.cluster.Nodes {
		if b.Place.ID != dead {
			live = append(live, b.Place.Advertise)
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(live...), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for {
		m, err := admin.Metadata(kadm.WithAuthorizedOps(ctx)) // asked anew
		if err == nil {
			led := 0
			m.Topics.EachPartition(func(p kadm.PartitionDetail) {
				if p.Err == nil && p.Leader > 0 && int(p.Leader) != dead && strings.HasPrefix(p.Topic, "crowd-") {
					led++
				}
			})
			if led == c.topics*c.partitions {
				return nil
			}
			err = fmt.Errorf("%d of %d partitions are led", led, c.topics*c.partitions)
		}
		if sleep(ctx, 5*time.Millisecond) != nil {
			return err
		}
	}
}

// produce sends one record to each of n random partitions by a new client and returns the longest time that one took.
func (c *crowd) produce(ctx context.Context, n int) (slowest time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.cluster.Brokers()[1:]...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(20*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	var mu sync.Mutex
	var failed error
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		began := time.Now()
		client.Produce(ctx, &kgo.Record{Topic: c.name(r.IntN(c.topics)), Partition: int32(r.IntN(c.partitions)), Value: []byte("one of many")},
			func(_ *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				slowest = max(slowest, time.Since(began))
				if err != nil {
					failed = err
				}
			})
	}
	if err := client.Flush(ctx); err != nil {
		return 0, err
	}
	return slowest, failed
}
