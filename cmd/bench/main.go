package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := dispatch(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("what? produce, steady, consume, latency, topics, floor, pair, idle, bombs, failover, crowd or groups")
	}
	switch name, rest := args[0], args[1:]; name {
	case "produce", "steady", "consume", "latency", "topics":
		return runLoad(ctx, name, rest)
	case "floor":
		return runFloor(ctx, rest)
	case "pair":
		return runPair(ctx, rest)
	case "idle":
		return runIdle(ctx, rest)
	case "bombs":
		return runBombs(ctx, rest)
	case "failover":
		return runFailover(ctx, rest)
	case "crowd":
		return runCrowd(ctx, rest)
	case "groups":
		return runGroups(ctx, rest)
	case "send-frames": // the child process of the floor
		frames, err := strconv.Atoi(rest[1])
		if err != nil {
			return err
		}
		return sendFrames(rest[0], frames)
	default:
		return fmt.Errorf("%s? produce, steady, consume, latency, topics, floor, pair, idle, bombs, failover, crowd or groups", name)
	}
}

// runLoad runs one load and prints its result as JSON.
func runLoad(ctx context.Context, kind string, args []string) error {
	l := defaults(kind)
	flags := flag.NewFlagSet(kind, flag.ExitOnError)
	brokers := flags.String("brokers", strings.Join(l.brokers, ","), "brokers to ask first")
	pids := flags.String("pids", "", "ids of the broker's processes, whose CPU time and memory count")
	flags.StringVar(&l.topic, "topic", l.topic, "topic; created unless -keep")
	flags.BoolVar(&l.keep, "keep", false, "use the topic as it is")
	flags.IntVar(&l.partitions, "partitions", l.partitions, "partitions of the topic")
	flags.IntVar(&l.replicas, "replication", l.replicas, "replication factor of the topic")
	flags.Int64Var(&l.records, "records", l.records, "records to produce or consume")
	flags.IntVar(&l.size, "size", l.size, "bytes of a record's value")
	flags.StringVar(&l.codec, "codec", l.codec, "none, gzip, snappy, lz4 or zstd")
	flags.StringVar(&l.acks, "acks", l.acks, "all, 1 or 0")
	flags.IntVar(&l.batchBytes, "batch", l.batchBytes, "bytes of a batch at most")
	flags.DurationVar(&l.linger, "linger", l.linger, "how long a batch may wait to fill")
	flags.IntVar(&l.clients, "clients", l.clients, "producers side by side")
	flags.Float64Var(&l.rate, "rate", l.rate, "records per second (steady, latency)")
	flags.DurationVar(&l.duration, "duration", l.duration, "how long (steady, latency)")
	flags.IntVar(&l.topics, "topics", l.topics, "how many topics to create (topics)")
	flags.Parse(args) //nolint:errcheck // it exits
	l.brokers = strings.Split(*brokers, ",")
	var err error
	if l.pids, err = parsePids(*pids); err != nil {
		return err
	}
	r, err := l.run(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// runFloor measures the floor alone.
func runFloor(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("floor", flag.ExitOnError)
	dir := flags.String("dir", ".", "directory on the disk to measure")
	frames := flags.Int("frames", 2048, "frames of 1 MiB for each step")
	flags.Parse(args) //nolint:errcheck // it exits
	costs, err := measureFloor(ctx, *dir, *frames)
	if err != nil {
		return err
	}
	for _, s := range steps {
		fmt.Printf("%-50s %5.2f CPU-s/GB %6.0f MB/s\n", s.name, costs[s.name].CPUSecPerGB, costs[s.name].MBPerSecond)
	}
	return nil
}
